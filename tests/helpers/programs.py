"""The programs that tests run, and what a skip says where one is missing."""

import os
import re
import shutil
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).parents[2] / "bootstrap.sh"
OS_RELEASE = Path("/etc/os-release")
PART_OF = {"capinfos": "tshark"}
"""Programs that come with another one, which ``bootstrap.sh`` names."""


def installed_by_bootstrap() -> dict[str, str]:
    """The packages of the programs that ``./bootstrap.sh test`` installs here, by the program.

    The script's lists are pairs such as ``tshark:tshark``. It has a list of its own for Debian.
    """
    lists = re.findall(
        r"^.*?\b(?:run|test)_tools\+?=\(([^)]*)\)", BOOTSTRAP.read_text(), flags=re.M
    )
    found = dict(pair.split(":") for words in lists for pair in words.split())
    if not (OS_RELEASE.exists() and "ID=debian" in OS_RELEASE.read_text().splitlines()):
        del found["chromium"], found["chromedriver"]
    return found


def need(program: str) -> str:
    """The path of a program that a test runs; skips the test where there is none."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        known = PART_OF.get(program, program) in installed_by_bootstrap()
        cure = "installs it" if known else "does not install it on this system"
        pytest.skip(f"{program} is not installed; ./bootstrap.sh test {cure}")
    return path
