"""A folder, a home and a checkout that cannot be written: one line each, and nothing else."""

import shutil
import subprocess
from pathlib import Path

import pytest
from commanding import ROOT, inside, seglab
from dataset_making import build
from stored_runs import stored_run
from synthetic import record

READ_ONLY = "Read-only file system"


def read_only(*folders: Path, home: Path | None = None) -> list[str]:
    """What to start a command with: in it, these folders and the home cannot be written."""
    steps = [
        f"mount --bind '{path}' '{path}' && mount -o remount,ro,bind '{path}' && ! touch '{path}/x'"
        for path in (*folders, *filter(None, [home]))
    ]
    if home is not None:
        steps.append(f"export HOME='{home}'")
    return inside(
        " && ".join([*(f"{{ {step}; }} 2>/dev/null" for step in steps), 'exec "$@"']), "--mount"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "run scenario-1 --sessions 1",
        "run scenario-1 --sessions 1 --out {folder}/a/b",
        "reproduce --sessions 1",
        "regress paper --repeats 1 --quiet",
        "dataset build {root}/examples/dataset.toml --out {folder}/made --quiet",
    ],
)
def test_no_folder_can_be_made(arguments: str, tmp_path: Path) -> None:
    """Exit code 2, and one line that names the folder and says what to do."""
    given = arguments.format(folder=tmp_path, root=ROOT).split()
    before = [*read_only(tmp_path), "sh", "-c", f"cd '{tmp_path}' && exec \"$@\"", "sh"]
    run = seglab(*given, before=before)
    assert run.process.returncode == 2, run.err
    assert run.err.count("\n") == 1
    assert run.err.endswith(f": cannot be written: {READ_ONLY}; give another --out\n")


def test_a_result_of_regress(tmp_path: Path) -> None:
    """It is refused before the sessions run, and not after them."""
    path = tmp_path / "junit.xml"
    run = seglab(
        "regress", "paper", "--sessions", "sample", "--junit", path, before=read_only(tmp_path)
    )
    assert run.process.returncode == 2, run.err
    assert run.err == f"seglab: {path}: cannot be written: {tmp_path} is read-only\n"
    assert run.out == ""


def test_the_log_of_the_server(tmp_path: Path) -> None:
    """Exit code 2 and one line."""
    run = seglab("serve", "--port", "0", "--out", tmp_path / "log", before=read_only(tmp_path))
    assert (run.process.returncode, run.err.count("\n")) == (2, 1)
    assert READ_ONLY in run.err


def test_a_report_goes_elsewhere(tmp_path: Path) -> None:
    """A run on a read-only disk, with a read-only home: the line says --out, and that works."""
    stored_run(tmp_path / "run", [record("scenario-1/1")])
    (tmp_path / "home").mkdir()
    before = read_only(tmp_path / "run", home=tmp_path / "home")
    refused = seglab("report", tmp_path / "run", before=before)
    assert refused.process.returncode == 2
    assert refused.err.count("\n") == 1
    assert refused.err.endswith("give --out FILE on a disk that can be written\n")
    page = tmp_path / "report.html"
    made = seglab("report", tmp_path / "run", "--out", page, before=before)
    assert (made.process.returncode, made.err) == (0, "")
    assert page.exists()


def test_a_dataset_is_checked(tmp_path: Path) -> None:
    """What the check finds is printed; that the figure cannot be kept is a note."""
    made = tmp_path / "made"
    build(made)
    run = seglab("dataset", "check", made, before=read_only(made))
    assert (run.process.returncode, run.err) == (0, "")
    assert "no findings" in run.out
    (note,) = [line for line in run.out.splitlines() if line.startswith("note: no figure: ")]
    assert note.endswith(f"{READ_ONLY}; --out DIR puts the figure elsewhere")


def test_a_run_with_a_read_only_home_and_folder(tmp_path: Path) -> None:
    """All that a run writes is in --out; it needs neither the home nor the current folder."""
    for name in ("home", "here", "runs"):
        (tmp_path / name).mkdir()
    start = ["sh", "-c", f"cd '{tmp_path}/here' && exec \"$@\"", "sh"]
    before = [*read_only(tmp_path / "here", home=tmp_path / "home"), *start]
    out = tmp_path / "runs" / "one"
    run = seglab("run", "scenario-1", "--sessions", "1", "--quiet", "--out", out, before=before)
    assert (run.process.returncode, run.err) == (0, "")
    assert (out / "report.html").exists()


@pytest.mark.parametrize("command", ["install", "test", "reproduce"])
def test_bootstrap_in_a_read_only_checkout(command: str, tmp_path: Path) -> None:
    """Exit code 3 and one line, before anything is installed."""
    shutil.copy(ROOT / "bootstrap.sh", tmp_path)
    run = subprocess.run(
        [*read_only(tmp_path), str(tmp_path / "bootstrap.sh"), command],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 3
    assert run.stderr == (
        f"bootstrap: {tmp_path} is read-only, and .venv must be written there: "
        "take a copy of it, and run that\n"
    )
