"""What goes wrong in a lab, each on the real thing: the rest goes on, and nothing stays behind."""

import asyncio
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from commanding import (
    DEADLINE_S,
    Seglab,
    in_use,
    inside,
    interfaces,
    recorded,
    seglab,
    shell,
    wait_until,
)
from striking import child_of, planned, same_path, stop

from seglab.core import plugins
from seglab.core.record import SessionRecord
from seglab.engine import EngineOptions
from seglab.errors import PartDiedError
from seglab.experiment import registry
from seglab.kernel import engine as engine_
from seglab.kernel import lab as lab_
from seglab.kernel import lab_config
from seglab.kernel.engine import KernelEngine
from seglab.kernel.lab import KernelLab
from seglab.runs.folder import RunFolder

JOBS = 4
CLIENT_TCPS = ("kernel", "simulator")
"""Whose TCP the client has; what goes wrong around it is all the same to a user."""

LAB_ENDED = ("the lab was killed (SIGKILL)", "the lab ended with status 1")
"""What ``unshare --fork`` makes of its child's end; version 2.38.1 cannot say more."""


def kill(lab: KernelLab, part: str) -> None:
    """End a part, or the lab's first process, with SIGKILL."""
    if part == "init":
        assert lab._process is not None
        os.kill(child_of(lab._process.pid), signal.SIGKILL)
    else:
        lab.kill(part)


def run_and_strike(
    monkeypatch: pytest.MonkeyPatch,
    strike: object,
    time_limit_s: float = 60.0,
    client: str = "kernel",
) -> list[SessionRecord]:
    """Run sessions; ``strike`` the first lab as soon as one is recorded, others under way."""
    labs: list[KernelLab] = []

    class Seen(KernelLab):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            labs.append(self)

    records: list[SessionRecord] = []

    def on_record(record: SessionRecord) -> None:
        records.append(record)
        if len(records) == 1:
            assert callable(strike)
            strike(labs[0])

    monkeypatch.setattr(engine_, "KernelLab", Seen)
    specs = planned(14, client=client)
    asyncio.run(KernelEngine(EngineOptions(JOBS, time_limit_s)).run(specs, on_record))
    assert len(labs) == 2
    assert sorted(r.session_id for r in records) == sorted(s.session_id for s, _ in specs)
    return records


@pytest.mark.parametrize("client", CLIENT_TCPS)
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("wire", "the wire was killed (SIGKILL)"),
        ("server", "the server was killed (SIGKILL)"),
        ("client", "the client was killed (SIGKILL)"),
        ("init", LAB_ENDED[0]),
    ],
)
def test_a_part_is_killed_in_mid_session(
    part: str, reason: str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way is failed with the reason; a new lab completes all others."""
    records = run_and_strike(monkeypatch, lambda lab: kill(lab, part), client=client)
    failed = [record for record in records if record.error is not None]
    assert 1 <= len(failed) <= JOBS
    (found,) = {record.error for record in failed}
    assert found == reason or (part == "init" and found in LAB_ENDED)
    assert {r.status for r in records if r.error is None} == {"complete"}


def test_a_part_that_cannot_go_on_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wire's own words are the reason, not merely the status that it ends with."""

    def confuse(lab: KernelLab) -> None:
        lab._channels["wire"].send({"close": 4711})

    records = run_and_strike(monkeypatch, confuse)
    (reason,) = {record.error for record in records if record.error is not None}
    assert reason.startswith("the wire failed: wire: {'close': 4711} makes no sense")


def test_a_part_that_hangs_is_as_good_as_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wire that is silent when its sessions' time is over is given up for another lab."""
    monkeypatch.setattr(lab_, "GRACE_S", 1.0)
    records = run_and_strike(monkeypatch, lambda lab: stop(lab, "wire"), time_limit_s=0.5)
    reasons = {record.error for record in records if record.error is not None}
    assert reasons
    assert all(r.startswith("the wire did not answer within 1.") for r in reasons), reasons
    assert sum(record.error is None for record in records) >= len(records) - JOBS


@pytest.mark.parametrize("client", CLIENT_TCPS)
def test_a_server_that_hangs_is_replaced(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent server is given up long before the time limits of the sessions that wait for it."""
    monkeypatch.setattr(lab_, "GRACE_S", 1.0)
    monkeypatch.setattr(lab_, "SILENT_S", 2.0)
    began = time.monotonic()
    records = run_and_strike(monkeypatch, lambda lab: stop(lab, "server"), 300.0, client)
    assert time.monotonic() - began < 100
    reasons = {record.error for record in records if record.error is not None}
    assert reasons == {"the server did not answer within 2 s"}
    assert sum(record.error is None for record in records) >= len(records) - JOBS


def test_labs_that_die_again_and_again_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every lab dies at once, the run is given up and says why."""

    class Doomed(KernelLab):
        async def session(self, *arguments: object) -> None:  # type: ignore[override]
            self.kill("client")
            return await super().session(*arguments)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(engine_, "KernelLab", Doomed)
    records: list[SessionRecord] = []
    with pytest.raises(PartDiedError, match=r"gave up after 3 .* client was killed"):
        asyncio.run(KernelEngine(EngineOptions(jobs=2)).run(planned(50), records.append))
    assert {record.error for record in records} == {"the client was killed (SIGKILL)"}


def test_an_engine_runs_again_and_with_fewer_slots_than_labs() -> None:
    """Two networks share one slot, in two rounds, as ``reproduce`` has them."""
    engine = KernelEngine(EngineOptions(jobs=1))
    records: list[SessionRecord] = []
    other = registry.network("ethernet")
    for _ in range(2):
        specs = planned(2) + [(replace(s, network=other.name), other) for s, _ in planned(2)]
        asyncio.run(engine.run(specs, records.append))
    assert [record.error for record in records] == [None] * 8


def test_a_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server cannot listen: the lab says which port, and is gone."""
    monkeypatch.setattr(lab_config, "PORTS", {"raw": 2007, "smtp": 2007})

    async def start() -> None:
        (spec, network), *_ = planned(1)
        async with KernelLab(network, spec.reader):
            pass

    with pytest.raises(PartDiedError, match=r"^the server could not start: .*2007"):
        asyncio.run(start())


@pytest.mark.parametrize("client", CLIENT_TCPS)
def test_the_parent_is_killed(client: str, tmp_path: Path) -> None:
    """SIGKILL in mid-run: no process, namespace or interface is left; resume completes the run."""
    out, before = tmp_path / "run", interfaces()
    scenario = same_path(tmp_path, client)
    with Seglab("run", scenario, "--sessions", "40", "--jobs", "8", "--out", out) as run:
        wait_until(lambda: recorded(out) >= 3, "no session was recorded")
        namespaces = run.network_namespaces()
        assert len(namespaces) >= 4  # the lab's own, client, router, server
        run.process.send_signal(signal.SIGKILL)
        assert run.ended() == -signal.SIGKILL
        wait_until(run.is_gone, "processes are left")
    assert not in_use(namespaces)
    assert interfaces() == before

    stored = RunFolder.open(out)
    kept = {record.session_id for record in stored.sessions() if record.complete}
    assert stored.manifest.status == "interrupted"
    assert 3 <= len(kept) < 40
    report = seglab("report", out, "--json")
    assert report.process.returncode == 0, report.err
    assert json.loads(report.out)["counts"]["complete"] == len(kept)

    resumed = seglab("run", "--resume", out, "-q")
    assert resumed.process.returncode == 0, resumed.err
    sessions = [record.session_id for record in RunFolder.open(out).sessions()]
    assert sorted(sessions) == sorted(spec.session_id for spec, _ in planned(40, scenario))
    assert RunFolder.open(out).manifest.status == "complete"
    for capture in ("client", "server"):
        assert len([*(out / "wire").glob(f"*.{capture}.pcapng")]) == 40


@pytest.mark.parametrize(
    ("size", "client"), [("64k", "kernel"), ("400k", "kernel"), ("400k", "simulator")]
)
def test_the_disk_is_full(
    size: str, client: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One clear line and exit code 3; what was recorded stays readable, and nothing runs on.

    On the smaller disk there is no room for a few captures, on the larger one for no more of them.
    """
    mount = shell(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", tmp_path])
    keep = tmp_path.with_name(f"{tmp_path.name}-kept")
    script = f'{mount}; "$@"; code=$?; cp -r {tmp_path} {keep}; exit $code'
    before = inside(script, "--mount")
    scenario = same_path(tmp_path_factory.mktemp("scenario"), client)
    run = seglab(
        "run", scenario, "--sessions", "40", "-q", "--out", tmp_path / "run", before=before
    )
    assert run.process.returncode == 3, run.err
    assert run.out == ""
    assert run.err.count("\n") == 1
    assert run.err.startswith(f"seglab: {tmp_path / 'run'}/")
    assert "the disk is full; what is recorded stays readable" in run.err
    stored = RunFolder.open(keep / "run")
    records = [*stored.sessions()]
    assert len(records) < 40
    assert all(record.complete for record in records)
    assert stored.manifest.status in ("failed", "interrupted")
    wanted = {name for r in records for name in (r.captures.client, r.captures.server)}
    assert wanted <= {f"wire/{path.name}" for path in (keep / "run" / "wire").iterdir()}


def odd_senders(folder: Path, **sources: str) -> Path:
    """A checkout with more senders in it: what a user's own senders may do."""
    real = plugins.shipped("senders")
    (folder / "senders").mkdir(parents=True)
    for file in real.iterdir():
        (folder / "senders" / file.name).symlink_to(file)
    (folder / "lab").symlink_to(real.parent / "lab")
    (folder / "scenarios").symlink_to(real.parent / "scenarios")
    for name, source in sources.items():
        (folder / "senders" / f"{name}.py").write_text(
            "from seglab.sender import Expect, Sender, Wait, Write, nodelay_parameter\n\n"
            "def steps(message, parameters):\n"
            f"    {source}\n"
            f"SENDER = Sender(name={name!r}, summary='odd', source='a test', protocol='raw',\n"
            "    style='single_write', payload_bytes_of=lambda p: 3000, steps=steps,\n"
            "    parameters=nodelay_parameter(True))\n"
        )
    return folder


REASONS = {
    "raises": "the sender raised RuntimeError: out of order",
    "raises_late": "the sender raised RuntimeError: out of order",
    "computes": "the sender took more than 2 s to make its steps",
    "rubbish": "the sender yielded 'EHLO', which is no step",
    "endless": "the sender yielded more than 1000000 steps",
    "waits_for_ever": "time limit reached",
}


@pytest.mark.parametrize("client", CLIENT_TCPS)
def test_senders_that_go_wrong(client: str, tmp_path: Path) -> None:
    """Each fails its own sessions, with the reason; those of the good senders are complete.

    All without privileges, through the command line, its JSON and its words checked too.
    """
    packages = odd_senders(
        tmp_path / "packages",
        raises="raise RuntimeError('out of order'); yield",
        raises_late="yield Write(message.wire); raise RuntimeError('out of order')",
        computes="while True: pass\n    yield",
        rubbish="yield 'EHLO'",
        endless="while True: yield Wait(0)",
        waits_for_ever="yield Write(message.wire); yield Expect(250)",
        pauses="yield Write(message.wire[:9]); yield Wait(2); yield Write(message.wire[9:])",
    )
    parts = "".join(
        f'[[senders]]\nname = "{name}"\n' for name in (*REASONS, "pauses", "single_write")
    )
    file = tmp_path / "odd.toml"
    network = '[[network]]\nname = "own"\ntitle = "t"\nlike = "unimpaired"\n'
    network += f'client.tcp = "{client}"\n'
    file.write_text(f'title = "odd senders"\nsessions = 2\n{parts}{network}')
    out = tmp_path / "run"
    run = seglab(
        *("run", file, "--out", out, "--time-limit", "1.5", "--json", "-v"),
        before=inside('exec "$@"'),
        packages=[packages / "lab"],
    )
    assert run.process.returncode == 1, run.err
    records = [*RunFolder.open(out).sessions()]
    found = {name: {r.error for r in records if r.sender == name} for name in REASONS}
    # On a busy machine, the time that it may take is over before it has made so many steps.
    assert found.pop("endless") <= {REASONS["endless"], REASONS["computes"]}
    assert found == {name: {reason} for name, reason in REASONS.items() if name != "endless"}
    good = [record for record in records if record.sender in ("pauses", "single_write")]
    assert [record.error for record in good] == [None] * 4
    assert len(records) == 2 * len(REASONS) + 4

    summary = json.loads(run.out)
    assert summary["counts"] == {"planned": 16, "complete": 4, "failed": 12}
    lines = run.err.splitlines()
    said = {line for line in lines if line.startswith("failed: ")}
    assert said == {f"failed: {r.session_id}: {r.error}" for r in records if r.error}
    assert lines[-1].startswith("16 of 16 sessions, 12 failed, ")
    assert all(line.isprintable() for line in lines)
    assert "Traceback" not in (out / "log.txt").read_text()


def test_two_labs_at_once_and_two_runs_in_one_folder(tmp_path: Path) -> None:
    """Labs do not know of each other; a run folder has one writer, a second is refused."""
    outs = [tmp_path / name for name in ("one", "two")]
    arguments = ("run", "scenario-1", "--sessions", "24", "--jobs", "1", "-q", "--out")
    with Seglab(*arguments, outs[0]) as first, Seglab(*arguments, outs[1]) as second:
        wait_until(lambda: all(recorded(out) for out in outs), "no session was recorded")
        with Seglab(*arguments, outs[0]) as third, Seglab("run", "--resume", outs[0]) as fourth:
            assert (third.ended(), fourth.ended()) == (2, 2)
        assert third.err.startswith(f"seglab: {outs[0]}: already holds a run; continue it")
        assert fourth.err == f"seglab: {outs[0]}: another seglab is writing this run\n"
        assert (first.ended(), second.ended()) == (0, 0), first.err + second.err
        wait_until(lambda: first.is_gone() and second.is_gone(), "processes are left", DEADLINE_S)
    for out in outs:
        assert RunFolder.open(out).manifest.counts.complete == 24
