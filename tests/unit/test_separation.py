"""What becomes of the boundary between two writes."""

import pytest
from stored_runs import PAPER
from synthetic import reads_of, simulated

from seglab.reproduction.separation import cut, published_separation, separation, single_block


def two_writes(number, sizes, **changes):
    """A session of two writes of 5120 bytes with these read sizes."""
    return simulated(number, reads=reads_of(sizes), **changes)


def test_reads_and_wire_are_counted_apart():
    """A read that spans both writes joins them for the reader, not on the wire."""
    records = [
        two_writes(1, [5120, 5120], gap_ms=20),
        two_writes(2, [10240], gap_ms=20),
        two_writes(3, [10240], gap_ms=20, joined=True),
        two_writes(4, [5120, 5120], gap_ms=5),
    ]
    points = separation(records)
    assert [(p.gap_ms, p.sessions, p.reads, p.wire) for p in points] == [
        (5.0, 1, 1, 1),
        (20.0, 3, 1, 2),
    ]
    low, high = points[1].reads_interval
    assert low < 1 / 3 < high


def test_single_writes_and_failures_are_no_points():
    """A session of one write, or one that failed, says nothing about separation."""
    assert separation([simulated(1, writes=(5120,)), simulated(2, status="failed")]) == ()


def test_published_sessions_separate_by_their_reads():
    """The paper prints 6 of 12 separated sessions without a gap, and 12 of 12 at 100 ms."""
    two, three = PAPER[2], PAPER[3]
    assert published_separation(0, two.writes, two.sessions).reads == 6
    assert published_separation(100, three.writes, three.sessions).reads == 12


def test_cut_follows_each_write():
    """Two writes of 5120 leave remainders of 800 each; one of 10240 leaves 160."""
    assert cut([5120, 5120], 1440) == {1440, 2880, 4320, 5120, 6560, 8000, 9440, 10240}
    assert cut([10240], 1440) == {1440, 2880, 4320, 5760, 7200, 8640, 10080, 10240}
    assert cut([1440], 1440) == {1440}


def test_the_papers_remark_is_checked_on_its_own_sessions():
    """Exactly the sessions it names merge, yet session 3 cannot come from one block."""
    block = single_block([5120, 5120], 1440, PAPER[2].sessions, [])
    assert [s.number for s in block.printed if s.merges] == [1, 3, 5, 6, 8, 10]
    assert [s.number for s in block.printed if s.named and s.impossible_ends] == [3]
    assert block.printed[2].impossible_ends == (6560, 8000)
    assert all(s.fits_two_writes for s in block.printed)
    text = block.paper_text()
    assert "exactly the printed sessions" in text
    assert "session 3 (1440 1440 1440 2240 1440 2240)" in text
    assert "6560 and 8000" in text


@pytest.mark.parametrize(
    ("joined", "conclusion"), [(False, "made by the reader"), (True, "TCP itself joined")]
)
def test_the_labs_version_follows_its_data(joined, conclusion):
    """Whether reader or wire joined the writes is concluded from the segments."""
    records = [two_writes(i, [10240], joined=joined) for i in range(4)]
    block = single_block([5120, 5120], 1440, PAPER[2].sessions, records)
    assert block.reads_merged == 4
    assert block.wire_merged == (4 if joined else 0)
    assert block.last_segments == ((160 if joined else 800, 4),)
    assert conclusion in block.lab_text()


def test_no_session_gives_no_conclusion():
    """Without sessions the lab's version says so instead of dividing by zero."""
    block = single_block([5120, 5120], 1440, PAPER[2].sessions, [])
    assert "no complete session" in block.lab_text()
