"""Every command of the documents that needs no lab runs on the samples in ``examples``."""

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dataset_making import PureEngine, build
from documents import SEGLAB, Shown, blocks, call, furnish, is_well, shown
from programs import need

import seglab.regress

SAMPLE = Path(seglab.regress.__file__).parent
COMMANDS = {command.line: command for command in shown() if command.where == "runs"}
SESSION = re.compile(r"^\$ (seglab .*)$", re.MULTILINE)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the samples, a run and a dataset, as the documents suppose."""
    made = furnish(tmp_path_factory.mktemp("reader"))
    for name in ("mine", "tuning-small"):
        run = made / "runs" / name
        run.mkdir()
        shutil.copy(SAMPLE / "sample.parquet", run / "sessions.parquet")
        shutil.copy(SAMPLE / "sample.json", run / "run.json")
    PureEngine.reset()
    build(made / "data" / "mine", seed=2014)
    line = "seglab regress my_package.rules:classify --sessions sample --baseline accuracy.json"
    baseline = call(Shown("", f"{line} --update-baseline", "runs"), made)
    assert baseline.returncode in {0, 1}, baseline.stderr
    return made


@pytest.mark.parametrize("line", COMMANDS)
def test_it_runs(line: str, folder: Path) -> None:
    """The command ends well and prints something."""
    if "cmd:perl" in line:
        need("perl")
    done = call(COMMANDS[line], folder)
    assert is_well(COMMANDS[line], done), f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.stdout


def test_there_are_many() -> None:
    """The documents show commands of each kind that needs no lab."""
    names = {line.split()[1] for line in COMMANDS}
    assert names >= {"classify", "regress", "report", "dataset", "doctor", "list"}
    assert len(COMMANDS) > 20


def on_a_terminal(line: str, folder: Path, width: int) -> list[str]:
    """Return the lines that a command prints on a terminal, without colours."""
    ours, theirs = pty.openpty()
    command = Shown("README.md", line, "runs")
    process = subprocess.Popen(
        [*SEGLAB, *command.arguments[1:]],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(width), "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    printed = b""
    try:
        while part := os.read(ours, 65536):
            printed += part
    except OSError:  # Linux reports the end of a terminal as an error
        pass
    os.close(ours)
    process.wait()
    return [line.rstrip() for line in ESCAPES.sub("", printed.decode()).splitlines()]


WIDTHS = {"README.md": 120, "docs/classify.md": 80}
"""Documents that show output, and the columns of the terminal that printed it."""
OUTPUTS = [
    (width, block)
    for document, width in WIDTHS.items()
    for block in blocks(document, "text")
    if block.startswith("$ ")
]


@pytest.mark.parametrize(("width", "block"), OUTPUTS, ids=[b.splitlines()[0] for _, b in OUTPUTS])
def test_the_output_is_printed(width: int, block: str, folder: Path) -> None:
    """The command prints each line that the document shows, except ``...``, in that order."""
    command, *lines = block.splitlines()
    printed = iter(on_a_terminal(command.removeprefix("$ "), folder, width))
    for line in lines:
        if line != "...":
            assert any(" ".join(line.split()) == " ".join(found.split()) for found in printed), line
    assert len(lines) > 3
