"""The permutation test: its size where nothing differs, and its power where something does."""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from seglab.execution.request import RunRequest
from seglab.simulator import backend, session, transmit
from seglab.simulator.worker import one_session
from seglab.validation.permutation import Bag, distance, p_value, segments

ONE, OTHER = Counter("abc"), Counter("abd")


def test_distances() -> None:
    """The share of pieces that two bags do not have in common; each counts as often as it is."""
    assert distance(ONE, ONE) == 0
    assert distance(ONE, OTHER) == pytest.approx(2 / 4)
    assert distance(ONE, Counter("xyz")) == 1
    assert distance(Counter("aab"), Counter("ab")) == pytest.approx(1 / 3)
    assert distance(Counter(), Counter()) == 0


@pytest.mark.parametrize("paired", [False, True])
def test_what_comes_from_one_distribution_is_seldom_told_apart(paired: bool) -> None:
    """At p = 0.05, in 5 % of all cells: the test is exact, and ties make it milder."""
    draw = Random(1)

    def result() -> Bag:
        return Counter(draw.choices("abcdef", k=6))

    found = [
        p_value([[result() for _ in range(4)] for _ in range(20)], seed, paired=paired)
        for seed in range(200)
    ]
    assert sum(p <= 0.05 for p in found) <= 20


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("kernel", [lambda: ONE, lambda: Random().choice([ONE, OTHER])])
def test_another_result_is_told_apart(kernel: Callable[[], Bag], paired: bool) -> None:
    """Whether the kernel repeats itself or not."""
    wrong = Counter("xyz")
    sessions = [[kernel(), kernel(), wrong, wrong] for _ in range(12)]
    assert p_value(sessions, 1, paired=paired) < 0.01


def test_a_model_that_does_not_race_is_told_apart() -> None:
    """Each of its results is one of the kernel's, but the kernel has the other one as often."""
    draw = Random(2).choice
    sessions = [[draw([ONE, OTHER]), draw([ONE, OTHER]), ONE, ONE] for _ in range(30)]
    assert p_value(sessions, 1) < 0.01


def test_paths_of_their_own_are_compared_in_pairs() -> None:
    """Each run of the simulator follows one of the kernel's: what these share is agreement."""
    sessions = [[ONE, OTHER, ONE, OTHER] for _ in range(30)]
    assert p_value(sessions, 1, paired=True) == 1
    crossed = [[ONE, OTHER, OTHER, ONE] for _ in range(30)]
    assert p_value(crossed, 1, paired=False) == 1


def no_nagle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that holds no short segment back."""
    monkeypatch.setattr(transmit, "nagle", lambda *_: False)


def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that begins with two segments."""
    real = session.client_settings

    def settings(*given: object, **named: object) -> object:
        made = real(*given, **named)  # type: ignore[arg-type]
        return type(made)(**{**{n: getattr(made, n) for n in made.__slots__}, "initcwnd": 2})

    monkeypatch.setattr(session, "client_settings", settings)


@pytest.mark.parametrize(
    ("sender", "network", "wrong"),
    [
        ("line_by_line", "unimpaired", no_nagle),
        ("line_by_line", "tunnel-1400", no_nagle),
        ("single_write", "gprs", small_window),
    ],
)
def test_a_wrong_model_is_told_apart(
    sender: str,
    network: str,
    wrong: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The right model takes the kernel's part: ten sessions tell a wrong one from it.

    Over these paths times race, or the links draw.
    """
    monkeypatch.setattr(backend, "simulation", lambda: backend.form(compiled=False))
    planned = RunRequest(("matrix",), (sender,), (network,), 10).specs(1)

    def results(repetition: int) -> list[Bag]:
        return [segments(one_session(*one, 60, None, repetition)) for one in planned]

    runs = [results(n) for n in range(4)]
    assert p_value([list(four) for four in zip(*runs, strict=True)], 1) >= 0.01
    wrong(monkeypatch)
    runs[2:] = results(2), results(3)
    assert p_value([list(four) for four in zip(*runs, strict=True)], 1) < 0.01
