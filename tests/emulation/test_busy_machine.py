"""A machine that does not let the lab run in time: what rows, runs and datasets say of it."""

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from commanding import Seglab, recorded, seglab, wait_until
from striking import BusyMachine, halt, planned, stop

from seglab.core.lateness import Lateness
from seglab.dataset import records
from seglab.dataset.manifest import read_manifest
from seglab.engine.again import SHARE, TRIES
from seglab.experiment import registry
from seglab.kernel import join
from seglab.kernel.lab import KernelLab
from seglab.runs.folder import RunFolder

MS = 1_000_000
HALTED_S = 0.06


@pytest.mark.parametrize(
    ("part", "scenario", "network"),
    [
        ("wire", "listing-12", None),
        ("server", "listing-12", None),
        ("client", "listing-12", None),
        # Here the wire delays nothing, so no frame is ever due.
        ("wire", "scenario-3", "unimpaired"),
    ],
)
def test_a_part_that_could_not_run_for_a_while_is_late(
    part: str, scenario: str, network: str | None
) -> None:
    """Whichever part stands still for 300 ms, the rows of the sessions under way say so."""

    async def run() -> list[int | None]:
        (spec, path), *_ = planned(1, scenario)
        if network is not None:
            path = registry.network(network)
            spec = replace(spec, network=network)
        async with KernelLab(path, spec.reader) as lab:
            job, order = join.client_job(spec, 20.0), join.wire_order(spec)
            before = await lab.session(job, order)
            session = asyncio.create_task(lab.session(job, order))
            await asyncio.sleep((before.client["t_end_ns"] - before.client["t0_ns"]) / 2e9)
            stop(lab, part)
            await asyncio.sleep(0.3)
            stop(lab, part, signal.SIGCONT)
            both = [join.assemble(spec, path, r, 0) for r in (before, await session)]
            return [assembled.record.late_ns for assembled in both]

    before_ns, during_ns = asyncio.run(run())
    assert before_ns is not None
    assert during_ns is not None
    assert during_ns >= 200 * MS > before_ns


@pytest.mark.timing
def test_a_machine_that_is_always_late_is_the_reason_that_reproduce_gives(tmp_path: Path) -> None:
    """Ten sessions have too few sequences, but the verdict is on the machine; and it has an end."""
    out = tmp_path / "run"
    arguments = ("reproduce", "--only", "scenario-3", "--sessions", "10", "--json", "-q")
    with Seglab(*arguments, "--out", out) as run, BusyMachine(run, halted_s=0.04, running_s=0.08):
        code = run.ended()
    assert code == 3, run.err
    summary = json.loads(run.out)
    assert summary["headline"].startswith("Machine too busy to judge: scenario-3 (late by ")
    assert summary["too_busy"] == ["scenario-3"]
    assert summary["reproduced"] is None
    stored = RunFolder.open(out)
    manifest, rows = stored.manifest, [*stored.sessions()]
    assert manifest.counts.complete == manifest.counts.planned == len(rows)
    assert manifest.late_ms is not None
    assert manifest.late_ms.median > 10
    assert manifest.late_ms.late == sum(row.too_late is True for row in rows) > len(rows) / 2
    assert manifest.redone is not None
    assert manifest.redone.tries == sum(len(row.discarded_late_ns) for row in rows)
    assert 0 < manifest.redone.tries <= math.ceil(SHARE * len(rows))
    assert max(len(row.discarded_late_ns) for row in rows) < TRIES
    assert "the machine was too busy for " in (out / "log.txt").read_text().splitlines()[-1]


@pytest.mark.timing
def test_sessions_that_a_stretch_of_load_hit_are_done_again(tmp_path: Path) -> None:
    """What was under way meanwhile is carried out again; the row is of the try in time."""
    out = tmp_path / "run"
    with Seglab("run", "scenario-1", "--sessions", "60", "--jobs", "8", "--out", out) as run:
        wait_until(lambda: recorded(out) >= 3, "no session was recorded")
        halt(run, HALTED_S)
        code = run.ended()
    assert code == 0, run.err
    stored = RunFolder.open(out)
    rows = [*stored.sessions()]
    assert all(row.complete for row in rows)
    hit = [row for row in rows if max(row.discarded_late_ns, default=0) >= HALTED_S * 1e9 / 2]
    assert len(hit) >= 1
    for row in rows:
        assert row.late_ns is not None
        assert all(row.late_ns <= late_ns for late_ns in row.discarded_late_ns)
    assert stored.manifest.redone is not None
    assert stored.manifest.redone.longest >= HALTED_S * 1e3 / 2
    log = (out / "log.txt").read_text()
    assert all(f"{row.session_id}: carried out again, since it was late by " in log for row in hit)
    assert "carried out again, since" in run.out.replace("\n", " ")


SPECIFICATION = """
title = "Busy"
senders = [{ name = "raw_writes", parameters = { writes = [5120], nodelay = true } }]
networks = ["vb2014"]
repeats = 100
"""


@pytest.mark.timing
def test_a_dataset_is_built_of_sessions_in_time(tmp_path: Path) -> None:
    """Rows, captures and manifest fit each other where sessions were carried out again."""
    (tmp_path / "busy.toml").write_text(SPECIFICATION)
    out = tmp_path / "data"
    command = ("dataset", "build", tmp_path / "busy.toml", "--out", out, "--jobs", "8", "-q")
    with Seglab(*command) as run:
        wait_until(lambda: recorded(out / "building" / "00000") >= 3, "no session was recorded")
        halt(run, HALTED_S)
        code = run.ended()
    assert code == 0, run.err
    hit = [row for row in records(out) if row.discarded_late_ns]
    assert any(max(row.discarded_late_ns) >= HALTED_S * 1e9 / 2 for row in hit)
    manifest = read_manifest(out / "manifest.json")
    assert manifest is not None
    assert (manifest.complete, manifest.redone) == (100, len(hit))
    checked = seglab("dataset", "check", out, "--thorough", "-q")
    assert checked.process.returncode == 0, checked.out + checked.err


@pytest.mark.timing
def test_busy_loops_are_no_failure_to_reproduce(tmp_path: Path) -> None:
    """Ten sessions have too few sequences; the machine is to blame if sessions were late.

    How late busy loops make a session is the scheduler's affair, so both answers are held to what
    was measured.
    """
    spin = [sys.executable, "-c", "while True: pass"]
    cores = len(os.sched_getaffinity(0))
    with ExitStack() as busy:
        for _ in range(6 * cores):
            busy.callback(busy.enter_context(subprocess.Popen(spin)).kill)
        run = seglab(
            *("reproduce", "--only", "scenario-3", "--sessions", "10", "--json", "-q"),
            *("--out", tmp_path / "run"),
        )
    summary = json.loads(run.out)
    (scenario,) = summary["scenarios"]
    late = Lateness(**scenario["late_ms"])
    assert late.median > 0
    if late.median > 3 or late.late > late.sessions / 20:
        assert run.process.returncode == 3, summary["headline"]
        assert summary["headline"].startswith("Machine too busy to judge: scenario-3 (late by ")
        assert summary["too_busy"] == ["scenario-3"]
    else:
        assert run.process.returncode == 1, summary["headline"]
        assert summary["headline"] == "Not reproduced: scenario-3"
        assert summary["too_busy"] == []
