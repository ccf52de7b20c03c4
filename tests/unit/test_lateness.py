"""How late sessions were: one session from its layers, and many in a summary."""

from dataclasses import replace

import pytest
from stored_runs import stored_run
from synthetic import record

from seglab.core.lateness import Lateness, Redone, lateness, lateness_words
from seglab.core.trace import Read, Segment
from seglab.experiment.reader import Reader
from seglab.kernel.lateness import of_reads
from seglab.runs.folder import RunFolder

MS = 1_000_000
EAGER = Reader()


def segment(t_arrived_ns, start, end):
    """A segment that arrived at this time, or never."""
    return Segment(0, t_arrived_ns, start, end, psh=False)


@pytest.mark.parametrize(
    ("reads", "segments", "reader", "late_ms"),
    [
        ([(1, 0, 9)], [(1, 0, 9)], EAGER, 0),
        ([(8, 0, 9)], [(1, 0, 9)], EAGER, 7),
        # The first byte that a read has waited for counts, not the last one.
        ([(8, 0, 18)], [(1, 0, 9), (7, 9, 18)], EAGER, 7),
        ([(2, 0, 9), (9, 9, 18)], [(1, 0, 9), (7, 9, 18)], EAGER, 2),
        # Bytes beyond a gap cannot be read before the gap is closed.
        ([(21, 0, 27)], [(1, 9, 18), (2, 18, 27), (20, 0, 9)], EAGER, 1),
        # A retransmission of what has arrived changes nothing, nor does a segment that was lost.
        ([(5, 0, 9), (9, 9, 18)], [(None, 9, 18), (1, 0, 9), (8, 0, 9), (8, 9, 18)], EAGER, 4),
        # The reader's own pace is not lateness.
        ([(8, 0, 9)], [(1, 0, 9)], Reader(turn_us=2000, wake_us=4000), 1),
        ([(8, 0, 9)], [(1, 0, 9)], Reader(turn_us=9000), 0),
        ([], [(1, 0, 9)], EAGER, 0),
    ],
)
def test_a_read_is_late_by_what_it_waited_beyond_the_readers_pace(reads, segments, reader, late_ms):
    """The most delayed read of a session decides."""
    found = of_reads(
        [Read(t * MS, a, b) for t, a, b in reads],
        [segment(None if t is None else t * MS, a, b) for t, a, b in segments],
        reader,
    )
    assert found == late_ms * MS


def test_a_summary_has_the_median_the_p99_and_the_longest():
    """Sessions in which lateness was not measured do not count."""
    rows = [record(late_ns=late_ns) for late_ns in (None, *(n * MS for n in range(101)))]
    assert lateness(rows) == Lateness(101, 50.0, 99.0, 100.0)
    assert lateness(rows[:1]) is None
    assert lateness([]) is None
    failed = record(late_ns=MS, too_late=True, status="failed", error="time limit reached")
    assert lateness([failed]) == Lateness(1, 1.0, 1.0, 1.0, late=0)


@pytest.mark.parametrize(
    ("median", "late", "too_late"), [(3.0, 2, False), (3.1, 0, True), (1.0, 3, True)]
)
def test_a_machine_is_too_busy_by_the_median_or_by_the_share_of_late_sessions(
    median, late, too_late
):
    """More than 3 ms in the median session, or more than one session in twenty."""
    assert Lateness(40, median, 50.0, 50.0, late).too_late is too_late


def test_the_manifest_counts_what_was_done_again_and_what_stayed_late(tmp_path):
    """Both follow from the rows, so a run that was resumed counts all of its sessions."""
    rows = [
        record("scenario-1/1", late_ns=MS, too_late=False),
        record("scenario-1/2", late_ns=2 * MS, too_late=False, discarded_late_ns=(30 * MS,)),
        record(
            "scenario-1/3", late_ns=11 * MS, too_late=True, discarded_late_ns=(20 * MS, 50 * MS)
        ),
    ]
    path = stored_run(tmp_path / "run", rows[:2], status=None)
    with RunFolder.resume(path) as folder:
        folder.append(rows[2])
        folder.finalise("complete")
    stored = RunFolder.open(path)
    assert stored.manifest.late_ms == Lateness(3, 2.0, 11.0, 11.0, 1)
    assert stored.manifest.redone == Redone(sessions=2, tries=3, median=30.0, longest=50.0)
    assert [*stored.sessions()] == rows
    assert lateness_words(stored.manifest.late_ms, stored.manifest.redone) == (
        "2 sessions carried out again, since they were late by up to 50 ms; the machine was too "
        "busy for 1 of 3 sessions, which is marked (too_late), late by up to 11 ms"
    )
    assert lateness_words(Lateness(3, 1.0, 1.0, 1.0), None) == ""


def test_the_manifest_of_a_run_has_the_summary(tmp_path):
    """It is made of all rows when the run ends, and read back."""
    rows = [record(f"scenario-1/{n}", late_ns=n * MS) for n in (1, 2, 7)]
    stored = RunFolder.open(stored_run(tmp_path / "run", rows))
    assert stored.manifest.late_ms == Lateness(3, 2.0, 7.0, 7.0)
    assert [r.late_ns for r in stored.sessions()] == [MS, 2 * MS, 7 * MS]
    old = stored_run(tmp_path / "old", [replace(row, late_ns=None) for row in rows])
    assert RunFolder.open(old).manifest.late_ms is None
