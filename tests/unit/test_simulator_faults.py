"""What goes wrong while the simulator works.

Nothing that is recorded is lost, and the command that continues ends with the same bytes.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dataset_making import without_captures
from ending import gone

from seglab.dataset import records
from seglab.engine import EngineOptions, engine
from seglab.execution.request import RunRequest
from seglab.runs.folder import RunFolder
from seglab.simulator import session as simulated_session

PROGRAM = (sys.executable, "-c", "from seglab.cli import main; main()")
SESSIONS = 240
"""More than ``seglab.simulator.engine.ALONE_MOST``, so that ``--jobs 2`` means two processes."""

RUN = (*PROGRAM, "run", "scenario-1", "--engine", "simulator", "--sessions", str(SESSIONS))
DEADLINE_S = 120


def wait_until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something is true; the process must not end before."""
    until = time.monotonic() + DEADLINE_S
    while not true():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.002)


def begun(*command: str | Path) -> subprocess.Popen[str]:
    """A command that has been started, in a process group of its own."""
    return subprocess.Popen(
        [*map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def recorded(*journals: Path) -> int:
    """How many lines journals have."""
    return sum(path.read_bytes().count(b"\n") for path in journals if path.exists())


def children(pid: int) -> list[int]:
    """The processes that a process has started to simulate in."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in found
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def content(run: Path) -> dict[str, bytes]:
    """The sessions and the captures of a run, by the names of their files."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in (run / "sessions.parquet", *sorted((run / "wire").iterdir()))
    }


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run leaves that nobody disturbs."""
    out = tmp_path_factory.mktemp("unbroken") / "run"
    subprocess.run([*RUN, "--jobs", "1", "-q", "--out", out], check=True, capture_output=True)
    made = content(out)
    assert len(made) == 1 + 2 * SESSIONS
    return made


@pytest.mark.parametrize(
    ("how", "jobs"),
    [(signal.SIGINT, 1), (signal.SIGTERM, 2), (signal.SIGKILL, 1), (signal.SIGKILL, 2)],
)
def test_a_run_is_broken_off(
    how: signal.Signals, jobs: int, tmp_path: Path, unbroken: dict[str, bytes]
) -> None:
    """After Ctrl-C, a termination or a kill, ``--resume`` makes the run that was asked for."""
    out = tmp_path / "run"
    with begun(*RUN, "--jobs", str(jobs), "--out", out) as process:
        wait_until(lambda: recorded(out / "sessions.jsonl") >= 3, process)
        workers = children(process.pid)
        assert len(workers) == (jobs if jobs > 1 else 0)
        process.send_signal(how)
        _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130), said
    assert how == signal.SIGKILL or "continue with: seglab run --resume" in said
    until = time.monotonic() + DEADLINE_S
    while not all(map(gone, workers)):
        assert time.monotonic() < until, "processes are left"
        time.sleep(0.01)
    stored = RunFolder.open(out)
    kept = [*stored.sessions()]
    assert stored.manifest.status == "interrupted"
    assert 3 <= len(kept) < SESSIONS
    names = [name for record in kept for name in (record.captures.client, record.captures.server)]
    assert all((out / str(name)).read_bytes() == unbroken[str(name)] for name in names)

    subprocess.run([*PROGRAM, "run", "--resume", out, "-q"], check=True, capture_output=True)
    assert content(out) == unbroken
    assert RunFolder.open(out).manifest.status == "complete"


def test_a_process_is_killed(tmp_path: Path, unbroken: dict[str, bytes]) -> None:
    """Others take over the sessions of a process that was killed, and the run is the same."""
    out = tmp_path / "run"
    with begun(*RUN, "--jobs", "2", "--out", out) as process:
        wait_until(lambda: recorded(out / "sessions.jsonl") >= 3, process)
        first = children(process.pid)
        os.kill(first[0], signal.SIGKILL)
        _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said
    assert all(map(gone, first))
    assert content(out) == unbroken


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The specification of a dataset of several shards, without captures."""
    path = tmp_path_factory.mktemp("spec") / "made.toml"
    path.write_text(without_captures(repeats=115, shard_sessions=210))
    return path


def data(out: Path) -> dict[str, bytes]:
    """The files with the rows of a dataset."""
    return {path.name: path.read_bytes() for path in (out / "data").iterdir()}


@pytest.fixture(scope="module")
def undisturbed(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The rows of the dataset when nobody disturbs its build."""
    out = tmp_path_factory.mktemp("undisturbed") / "made"
    build = [*PROGRAM, "dataset", "build", spec, "--out", out, "--engine", "simulator", "-q"]
    subprocess.run([*build, "--yes", "--jobs", "1"], check=True, capture_output=True)
    assert len([*records(out)]) == 2 * 2 * 115
    return data(out)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_build_of_a_dataset_is_broken_off(
    how: signal.Signals, spec: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """The same command continues: the shards that were built stay, and all rows are the same."""
    out = tmp_path / "made"
    build = (*PROGRAM, "dataset", "build", spec, "--out", out, "--yes", "--jobs", "2")
    journals = [out / "building" / f"{shard:05}" / "sessions.jsonl" for shard in range(3)]
    with begun(*build, "--engine", "simulator") as process:
        wait_until((out / "shards" / "00000.json").exists, process)
        process.send_signal(how)
        _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130), said
    before = recorded(*journals)
    built = {path: path.stat().st_mtime_ns for path in (out / "data").glob("*-00000.parquet")}
    again = subprocess.run([*map(str, build)], check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert built == {path: path.stat().st_mtime_ns for path in built}
    assert before == 0 or "continuing a build" in again.stderr
    assert data(out) == undisturbed
    assert not (out / "building").exists()


def test_a_session_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that needs too many events is marked as failed, with that reason."""
    monkeypatch.setenv("SEGLAB_PURE_PYTHON", "1")  # compiled code has the number in itself
    monkeypatch.setattr(simulated_session, "EVENTS_MAX", 40)
    found = []
    planned = RunRequest(("matrix",), ("relay",), ("ethernet",), 2).specs(2014)
    asyncio.run(engine("simulator", EngineOptions(jobs=1)).run(planned, found.append))
    assert [(record.status, record.error) for record in found] == [
        ("failed", "the session needs more than 40 events")
    ] * 2
