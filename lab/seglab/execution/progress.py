"""What is said while sessions run, as an interface: commands have a bar, Python has nothing."""

from collections.abc import Callable
from typing import Protocol


class ProgressListener(Protocol):
    """Takes what happens during a run.

    Attributes:
        left_s: returns how many seconds the run still takes, or ``None`` while that is unknown.
            Whoever runs sessions replaces it by a better estimate, if there is one.
    """

    left_s: Callable[[], float | None]

    def plan(self, total: int, done: int) -> None:
        """Learn how many sessions are planned, and how many of these are complete already."""

    def ended(self, session_id: str, error: str | None) -> None:
        """Learn that a session has ended; ``error`` is ``None`` for one that is complete."""

    def say(self, text: str) -> None:
        """Learn of an event that is worth one line."""


class NoProgress:
    """A ``ProgressListener`` that shows nothing."""

    def __init__(self) -> None:
        self.left_s: Callable[[], float | None] = lambda: None

    def plan(self, total: int, done: int) -> None:
        """Do nothing."""

    def ended(self, session_id: str, error: str | None) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""
