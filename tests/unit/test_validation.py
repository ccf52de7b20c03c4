"""Agreement of two engines: what counts as equal, as a race, and as told apart."""

from dataclasses import replace
from random import Random

import pytest

from seglab.core.record import MtuChange, SessionRecord
from seglab.core.trace import Segment
from seglab.networks.link import LinkParams
from seglab.networks.network import Link, Network, Router, ScheduledMtu
from seglab.validation.agreement import CELL_LEAST, compare, distance, told_apart
from seglab.validation.page import page

STEADY = Network("steady", "t", "s")
DRAWING = Network("drawing", "t", "s", core=Link(LinkParams(jitter_ms=1), LinkParams()))
NETWORKS = {"steady": STEADY, "drawing": DRAWING}


def record(
    *sizes: int, number: int = 0, network: str = "steady", again: int = 0, psh: bool = True
) -> SessionRecord:
    """A session whose client sent segments of these sizes, the last ``again`` of them twice."""
    segments = []
    at = 0
    for size in sizes:
        segments.append(Segment(at, at + 1, at, at + size, psh=psh))
        at += size
    segments += [replace(one, retransmission=True, t_sent_ns=at) for one in segments[:again]]
    return SessionRecord(
        session_id=f"{network}.{number:04}", scenario="s", sender="relay", style="relay",
        terminator=None, network=network, path_condition="steady", engine="e", seed=1,
        repeat=number, mtu=1500, mss=1460, timestamps=False, status="complete",
        payload_bytes=at, segments=tuple(segments),
    )  # fmt: skip


def test_equal_sessions_agree() -> None:
    """Sizes, PSH and what was sent again."""
    agreement = compare([record(10, 20)], [record(10, 20)], [record(10, 20)], NETWORKS)
    assert agreement.agrees
    assert (agreement.equal_share, agreement.repeated_share) == (1, 1)


@pytest.mark.parametrize(
    ("simulated", "reason"),
    [
        (record(10, 20, psh=False), "PSH alone"),
        (record(10, 20, again=1), "what was sent again"),
        (record(20, 10), "how bytes were cut when they were first sent"),
    ],
)
def test_how_sessions_differ(simulated: SessionRecord, reason: str) -> None:
    """The page has the reason, and the traces side by side."""
    agreement = compare([record(10, 20)], [record(10, 20)], [simulated], NETWORKS)
    assert not agreement.agrees
    (different,) = agreement.different
    assert different.reason == f"{reason}; the kernel repeats itself"
    text = page(agreement, "")
    assert "kernel     10P 20P\n" in text
    assert reason in text


def test_a_race_has_two_right_answers() -> None:
    """Where the kernel does not repeat itself, either of its sequences will do, and no other."""
    one, other = record(10, 20), record(30)
    for simulated in (one, other):
        assert compare([one], [other], [simulated], NETWORKS).agrees
    agreement = compare([one], [other], [record(15, 15)], NETWORKS)
    assert not agreement.agrees
    assert agreement.repeated_share == 0


def test_a_session_that_fails_on_one_engine() -> None:
    """It is no session to compare, and no agreement either."""
    failed = replace(record(10), status="failed", error="no luck")
    agreement = compare([record(10)], [record(10)], [failed], NETWORKS)
    assert not agreement.agrees
    assert agreement.left_out == ("steady.0000 failed on the simulator engine alone: no luck",)


def test_a_late_kernel_engine_tells_nothing() -> None:
    """Where the router's MTU changed late; a late process is only mentioned."""
    router = Router(schedule=(ScheduledMtu(100, 1000),))
    networks = NETWORKS | {"falling": replace(STEADY, name="falling", router=router)}
    slow = replace(record(10, 20), too_late=True)
    busy = compare([slow], [record(10, 20)], [record(10, 20)], networks)
    assert (busy.late, busy.busy, busy.agrees) == (0, 1, True)
    model = replace(
        record(10, 20, network="falling"),
        duration_ns=300_000_000,
        mtu_changes=(MtuChange(100_000_000, 1000),),
    )
    in_time, late = (MtuChange(ms * 1_000_000, 1000) for ms in (104, 106))
    for changes, left_out in (((in_time,), 0), ((late,), 1), ((), 1)):
        changed = replace(model, mtu_changes=changes)
        agreement = compare([model], [changed], [model], networks)
        assert (agreement.late, agreement.steady_sessions) == (left_out, 1 - left_out)


def sessions(draw: Random, count: int, cut: int) -> list[SessionRecord]:
    """Sessions over a path that draws, each cut at a random place around ``cut``."""
    return [
        record(first := cut + draw.randrange(20), 1000 - first, number=n, network="drawing")
        for n in range(count)
    ]


def test_what_is_drawn_from_one_distribution_is_alike() -> None:
    """Even where hardly a session equals its counterpart."""
    draw = Random(1)
    kernel, again, model = (sessions(draw, 30, 100) for _ in range(3))
    agreement = compare(kernel, again, model, NETWORKS)
    (cell,) = agreement.tested
    assert cell.equal < 10
    assert cell.alike


def test_what_is_drawn_from_another_distribution_is_told_apart() -> None:
    """It cuts elsewhere, or sends more again."""
    draw = Random(2)
    kernel = sessions(draw, 30, 100)
    assert not compare(kernel, kernel, sessions(draw, 30, 110), NETWORKS).agrees
    lossy = [record(100, 900, number=n, network="drawing", again=n % 2) for n in range(30)]
    calm = [record(100, 900, number=n, network="drawing", again=n % 8 == 0) for n in range(30)]
    assert told_apart(lossy, calm, 1) < 0.01


def test_too_few_sessions_are_not_tested() -> None:
    """With so few, no difference could be found, and the page says that none was looked for."""
    few = sessions(Random(3), CELL_LEAST - 1, 100)
    agreement = compare(few, few, few, NETWORKS)
    assert agreement.alike_share is None
    assert "too few sessions" in page(agreement, "")
    assert not agreement.judged
    assert not agreement.agrees
    assert "Nothing could be judged" in page(agreement, "")


def test_one_known_share_is_enough() -> None:
    """Beside a steady path, too few sessions on one that draws are no objection."""
    few = [record(10, 20), *sessions(Random(3), CELL_LEAST - 1, 100)]
    agreement = compare(few, few, few, NETWORKS)
    assert agreement.judged
    assert agreement.agrees


def test_no_sessions_are_no_agreement() -> None:
    """Where nothing could be compared, nothing agrees."""
    assert not compare([], [], [], NETWORKS).agrees


def test_distances() -> None:
    """Jaccard's distance of the cuts, and the relative difference of what was sent again."""
    one, other = frozenset({10, 20, 30}), frozenset({10, 25, 30})
    assert distance((one, 0), (one, 0)) == 0
    assert distance((one, 0), (other, 0)) == pytest.approx(1 - 2 / 4)
    assert distance((one, 1), (one, 4)) == pytest.approx(3 / 4)
    assert distance((one, 0), (frozenset({99}), 3)) == 2
