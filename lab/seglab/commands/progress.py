"""Progress of a run: a bar with an estimate on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from seglab.core.text import safe

PLAIN_EVERY_S = 5.0
BAR_EVERY_S = 0.5

ESTIMATE_SHARE = 0.05
ESTIMATE_SESSIONS = 100
"""An average is taken once so many sessions have ended, or that share of them: the first ones tell
more of how labs begin than of how long the rest takes."""


class RunProgress:
    """Counts sessions as they end; shows them on standard error.

    Args:
        quiet: show nothing.
        verbose: a line for every failed session.

    Attributes:
        left_s: tells how many seconds the run still takes, or ``None`` while that is not known; by
            default the sessions still to come take as long on average as those that have ended.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.left_s: Callable[[], float | None] = self._by_average
        self._until = _Until()
        self._console = Console(stderr=True, highlight=False)
        self._bar = (
            Progress(
                TextColumn("sessions"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("[red]{task.fields[failures]}[/]"),
                TimeElapsedColumn(),
                self._until,
                console=self._console,
            )
            if self._console.is_terminal and not quiet
            else None
        )
        self._task = self._bar.add_task("", total=None, failures="") if self._bar else None
        self._plain = self._bar is None and not quiet
        self._verbose = verbose and not quiet
        self._total = self._done = self._ran = self._failed = 0
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()
        elif self._plain and self._ran:
            self._say()

    def plan(self, total: int, done: int) -> None:
        """Say how many sessions are planned, and how many of them have ended before."""
        self._total, self._done = total, done
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=total, completed=done)

    def ended(self, session_id: str, error: str | None) -> None:
        """Count one session; ``error`` says why it failed, ``None`` that it is complete."""
        self._done += 1
        self._ran += 1
        if error is not None:
            self._failed += 1
            if self._verbose:
                self._line(f"failed: {session_id}: {error}")
        if self._bar and self._task is not None:
            failures = f"{self._failed} failed" if self._failed else ""
            self._bar.update(self._task, completed=self._done, failures=failures)
            if time.monotonic() - self._said >= BAR_EVERY_S:
                self._said = time.monotonic()
                left_s = self.left_s()
                self._until.end_s = None if left_s is None else self._said + left_s
        elif self._plain and time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._say()

    def say(self, text: str) -> None:
        """A line between the others, unless nothing is to be shown."""
        if self._bar or self._plain:
            self._line(text)

    def _line(self, text: str) -> None:
        """A line of its own, whole however narrow the terminal is taken to be."""
        self._console.print(safe(text), markup=False, soft_wrap=True)

    def _by_average(self) -> float | None:
        to_come = self._total - self._done
        if self._ran < min(ESTIMATE_SESSIONS, ESTIMATE_SHARE * (self._ran + to_come)):
            return None
        return (time.monotonic() - self._began) / self._ran * to_come

    def _say(self) -> None:
        self._said = time.monotonic()
        failed = f", {self._failed} failed" if self._failed else ""
        left_s = self.left_s()
        left = "" if left_s is None else f", about {left_s:.0f} s left"
        elapsed_s = self._said - self._began
        self._line(f"{self._done} of {self._total} sessions{failed}, {elapsed_s:.0f} s{left}")


class CheckProgress:
    """Says from time to time how far the look through a dataset is, on standard error.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind: what was said are lines of their own."""

    def report(self, what: str, sessions: int) -> None:
        """Take down what is looked at now, and how many sessions have been."""
        now = time.monotonic()
        if not self._quiet and now - self._said >= PLAIN_EVERY_S:
            self._said = now
            words = f"{sessions:,} sessions checked" if sessions else f"reading {what}"
            self._console.print(safe(words), markup=False, soft_wrap=True)


class _Until(ProgressColumn):
    """The seconds until a time that is set from time to time.

    Attributes:
        end_s: that time on the monotonic clock; ``None`` while nobody knows.
    """

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.end_s: float | None = None

    def render(self, task: Task) -> Text:
        """What is left, in words."""
        if self.end_s is None or task.finished:
            return Text()
        left_s = max(0.0, self.end_s - time.monotonic())
        return Text(f"about {left_s:.0f} s left", style="progress.remaining")
