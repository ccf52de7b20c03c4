"""Engines by name, and that reading what they left behind needs none of them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dataset_making import ENGINE, SPEC, PureEngine, build, spec_of

from seglab.core.trace import Read, Segment, Write
from seglab.engine import DEFAULT_ENGINE, check_name, engine, engine_names
from seglab.engine.record import ObservedSession, session_record, within_payload
from seglab.errors import InputError
from seglab.execution.carry_out import carry_out
from seglab.execution.request import RunRequest, resume
from seglab.runs.folder import RunFolder

WITHOUT_KERNEL = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "seglab.kernel" or name.startswith(("seglab.kernel.", "mininet")):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
"""
"""Python that lets the kernel engine and Mininet no longer be imported."""

COMMAND = f"{WITHOUT_KERNEL}\nfrom seglab.cli import main\nmain()\n"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, ``run``, a dataset, ``data``, and a specification, ``small.toml``."""
    folder = tmp_path_factory.mktemp("stored")
    PureEngine.reset()
    request = RunRequest(("scenario-1",), sessions=2)
    manifest = request.manifest("run", 1, 1, 60.0, ENGINE)
    with RunFolder.create(folder / "run", manifest) as run:
        carry_out(run, [request.specs(1)])
    build(folder / "data")
    (folder / "small.toml").write_text(SPEC)
    return folder


def without_kernel(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of seglab in a process that cannot import the kernel engine."""
    program = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        "dataset check data",
        "report run",
        "classify run --json",
        "list senders",
        "list networks --json",
        "run --help",
        "--version",
    ],
)
def test_without_the_kernel_engine(stored: Path, command: str) -> None:
    """What reads runs and datasets, or lists what there is, imports neither engine nor Mininet."""
    run = without_kernel(stored, *command.split())
    assert run.returncode == 0, run.stderr
    assert run.stdout


def test_the_block_is_one(stored: Path) -> None:
    """A command that needs the kernel engine fails in such a process."""
    run = without_kernel(stored, "run", "scenario-1", "--sessions", "1", "--out", "other")
    assert run.returncode != 0
    assert "seglab.kernel is blocked" in run.stderr


def test_an_estimate_without_the_kernel_engine(stored: Path) -> None:
    """What a dataset will cost is known before any engine is imported."""
    script = (
        f"{WITHOUT_KERNEL}\nfrom pathlib import Path\n"
        "from seglab.dataset.estimate import estimate\nfrom seglab.dataset.spec import read_spec\n"
        "print(estimate(read_spec(Path('small.toml')), 40).sessions)\n"
    )
    program = [sys.executable, "-c", script]
    run = subprocess.run(program, cwd=stored, capture_output=True, text=True, check=False)
    assert (run.stdout.strip(), run.stderr) == (str(spec_of().sessions), "")


def test_a_name_that_is_not_known() -> None:
    """The nearest name is in the message."""
    with pytest.raises(InputError, match=r"unknown engine 'kernal'; did you mean 'kernel'\?"):
        engine("kernal")
    assert check_name(DEFAULT_ENGINE) in engine_names()


def test_a_run_keeps_its_engine(stored: Path, tmp_path: Path) -> None:
    """The manifest and every row name the engine, and it carries out what a resumed run lacks."""
    with RunFolder.open(stored / "run") as run:
        assert run.manifest.engine == ENGINE
        assert {record.engine for record in run.sessions()} == {ENGINE}
    request = RunRequest(("scenario-1",), sessions=2)
    specs = request.specs(1)
    with RunFolder.create(tmp_path / "run", request.manifest("run", 1, 1, 60.0, ENGINE)) as begun:
        carry_out(begun, [specs[:1]])
    PureEngine.reset()
    folder, again = resume(tmp_path / "run")
    with folder:
        carry_out(folder, [again.specs(1)])
        assert PureEngine.ran == [spec.session_id for spec, _ in specs[1:]]
        assert {record.engine for record in folder.sessions()} == {ENGINE}


def observed(**changes: Any) -> ObservedSession:
    """A session that went well: one write of ten bytes, one segment, one read."""
    values: dict[str, Any] = {
        "t0_ns": 5,
        "duration_ns": 40,
        "payload_bytes": 10,
        "payload_sha256": "ab",
        "received_sha256": ["ab"],
        "writes": (Write(1, 0, 10),),
        "segments": (Segment(2, 3, 0, 10),),
        "reads": (Read(4, 0, 10),),
    }
    return ObservedSession(**values | changes)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, None),
        ({"error": "time limit reached", "received_sha256": []}, "time limit reached"),
        ({"received_sha256": ["cd"]}, "the server received other bytes than were written"),
        ({"reads": ()}, "reads end at 0, the payload at 10"),
    ],
)
def test_a_record_of_what_was_observed(changes: dict[str, Any], error: str | None) -> None:
    """The plan fills the columns; the first reason against completeness is the error."""
    (spec, network), *_ = RunRequest(("scenario-1",), sessions=1).specs(1)
    record = session_record(spec, network, "pure", observed(**changes))
    assert (record.engine, record.status) == ("pure", "failed" if error else "complete")
    assert record.error == error
    assert (record.mss, record.timestamps) == (network.mss, network.client.timestamps)
    connected = session_record(spec, network, "pure", observed(mss=99, timestamps=True))
    assert (connected.mss, connected.timestamps) == (99, True)


def test_ranges_within_the_payload() -> None:
    """Ranges are clipped to the payload and count from its first byte; others are left out."""
    spans = [(1, 0, 10), (2, 10, 25), (3, 25, 40), (4, 40, 50)]
    assert list(within_payload(spans, 20, 30)) == [(2, 0, 5), (3, 5, 10)]
