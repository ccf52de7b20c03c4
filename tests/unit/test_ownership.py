"""What root makes for a user belongs to the user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seglab.core import ownership

OWNER, OTHER = 4711, 4712

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def _no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(name, raising=False)


def whose(path: Path) -> int:
    """The user who owns a path itself."""
    return path.lstat().st_uid


def a_run(folder: Path) -> Path:
    """A run folder, made after its owner was noted."""
    run = folder / "runs" / "mine"
    ownership.keep_owner(run)
    (run / "wire").mkdir(parents=True)
    (run / "wire" / "a.pcapng").write_text("x")
    return run


def test_who_called_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was made is the caller's, and nothing that was there before."""
    monkeypatch.setenv("SUDO_UID", str(OWNER))
    monkeypatch.setenv("SUDO_GID", str(OTHER))
    (tmp_path / "before").write_text("x")
    run = a_run(tmp_path)
    ownership.hand_over()
    assert {whose(path) for path in (run.parent, run, *run.rglob("*"))} == {OWNER}
    assert (run / "wire").stat().st_gid == OTHER
    assert (whose(tmp_path), whose(tmp_path / "before")) == (0, 0)


def test_whose_folder_it_is(tmp_path: Path) -> None:
    """Without sudo, the folder in which it was made says whose it is."""
    os.chown(tmp_path, OWNER, OWNER)
    run = a_run(tmp_path)
    ownership.hand_over()
    assert whose(run / "wire" / "a.pcapng") == OWNER


def test_roots_own_stays(tmp_path: Path) -> None:
    """In root's own folder, what root makes is root's."""
    run = a_run(tmp_path)
    ownership.hand_over()
    assert whose(run) == 0


def test_nothing_else_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links lead nowhere: neither symbolic ones nor hard ones; what is somebody's stays theirs."""
    monkeypatch.setenv("SUDO_UID", str(OWNER))
    monkeypatch.setenv("SUDO_GID", str(OWNER))
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").write_text("x")
    (outside / "hard").write_text("x")
    run = a_run(tmp_path)
    (run / "a").symlink_to(outside / "file")
    (run / "b").symlink_to(outside / "folder")
    (run / "c").hardlink_to(outside / "hard")
    (run / "theirs").write_text("x")
    os.chown(run / "theirs", OTHER, OTHER)
    ownership.hand_over()
    assert {whose(path) for path in outside.rglob("*")} == {0}
    assert (whose(run / "a"), whose(run / "theirs")) == (OWNER, OTHER)


def test_a_command_does_it(tmp_path: Path) -> None:
    """``seglab run`` as root leaves a run of the caller's, also where ``runs`` was not there."""
    code = "from seglab.cli import main; main()"
    run = ("run", "listing-12", "--sessions", "1", "--engine", "simulator", "-q", "--out", "runs/a")
    done = subprocess.run(
        [sys.executable, "-c", code, *run],
        cwd=tmp_path,
        env=os.environ | {"SUDO_UID": str(OWNER), "SUDO_GID": str(OWNER)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    made = [*(tmp_path / "runs").rglob("*")]
    assert len(made) > 5
    assert {whose(path) for path in (tmp_path / "runs", *made)} == {OWNER}
