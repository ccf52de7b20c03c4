"""The forward model of Linux's TCP cuts writes as the kernel was seen to."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.tcp.model import SentSegment, TcpSettings, segments_of, sizes
from seglab.tcp.receiver import Receiver

MS = 1_000_000


def writes_of(lengths: list[int], gap_ns: int = 20_000) -> list[tuple[int, int, int]]:
    """Writes of these lengths, one after another."""
    ends = [0, *accumulate(lengths)]
    return [(gap_ns * i, start, end) for i, (start, end) in enumerate(pairwise(ends))]


def cut_sizes(lengths: list[int], gap_ns: int = 20_000, **connection: object) -> list[int]:
    """The segments' sizes over a path of 20 ms each way."""
    known = {"mss": 1448, "rtt_ns": 40 * MS} | connection
    return list(sizes(segments_of(writes_of(lengths, gap_ns), TcpSettings(**known))))


def test_one_write_is_full_segments_and_a_rest() -> None:
    """RFC 9293: a push ends with what is left: 12 000 = 8 x 1448 + 416."""
    assert cut_sizes([12_000]) == [1448] * 8 + [416]


@pytest.mark.parametrize(
    ("lengths", "connection", "expected"),
    [
        ([2048] * 6, {"mss": 1460, "nodelay": True}, [1460, 588] * 6),
        (
            [2048] * 6,
            {"mss": 536, "nodelay": True},
            [536, 536, 536, 440] * 2 + [536] * 15 + [152],
        ),
        (
            [2048] * 6,
            {"mss": 1460, "nodelay": True, "initcwnd": 4},
            [1460, 588, 1460, 588, 1460, 1460, 1460, 1460, 1460, 892],
        ),
        (
            [2048] * 6,
            {"mss": 1460, "nodelay": False, "initcwnd": 4},
            [1460, 588, 1460, 1460, 1460, 1460, 1460, 1460, 1460, 20],
        ),
        ([2048] * 6, {"mss": 536, "nodelay": True, "initcwnd": 30}, [536, 536, 536, 440] * 6),
        (
            [2048] * 6,
            {"mss": 536, "nodelay": False, "initcwnd": 30},
            [536, 536, 536, 440] + [536] * 19 + [56],
        ),
    ],
)
def test_the_tutorials_sessions(
    lengths: list[int], connection: dict[str, object], expected: list[int]
) -> None:
    """What a real kernel sent, as ``docs/tutorial.md`` prints it."""
    assert cut_sizes(lengths, **connection) == expected


def test_nagle_holds_the_second_short_piece() -> None:
    """``tcp_minshall_check``: a full segment may pass, a short one waits for the short one."""
    sent = segments_of(writes_of([100, 2000]), TcpSettings(mss=1448, rtt_ns=40 * MS))
    assert list(sizes(sent)) == [100, 1448, 552]
    assert sent[1].t_ns < 40 * MS <= sent[2].t_ns


def test_nagle_lets_a_short_piece_pass_behind_full_ones() -> None:
    """Minshall's variant: nothing short is unacknowledged, so the rest goes at once."""
    sent = segments_of(writes_of([3000]), TcpSettings(mss=1448, rtt_ns=40 * MS))
    assert [one.t_ns for one in sent] == [0, 0, 0]


def test_a_pause_longer_than_the_round_trip_shows_a_boundary() -> None:
    """The first piece is acknowledged by then, delayed or not."""
    assert cut_sizes([700, 700], 200 * MS) == [700, 700]


def test_writes_beyond_the_window_join() -> None:
    """Ten segments fill the window; what follows fills buffers: 20 x 1000 in 13 full ones."""
    assert cut_sizes([1000] * 20, nodelay=True) == [1000] * 10 + [1448] * 6 + [1312]


def test_each_push_ends_with_psh() -> None:
    """The last segment of a write that empties the queue has it."""
    sent = segments_of(writes_of([2048] * 3), TcpSettings(mss=1460, rtt_ns=40 * MS, nodelay=True))
    assert [one.psh for one in sent if one.end % 2048 == 0] == [True] * 3


@given(
    st.lists(st.integers(1, 6000), min_size=1, max_size=30),
    st.integers(0, 60 * MS),
    st.sampled_from([536, 1208, 1448, 8948]),
    st.integers(1, 30),
    st.booleans(),
)
def test_bytes_are_conserved(
    lengths: list[int], gap_ns: int, mss: int, initcwnd: int, nodelay: bool
) -> None:
    """Each byte leaves once and in order, after it was written, in segments of the MSS at most."""
    writes = writes_of(lengths, gap_ns)
    connection = TcpSettings(mss=mss, rtt_ns=40 * MS, initcwnd=initcwnd, nodelay=nodelay)
    sent = segments_of(writes, connection)
    assert [one.start for one in sent] == [0, *(one.end for one in sent[:-1])]
    assert sent[-1].end == sum(lengths)
    assert all(0 < one.end - one.start <= mss for one in sent)
    assert all(_written_ns(writes, one) <= one.t_ns for one in sent)


def _written_ns(writes: list[tuple[int, int, int]], one: SentSegment) -> int:
    return next(t_ns for t_ns, _, end in writes if end >= one.end)


def test_two_full_segments_are_acknowledged_at_once() -> None:
    """RFC 1122, 4.2.3.2: at least every second full-sized segment."""
    receiver = Receiver(1448, pingpong=True)
    assert receiver.arrived(0, 0, 1448) is None
    assert receiver.arrived(1, 1448, 2896) == 2896
    assert receiver.due_ns is None


def test_one_segment_waits_for_the_timer() -> None:
    """RFC 1122, 4.2.3.2: less than half a second; Linux takes 40 ms and more."""
    receiver = Receiver(1448, pingpong=True)
    assert receiver.arrived(0, 0, 300) is None
    assert receiver.due_ns is not None
    assert 40 * MS <= receiver.due_ns < 500 * MS
    assert receiver.timer() == 300


def test_without_a_dialogue_the_first_are_acknowledged_at_once() -> None:
    """``tcp_enter_quickack_mode``: the peer wants a growing window."""
    assert Receiver(1448, pingpong=False).arrived(0, 0, 300) == 300
