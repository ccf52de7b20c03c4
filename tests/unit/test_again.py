"""Sessions that were late: carried out again, within a budget, and marked if they stay late."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_making import ENGINE, PureEngine, build, spec_of

from seglab.dataset.folder import begin, finish
from seglab.dataset.layout import Layout
from seglab.dataset.plan import planned
from seglab.dataset.reading import rows
from seglab.dataset.result import read_result
from seglab.dataset.shard import build_shard
from seglab.engine import EngineOptions
from seglab.engine.again import TRIES, SecondTries, limit_ns
from seglab.engine.record import failed_record
from seglab.execution.carry_out import carry_out
from seglab.execution.request import RunRequest
from seglab.experiment import registry
from seglab.kernel import engine as engine_
from seglab.kernel.engine import KernelEngine
from seglab.kernel.join import AssembledSession
from seglab.runs.folder import RunFolder

MS = 1_000_000
LIMIT_MS = 10
FAILED = None
"""Stands for a try that failed."""


@pytest.mark.parametrize(
    ("network", "limit_ms"),
    [
        ("vb2014", 10),  # 1494 bytes at 5 Mbit/s are 2.4 ms
        ("unimpaired", 10),
        ("gprs", 236),  # 590 bytes at 20 kbit/s
    ],
)
def test_a_session_may_be_as_late_as_two_full_segments_are_apart(network, limit_ms):
    """Ten milliseconds at least: over a slow link, a reader merges nothing that is so far apart."""
    assert limit_ns(registry.network(network)) == limit_ms * MS


class LateEngine(KernelEngine):
    """The kernel engine without a kernel: its sessions are as late as the test says.

    Attributes:
        late_ms: how late each try of a session is, by id; the last value holds for all further
            tries. ``FAILED`` is a try that fails.
        tries: how often each session was carried out.
    """

    def __init__(self, options, late_ms):
        super().__init__(options)
        self.late_ms = late_ms
        self.tries = {}

    def check(self, networks=()):
        """Need nothing of the machine."""

    async def _session(self, _lab, group, spec):
        number = self.tries[spec.session_id] = self.tries.get(spec.session_id, 0) + 1
        late = self.late_ms[spec.session_id]
        late_ms = late[min(number, len(late)) - 1]
        record = failed_record(spec, group.network, "kernel", "it failed")
        if late_ms is not FAILED:
            record = replace(
                record, status="complete", error=None, late_ns=late_ms * MS,
                too_late=late_ms > LIMIT_MS,
            )  # fmt: skip
        return AssembledSession(record, {f"{spec.session_id}.pcapng": b"%d" % number})


class NoLab:
    """What stands for a lab that works."""

    dead = None
    states = {"wire": {}}  # noqa: RUF012
    strays = strays_lost = 0

    def __init__(self, network, *_, **_options):
        self.network = network
        self.states = {}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        """End nothing."""


def carried_out(monkeypatch, folder, late_ms):
    """Carry out as many sessions as ``late_ms`` has items; return the engine and the records."""
    monkeypatch.setattr(engine_, "KernelLab", NoLab)
    monkeypatch.setattr(KernelEngine, "_count_strays", lambda *_: None)
    specs = RunRequest(("listing-03",), sessions=len(late_ms)).specs(1)
    assert len(specs) == len(late_ms)
    ids = [spec.session_id for spec, _ in specs]
    engine = LateEngine(EngineOptions(jobs=4, folder=folder), dict(zip(ids, late_ms, strict=True)))
    records = {}
    asyncio.run(engine.run(specs, lambda record: records.setdefault(record.session_id, record)))
    assert list(engine.tries) == ids
    return [engine.tries[name] for name in ids], [records[name] for name in ids]


@pytest.mark.parametrize(
    ("late_ms", "tries", "kept_try", "kept_ms", "discarded_ms"),
    [
        ([4], 1, 1, 4, []),
        ([10], 1, 1, 10, []),
        ([40, 3], 2, 2, 3, [40]),
        ([40, 50, 3], 3, 3, 3, [40, 50]),
        # A session that stays late keeps the try that was least late.
        ([40, 30, 50], TRIES, 2, 30, [40, 50]),
        # A try that fails says nothing about the one before it.
        ([40, FAILED, 2], 3, 3, 2, [40]),
        ([40, FAILED], TRIES, 1, 40, []),
        ([FAILED], 1, 1, None, []),
    ],
)
def test_a_late_session_is_carried_out_again(
    monkeypatch, tmp_path, late_ms, tries, kept_try, kept_ms, discarded_ms
):
    """At once, up to three times; record and captures are those of the try that is kept."""
    idle = [[1]] * 15
    found, (record, *others) = carried_out(monkeypatch, tmp_path, [late_ms, *idle])
    assert found == [tries, *(1 for _ in idle)]
    assert record.late_ns == (None if kept_ms is None else kept_ms * MS)
    assert record.too_late is (None if kept_ms is None else kept_ms > LIMIT_MS)
    assert [late_ns / MS for late_ns in record.discarded_late_ns] == discarded_ms
    assert record.complete is (kept_ms is not None)
    assert (tmp_path / f"{record.session_id}.pcapng").read_bytes() == b"%d" % kept_try
    assert not any(other.discarded_late_ns for other in others)


@pytest.mark.parametrize(("sessions", "more"), [(1, 1), (4, 1), (5, 2), (100, 25)])
def test_a_machine_that_is_always_late_costs_a_quarter_more(monkeypatch, tmp_path, sessions, more):
    """The budget is a quarter of the sessions, rounded up; all are marked in the end."""
    found, records = carried_out(monkeypatch, tmp_path, [[50]] * sessions)
    assert sum(found) == sessions + more
    assert max(found) <= TRIES
    assert all(record.too_late for record in records)
    assert sum(len(record.discarded_late_ns) for record in records) == more


def test_a_stretch_of_load_is_gone_afterwards(monkeypatch, tmp_path):
    """Forty sessions that were hit at the same time are all done again in a run of 160."""
    found, records = carried_out(monkeypatch, tmp_path, [*[[30, 1]] * 40, *[[1]] * 120])
    assert found == [2] * 40 + [1] * 120
    assert not any(record.too_late for record in records)


def test_the_budget_grows_with_each_round():
    """``reproduce`` adds sessions to an engine, which may then do more of them again."""
    tries = SecondTries()
    tries.plan(10)
    assert tries.left == 3
    tries.plan(10)
    assert tries.left == 5


def test_the_log_of_a_run_has_what_was_late(tmp_path):
    """A line for each session that was tried again or stayed late, and one for the run."""
    PureEngine.reset()
    request = RunRequest(("scenario-1",), sessions=3)
    specs = request.specs(1)
    one, other, *_ = (spec.session_id for spec, _ in specs)
    PureEngine.late = {
        one: (MS, False, (25 * MS, 31 * MS)),
        other: (44 * MS, True, ()),
    }
    manifest = request.manifest("run", 1, 1, 60.0, ENGINE)
    with RunFolder.create(tmp_path / "run", manifest) as folder:
        carry_out(folder, [specs])
    lines = [
        line.partition(" ")[2] for line in (tmp_path / "run" / "log.txt").read_text().splitlines()
    ]
    assert lines == [
        f"{one}: carried out again, since it was late by 25.0, 31.0 ms",
        f"{other}: too late, by 44.0 ms",
        "1 session carried out again, since it was late by up to 31 ms; the machine was too busy "
        "for 1 of 2 sessions, which is marked (too_late), late by up to 44 ms",
    ]


def test_a_dataset_has_what_was_late(tmp_path: Path) -> None:
    """Rows, shards and manifest; a session that is taken back from a shard keeps it."""
    PureEngine.reset()
    spec = spec_of()
    one, other, dying = [place.spec.session_id for place in planned(spec, 1, 0)][:3]
    PureEngine.late = {one: (MS, False, (25 * MS,)), other: (44 * MS, True, ())}
    PureEngine.kills = {dying: 10**6}
    manifest = build(tmp_path, spec)
    assert (manifest.redone, manifest.too_late, manifest.failed) == (1, 1, 1)

    PureEngine.reset()
    begin(spec, 1, tmp_path, ENGINE)
    build_shard(spec, 1, 0, tmp_path)
    assert PureEngine.ran == [dying]
    manifest = finish(spec, 1, tmp_path)
    assert (manifest.redone, manifest.too_late, manifest.failed) == (1, 1, 0)
    result = read_result(Layout(tmp_path).result(0))
    assert result is not None
    assert (result.redone, result.too_late) == (1, 1)
    found = {row["session_id"]: row for row in rows(tmp_path)}
    assert (found[one]["too_late"], found[one]["discarded_late_ns"]) == (False, [25 * MS])
    assert (found[other]["too_late"], found[other]["late_ns"]) == (True, 44 * MS)
    assert found[dying]["too_late"] is None
