"""Patterns for what a program prints: when they hold, and how long a search may take."""

import re
import signal
import time

import pytest

from seglab.kernel.program.condition import SEARCH_LIMIT_S, Condition, SlowPatternError

LINE = b"a" * 40 + b"!"
ENDLESS = [r"(a+)+$", r"(a|aa)+$", r"^(\w+\s?)*$", r"(?:a?){40}a{40}b"]
"""Each looks at every way to divide the line's forty letters: more than a hundred million."""


@pytest.mark.parametrize("pattern", ENDLESS)
def test_an_endless_search_ends(pattern: str) -> None:
    """It ends after its limit of processor time, and says which condition it was."""
    condition = Condition("ready", {"pattern": pattern})
    began = time.process_time()
    with pytest.raises(SlowPatternError, match=re.escape(f"ready /{pattern}/: ")):
        condition.is_met(LINE)
    assert SEARCH_LIMIT_S / 2 < time.process_time() - began < 10 * SEARCH_LIMIT_S


def test_the_timer_is_gone_afterwards() -> None:
    """Whether a search was ended or not, the process has the signal for itself again."""
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(SlowPatternError):
        Condition("done", {"pattern": ENDLESS[0]}).is_met(LINE)
    assert Condition("done", {"pattern": "a+!"}).is_met(LINE)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    assert signal.getsignal(signal.SIGVTALRM) == before


def test_lines() -> None:
    """Both ends of a line can be matched, and what has happened once holds."""
    condition = Condition("ready", {"pattern": "^daemon started$"})
    assert not condition.is_met(b"no daemon started\n")
    assert condition.is_met(b"hello\ndaemon started\nhello\n")
    assert condition.is_met(b"hello\n")


def test_what_was_searched_is_not_searched_again() -> None:
    """The same output costs nothing more, however often it is looked at."""
    condition = Condition("ready", {"pattern": "(x+x+)+y"})
    printed = b"x" * 19
    assert not condition.is_met(printed)
    began = time.process_time()
    for _ in range(1000):
        assert not condition.is_met(printed)
    once = time.process_time()
    assert not Condition("ready", {"pattern": "(x+x+)+y"}).is_met(printed)
    assert once - began < time.process_time() - once
