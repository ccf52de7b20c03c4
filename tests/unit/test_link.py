"""The link arithmetic: what is certain for every link, and what each parameter does."""

import math
import statistics
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.networks.link import DISTRIBUTIONS, ETHERNET_HEADER_BYTES, Fate, LinkParams, LinkState

MS = 1_000_000

ANY_LINK = st.builds(
    LinkParams,
    bw_mbit=st.floats(0.01, 1000),
    delay_ms=st.floats(0.001, 500),
    jitter_ms=st.one_of(st.just(0.0), st.floats(0, 50)),
    jitter_distribution=st.sampled_from(sorted(DISTRIBUTIONS)),
    stall_pct=st.sampled_from((0.0, 25.0, 100.0)),
    stall_ms=st.floats(0, 20),
    loss_pct=st.sampled_from((0.0, 10.0, 100.0)),
    duplicate_pct=st.sampled_from((0.0, 20.0, 100.0)),
    reorder_pct=st.sampled_from((0.0, 30.0)),
    max_queue_size=st.one_of(st.none(), st.integers(0, 20)),
    mtu=st.one_of(st.none(), st.integers(68, 3000)),
    drop_data=st.lists(st.integers(1, 20), max_size=4).map(tuple),
)
OFFERS = st.lists(st.tuples(st.integers(0, 5 * MS), st.integers(60, 3014)), max_size=60)


def offer_all(
    params: LinkParams, offers: list[tuple[int, int]], seed: int = 1
) -> list[tuple[int, int, Fate]]:
    """Offer frames after the given gaps; (time, size, fate) of each, all counted as data."""
    state = LinkState(params, seed)
    now_ns = 0
    found = []
    for gap_ns, size_bytes in offers:
        now_ns += gap_ns
        found.append((now_ns, size_bytes, state.offer(now_ns, size_bytes, is_data=True)))
    return found


def departures(params: LinkParams, offers: list[tuple[int, int]]) -> list[int]:
    """When the frames leave, in the order they were offered."""
    return [t_ns for _, _, fate in offer_all(params, offers) for t_ns in fate.departures_ns]


@given(ANY_LINK, OFFERS)
def test_each_frame_departs_or_has_a_reason(params, offers):
    """Conservation: no frame vanishes, none leaves before it came, at most one copy is made."""
    for now_ns, _, fate in offer_all(params, offers):
        assert (fate.drop_reason is None) == bool(fate.departures_ns)
        assert fate.drop_reason in {None, "loss", "queue", "exact", "mtu"}
        assert len(fate.departures_ns) <= (2 if params.duplicate_pct else 1)
        assert all(t_ns >= now_ns for t_ns in fate.departures_ns)


@given(ANY_LINK, OFFERS, st.integers(0, 2**64 - 1))
def test_the_same_seed_gives_the_same_fates(params, offers, seed):
    """Everything random comes from the seed."""
    assert offer_all(params, offers, seed) == offer_all(params, offers, seed)


@given(ANY_LINK.filter(lambda params: not params.reorder_pct), OFFERS)
def test_jitter_keeps_the_order(params, offers):
    """Without ``reorder_pct`` frames leave in the order they came."""
    times = departures(params, offers)
    assert times == sorted(times)


@given(ANY_LINK.filter(lambda params: not params.reorder_pct), OFFERS)
def test_the_rate_is_never_exceeded(params, offers):
    """Between two departures lies at least the later frame's time at the rate, jitter or not."""
    last_ns = None
    for _, size_bytes, fate in offer_all(params, offers):
        for t_ns in fate.departures_ns:
            if last_ns is not None:
                rate_bps = round(params.bw_mbit * 1e6)
                assert (t_ns - last_ns) * rate_bps >= size_bytes * 8 * 10**9
            last_ns = t_ns


@given(ANY_LINK.filter(lambda params: params.max_queue_size is not None), OFFERS)
def test_the_queue_holds_no_more_than_its_limit(params, offers):
    """A frame is dropped exactly when the transmitter is busy and the queue is full."""
    limit = params.max_queue_size
    plain = LinkParams(bw_mbit=params.bw_mbit, max_queue_size=limit)
    rate_bps = round(params.bw_mbit * 1e6)
    starts_ns: list[int] = []
    idle_from_ns = 0
    for now_ns, size_bytes, fate in offer_all(plain, offers):
        waiting = sum(start_ns > now_ns for start_ns in starts_ns)
        full = idle_from_ns > now_ns and waiting >= limit
        assert fate.drop_reason == ("queue" if full else None)
        for t_ns in fate.departures_ns:
            starts_ns.append(t_ns - math.ceil(Fraction(size_bytes * 8 * 10**9, rate_bps)))
            idle_from_ns = t_ns
        assert sum(start_ns > now_ns for start_ns in starts_ns) <= limit


@given(ANY_LINK, OFFERS, st.sampled_from(("loss_pct", "duplicate_pct", "reorder_pct")))
def test_one_kind_of_draw_does_not_disturb_another(params, offers, kind):
    """With another loss, duplication or reordering, the other dice fall as before."""
    # long gaps: no frame waits behind another, so a fate depends on its own draws alone
    apart = [(3600 * 1000 * MS, size_bytes) for _, size_bytes in offers]
    names = ("jitter_ms", "jitter_distribution", "stall_pct", "stall_ms")
    names += ("loss_pct", "duplicate_pct", "reorder_pct")
    values = {name: getattr(params, name) for name in names}
    free = LinkParams(delay_ms=100, **values)
    other = LinkParams(delay_ms=100, **values | {kind: 50.0})
    for (now_ns, _, one), (_, _, two) in zip(
        offer_all(free, apart), offer_all(other, apart), strict=True
    ):
        same_way = one.departures_ns[:1] == two.departures_ns[:1]
        lost = kind == "loss_pct" and (not one.departures_ns or not two.departures_ns)
        overtook = kind == "reorder_pct" and now_ns in (*one.departures_ns, *two.departures_ns)
        assert same_way or lost or overtook
        if kind == "reorder_pct":
            assert len(one.departures_ns) == len(two.departures_ns)


def test_serialisation_counts_the_ethernet_header():
    """1500 bytes of IP at 12.112 Mbit/s take exactly a millisecond: 1514 bytes, as tc counts."""
    state = LinkState(LinkParams(bw_mbit=12.112), seed=1)
    fate = state.offer(0, 1500 + ETHERNET_HEADER_BYTES, is_data=True)
    assert fate.departures_ns == (MS,)


def test_frames_wait_for_the_transmitter_and_then_travel():
    """Three frames at once, 1 ms each at the rate: they leave 1 ms apart, after the delay."""
    params = LinkParams(bw_mbit=12.112, delay_ms=70)
    assert departures(params, [(0, 1514)] * 3) == [71 * MS, 72 * MS, 73 * MS]


def test_tail_drop():
    """A queue of two: one frame is on the air, two wait, the fourth finds no place."""
    params = LinkParams(bw_mbit=12.112, max_queue_size=2)
    reasons = [fate.drop_reason for _, _, fate in offer_all(params, [(0, 1514)] * 4)]
    assert reasons == [None, None, None, "queue"]


def test_a_place_in_the_queue_becomes_free():
    """When the frame on the air is out, the first in the queue starts, and one more may wait."""
    params = LinkParams(bw_mbit=12.112, max_queue_size=1)
    fates = offer_all(params, [(0, 1514), (0, 1514), (0, 1514), (MS, 1514)])
    assert [fate.drop_reason for _, _, fate in fates] == [None, None, "queue", None]
    assert fates[3][2].departures_ns == (3 * MS,)


def test_exact_drops_count_data_only_and_every_offer():
    """The second and third segments with data die, whatever else is offered between."""
    state = LinkState(LinkParams(drop_data=(2, 3)), seed=1)
    kinds = [False, True, False, True, True, True, False]
    fates = [state.offer(0, 1514, is_data=is_data).drop_reason for is_data in kinds]
    assert fates == [None, None, None, "exact", "exact", None, None]


def test_an_exact_drop_counts_frames_that_something_else_killed():
    """A segment beyond the MTU is an offer too: the second one is the one dropped exactly."""
    state = LinkState(LinkParams(mtu=1000, drop_data=(2,)), seed=1)
    reasons = [state.offer(0, size, is_data=True).drop_reason for size in (1514, 500, 500)]
    assert reasons == ["mtu", "exact", None]


def test_the_mtu_is_that_of_the_ip_packet():
    """An IP packet of exactly the MTU passes; one byte more is gone."""
    state = LinkState(LinkParams(mtu=1428), seed=1)
    sizes = (1428 + ETHERNET_HEADER_BYTES, 1429 + ETHERNET_HEADER_BYTES)
    assert [state.offer(0, n, is_data=True).drop_reason for n in sizes] == [None, "mtu"]


def test_a_duplicate_follows_at_once_at_the_rate():
    """The copy takes its own time on the air, behind the original and before the next frame."""
    params = LinkParams(bw_mbit=12.112, delay_ms=5, duplicate_pct=100)
    assert departures(params, [(0, 1514)] * 2) == [6 * MS, 7 * MS, 8 * MS, 9 * MS]


def test_overtaking_frames_skip_the_delay():
    """All of them reordered: they leave as soon as they are serialised."""
    params = LinkParams(bw_mbit=12.112, delay_ms=70, jitter_ms=1, reorder_pct=100)
    assert departures(params, [(0, 1514)] * 2) == [1 * MS, 2 * MS]


def test_some_frames_overtake():
    """With a share of 20 % some frames leave before earlier ones, and most do not."""
    params = LinkParams(delay_ms=70, reorder_pct=20)
    times = departures(params, [(MS, 100)] * 1000)
    overtaken = sum(later < earlier for earlier, later in pairwise(times))
    assert 100 < overtaken < 250


@pytest.mark.parametrize(("share_pct", "low", "high"), [(1, 60, 140), (20, 1850, 2150)])
def test_loss_share(share_pct, low, high):
    """Of 10 000 frames about the share is lost: four standard deviations of leeway."""
    fates = offer_all(LinkParams(loss_pct=share_pct), [(MS, 100)] * 10_000)
    assert low < sum(fate.drop_reason == "loss" for _, _, fate in fates) < high


@pytest.mark.parametrize(
    ("distribution", "mean_ms", "deviation_ms"),
    [
        ("exponential", 2.0, 2.0),
        ("uniform", 0.0, 2.0 / 3**0.5),
        ("normal", 0.0, 2.0),
        ("pareto", 2.0, None),  # Lomax of shape 3: the sample's deviation converges too slowly
    ],
)
def test_jitter_distributions(distribution, mean_ms, deviation_ms):
    """``jitter_ms`` is the scale that each distribution's description says."""
    params = LinkParams(delay_ms=100, jitter_ms=2, jitter_distribution=distribution)
    gap_ns = 1000 * MS  # no frame catches up with its predecessor
    delays_ms = [
        (fate.departures_ns[0] - now_ns) / MS - 100
        for now_ns, _, fate in offer_all(params, [(gap_ns, 100)] * 20_000)
    ]
    assert statistics.fmean(delays_ms) == pytest.approx(mean_ms, abs=0.12)
    if deviation_ms is not None:
        assert statistics.stdev(delays_ms) == pytest.approx(deviation_ms, rel=0.05)
    if mean_ms:
        assert min(delays_ms) >= 0


def test_a_share_of_frames_stalls_for_an_exponential_time():
    """A quarter of the frames waits 6 ms in the mean, the others not at all."""
    params = LinkParams(delay_ms=100, stall_pct=25, stall_ms=6)
    delays_ms = [
        (fate.departures_ns[0] - now_ns) / MS - 100
        for now_ns, _, fate in offer_all(params, [(1000 * MS, 100)] * 20_000)
    ]
    stalled = [delay_ms for delay_ms in delays_ms if delay_ms > 0]
    assert len(stalled) / len(delays_ms) == pytest.approx(0.25, abs=0.015)
    assert statistics.fmean(stalled) == pytest.approx(6, rel=0.05)
    assert statistics.stdev(stalled) == pytest.approx(6, rel=0.08)


def test_frames_behind_a_stalled_one_leave_with_it():
    """The order is kept: without a rate, those after it leave at the same instant."""
    params = LinkParams(delay_ms=10, stall_pct=100, stall_ms=50)
    leaving = departures(params, [(0, 1494)] * 8)
    assert leaving == sorted(leaving)
    assert len(set(leaving)) < len(leaving)


def test_an_unlimited_link_is_transparent():
    """A link without parameters passes frames at once, and says so."""
    params = LinkParams()
    assert params.transparent
    assert params.instant
    assert departures(params, [(0, 1514)] * 3) == [0, 0, 0]
    assert not LinkParams(loss_pct=1).transparent
    assert LinkParams(loss_pct=1).instant
    assert not LinkParams(delay_ms=1).instant


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"bw_mbit": 0}, "bw_mbit"),
        ({"bw_mbit": float("nan")}, "bw_mbit"),
        ({"delay_ms": -1}, "delay_ms"),
        ({"jitter_ms": float("inf")}, "jitter_ms"),
        ({"jitter_distribution": "gauss"}, "jitter_distribution"),
        ({"loss_pct": 101}, "loss_pct"),
        ({"duplicate_pct": "2"}, "duplicate_pct"),
        ({"reorder_pct": 5}, "reorder_pct"),
        ({"max_queue_size": 5}, "max_queue_size"),
        ({"max_queue_size": -1, "bw_mbit": 1}, "max_queue_size"),
        ({"mtu": 12}, "mtu"),
        ({"mtu": 70_000}, "mtu"),
        ({"drop_data": (0,)}, "drop_data"),
    ],
)
def test_a_wrong_value_names_its_field(values, name):
    """The message says which field, what was expected and what was found."""
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, found .*$"):
        LinkParams(**values)
