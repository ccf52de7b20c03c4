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
        total: sessions planned.
        done: of these, how many an earlier run has finished.
        quiet: show nothing.
        verbose: a line for every failed session.
    """

    def __init__(
        self, total: int, done: int = 0, *, quiet: bool = False, verbose: bool = False
    ) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = (
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("[red]{task.fields[failures]}[/]"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
            )
            if self._console.is_terminal and not quiet
            else None
        )
        self._task = (
            self._bar.add_task("sessions", total=total, completed=done, failures="")
            if self._bar
            else None
        )
        self._plain = self._bar is None and not quiet
        self._verbose = verbose
        self._total = total
        self._first = self._done = done
        self._failed = 0
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
        elif self._plain and self._done > self._first:
            self._say()

    def describe(self, text: str) -> None:
        """Name what is going on now."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=text)

    def ended(self, session_id: str, error: str | None) -> None:
        """Count one session; ``error`` says why it failed, ``None`` that it is complete."""
        self._done += 1
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
        ran = self._done - self._first
        left = elapsed / ran * (self._total - self._done) if ran else 0.0
        failed = f", {self._failed} failed" if self._failed else ""
        self._console.print(
            f"{self._done} of {self._total} sessions{failed}, {elapsed:.0f} s,"
            f" about {left:.0f} s left"
        )
