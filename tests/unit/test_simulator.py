"""The simulator as an engine: whole sessions, the same for one seed however they run."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest
import simulator_digest
from dataset_making import build, spec_of, without_captures

from seglab import capture
from seglab.core import compiling, processors
from seglab.core.record import RecordLine, SessionRecord
from seglab.core.trace import first_sent, sizes
from seglab.dataset.building import build_shards
from seglab.dataset.estimate import estimate
from seglab.dataset.folder import begin
from seglab.dataset.plan import planned as planned_of
from seglab.engine import EngineOptions, engine, engine_names
from seglab.engine.base import Planned
from seglab.execution.request import RunRequest
from seglab.experiment.reader import Reader
from seglab.networks.client import ClientTcp
from seglab.networks.network import Network, Router, ScheduledMtu
from seglab.simulator import backend, worker
from seglab.simulator import engine as simulator_engine
from seglab.simulator.batches import Batch
from seglab.simulator.support import refusal

LINUX_ALONE = """
import os, select, selectors, socket, sys
selectors.DefaultSelector = selectors.SelectSelector
import asyncio, matplotlib.pyplot, multiprocessing.connection, urllib.request  # know their system

class Blocker:
    BLOCKED = ("seglab.kernel", "mininet", "scapy")

    def find_spec(self, name, path=None, target=None):
        if name.startswith(self.BLOCKED):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
sys.platform = "darwin"
for module, names in (
    (select, ("epoll", "EPOLLIN", "EPOLLOUT", "EPOLLHUP", "EPOLLERR")),
    (socket, ("AF_PACKET", "MSG_MORE")),
    (os, ("eventfd", "pidfd_open", "sched_setscheduler", "sched_getaffinity", "setns")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

from seglab.cli import main
main()
"""
"""The command line where nothing can be imported that needs Linux, root or Mininet."""


def use_form(monkeypatch: pytest.MonkeyPatch, *, compiled: bool) -> None:
    """Have sessions carried out by the model as Python, or as compiled."""
    if compiled and compiling.built(compiling.SIMULATOR) != "compiled":
        pytest.skip("the model is not compiled here; that takes gcc and Python.h")
    form = backend.form(compiled=compiled)
    monkeypatch.setattr(backend, "simulation", lambda: form)


def carried_out(
    planned: Sequence[Planned], folder: Path | None = None, jobs: int = 1
) -> list[SessionRecord]:
    """The records of planned sessions, as the engine hands them over."""
    records: list[SessionRecord] = []
    if folder is not None:
        (folder / "wire").mkdir(parents=True)
    made = engine("simulator", EngineOptions(jobs=jobs, folder=folder))
    asyncio.run(made.run(planned, records.append))
    return records


def matrix(*networks: str, senders: Iterable[str] = (), sessions: int = 1) -> list[Planned]:
    """Sessions of the matrix over these networks."""
    return RunRequest(("matrix",), tuple(senders), networks, sessions).specs(2014)


def with_network(planned: Sequence[Planned], **changes: object) -> list[Planned]:
    """The same sessions over networks with other values."""
    return [(spec, replace(network, **changes)) for spec, network in planned]


def error_of(planned: Planned) -> str:
    """Why the session failed."""
    (record,) = carried_out([planned])
    assert record.error is not None
    return record.error


@pytest.fixture(scope="module")
def everything() -> list[SessionRecord]:
    """One session of every sender over every network."""
    return carried_out(matrix())


def test_the_compiled_model_is_the_same(
    everything: list[SessionRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sender over every network has the same record from both forms of the model."""
    form = backend.simulation()
    use_form(monkeypatch, compiled=form is backend.form(compiled=False))
    assert carried_out(matrix()) == everything


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_a_session_leaves_nothing_behind(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is free when it has ended, without a search for cycles."""
    use_form(monkeypatch, compiled=compiled)
    planned = matrix("gprs", senders=["relay"], sessions=3)
    carried_out(planned)
    gc.collect()
    gc.disable()
    try:
        worker.carry_out(planned, 60.0, None)
        left = {type(one).__name__ for one in gc.get_objects()}
    finally:
        gc.enable()
    assert not left & {"Simulation", "Client", "Server", "TcpEndpoint", "Carried"}


def test_a_process_that_is_traced_runs_python() -> None:
    """A debugger, or who counts which lines run, sees nothing of compiled code."""
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        assert backend.simulation() is backend.form(compiled=False)
    finally:
        sys.settrace(before)


def test_it_is_an_engine_by_name() -> None:
    """And no command takes it by itself."""
    assert "simulator" in engine_names()
    assert engine().name == "kernel"


def test_every_sender_over_every_network(everything: list[SessionRecord]) -> None:
    """All three layers agree in each session; a black hole ends as it does on the kernel."""
    failed = {record.network for record in everything if not record.complete}
    assert failed == {"black-hole"}
    assert {record.engine for record in everything} == {"simulator"}
    for record in everything:
        if record.network == "black-hole" and record.error:
            assert record.error.startswith("time limit reached; the router, a black hole")


def test_no_time_of_the_machine_is_in_a_record(everything: list[SessionRecord]) -> None:
    """Sessions begin at zero, and no process can be late."""
    assert {(record.t0_ns, record.late_ns) for record in everything} == {(0, None)}


def test_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records and captures, in one process or in several, in the planned order."""
    monkeypatch.setattr(processors, "usable", lambda: 2)
    planned = matrix(
        "gprs", "cellular", "unimpaired", senders=["relay", "single_write"], sessions=40
    )
    assert len(planned) > simulator_engine.ALONE_MOST
    alone = carried_out(planned, tmp_path / "alone")
    together = carried_out(planned, tmp_path / "together", jobs=2)
    assert alone == together
    names = sorted(file.name for file in (tmp_path / "alone" / "wire").iterdir())
    assert len(names) == 2 * len(planned)
    for name in names:
        one, other = (tmp_path / run / "wire" / name for run in ("alone", "together"))
        assert one.read_bytes() == other.read_bytes(), name


def test_a_session_does_not_depend_on_others() -> None:
    """One that runs alone is the same as in the whole run."""
    planned = matrix("gprs", sessions=3)
    whole = carried_out(planned)
    assert carried_out(planned[7:8]) == whole[7:8]


def test_another_seed_gives_another_session() -> None:
    """Where a path draws."""
    (one,), (other,) = (
        RunRequest(("matrix",), ("single_write",), ("gprs",), 1).specs(seed) for seed in (1, 2)
    )
    first, second = carried_out([one]), carried_out([other])
    assert [s.t_arrived_ns for s in first[0].segments] != [
        s.t_arrived_ns for s in second[0].segments
    ]


def test_captures_hold_the_segments(tmp_path: Path) -> None:
    """The client's capture has the segments that were sent, and the MSS, as the record says."""
    planned = matrix("gprs", "ipv6-tunnel", "pppoe-clamped", senders=["line_by_line", "relay"])
    for record in carried_out(planned, tmp_path):
        assert record.complete
        for name in (record.captures.client, record.captures.server):
            with (tmp_path / str(name)).open("rb") as file:
                (message,) = capture.observations(file, "it")
            assert message.complete
            assert sum(piece.end - piece.start for piece in first_sent(record.segments)) == sum(
                message.sizes
            )
            assert message.mss == record.mss
            assert message.timestamps == record.timestamps
            assert message.header_end == record.header_end


def test_a_network_that_is_not_modelled_is_refused_by_name() -> None:
    """Its sessions fail with the reason, and those of other networks do not."""
    (bbr,) = with_network(
        matrix("ethernet", senders=["relay"]), client=ClientTcp(congestion_control="bbr")
    )
    (good,) = matrix("tunnel-1400", senders=["relay"])
    records = carried_out([bbr, good])
    assert [record.status for record in records] == ["failed", "complete"]
    assert records[0].error == (
        "network ethernet: the simulator does not model congestion control 'bbr' "
        "(it has cubic and reno); use --engine kernel"
    )


@pytest.mark.parametrize(
    ("network", "refused"),
    [
        (Network("n", "t", "s", router=Router(mtu=500)), "a router with an MTU of 500"),
        (
            Network("n", "t", "s", router=Router(schedule=(ScheduledMtu(5, 551),))),
            "a router with an MTU of 551",
        ),
        (Network("n", "t", "s", router=Router(mtu=552)), None),
        (Network("n", "t", "s", mtu=400, router=Router(mtu=400)), None),
        (Network("n", "t", "s", router=Router(mtu=500, mss_clamp=True)), None),
    ],
)
def test_where_linux_would_let_a_router_fragment(network: Network, refused: str | None) -> None:
    """Below ``route.min_pmtu`` it no longer sets don't-fragment, which is not modelled."""
    reason = refusal(network)
    assert (reason is None) == (refused is None)
    assert refused is None or refused in str(reason)


def test_the_time_limit_counts_virtual_time() -> None:
    """A session fails at its limit, and that takes no real time."""
    (planned,) = with_network(matrix("black-hole", senders=["relay"]), time_limit_s=3600.0)
    (record,) = carried_out([planned])
    assert record.error is not None
    assert record.error.startswith("time limit reached")
    assert 60 * 10**9 <= record.duration_ns <= 70 * 10**9  # the engine's own limit is lower


@pytest.mark.parametrize("kind", ["event-loop", "recv-loop"])
@pytest.mark.parametrize("buffer_bytes", [1, 700, 65536])
def test_both_readers(kind: str, buffer_bytes: int) -> None:
    """No read is longer than the buffer, and all of them together are the payload."""
    planned = [
        (replace(spec, reader=Reader(kind, buffer_bytes)), network)
        for spec, network in matrix("ethernet", senders=["single_write"])
    ]
    (record,) = carried_out(planned)
    assert record.complete
    assert max(sizes(record.reads)) <= buffer_bytes
    assert sum(sizes(record.reads)) == record.payload_bytes


def test_a_reader_that_wakes_late_reads_more() -> None:
    """What arrives within ``wake_us`` is one read; ``turn_us`` holds the next one back."""
    (spec, network), *_ = matrix("ethernet", senders=["single_write"])
    late, slow = Reader(wake_us=5_000), Reader(turn_us=1_000_000)
    (woken,) = carried_out([(replace(spec, reader=late), network)])
    assert len(woken.reads) == 1
    (busy,) = carried_out([(replace(spec, reader=slow), network)])
    assert busy.reads[0].t_ns >= 3 * 10**9  # greeting, EHLO, MAIL, RCPT and DATA took a turn each


def test_it_runs_without_linux(tmp_path: Path) -> None:
    """With all blocked that needs Linux, root or Mininet: a run, its report, its verdicts."""
    command = [sys.executable, "-c", LINUX_ALONE, "run", "listing-12", "--engine", "simulator"]
    done = subprocess.run(
        [*command, "--sessions", "3", "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 3 sessions complete" in done.stdout
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_kernel_engine_names_it_where_it_cannot_run(tmp_path: Path) -> None:
    """Its message says how to have the same experiments without Linux; nothing runs by itself."""
    program = LINUX_ALONE.replace('"seglab.kernel", ', "")
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "listing-12", "--sessions", "1", "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "the kernel engine needs Linux" in done.stderr
    assert "--engine simulator" in done.stderr


@pytest.mark.parametrize(("jobs", "allowed"), [(40, 1), (1, 40)])
def test_one_process_is_this_one(jobs: int, allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is started where it would share the only processor that may be used."""
    monkeypatch.setattr(processors, "usable", lambda: allowed)
    monkeypatch.setattr(simulator_engine, "ALONE_MOST", 0)
    monkeypatch.setattr(simulator_engine, "_started", lambda _processes: pytest.fail("started"))
    assert carried_out(matrix("ethernet", senders=["relay"]), jobs=jobs)


def test_its_processes_die_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that are lost are carried out again; in the end the run fails in one line."""
    monkeypatch.setattr(processors, "usable", lambda: 2)
    monkeypatch.setattr(simulator_engine, "follow_parent", _die)
    monkeypatch.setattr(simulator_engine, "ALONE_MOST", 0)
    with pytest.raises(simulator_engine.PartDiedError, match="its processes died 3 times in a row"):
        carried_out(matrix("ethernet", senders=["relay"]), jobs=2)


def _die() -> None:
    os._exit(1)


def test_all_its_processes_are_there_before_one_has_work() -> None:
    """None is started later, while another may die."""
    before = set(active_children())
    with simulator_engine._started(3):
        assert len(set(active_children()) - before) == 3


@pytest.mark.parametrize("killed", [0, 1])
def test_the_shards_of_a_dataset_have_the_same_processes(
    killed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They start with the first shard, or after one of them was killed, and end with the build."""
    spec, out, seed = spec_of(without_captures(repeats=12, shard_sessions=8)), tmp_path / "made", 7
    started = []
    ended: list[RecordLine] = []

    def start(processes: int) -> ProcessPoolExecutor:
        started.append(processes)
        return make(processes)

    def on_record(record: RecordLine) -> None:
        ended.append(record)
        if killed and len(ended) == spec.sessions // 2:
            process = (set(active_children()) - before).pop()
            process.kill()
            process.join()

    make = simulator_engine._started
    monkeypatch.setattr(processors, "usable", lambda: 2)
    monkeypatch.setattr(simulator_engine, "_started", start)
    monkeypatch.setattr(simulator_engine, "ALONE_MOST", 0)
    before = set(active_children())
    begin(spec, seed, out, "simulator")
    shards = iter(range(spec.shards))
    asyncio.run(build_shards(spec, seed, out, shards, jobs=2, on_record=on_record))
    assert spec.shards == 6
    assert len(started) == 1 + killed
    assert set(active_children()) == before
    assert sorted(record.session_id for record in ended) == sorted(
        place.spec.session_id for shard in range(6) for place in planned_of(spec, seed, shard)
    )


def test_shards_are_handed_out_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes get all of one shard before the next, which runs while the first is stored."""
    spec, out, seed = spec_of(without_captures(repeats=12, shard_sessions=8)), tmp_path / "made", 7
    handed_out: list[float] = []

    def submit(pool: ProcessPoolExecutor, batch: Batch, options: EngineOptions) -> object:
        handed_out.append(options.priority)
        return real(pool, batch, options)

    real = simulator_engine._submit
    monkeypatch.setattr(processors, "usable", lambda: 2)
    monkeypatch.setattr(simulator_engine, "_submit", submit)
    monkeypatch.setattr(simulator_engine, "ALONE_MOST", 0)
    monkeypatch.setattr(simulator_engine, "BATCH", 1)
    monkeypatch.setattr(simulator_engine, "_AHEAD", 1)
    begin(spec, seed, out, "simulator")
    shards = iter(range(spec.shards))
    asyncio.run(build_shards(spec, seed, out, shards, jobs=2, on_record=lambda _record: None))
    assert len(handed_out) == spec.sessions == 48
    assert handed_out == sorted(handed_out, reverse=True)
    assert len(set(handed_out)) == spec.shards == 6


def test_a_dataset_says_that_it_is_simulated(tmp_path: Path) -> None:
    """Its rows, its manifest and its datasheet; and its estimate counts no waiting."""
    spec = spec_of()
    manifest = build(tmp_path / "data", spec, engine="simulator")
    assert manifest.engine == "simulator"
    sheet = (tmp_path / "data" / "README.md").read_text()
    assert "simulated, not carried out" in sheet
    assert "sockets of the Linux kernel" not in sheet
    assert f" --seed {manifest.seed} --engine simulator --out DIR\n" in sheet
    assert "simulated mail sessions" in sheet
    assert estimate(spec, 1, engine="simulator").longest_s == 0
    assert estimate(spec, 1, engine="simulator").cpu_s < estimate(spec, 1).cpu_s


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_the_same_bytes_on_every_python(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records and captures have the digest that is stored, in both forms of the model."""
    use_form(monkeypatch, compiled=compiled)
    found = simulator_digest.digest()
    assert found == simulator_digest.STORED.read_text().strip(), (
        f"if the model is meant to have changed, write {found} into {simulator_digest.STORED.name}"
    )


def test_reproduce(tmp_path: Path) -> None:
    """Listings with a changing MTU, and Table 1, by the criteria of the kernel engine."""
    program = [sys.executable, "-c", LINUX_ALONE, "reproduce", "--engine", "simulator", "-q"]
    names = ("listing-06", "listing-10", "listing-13", "table-1")
    only = [word for name in names for word in ("--only", name)]
    done = subprocess.run(
        [*program, *only, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 4 experiments reproduced" in done.stdout
    assert "engine: simulator" in done.stdout
