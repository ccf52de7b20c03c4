"""The tests themselves: that their folders can be collected together, and what a skip says."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import programs
import pytest

TESTS = Path(__file__).parents[1]


def test_no_two_files_have_one_name() -> None:
    """Pytest and the helpers import test modules by their bare names, from several folders."""
    packages = {"conftest.py", "__init__.py", "__main__.py"}  # never imported by these names
    names = Counter(p.name for p in TESTS.rglob("*.py") if p.name not in packages)
    assert [name for name, times in names.items() if times > 1] == []


LEAVING = """
import os, subprocess, sys, tempfile

def test_leaves_folders(tmp_path):
    (tmp_path / "file").write_text("")
    tempfile.mkdtemp()
    program = "import tempfile; tempfile.mkdtemp()"
    subprocess.run([sys.executable, "-c", program], check=True)
"""


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "workers"])
def test_nothing_is_left_in_the_temporary_folder(workers: list[str], tmp_path: Path) -> None:
    """Whatever a test, or a process that it starts, puts there: no file, and one empty folder."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tests / "test_leaving.py").write_text(LEAVING)
    (tmp_path / "tmp").mkdir()
    settings = ["-c", str(TESTS.parent / "pyproject.toml"), "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *settings, *workers]
    run = subprocess.run(
        [*command, str(tests)],
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    left = list((tmp_path / "tmp").rglob("*"))
    assert [path for path in left if not path.name.startswith("pytest-of-")] == []


@pytest.mark.parametrize(
    ("program", "system", "said"),
    [
        ("tshark", "ID=ubuntu", "./bootstrap.sh test installs it"),
        ("capinfos", "ID=debian", "./bootstrap.sh test installs it"),
        ("mnexec", "ID=ubuntu", "./bootstrap.sh test installs it"),
        ("chromium", "ID=debian", "./bootstrap.sh test installs it"),
        ("chromium", "ID=ubuntu", "./bootstrap.sh test does not install it on this system"),
        ("perl", "ID=debian", "./bootstrap.sh test does not install it on this system"),
    ],
)
def test_a_skip_names_no_cure_that_is_none(
    program: str, system: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script is named where its lists have the program: Chromium only on Debian, Perl never."""
    monkeypatch.setattr(programs, "OS_RELEASE", tmp_path / "os-release")
    (tmp_path / "os-release").write_text(f"NAME=x\n{system}\n")
    monkeypatch.setattr(programs.shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match=f"^{program} is not installed; {said}$"):
        programs.need(program)
