"""The simulator's path: the links' own arithmetic with the wire's seeds, and the router's rules."""

from dataclasses import replace

import pytest

from seglab.core.seeds import derive
from seglab.networks.link import LinkParams, LinkState
from seglab.networks.network import Link, Network, Router, ScheduledMtu
from seglab.simulator.carried import DOWN, UP, Carried, options_bytes
from seglab.simulator.clock import NEVER
from seglab.simulator.due import ARRIVAL, AT_ROUTER, COMPLAINT, Queue
from seglab.simulator.host_times import HostTimes
from seglab.simulator.path import Path
from seglab.simulator.segment import TcpSegment

SEED = 7
ETHERNET = Network(
    "own",
    "t",
    "s",
    access=Link(LinkParams(delay_ms=1), LinkParams(delay_ms=2)),
    core=Link(LinkParams(delay_ms=10), LinkParams(delay_ms=20)),
)
NOTHING = {kind: [0, 0] for kind in ("hop", "hop_apart", "router", "wire_wake", "bare_wire_wake")}
NO_TIME = HostTimes(0, NOTHING)
MS = 1_000_000
SEGMENT = TcpSegment(0, 1460, 0, 65535)


def data(size: int = 1460, direction: int = UP, sent_ns: int = 0) -> Carried:
    """A packet with so many bytes of payload and no options."""
    segment = TcpSegment(0, size, 0, 65535)
    return Carried(direction, segment, 54 + size, sent_ns)


class Watched(Path):
    """A path that is asked what it has put into its queue."""

    def __init__(self, network: Network, times: HostTimes) -> None:
        self.queue = Queue()
        super().__init__(network, SEED, 10_000 * MS, times, self.queue)

    def queued(self) -> list[tuple[int, int]]:
        """Take all events out of the queue: when each is due, and what it is."""
        found = []
        while self.queue.at_ns != NEVER:
            event = self.queue.take()
            found.append((event.at_ns, event.what))
        return found

    def first(self, now_ns: int, packet: Carried) -> list[tuple[int, int]]:
        """Offer a packet to the first link; return what is queued for it."""
        self.first_link(now_ns, packet)
        return self.queued()


def path_of(network: Network, times: HostTimes = NO_TIME) -> Watched:
    """The path of one session that lasts ten seconds at most."""
    return Watched(network, times)


def syn(mss: int) -> Carried:
    """The first packet of a connection."""
    segment = TcpSegment(0, 0, -1, 65535, syn=True, mss_option=mss, wscale_option=7)
    return Carried(UP, segment, 54 + 8, 0)


@pytest.mark.parametrize(("direction", "first_ms", "whole_ms"), [(UP, 1, 11), (DOWN, 20, 22)])
def test_a_packet_crosses_both_links(direction: int, first_ms: int, whole_ms: int) -> None:
    """Up: access, then core; down the other way round."""
    packet = data(direction=direction)
    assert path_of(ETHERNET).first(0, packet) == [(whole_ms * MS, ARRIVAL)]
    assert packet.left_ns == first_ms * MS
    assert packet.fate is None


def test_the_links_are_the_wires_own() -> None:
    """The same offers get the fates that the kernel engine's wire gives them for this seed."""
    params = LinkParams(
        delay_ms=10, jitter_ms=3, loss_pct=20, duplicate_pct=20, bw_mbit=1, max_queue_size=3
    )
    network = replace(ETHERNET, access=Link(), core=Link(params, params))
    wire = LinkState(params, derive(SEED, "core", "a_to_b"))
    path = path_of(network)
    for now_ns in range(0, 400 * MS, 5 * MS):
        packet = data()
        fate = wire.offer(now_ns, packet.size, is_data=True)
        assert path.first(now_ns, packet) == [(at_ns, ARRIVAL) for at_ns in fate.departures_ns]
        reason = fate.drop_reason
        assert packet.fate == (None if reason is None else f"{reason} on core")


def test_an_exact_drop_counts_data_alone() -> None:
    """Acknowledgements do not count; the second segment with data is lost."""
    up = LinkParams(delay_ms=1, drop_data=(2,))
    path = path_of(replace(ETHERNET, access=Link(up, LinkParams())))
    packets = [data(100), data(0), data(0), data(100), data(100)]
    for packet in packets:
        path.first_link(0, packet)
    assert [packet.fate for packet in packets] == [None, None, None, "exact on access", None]


def test_a_router_complains_where_a_packet_is_too_large() -> None:
    """It says the MTU of the next link, and its message comes back over the access link."""
    path = path_of(replace(ETHERNET, router=Router(mtu=1400)))
    packet = data(1400 - 39)
    assert path.first(0, packet) == [(1 * MS, COMPLAINT)]
    assert packet.fate == "router"
    message = path.complaint(packet)
    assert message is not None
    assert (message.mtu, message.about, message.direction) == (1400, packet, DOWN)
    assert message.size == 14 + 576  # RFC 1812, 4.3.2.3: as much of the packet as fits
    path.second_link(1 * MS, message)
    assert path.queued() == [(3 * MS, ARRIVAL)]
    fits = data(1400 - 40)
    assert path.first(0, fits)
    assert path.complaint(fits) is None


def test_what_icmpv6_quotes() -> None:
    """RFC 4443, 3.2: as much as fits into the least MTU of IPv6."""
    path = path_of(replace(ETHERNET, ip_version=6, router=Router(mtu=1280)))
    packet = data(1440)
    path.first_link(0, packet)
    message = path.complaint(packet)
    assert message is not None
    assert message.size == 14 + 1280


def test_a_black_hole_says_nothing() -> None:
    """The packet is lost at the router all the same."""
    path = path_of(replace(ETHERNET, router=Router(mtu=1400, icmp=False)))
    packet = data()
    path.first_link(0, packet)
    assert packet.fate == "router"
    assert path.complaint(packet) is None


def test_the_mtu_follows_the_schedule() -> None:
    """What counts is the time at which a packet meets the router, 1 ms after it was sent."""
    router = Router(schedule=(ScheduledMtu(100, 576), ScheduledMtu(200, 1500)), repeat_ms=300)
    path = path_of(replace(ETHERNET, router=router))
    fates = {}
    for sent_ms in (98, 99, 198, 199, 398, 399, 499):
        packet = data()
        path.first_link(sent_ms * MS, packet)
        fates[sent_ms] = packet.fate
    assert fates == {
        98: None,
        99: "router",
        198: "router",
        199: None,
        398: None,
        399: "router",
        499: None,
    }
    assert [mtu for _, mtu in path.changes[:3]] == [576, 1500, 576]
    assert path.changes[-1][0] <= 10_000 * MS


def test_a_router_lowers_the_mss() -> None:
    """The SYN arrives with the MSS that fits, and the sender's own segment stays as it was."""
    path = path_of(replace(ETHERNET, router=Router(mtu=1492, mss_clamp=True)))
    packet = syn(1460)
    path.first_link(0, packet)
    assert packet.delivered is not None
    assert packet.segment is not None
    assert (packet.segment.mss_option, packet.delivered.mss_option) == (1460, 1452)
    small = syn(536)
    path.first_link(0, small)
    assert small.delivered is small.segment


def test_frames_overtake_step_by_step() -> None:
    """Where the first link does not keep the order, the second one waits for each frame's time."""
    up = LinkParams(delay_ms=5, reorder_pct=50)
    path = path_of(replace(ETHERNET, access=Link(up, LinkParams())))
    left = []
    for n in range(20):
        ((at_ns, what),) = path.first(n, data())
        assert what == AT_ROUTER
        left.append(at_ns)
    assert left != sorted(left)


def test_frames_of_a_bare_link_keep_their_order() -> None:
    """However long each takes: the wire carries one after the other."""
    times = HostTimes(3, NOTHING | {"hop": [10_000, 90_000], "hop_apart": [5_000, 9_000]})
    path = path_of(replace(ETHERNET, access=Link(), core=Link()), times)
    arrivals = [path.first(n * 1000, data())[0][0] for n in range(50)]
    assert arrivals == sorted(set(arrivals))
    assert arrivals[0] >= 20_000


def test_the_wire_wakes_up_for_a_frame_of_a_program_and_is_awake_at_an_arrival() -> None:
    """What an arrival lets out enters the link at once, and so does what meets an awake wire."""
    path = path_of(ETHERNET, HostTimes(0, NOTHING | {"wire_wake": [60_000, 60_000]}))
    path.send(0, UP, [SEGMENT])
    path.send(20_000, UP, [SEGMENT])
    arrived_ns = 60_000 + 11 * MS
    assert path.queued() == [(arrived_ns, ARRIVAL)] * 2
    path.stays_awake(arrived_ns)
    path.send(arrived_ns, DOWN, [SEGMENT])
    path.send(arrived_ns + 1, UP, [SEGMENT])
    assert path.queued() == [
        (arrived_ns + 1 + 60_000 + 11 * MS, ARRIVAL),
        (arrived_ns + 22 * MS, ARRIVAL),
    ]


@pytest.mark.parametrize("runs", [True, False])
def test_over_bare_links_the_wire_waits_until_the_program_sleeps(runs: bool) -> None:
    """Where it woke up on the program's processor; frames that leave meanwhile are held as well."""
    bare = replace(ETHERNET, access=Link(), core=Link())
    took = {"bare_wire_wake": [-5_000, -5_000], "hop": [1_000, 1_000], "hop_apart": [10, 10]}
    path = path_of(bare, HostTimes(0, NOTHING | took))
    path.program_runs = runs
    path.send(100, UP, [SEGMENT])
    path.send(900, UP, [SEGMENT])
    if runs:
        assert path.queued() == []
        path.release(70_000)
    read_ns = 75_000 if runs else 5_100
    assert path.queued() == [(read_ns + 2_000, ARRIVAL), (read_ns + 2_010, ARRIVAL)]
    assert path.held == []


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        # tcp_options_write: MSS 4, SACK permitted and timestamps 12, NOP and window scale 4
        (
            TcpSegment(
                0,
                0,
                -1,
                0,
                syn=True,
                ts_val=1,
                ts_ecr=0,
                mss_option=1460,
                wscale_option=7,
                sack_option=True,
            ),
            20,
        ),
        (TcpSegment(0, 0, -1, 0, syn=True, mss_option=1460, wscale_option=7, sack_option=True), 12),
        (TcpSegment(0, 0, -1, 0, syn=True, mss_option=1460), 4),
        (TcpSegment(0, 10, 0, 0), 0),
        (TcpSegment(0, 10, 0, 0, ts_val=1, ts_ecr=1), 12),
        (TcpSegment(0, 0, 0, 0, sack=((5, 9),)), 12),
        (TcpSegment(0, 0, 0, 0, ts_val=1, ts_ecr=1, sack=((5, 9), (20, 30), (40, 50))), 40),
    ],
)
def test_the_length_of_the_options(segment: TcpSegment, expected: int) -> None:
    """RFC 9293, 7323 and 2018, each option padded as Linux does."""
    assert options_bytes(segment) == expected
