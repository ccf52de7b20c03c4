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


SHARING = """
import os
import pytest

@pytest.fixture(scope="module")
def run(request):
    (request.path.parent / f"{os.getpid()}.pid").touch()

@pytest.mark.parametrize("number", range(8))
def test_it(run, number):
    pass
"""


def test_tests_that_share_a_fixture_share_a_process(tmp_path: Path) -> None:
    """A run that a whole file reads is made once, however many processes test."""
    done = _pytest(tmp_path, {"test_sharing.py": SHARING}, "-n", "2", "--dist", "loadgroup")
    assert "8 passed" in done.stdout, done.stdout + done.stderr
    assert len(list((tmp_path / "tests").glob("*.pid"))) == 1


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "workers"])
def test_nothing_is_left_in_the_temporary_folder(workers: list[str], tmp_path: Path) -> None:
    """Whatever a test, or a process that it starts, puts there: no file, and one empty folder."""
    run = _pytest(tmp_path, {"test_leaving.py": LEAVING}, *workers)
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    left = list((tmp_path / "tmp").rglob("*"))
    assert [path for path in left if not path.name.startswith("pytest-of-")] == []


def _pytest(folder: Path, files: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run test files of these contents beside a copy of this project's ``conftest.py``."""
    tests = folder / "tests"
    tests.mkdir()
    (folder / "tmp").mkdir()
    for name, content in {"conftest.py": (TESTS / "conftest.py").read_text(), **files}.items():
        (tests / name).write_text(content)
    settings = ["-c", str(TESTS.parent / "pyproject.toml"), "--rootdir", str(folder)]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-q",
            *settings,
            *options,
            tests,
        ],
        env=os.environ | {"TMPDIR": str(folder / "tmp")},
        capture_output=True,
        text=True,
        check=False,
    )


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
