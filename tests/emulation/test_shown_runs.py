"""Every command of the documents that runs sessions, in a folder such as the documents suppose.

Those that take minutes are left out, and the tutorial and ``seglab reproduce`` as a whole have
tests of their own.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, Shown, blocks, call, furnish, is_well, shown

from seglab.logs import observations

COMMANDS = [
    *{
        command.line: command
        for command in shown()
        if command.where == "lab" and command.document != "docs/tutorial.md"
    }.values()
]
TIMEOUT_S = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder in which all commands run, one after the other."""
    return furnish(tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("command", COMMANDS, ids=[command.line for command in COMMANDS])
def test_it_runs(command: Shown, folder: Path) -> None:
    """The command ends well and prints something."""
    done = call(command, folder, timeout=TIMEOUT_S)
    assert is_well(command, done), f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.stdout


def test_there_are_some() -> None:
    """The documents show commands of each kind that runs sessions."""
    assert {command.arguments[1] for command in COMMANDS} >= {"run", "reproduce", "dataset"}


def test_the_log_of_the_samples(folder: Path) -> None:
    """The program that made ``reads.log`` prints a line of the log for each session of the run."""
    (program,) = blocks("examples/README.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, check=True
    )
    found = [one.total_bytes for one in observations(done.stdout.splitlines(), "reads.log")]
    shipped = (ROOT / "examples" / "reads.log").read_bytes().splitlines()
    assert found == [one.total_bytes for one in observations(shipped, "reads.log")]
