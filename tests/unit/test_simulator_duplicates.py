"""What a receiver says about bytes that came twice (RFC 2883)."""

from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.segment import TcpSegment
from seglab.simulator.settings import EndpointSettings


def receiver() -> TcpEndpoint:
    """A server whose connection stands."""
    server = TcpEndpoint(EndpointSettings())
    server.listen()
    server.on_segment(
        0, TcpSegment(0, 0, -1, 64_000, syn=True, mss_option=1460, sack_option=True, ts_val=1)
    )
    server.on_segment(1_000, TcpSegment(0, 0, 0, 64_000, ts_val=1))
    return server


def test_a_hole_that_is_filled_beyond_its_end() -> None:
    """The segment that fills it brings bytes that came before, and the first block names these.

    A sender whose path has fallen cuts what it sends again at other places, so this is usual then.
    """
    server = receiver()
    (early,) = server.on_segment(2_000, TcpSegment(1428, 2048, 0, 64_000, ts_val=2))
    assert (early.ack, early.sack) == (0, ((1428, 2048),))
    server.on_segment(3_000, TcpSegment(0, 1408, 0, 64_000, ts_val=3))
    (filled,) = server.on_segment(4_000, TcpSegment(1408, 2048, 0, 64_000, ts_val=4))
    assert (filled.ack, filled.sack) == (2048, ((1428, 2048),))


def test_a_hole_that_is_filled_exactly() -> None:
    """Nothing came twice, so there is no block."""
    server = receiver()
    server.on_segment(2_000, TcpSegment(1428, 2048, 0, 64_000, ts_val=2))
    (filled,) = server.on_segment(3_000, TcpSegment(0, 1428, 0, 64_000, ts_val=3))
    assert (filled.ack, filled.sack) == (2048, ())
