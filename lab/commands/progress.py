"""Progress of a run: a bar with an estimate on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_EVERY_S = 5.0


class RunProgress:
    """Counts sessions as they end; shows them on standard error.

    Args:
        quiet: show nothing.
        verbose: a line for every failed session.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = (
            Progress(
                TextColumn("sessions"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("[red]{task.fields[failures]}[/]"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(elapsed_when_finished=False),
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
                self._console.print(f"failed: {session_id}: {error}", markup=False)
        if self._bar and self._task is not None:
            failures = f"{self._failed} failed" if self._failed else ""
            self._bar.update(self._task, completed=self._done, failures=failures)
        elif self._plain and time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        elapsed = self._said - self._began
        left = elapsed / self._ran * (self._total - self._done)
        failed = f", {self._failed} failed" if self._failed else ""
        self._console.print(
            f"{self._done} of {self._total} sessions{failed}, {elapsed:.0f} s,"
            f" about {left:.0f} s left"
        )
