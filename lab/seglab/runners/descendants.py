"""Ends all that a classifier's program has started, also what left its process group.

A child that calls ``setsid`` is in no group that could be killed. But it inherits the environment,
so each program gets a variable with a name of its own there, and the processes that have it are
found in ``/proc``. A process that has emptied its environment is not found. On systems without
``/proc`` nothing is.
"""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PASSES_MAX: Final = 20
_PROC: Final = Path("/proc")


class Descendants:
    """The processes of one program.

    Attributes:
        environment: what the program has to be started with.
    """

    def __init__(self) -> None:
        self._name = f"SEGLAB_PROGRAM_{secrets.token_hex(8).upper()}"
        self.environment = {**os.environ, self._name: "1"}

    def kill(self) -> None:
        """End all that are left; those that were started meanwhile too, pass after pass."""
        for _ in range(_PASSES_MAX):
            if not [pid for pid in _all_pids() if self._kill(pid)]:
                return

    def _kill(self, pid: int) -> bool:
        """End a process if it is one of ours; return whether it was.

        The descriptor belongs to one process, even if another one gets the same id meanwhile.
        """
        if not self._is_ours(pid):
            return False
        try:
            process = os.pidfd_open(pid)
        except OSError:
            return False
        try:
            if not self._is_ours(pid):
                return False
            with suppress(OSError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        finally:
            os.close(process)
        return True

    def _is_ours(self, pid: int) -> bool:
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:  # it has ended, or is another user's
            return False
        return f"{self._name}=1".encode() in environment.split(b"\0")


def _all_pids() -> Iterator[int]:
    if not hasattr(os, "pidfd_open"):
        return
    try:
        names = [entry.name for entry in _PROC.iterdir()]
    except OSError:
        return
    yield from (int(name) for name in names if name.isdecimal())
