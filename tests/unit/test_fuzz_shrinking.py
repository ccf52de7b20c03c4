"""How a schedule on which the engines disagree becomes smaller."""

from collections.abc import Sequence
from dataclasses import replace

from fuzz.engines.shrinking import candidates, smaller, weight

from seglab.experiment.reader import Reader
from seglab.networks.link import LinkParams
from seglab.networks.network import ClientTcp, Link, Router, ScheduledMtu
from seglab.sender.steps import SetOption, Wait, Write
from seglab.validation.schedule import PLAIN, Schedule, from_toml, to_toml, written

LARGE = Schedule(
    replace(
        PLAIN,
        path_condition="fluctuating",
        mtu=1400,
        client=ClientTcp(sack=False, initcwnd=3, congestion_control="cubic"),
        router=Router(schedule=(ScheduledMtu(40.0, 900), ScheduledMtu(90.0, 1200))),
        core=Link(
            LinkParams(bw_mbit=2.0, delay_ms=20, max_queue_size=12, drop_data=(3, 5, 9)),
            LinkParams(delay_ms=20),
        ),
    ),
    (
        written(300),
        Wait(0.2),
        SetOption("cork", on=True),
        written(9000, more=True),
        Wait(0.05),
        written(20_000),
        SetOption("cork", on=False),
        written(77),
    ),
    nodelay=True,
    reader=Reader("recv-loop", 1000),
)


def _payload(schedule: Schedule) -> int:
    return max(len(step.data) for step in schedule.steps if isinstance(step, Write))


def test_nothing_is_left_that_does_not_matter() -> None:
    """A fault that needs a long write, no SACK and the fifth segment lost keeps these alone."""

    def ask(schedules: Sequence[Schedule]) -> list[bool]:
        return [
            _payload(one) > 5000 and not one.network.client.sack
            and 5 in one.network.core.up.drop_data
            for one in schedules
        ]  # fmt: skip

    small = smaller(LARGE, ask, 60)
    assert len(small.steps) == 1
    assert 5000 < small.payload_bytes <= 7500
    assert small.network.core.up.drop_data == (5,)
    assert small.network.client == ClientTcp(sack=False)
    assert small.network.router == Router()
    assert (small.nodelay, small.reader) == (False, Reader())


def test_what_is_never_confirmed_stays_as_it_is() -> None:
    """Where no candidate disagrees, the schedule that did is the answer."""
    assert smaller(LARGE, lambda schedules: [False] * len(schedules), 60) == LARGE


def test_no_round_begins_when_the_time_is_over() -> None:
    """Nobody is asked, and the schedule stays as it is."""

    def ask(schedules: Sequence[Schedule]) -> list[bool]:
        raise AssertionError(schedules)

    assert smaller(LARGE, ask, -1) == LARGE


def test_candidates_are_smaller_schedules_that_can_be_kept() -> None:
    """Each writes something, is smaller by ``weight``, and reads back from its text."""
    found = list(candidates(LARGE))
    assert len(found) > 20
    for one in found:
        assert weight(one) < weight(LARGE)
        assert one.payload_bytes > 0
        assert from_toml(to_toml(one).encode(), "file") == one
