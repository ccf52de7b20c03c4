"""The tests themselves: that their folders can be collected together, and what a skip says."""

from collections import Counter
from pathlib import Path

import programs
import pytest

TESTS = Path(__file__).parents[1]


def test_no_two_files_have_one_name() -> None:
    """Pytest and the helpers import test modules by their bare names, from several folders."""
    names = Counter(p.name for p in TESTS.rglob("*.py") if p.name != "conftest.py")
    assert [name for name, times in names.items() if times > 1] == []


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
