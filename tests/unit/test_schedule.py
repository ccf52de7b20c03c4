"""Which sessions run side by side, and when a run will have ended."""

import resource

import pytest

from seglab.engine import schedule
from seglab.engine.slots import PrioritySemaphore
from seglab.errors import EnvironmentLacksError
from seglab.experiment import plan as plan_
from seglab.experiment import registry
from seglab.kernel import capacity
from seglab.kernel.engine import _labs_beside


def test_weights() -> None:
    """Whoever waits ten times as long as a whole slot's session counts a tenth."""
    assert schedule.weight(0.1) == schedule.weight(schedule.WORK_S) == schedule.SLOT
    assert schedule.weight(10 * schedule.WORK_S) == schedule.SLOT // 10
    assert schedule.weight(1e9) == 1


def test_a_program_never_counts_nothing() -> None:
    """To start it takes processor time, however slow its network is."""
    least = schedule.PROGRAM_WEIGHT_MIN
    assert schedule.weight(1e9, program=True) == least > schedule.weight(1e9)
    assert schedule.weight(0.1, program=True) == schedule.SLOT
    middle = schedule.WORK_S * 2
    assert schedule.weight(middle, program=True) == schedule.weight(middle) > least


def test_estimates_come_from_the_longest_message() -> None:
    """Raw senders have their own length, mail the scenario's."""
    network = registry.network("gprs")
    scenario = registry.scenario("matrix")
    specs = plan_.plan(scenario, 1, sessions=1, networks=["gprs"])
    raw = [spec for spec in specs if spec.protocol == "raw"]
    assert schedule.estimate_s(specs, network) == network.estimate_s(12_000)
    assert schedule.estimate_s(raw, network) < network.estimate_s(12_000)


def test_labs_at_once_is_bounded() -> None:
    """However much or little memory there is."""
    assert 2 <= capacity.labs_at_once() <= capacity.LABS_MAX


def limit_files(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> list[int]:
    """Let the limits of open files be these; return them as they will be."""
    limits = [soft, hard]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.__setitem__(0, pair[0]))
    return limits


@pytest.mark.parametrize(
    ("hard", "labs", "sessions"),
    [(64, 5, 24), (128, 16, 72), (100_000, 64, 1500), (resource.RLIM_INFINITY, 64, 1500)],
)
def test_open_files_bound_labs_and_sessions(
    hard: int, labs: int, sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labs need 6 files each beside 32; sessions three quarters of what the server allows."""
    monkeypatch.setattr(capacity, "_labs_in_memory", lambda: 64)
    limits = limit_files(monkeypatch, 32, hard)
    assert (capacity.labs_at_once(), capacity.sessions_at_once()) == (labs, sessions)
    assert limits[0] == (hard if hard in {64, 128} else 32 + 6 * 64)


def test_too_few_open_files_for_a_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says the limit, what a lab needs, and how to raise it."""
    limit_files(monkeypatch, 20, 63)
    with pytest.raises(EnvironmentLacksError, match=r"is 63, and a lab needs 64: .*ulimit -n"):
        capacity.check_open_files()
    limit_files(monkeypatch, 20, 64)
    capacity.check_open_files()


def test_engines_that_share_slots_share_labs() -> None:
    """Two shards that are built at once have no more labs together than one would have."""
    one, other = PrioritySemaphore(1), PrioritySemaphore(1)
    assert _labs_beside(one) is _labs_beside(one)
    assert _labs_beside(one) is not _labs_beside(other)


def test_the_first_sessions_begin_within_three_round_trips() -> None:
    """Sooner where they have little to do."""
    gprs = registry.network("gprs")
    assert capacity.spread_s(gprs, 10_000) == pytest.approx(3 * 1.3)
    assert capacity.spread_s(gprs, 5) < 0.5


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that a forecast sees: its last entry."""
    times = [1000.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: times[-1])
    return times


def test_a_forecast_knows_the_longest_session(clock: list[float]) -> None:
    """However fast the others end: a session of half a minute takes half a minute."""
    forecast = schedule.Forecast(jobs=40)
    forecast.plan([0.5] * 100 + [30.0])
    assert forecast.left_s() == 30
    forecast.began("slow", 30.0)
    for number in range(100):
        clock.append(clock[-1] + 0.1)
        forecast.began(f"fast/{number}", 0.5)
        forecast.ended(f"fast/{number}")
    assert forecast.left_s() == pytest.approx(20)
    clock.append(clock[-1] + 25)
    assert 0 < forecast.left_s() < 5  # late; it should end any moment
    forecast.ended("slow")
    assert forecast.left_s() == 0


def test_a_forecast_follows_the_pace(clock: list[float]) -> None:
    """Where sessions are many, those that have ended tell how long the others will take."""
    forecast = schedule.Forecast(jobs=40)
    forecast.plan([0.5] * 1000)
    for number in range(250):
        clock.append(clock[-1] + 0.1)
        forecast.began(str(number), 0.5)
        forecast.ended(str(number))
    assert forecast.left_s() == pytest.approx(75)
    forecast.call_off([0.5] * 750)
    assert forecast.left_s() == 0


def test_a_network_that_takes_no_time() -> None:
    """Twenty sessions that should take no time leave none to wait for."""
    forecast = schedule.Forecast(jobs=40)
    forecast.plan([0.0] * 20)
    for number in range(20):
        forecast.began(str(number), 0.0)
        forecast.ended(str(number))
        assert forecast.left_s() == 0
