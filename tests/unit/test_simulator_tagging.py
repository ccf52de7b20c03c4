"""What SACK blocks mark in the simulator's TCP, and the memory of the buffers that they join."""

from tcp_script import Runner, Script

from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.segment import TcpSegment

OVERHEAD = 832
"""``SKB_TRUESIZE(0)`` of a buffer from ``tcp_stream_alloc_skb``, on x86-64."""

FULL = 1448


def _acknowledged(endpoint: TcpEndpoint, now_ns: int, *sack: tuple[int, int]) -> int:
    """Let an acknowledgement of nothing but blocks arrive; return what the buffers take then."""
    blocks = tuple((low * FULL, high * FULL) for low, high in sack)
    endpoint.on_segment(
        now_ns, TcpSegment(0, 0, 0, 65_535, ts_val=1, ts_ecr=endpoint.stamp_ms(0), sack=blocks)
    )
    return endpoint.wmem_queued


def _sent() -> TcpEndpoint:
    """Return an endpoint with bursts of two segments in flight."""
    endpoint = Runner(Script("", "", {"timestamps": True})).endpoint
    endpoint.write(40_000_000, 10 * FULL)
    assert [one.pcount for one in endpoint.flight[:3]] == [2, 2, 2]
    return endpoint


def test_the_rest_of_a_burst_joins_its_marked_half() -> None:
    """A block cuts a burst (``tcp_match_skb_to_sack``), and a longer one joins it again."""
    endpoint = _sent()
    before = endpoint.wmem_queued
    assert _acknowledged(endpoint, 50_000_000, (2, 3)) == before + OVERHEAD
    assert _acknowledged(endpoint, 50_010_000, (2, 4)) == before
    assert [(one.start, one.end) for one in endpoint.flight[1:3]] == [
        (2 * FULL, 4 * FULL),
        (4 * FULL, 6 * FULL),
    ]


def test_half_of_a_burst_joins_what_is_marked_in_front() -> None:
    """``tcp_shift_skb_data`` moves a segment of the third burst, and cuts no buffer for it."""
    endpoint = _sent()
    before = endpoint.wmem_queued
    assert _acknowledged(endpoint, 50_000_000, (3, 4)) == before + OVERHEAD
    assert _acknowledged(endpoint, 50_010_000, (3, 5)) == before + OVERHEAD
    assert [(one.start, one.end) for one in endpoint.flight[1:4]] == [
        (2 * FULL, 3 * FULL),
        (3 * FULL, 5 * FULL),
        (5 * FULL, 6 * FULL),
    ]
    assert endpoint.sacked_out == 2


def test_a_smaller_segment_joins_no_buffer_of_full_ones() -> None:
    """Only segments of one size are joined, so the marked rest of a write stays a buffer."""
    endpoint = Runner(Script("", "", {"timestamps": True, "nodelay": True})).endpoint
    endpoint.write(40_000_000, 2 * FULL)
    endpoint.write(40_010_000, 100)
    before = endpoint.wmem_queued
    blocks = ((FULL, 2 * FULL + 100),)
    endpoint.on_segment(
        50_000_000,
        TcpSegment(0, 0, 0, 65_535, ts_val=1, ts_ecr=endpoint.stamp_ms(0), sack=blocks),
    )
    assert endpoint.wmem_queued == before + OVERHEAD
    assert [one.end for one in endpoint.flight] == [FULL, 2 * FULL, 2 * FULL + 100]
