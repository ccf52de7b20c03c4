"""``bootstrap.sh``: whose files it leaves, without installing anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bootstrap.sh"
TOOLS = ("mnexec", "ifconfig", "ethtool", "ip", "unshare", "mount", "nft")
OWNER = 12345


def program(path: Path, text: str) -> None:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, and with an environment that is complete already."""
    folder = tmp_path / "checkout"
    program(folder / ".venv/bin/python", "exit 0")
    program(folder / ".venv/bin/seglab", 'mkdir -p runs/a && echo "$@" >runs/a/run.json; exit 7')
    shutil.copy(SCRIPT, folder)
    for name in TOOLS:
        program(tmp_path / "bin" / name, "exit 0")
    return folder


def reproduced(checkout: Path) -> int:
    """Run the script as a user does; return its exit code."""
    path = f"{checkout.parent / 'bin'}:{os.environ['PATH']}"
    command = ["./bootstrap.sh", "reproduce", "x"]
    return subprocess.run(
        command, cwd=checkout, env={**os.environ, "PATH": path}, check=False, timeout=60
    ).returncode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave files to somebody else")
def test_root_leaves_everything_to_the_owner(checkout: Path) -> None:
    """With sudo in a user's checkout; the exit code is the program's."""
    os.chown(checkout, OWNER, OWNER)
    outside = checkout.parent / "outside"
    outside.write_text("")
    (checkout / ".venv/link").symlink_to(outside)
    assert reproduced(checkout) == 7
    made = [checkout / "runs", checkout / "runs/a/run.json", checkout / ".venv/bin/python"]
    assert {path.stat().st_uid for path in made} == {OWNER}
    assert outside.stat().st_uid == 0, "a link is not followed"


def test_the_owners_own_run_changes_no_owner(checkout: Path) -> None:
    """It replaces the script by the program, whose exit code it has."""
    assert reproduced(checkout) == 7
    assert (checkout / "runs/a/run.json").stat().st_uid == os.geteuid()
    assert (checkout / "runs/a/run.json").read_text() == "reproduce x\n"
