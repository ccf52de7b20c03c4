"""Every command of the documents that runs sessions, in folders such as the documents suppose.

Those that take minutes are left out, and the tutorial and ``seglab reproduce`` as a whole have
tests of their own.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, Shown, blocks, call, furnish, is_well, shown

from seglab.logs import observations

COMMANDS = {
    command.line: command
    for command in shown()
    if command.where == "lab" and command.document != "docs/tutorial.md"
}
FOLDER = re.compile(r"\b(?:runs|data)/[\w-]+")
SAMPLES = "runs/samples"
TIMEOUT_S = 240


def chains() -> dict[str, list[Shown]]:
    """The commands that are run one after the other, since they name one folder; by its name."""
    found: dict[str, list[Shown]] = {}
    for line, command in COMMANDS.items():
        named = FOLDER.search(line)
        found.setdefault(named[0] if named else line, []).append(command)
    return found


CHAINS = chains()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make the folder in which commands run."""
    return furnish(tmp_path)


def run(chain: str, folder: Path) -> None:
    """Each command ends well and prints something."""
    for command in CHAINS[chain]:
        done = call(command, folder, timeout=TIMEOUT_S)
        assert is_well(command, done), f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.stdout


@pytest.mark.parametrize("chain", names := sorted(CHAINS.keys() - {SAMPLES}), ids=names)
def test_it_runs(chain: str, folder: Path) -> None:
    """What a document shows works, and so does what goes on with it."""
    run(chain, folder)


def test_there_are_some() -> None:
    """The documents show commands of each kind that runs sessions, and one that goes on."""
    assert {line.split()[1] for line in COMMANDS} >= {"run", "reproduce", "dataset"}
    assert any(len(commands) > 1 for commands in CHAINS.values())


def test_the_log_of_the_samples(folder: Path) -> None:
    """The program that made ``reads.log`` prints a line of the log for each session of the run."""
    run(SAMPLES, folder)
    (program,) = blocks("examples/README.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, check=True
    )
    found = [one.total_bytes for one in observations(done.stdout.splitlines(), "reads.log")]
    shipped = (ROOT / "examples" / "reads.log").read_bytes().splitlines()
    assert found == [one.total_bytes for one in observations(shipped, "reads.log")]
