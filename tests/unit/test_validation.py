"""Agreement of two engines: which cells are steady, race or draw, and how each is judged."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from msgspec.structs import replace as altered

from seglab.core.record import MtuChange, SessionRecord
from seglab.core.trace import Read, Segment
from seglab.networks.link import LinkParams
from seglab.networks.network import Link, Network, Router, ScheduledMtu
from seglab.validation.agreement import CELL_LEAST, Agreement, compare
from seglab.validation.page import page

STEADY = Network("steady", "t", "s")
DRAWING = Network("drawing", "t", "s", core=Link(LinkParams(jitter_ms=1), LinkParams()))
FALLING = replace(STEADY, name="falling", router=Router(schedule=(ScheduledMtu(100, 1000),)))
NETWORKS = {network.name: network for network in (STEADY, DRAWING, FALLING)}


def record(
    *sizes: int, number: int = 0, network: str = "steady", again: int = 0, psh: bool = True
) -> SessionRecord:
    """A session whose client sent segments of these sizes, the last ``again`` of them twice."""
    segments = []
    at = 0
    for size in sizes:
        segments.append(Segment(at, at + 1, at, at + size, psh=psh))
        at += size
    segments += [altered(one, retransmission=True, t_sent_ns=at) for one in segments[:again]]
    return SessionRecord(
        session_id=f"{network}.{number:04}", scenario="s", sender="relay", style="relay",
        terminator=None, network=network, path_condition="steady", engine="e", seed=1,
        repeat=number, mtu=1500, mss=1460, timestamps=False, status="complete",
        payload_bytes=at, segments=tuple(segments), reads=(Read(at + 1, 0, at),),
    )  # fmt: skip


def judged(
    kernel: Sequence[SessionRecord],
    again: Sequence[SessionRecord],
    simulated: Sequence[SessionRecord],
    simulated_again: Sequence[SessionRecord] | None = None,
) -> Agreement:
    """Compare; the simulator repeats itself where nothing else is given."""
    return compare(
        kernel, again, simulated, simulated if simulated_again is None else simulated_again,
        NETWORKS,
    )  # fmt: skip


def test_equal_sessions_agree() -> None:
    """Sizes, PSH and what was sent again."""
    agreement = judged([record(10, 20)], [record(10, 20)], [record(10, 20)])
    assert agreement.agrees
    assert [cell.kind for cell in agreement.cells] == ["steady"]
    assert agreement.equal_share == 1


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
    agreement = judged([record(10, 20)], [record(10, 20)], [simulated])
    assert not agreement.agrees
    (different,) = agreement.different
    assert different.reason == f"{reason}; the kernel repeats itself"
    text = page(agreement, "")
    assert "kernel     10P 20P\n" in text
    assert reason in text


def many(network: str, *shapes: tuple[int, ...]) -> list[SessionRecord]:
    """Sessions of one cell, with these sizes in turn."""
    return [record(*shapes[n % len(shapes)], number=n, network=network) for n in range(60)]


def test_the_kernel_alone_decides_what_races() -> None:
    """One session in which it does not repeat itself is enough among sixty, whatever is simulated.

    A cell that races is tested, and no single session of it has to be equal.
    """
    kernel = many("steady", (10, 20))
    again = [record(30), *kernel[1:]]
    for simulated in (kernel, many("steady", (15, 15))):
        (cell,) = judged(kernel, again, simulated).cells
        assert (cell.kind, cell.repeated) == ("races", 59)
        assert cell.p is not None
    assert judged(kernel, again, kernel).agrees
    (steady,) = judged(kernel, kernel, many("steady", (15, 15))).cells
    assert (steady.kind, steady.p, steady.equal) == ("steady", None, 0)


def test_a_race_is_judged_by_its_distribution() -> None:
    """A model that falls to either side as often as the kernel is alike.

    A model that always falls to one side is told apart as well, though each of its sessions has a
    sequence that the kernel has.
    """
    draw = Random(5)

    def race() -> list[SessionRecord]:
        return [record(*draw.choice([(10, 20), (30,)]), number=n) for n in range(60)]

    assert judged(race(), race(), race(), race()).agrees
    one_side = many("steady", (30,))
    for model in (one_side, many("steady", (15, 15))):
        agreement = judged(race(), race(), model)
        assert agreement.alike_share("races") == 0
        assert not agreement.agrees
    assert "told apart" in page(agreement, "")
    assert "Sessions of racing cells that differ" in page(agreement, "")


def test_what_draws_is_tested_even_where_the_kernel_repeats_itself() -> None:
    """Over a path that draws, a model that differs in one session of sixty is not told apart."""
    kernel = many("drawing", (10, 20))
    nearly = [record(30, network="drawing"), *kernel[1:]]
    assert judged(kernel, kernel, nearly).alike_share("draws") == 1
    assert judged(kernel, kernel, many("drawing", (30,))).alike_share("draws") == 0


def test_a_session_that_fails_on_one_engine() -> None:
    """It is no session to compare, and no agreement either."""
    failed = replace(record(10), status="failed", error="no luck")
    agreement = judged([record(10)], [record(10)], [failed])
    assert not agreement.agrees
    assert agreement.left_out == ("steady.0000 failed on the simulator engine alone: no luck",)


def test_how_late_the_kernel_engine_was() -> None:
    """A busy machine and a late change of the MTU are mentioned, and nothing is left out."""
    slow = replace(
        record(10, 20, network="falling"),
        too_late=True,
        duration_ns=300_000_000,
        mtu_changes=(MtuChange(106_000_000, 1000),),
    )
    in_time = replace(slow, too_late=False, mtu_changes=(MtuChange(100_000_000, 1000),))
    agreement = judged([slow], [in_time], [in_time])
    assert agreement.changes_late_ms == (6, 0)
    assert (agreement.busy, agreement.steady_sessions, agreement.agrees) == (1, 1, True)
    assert "late by 3.0 ms in the median, 6.0 ms at most" in page(agreement, "")


@pytest.mark.parametrize(("late", "too_busy"), [(60, True), (30, False)])
def test_a_busy_machine_tells_nothing(late: int, too_busy: bool) -> None:
    """Where most sessions were late, engines that are told apart are not judged."""
    in_time = many("steady", (10, 20))
    kernel = [replace(one, too_late=n < late) for n, one in enumerate(in_time)]
    agreement = judged(kernel, in_time, many("steady", (30,)))
    assert (agreement.agrees, agreement.too_busy) == (False, too_busy)
    assert ("too busy with other work to judge" in page(agreement, "")) == too_busy
    assert not judged(kernel, in_time, in_time).too_busy
    failed = [replace(one, status="failed", error="no luck") for one in in_time]
    assert not judged(kernel, in_time, failed).too_busy
    few = [replace(one, too_late=True) for one in many("drawing", (10, 20))[: CELL_LEAST - 1]]
    assert (judged(few, few, few).judged, judged(few, few, few).too_busy) == (False, False)


def test_too_few_sessions_are_not_tested() -> None:
    """With so few, no difference could be found, and the page says that none was looked for."""
    few = many("drawing", (10, 20))[: CELL_LEAST - 1]
    agreement = judged(few, few, few)
    assert agreement.alike_share("draws") is None
    assert "too few sessions" in page(agreement, "")
    assert not agreement.judged
    assert not agreement.agrees
    assert "Nothing could be judged" in page(agreement, "")


def test_one_known_share_is_enough() -> None:
    """Beside a steady path, too few sessions on one that draws are no objection."""
    few = [record(10, 20), *many("drawing", (10, 20))[: CELL_LEAST - 1]]
    agreement = judged(few, few, few)
    assert agreement.judged
    assert agreement.agrees


def test_no_sessions_are_no_agreement() -> None:
    """Where nothing could be compared, nothing agrees."""
    assert not judged([], [], []).agrees


def test_reads_are_reported_and_not_judged() -> None:
    """A model that reads in two pieces what the kernel reads at once is told apart in its reads."""
    kernel = many("steady", (10, 20))
    model = [replace(one, reads=(Read(90, 0, 10), Read(91, 10, 30))) for one in kernel]
    agreement = judged(kernel, kernel, model)
    assert agreement.reads_alike_share == 0
    assert agreement.agrees
