"""Asks a user's Python classifier, which runs in a process of its own.

The classifier may print, hang, exit or crash there, and the answers before that are kept.
``seglab.runners.worker_main`` runs in the process, and answers as any program does (see
``seglab.runners.program``), after a first line with the classifier's name. What the classifier
prints is copied to this process's standard error.
"""

import os
import selectors
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from seglab.core.observation import Observation
from seglab.core.text import count, safe
from seglab.errors import InputError
from seglab.runners.program import ProgramRunner

LOADING_S: Final = 120.0
"""How many seconds importing a classifier's modules may take."""

_BEGIN: Final = (
    "import sys; sys.path[:] = sys.argv[2:];"
    " from seglab.runners.worker_main import main_of_worker; main_of_worker()"
)
_SIZES_SHOWN: Final = 5
_CHUNK: Final = 1 << 16


class WorkerRunner(ProgramRunner):
    """A Python classifier in a process of its own, which ``close`` ends.

    Attributes:
        name: the classifier's name.
        summary: what it is, in one line for people.
    """

    def __init__(
        self, reference: str, time_limit_s: float = 10.0, stderr: Path | None = None
    ) -> None:
        """Start the process and load the classifier.

        Args:
            reference: ``package.module:name``, or a built-in's name.
            time_limit_s: for one answer; for loading, the limit is ``LOADING_S``.
            stderr: a file that gets what the classifier prints, instead of our standard error.

        Raises:
            InputError: there is no such classifier, or it cannot be loaded.
        """
        self._reference = reference
        command = [sys.executable, "-c", _BEGIN, reference, *map(str, sys.path)]
        super().__init__(command, time_limit_s, stderr)
        try:
            greeting = self._greeting()
        except BaseException:
            self._broken = "it was not loaded"
            self.close()
            raise
        self.name, self.summary = str(greeting.get("name")), str(greeting.get("summary"))

    def restarted(self) -> "WorkerRunner":
        """Return the same classifier in a new process, which ends when this one is closed."""
        other = WorkerRunner(self._reference, self._time_limit_s, self._stderr_path)
        self._others.append(other)
        return other

    def _greeting(self) -> dict[str, Any]:
        """Read the first line: the name and summary of the classifier.

        Raises:
            InputError: the classifier cannot be loaded; the line says why.
        """
        why = f"classifier {safe(self._reference)!r} cannot be loaded"
        until = time.monotonic() + LOADING_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._errors, selectors.EVENT_READ)
            while b"\n" not in self._lines:
                ready = {key.fd for key, _ in selector.select(until - time.monotonic())}
                if not ready and time.monotonic() >= until:
                    raise InputError(f"{why}: not done within {LOADING_S:g} s")
                if self._errors in ready and not self._drain_errors():
                    selector.unregister(self._errors)
                if self._stdout in ready:
                    data = os.read(self._stdout, _CHUNK)
                    if not data:
                        raise InputError(f"{why}: its process {self._how()}{self._last_words()}")
                    self._lines += data
        line, _, rest = bytes(self._lines).partition(b"\n")
        self._lines[:] = rest
        greeting: dict[str, Any] = msgspec.json.decode(line)
        if "error" in greeting:
            raise InputError(str(greeting["error"]))
        return greeting

    def _late(self, observation: Observation) -> str:
        return f"no answer within {self._time_limit_s:g} s to {_which(observation)}"

    def _ended(self, observation: Observation) -> str:
        return f"its process {self._how()} at {_which(observation)}{self._last_words()}"

    def _on_stderr(self, data: bytes) -> None:
        """Copy what the classifier prints to our standard error, unless a file gets it."""
        if self._stderr is None:
            with suppress(OSError, ValueError):  # our standard error is closed
                stream = sys.stderr
                raw = getattr(stream, "buffer", None)
                if raw is None:
                    stream.write(data.decode("utf-8", "replace"))
                else:
                    raw.write(data)
                stream.flush()


def _which(observation: Observation) -> str:
    """Describe an observation by its id and first sizes, so that the user can find it."""
    sizes = observation.sizes
    first = " ".join(map(str, sizes[:_SIZES_SHOWN]))
    more = " ..." if len(sizes) > _SIZES_SHOWN else ""
    shown = safe(observation.id[:80])
    return f"observation {shown} ({count(len(sizes), 'size')}: {first}{more})"
