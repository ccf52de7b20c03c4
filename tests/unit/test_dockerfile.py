"""The Dockerfile installs what ``bootstrap.sh`` does, and copies nothing that was made here."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def stages() -> list[set[str]]:
    """The packages that each stage of the Dockerfile installs."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(
        r"apt-get install -y --no-install-recommends ([\w. -]+?)\s*(?:&&|\n)", text
    )
    return [set(words.split()) for words in installs]


def run_packages() -> set[str]:
    """The packages of the programs that a lab starts, as ``bootstrap.sh`` lists them."""
    (words,) = re.findall(r"run_tools=\(([^)]*)\)", (ROOT / "bootstrap.sh").read_text())
    return {pair.partition(":")[2] for pair in words.split()}


def test_the_image_has_what_a_lab_starts() -> None:
    """The last stage has these packages and Python; the first has what compiling takes."""
    build, last = stages()
    assert last == run_packages() | {"python3"}
    assert build == {"gcc", "python3-dev", "python3-venv"}


def test_nothing_that_was_made_here_is_copied() -> None:
    """What git ignores and is large, or fits another Python only, stays out of the image."""
    left_out = set((ROOT / ".dockerignore").read_text().split())
    assert left_out >= {".git", ".tox", ".venv", "build", "dist", "runs", "**/*.so"}
