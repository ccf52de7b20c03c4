"""Which sessions run side by side, and when a run will have ended."""

import pytest

from seglab.engine import schedule
from seglab.experiment import plan as plan_
from seglab.experiment import registry
from seglab.kernel import capacity


def test_weights() -> None:
    """Whoever waits ten times as long as a whole slot's session counts a tenth."""
    assert schedule.weight(0.1) == schedule.weight(schedule.WORK_S) == schedule.SLOT
    assert schedule.weight(10 * schedule.WORK_S) == schedule.SLOT // 10
    assert schedule.weight(1e9) == 1


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
