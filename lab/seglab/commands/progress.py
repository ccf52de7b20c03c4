"""Progress on standard error: a bar with an estimate on a terminal, plain lines elsewhere."""

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
"""The average needs this number of ended sessions, or this share of all of them. Before that, it
would say more about how long labs take to start than about the rest of the run."""


class RunProgress:
    """Counts sessions as they end, and shows the count on standard error.

    Args:
        quiet: show nothing.
        verbose: show a line for every session that fails.

    Attributes:
        left_s: returns how many seconds the run still takes, or ``None`` while that is unknown. By
            default it assumes that the remaining sessions take as long as the average so far.
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
        """Set how many sessions are planned, and how many of them are complete already."""
        self._total, self._done = total, done
        if self._bar and self._task is not None:
            self._bar.update(self._task, total=total, completed=done)

    def ended(self, session_id: str, error: str | None) -> None:
        """Count one session. ``error`` says why it failed, and is ``None`` if it is complete."""
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
        """Show a line of text, unless nothing is to be shown."""
        if self._bar or self._plain:
            self._line(text)

    def _line(self, text: str) -> None:
        """Print one line without wrapping it."""
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
    """Prints every few seconds how far the check of a dataset is, on standard error.

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
        """Do nothing: every report was a whole line."""

    def report(self, what: str, sessions: int) -> None:
        """Report what is being read, and how many sessions have been checked."""
        now = time.monotonic()
        if not self._quiet and now - self._said >= PLAIN_EVERY_S:
            self._said = now
            words = f"{sessions:,} sessions checked" if sessions else f"reading {what}"
            self._console.print(safe(words), markup=False, soft_wrap=True)


class _Until(ProgressColumn):
    """The column with the seconds until the estimated end.

    Attributes:
        end_s: the estimated end on the monotonic clock, in seconds; ``None`` while it is unknown.
    """

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.end_s: float | None = None

    def render(self, task: Task) -> Text:
        """Return the remaining time in words."""
        if self.end_s is None or task.finished:
            return Text()
        left_s = max(0.0, self.end_s - time.monotonic())
        return Text(f"about {left_s:.0f} s left", style="progress.remaining")
