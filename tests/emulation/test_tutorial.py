"""The tutorial, done as its reader does it: every command, in order; and every number in it.

Only the installation is left out, because anyone who runs these tests has gone through it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pytest
from programs import need

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INSTALLATION = "./bootstrap.sh install\n. .venv/bin/activate\n"
TIMEOUT_S = 120
SIZES = re.compile(r"`(\d+(?: \d+)*)`")
SUM = re.compile(r"(?<![\d.])(\d+(?: [-+x] \d+)+) = (\d+)")
LAYER = re.compile(r"^\s*(writes|segments|reads)((?: +\d+)+)$")


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, what the tutorial says it prints, and what it printed."""

    commands: str
    told: str
    printed: str


def blocks() -> Iterator[tuple[str, str]]:
    """Language and content of each block, the installation left out."""
    for language, body in FENCE.findall(TUTORIAL):
        if body != INSTALLATION:
            yield language, body


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """Everything that the tutorial's reader does, done in an empty folder by one shell."""
    need("tshark")
    folder = tmp_path_factory.mktemp("reader")
    found = [*blocks()]
    script, commands, told = ["set -eu -o pipefail"], [], []
    mark = "--- the next block of commands ---"
    for index, (language, body) in enumerate(found):
        if language == "sh":
            after = found[index + 1] if index + 1 < len(found) else ("", "")
            commands.append(body)
            told.append(after[1] if after[0] == "text" else "")
            script.append(f"echo '{mark}'\n{body}")
        elif language in {"toml", "python"}:
            name = body.split()[1]
            script.append(f"cat > {name} <<'END OF FILE'\n{body}END OF FILE")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    printed = done.stdout.split(f"{mark}\n")[1:]
    return [Step(*step) for step in zip(commands, told, printed, strict=True)]


def environment() -> Mapping[str, str]:
    """What activating the virtual environment does, with the one that runs this test."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    return {**os.environ, "PATH": path, "COLUMNS": "100"}


def layers(text: str) -> list[dict[str, list[int]]]:
    """The sessions that ``layers.py`` printed: the sizes of each layer."""
    sessions: list[dict[str, list[int]]] = []
    for line in text.splitlines():
        if " MSS " in line:
            sessions.append({})
        elif found := LAYER.match(line):
            sessions[-1][found[1]] = [int(size) for size in found[2].split()]
    return sessions


def words(text: str) -> list[str]:
    """Its lines, with a single space for each gap."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_installation_is_a_mode_of_bootstrap() -> None:
    """What the tutorial says of the installation is a mode of the script, and comes first."""
    assert FENCE.findall(TUTORIAL)[0] == ("sh", INSTALLATION)
    assert re.search(r"^  install\)$", (ROOT / "bootstrap.sh").read_text(), re.MULTILINE)


def test_each_output_follows_its_commands() -> None:
    """No output stands in the tutorial without the commands that make it right before it."""
    languages = [language for language, _ in FENCE.findall(TUTORIAL)]
    assert set(languages) == {"sh", "text", "toml", "python"}
    assert all(languages[i - 1] == "sh" for i, name in enumerate(languages) if name == "text")


def test_what_is_printed(steps: list[Step]) -> None:
    """Every line of output in the tutorial was printed, in that order, except for reads."""
    assert sum(bool(step.told) for step in steps) >= 7
    for step in steps:
        printed = iter(words(step.printed))
        for line in words(step.told):
            if not line.startswith("reads "):
                assert any(found.startswith(line) for found in printed), (
                    f"{step.commands}: {line!r} is not in what it printed:\n{step.printed}"
                )


def test_sizes_have_no_more_to_them(steps: list[Step]) -> None:
    """The tutorial shows all sessions of a run, and rows of sizes to their ends."""
    for step in steps:
        shown, found = layers(step.told), layers(step.printed)
        if not shown:
            continue
        assert len(shown) == len(found), step.commands
        for told, made in zip(shown, found, strict=True):
            for layer in told.keys() - {"reads"}:
                assert told[layer] == made[layer], step.commands


def test_reads_end_where_segments_end(steps: list[Step]) -> None:
    """Reads, as printed now and as shown, merge segments and split none."""
    sessions = [s for step in steps for s in layers(step.told) + layers(step.printed)]
    assert any("reads" in session for session in sessions)
    for session in sessions:
        if "reads" in session:
            ends = {*accumulate(session["segments"])}
            assert {*accumulate(session["reads"])} <= ends, session
            assert sum(session["reads"]) == sum(session["writes"]), session


def test_sizes_in_the_text(steps: list[Step]) -> None:
    """Sizes that the text names were printed, one after the other, or are reads that it shows."""
    text = FENCE.sub("", TUTORIAL)
    rows = [f" {row} " for step in steps for row in words(step.printed + "\n" + step.told)]
    named = SIZES.findall(text)
    assert named
    for sizes in named:
        assert any(f" {sizes} " in row for row in rows), sizes


def test_sums_in_the_text() -> None:
    """Every sum that the text gives is right."""
    sums = SUM.findall(FENCE.sub("", TUTORIAL))
    assert len(sums) >= 5
    for terms, result in sums:
        assert re.fullmatch(r"[\d x+-]+", terms)
        assert eval(terms.replace("x", "*")) == int(result), terms


def test_the_conclusion(steps: list[Step]) -> None:
    """The rule that memorised sizes fails wherever the sizes differ; the other rule never fails."""
    verdicts = [line for line in words(steps[-1].printed) if "memorised" in line]
    wrong = {line.split()[1] for line in verdicts if "memorised WRONG" in line}
    assert wrong == {"mtu-576", "ethernet", "fddi", "pppoe-clamped"}
    assert not [line for line in verdicts if "reasoned WRONG" in line]
