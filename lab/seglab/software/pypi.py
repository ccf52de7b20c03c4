"""Programs from PyPI: ``pip install --target``, for the Python that runs the lab."""

import importlib.util
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from seglab.software.clients import RefusedError, run
from seglab.software.program import TREE_PYPI
from seglab.software.store import Package

_PIP: Final = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def install(
    names: Sequence[str],
    digests: Mapping[str, str],
    workshop: Path,
    tell: Callable[[str], None],
) -> list[Package]:
    """Put packages into the tree of a workshop.

    Args:
        names: the packages, all of them, each as ``NAME==VERSION``.
        digests: the SHA-256 of the archive of each.
        workshop: has the folder ``tree``.
        tell: is told how far it is.

    Returns:
        All packages that are in the tree now.

    Raises:
        RefusedError: they are not to be had, or are not what they must be.
    """
    tell(", ".join(names))
    if importlib.util.find_spec("pip") is None:
        raise RefusedError("pip is not installed in the lab's Python")
    wanted = workshop / "requirements.txt"
    wanted.write_text("".join(f"{name} --hash={digests[name]}\n" for name in names))
    report = workshop / "report.json"
    options = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-input", "--no-compile"]
    target = workshop / "tree" / TREE_PYPI.lstrip("/")
    run(
        [*_PIP, *options, "--report", str(report), "--target", str(target), "-r", str(wanted)],
        workshop,
        {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"},
    )
    found = []
    for one in json.loads(report.read_text())["install"]:
        named = one["metadata"]["name"], one["metadata"]["version"]
        digest = one["download_info"]["archive_info"]["hashes"]["sha256"]
        found.append(Package("pypi", *named, f"sha256:{digest}"))
    return found
