"""Hypothesis strategies for schedules: a path, and many sessions over it."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from seglab.experiment.reader import Reader
from seglab.networks.link import LinkParams
from seglab.networks.network import ClientTcp, Link, Router, ScheduledMtu
from seglab.sender.steps import SOCKET_OPTIONS, SetOption, Step, Wait, Write
from seglab.simulator.support import MIN_PMTU_BYTES, refusal
from seglab.validation.schedule import PLAIN, Schedule, written

MTUS = (576, 960, 1280, 1400, 1440, 1480, 1492, 1500, 1500, 1500, 4352, 9000)
WAITS_MAX_MS = 1500.0
PAYLOAD_MAX_BYTES = 400_000
SECONDS_MAX = 6.0
"""How long a path's slowest link may take for a schedule's bytes."""


@st.composite
def paths(draw: st.DrawFn) -> Schedule:
    """Draw what schedules of one lab share: the network, without losses, and the reader."""
    mtu = draw(st.sampled_from(MTUS) | st.integers(576, 9000))
    version = draw(st.sampled_from((4, 4, 4, 6))) if mtu >= 1280 else 4
    delay_ms = draw(st.sampled_from((2.0, 5.0, 10.0, 20.0, 40.0, 70.0)))
    rate = draw(st.sampled_from((None, None, 100.0, 10.0, 2.0, 0.5)))
    queue = draw(st.sampled_from((None, None, 4, 12, 40))) if rate else None
    back_ms = draw(st.sampled_from((delay_ms, delay_ms, 3.0)))
    # With none, a report of the router would race with the program's next step.
    near_ms = draw(st.sampled_from((1.0, 3.0, 10.0)))
    up, down = draw(_chances()), draw(_chances())
    network = replace(
        PLAIN,
        mtu=mtu,
        ip_version=version,
        client=draw(_clients()),
        router=draw(_routers(mtu, 1280 if version == 6 else MIN_PMTU_BYTES)),
        access=Link(LinkParams(delay_ms=near_ms), LinkParams(delay_ms=near_ms)),
        core=Link(
            LinkParams(bw_mbit=rate, delay_ms=delay_ms, max_queue_size=queue, **up),
            LinkParams(delay_ms=back_ms, **down),
        ),
    )
    if network.black_hole and not network.client.mtu_probing:
        network = replace(network, client=replace(network.client, mtu_probing=1))
    network = replace(network, path_condition=network.typical_condition)
    assert refusal(network) is None, network
    return Schedule(network, (), reader=draw(_readers()))


@st.composite
def _chances(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a link leaves to chance, which most leave nothing to.

    Any frame may get lost, so also a SYN, its answer, or an acknowledgement.
    """
    kind = draw(st.sampled_from((None,) * 8 + ("loss", "loss", "jitter", "copies", "overtaking")))
    if kind == "loss":
        return {"loss_pct": draw(st.sampled_from((3.0, 10.0, 25.0)))}
    if kind == "jitter":
        spread = draw(st.sampled_from(("exponential", "uniform", "pareto")))
        return {
            "jitter_ms": draw(st.sampled_from((0.5, 3.0, 15.0))),
            "jitter_distribution": spread,
        }
    if kind == "copies":
        return {"duplicate_pct": 10.0}
    return {"reorder_pct": draw(st.sampled_from((3.0, 20.0)))} if kind else {}


@st.composite
def _clients(draw: st.DrawFn) -> ClientTcp:
    return ClientTcp(
        timestamps=draw(st.booleans()),
        sack=draw(st.sampled_from((True, True, True, False))),
        initcwnd=draw(st.sampled_from((10, 10, 1, 2, 3, 4, 20, 64))),
        congestion_control=draw(st.sampled_from(("reno", "reno", "cubic"))),
        mtu_probing=draw(st.sampled_from((0, 0, 0, 1, 2))),
        pmtu_expires_s=draw(st.sampled_from((600, 600, 1))),
        send_window_bytes=draw(st.none() | st.none() | st.none() | st.integers(1460, 20_000)),
    )


@st.composite
def _routers(draw: st.DrawFn, mtu: int, least: int) -> Router:
    narrower = st.integers(least, max(mtu, least + 1))
    kind = draw(st.sampled_from(("plain", "plain", "narrow", "clamped", "changing", "silent")))
    if kind == "plain":
        return Router()
    if kind == "changing":
        times = sorted(draw(st.sets(st.integers(15, 900), min_size=1, max_size=3)))
        changes = tuple(ScheduledMtu(float(at), draw(narrower)) for at in times)
        return Router(schedule=changes)
    return Router(mtu=draw(narrower), mss_clamp=kind == "clamped", icmp=kind != "silent")


@st.composite
def _readers(draw: st.DrawFn) -> Reader:
    kind = draw(st.sampled_from(("event-loop", "event-loop", "recv-loop")))
    buffer = draw(st.sampled_from((65_536, 65_536, 16_384, 4096, 1000)))
    if kind == "recv-loop":
        return Reader(kind, buffer)
    turn_us = draw(st.sampled_from((0.0, 0.0, 2000.0, 30_000.0)))
    return Reader(kind, buffer, turn_us, draw(st.sampled_from((0.0, 0.0, 5000.0))))


@st.composite
def schedules(draw: st.DrawFn, path: Schedule) -> Schedule:
    """Draw the steps of a session over a path, and which of its segments get lost."""
    network = path.network
    most = PAYLOAD_MAX_BYTES
    if rate := network.slowest_mbit:
        most = min(most, int(rate * 1e6 / 8 * SECONDS_MAX))
    if path.reader.turn_us:
        turns = SECONDS_MAX * 1e6 / path.reader.turn_us
        most = min(most, int(turns * path.reader.buffer_bytes / 2))
    sizes = st.one_of(
        st.integers(1, 3000),
        st.integers(1, 3000),
        st.builds(
            lambda times, extra: max(1, times * network.mss + extra),
            st.integers(0, 6),
            st.sampled_from((-1, 0, 0, 0, 1, 100)),
        ),
        st.integers(1, 60_000),
        st.sampled_from((1024, 2048, 4096, 8192, 100_000, 250_000)),
    )
    waits = st.sampled_from((1.0, 5.0, 20.0, 45.0, 100.0, 210.0, 300.0, 700.0)) | st.integers(
        1, 400
    ).map(float)
    step = st.one_of(
        st.builds(written, sizes),
        st.builds(written, sizes),
        st.builds(lambda size: written(size, more=True), sizes),
        st.builds(lambda ms: Wait(ms / 1000), waits),
        st.builds(lambda ms: Wait(ms / 1000), waits),
        st.builds(SetOption, st.sampled_from(SOCKET_OPTIONS), st.booleans()),
    )
    steps = _limited(draw(st.lists(step, min_size=1, max_size=14)), most)
    lost: set[int] = set()
    if draw(st.booleans()):
        lost = draw(st.sets(st.integers(1, 40), min_size=1, max_size=5))
    up = replace(network.core.up, drop_data=tuple(sorted(lost)))
    network = replace(network, core=replace(network.core, up=up))
    return replace(path, network=network, steps=steps, nodelay=draw(st.booleans()))


def _limited(steps: list[Step], most: int) -> tuple[Step, ...]:
    """Return the steps without those that would make the session too long."""
    kept: list[Step] = []
    waited_ms, size = 0.0, 0
    for step in steps:
        if isinstance(step, Wait):
            waited_ms += step.seconds * 1000
            if waited_ms > WAITS_MAX_MS:
                continue
        elif isinstance(step, Write):
            size += len(step.data)
            if size > most:
                continue
        kept.append(step)
    if not any(isinstance(step, Write) for step in kept):
        kept.append(written(1))
    return tuple(kept)


@st.composite
def batches(draw: st.DrawFn, size: int) -> list[Schedule]:
    """Draw a path, and as many sessions over it."""
    path = draw(paths())
    return draw(st.lists(schedules(path), min_size=size, max_size=size))
