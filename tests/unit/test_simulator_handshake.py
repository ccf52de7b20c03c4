"""The handshake where its first segments are late: what is measured, and when timers fire."""

import pytest

from seglab.execution.request import RunRequest
from seglab.simulator.carried import UP
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.script import script_of
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.session import Simulation
from seglab.simulator.settings import EndpointSettings

MS = 1_000_000


@pytest.mark.parametrize(
    ("timestamps", "rtt_ms", "rto_ms"), [(True, 1370, 3 * 1370), (False, 0, 3000)]
)
def test_a_server_that_repeated_its_answer(timestamps: bool, rtt_ms: int, rto_ms: int) -> None:
    """An echoed timestamp says which answer was acknowledged, so the round trip is known.

    Without one it is not, and the timeout is 3 s (RFC 6298, 5.7). With one, the timeout is the
    round trip and four times half of it (RFC 6298, 2.2).
    """
    server = TcpEndpoint(EndpointSettings(timestamps=timestamps, clock_ms=5))
    server.listen()
    stamp = 7 if timestamps else NO_STAMP
    (answer,) = server.on_segment(
        0, TcpSegment(0, 0, -1, 64_000, syn=True, mss_option=1460, ts_val=stamp)
    )
    assert server.wake_ns is not None
    assert 1000 * MS <= server.wake_ns <= 1032 * MS
    (again,) = server.on_timer(server.wake_ns)
    assert again.syn
    assert again.retransmission
    server.on_segment(1370 * MS, TcpSegment(0, 0, 0, 64_000, ts_val=stamp, ts_ecr=answer.ts_val))
    assert server.established
    assert server.srtt_us // 8 == rtt_ms * 1000
    assert server.rto_j * 4 == pytest.approx(rto_ms, abs=4)


def test_timers_begin_anywhere_in_the_wheels_step() -> None:
    """A timeout of one second fires up to 32 ms late, by when the session began (timer.c)."""
    waits_ms = []
    for spec, network in RunRequest(("matrix",), ("relay",), ("gprs",), 60).specs(1):
        simulation = Simulation(spec, network, script_of(spec), 60_000 * MS)
        simulation.run()
        syns = [
            packet.sent_ns / MS
            for packet in simulation.packets
            if packet.direction == UP and packet.segment is not None and packet.segment.syn
        ]
        waits_ms += [syns[1] - syns[0]] if len(syns) > 1 else []
    assert len(waits_ms) > 50
    assert min(waits_ms) < 1006
    assert max(waits_ms) > 1026
    assert all(1000 < wait_ms <= 1036 for wait_ms in waits_ms)


def test_repetitions_have_the_same_links_and_other_times() -> None:
    """The links' fates follow from the session's seed alone; the programs take other times."""
    ((spec, network),) = RunRequest(("matrix",), ("relay",), ("gprs",), 1).specs(3)

    def packets(repetition: int) -> tuple[int, list[int]]:
        simulation = Simulation(spec, network, script_of(spec), 60_000 * MS, repetition)
        simulation.run()
        answer = next(p for p in simulation.packets if p.direction != UP)
        return answer.arrivals_ns[0] - answer.sent_ns, [p.sent_ns for p in simulation.packets]

    first, again, other = packets(0), packets(0), packets(1)
    assert first == again
    assert other[1] != first[1]
    assert abs(other[0] - first[0]) < MS


def connected() -> TcpEndpoint:
    """A client whose connection stands, to whom 100 bytes have come."""
    client = TcpEndpoint(EndpointSettings(timestamps=False))
    client.connect(0)
    client.on_segment(MS, TcpSegment(0, 0, 0, 64_000, syn=True, mss_option=1460, sack_option=True))
    client.on_segment(2 * MS, TcpSegment(0, 100, 0, 64_000))
    assert client.established
    return client


@pytest.mark.parametrize(("ack", "error"), [(0, "Connection refused"), (-1, None), (7, None)])
def test_a_reset_instead_of_an_answer(ack: int, error: str | None) -> None:
    """It counts if it acknowledges the SYN (RFC 9293, 3.10.7.3); then no timer is left."""
    client = TcpEndpoint(EndpointSettings())
    client.connect(0)
    assert not client.on_reset(MS, TcpSegment(-1, -1, ack, 0))
    assert client.error == error
    assert (client.wake_ns is None) == (error is not None)


@pytest.mark.parametrize(
    ("start", "error", "answers"),
    [
        (100, "Connection reset by peer", 0),
        (400, "Connection reset by peer", 0),  # behind the block that came too early
        (99, None, 0),
        (101, None, 1),
        (500, None, 1),
        (1 << 20, None, 0),
    ],
)
def test_a_reset_counts_if_it_is_the_next_in_order(
    start: int, error: str | None, answers: int
) -> None:
    """Another one in the window is answered, since it may be forged (RFC 5961, 3.2)."""
    client = connected()
    client.on_segment(3 * MS, TcpSegment(300, 400, 0, 64_000))
    sent = client.on_reset(4 * MS, TcpSegment(start, start, 0, 0))
    assert client.error == error
    assert [segment.ack for segment in sent] == [100] * answers
    assert (client.wake_ns is None) or error is None


def test_what_came_before_a_reset_is_read() -> None:
    """A socket gives its program what is there before it reports the error, and sends nothing."""
    client = connected()
    client.on_reset(3 * MS, TcpSegment(100, 100, 0, 0))
    assert (client.read(4 * MS, 1000), client.out) == (100, [])


def test_the_delay_of_acknowledgements_has_eight_bits() -> None:
    """A delay of 256 jiffies or more begins again at zero, as in the kernel (ATO_BITS).

    The delays in jiffies are those of kernel 6.18, as its trace event ``timer_start`` showed them:
    segments came over GPRS every 59 jiffies, each acknowledged by the timer. The longest one is a
    jiffy less than the least timeout (``tcp_delack_max``).
    """
    receiver = connected()
    receiver.quick, receiver.ato_j, receiver.rto_j, receiver.srtt_us = 0, 10, 750, 8 * 1_300_000
    delays = []
    for number in range(1, 9):
        now_ns, start = number * 59 * 4 * MS, 100 * number
        assert not receiver.on_segment(now_ns, TcpSegment(start, start + 100, 0, 64_000))
        delays.append(receiver.delack_j - (now_ns + receiver.phase_ns) // (4 * MS))
        assert receiver.wake_ns is not None
        (answer,) = receiver.on_timer(receiver.wake_ns)
        assert answer.ack == start + 100
    assert delays == [10, 20, 40, 49, 49, 49, 49, 40]
