"""Makes a ring buffer of the kernel's tracing for one lab, and removes it when the lab has ended.

    python -m seglab.kernel.program.instance

It prints one line: ``{"instance": NAME}``, or ``{"lacks": "why"}`` and ends. Then it waits for the
end of its standard input, which also comes when its parent is killed, and removes the buffer. It
stands outside the lab: the lab's processes are killed together, and could not clean up.

An instance (``Documentation/trace/ftrace.rst``) has its own buffer, its own events and its own list
of processes; the machine's other tracing is left alone. A process that was killed outright leaves
its instance behind, so each new one first removes those that no process has open: the kernel
refuses to remove the others. One that is just being made is not open yet, so making and removing
take turns.
"""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from seglab.confined import syscalls
from seglab.kernel.program import events

TRACING: Final = Path("/sys/kernel/tracing")
"""Where the lab's processes mount tracefs, each in a mount namespace of its own."""

PREFIX: Final = "seglab-"
_BUFFER_KIB = 4096
_REMOVE_LIMIT_S = 20.0
_REMOVE_LOOK_S = 0.02


class TracingRefusedError(Exception):
    """This machine does not let the lab trace; the message says why."""


def mount_tracing() -> None:
    """Mount tracefs in a mount namespace of this process's own.

    Raises:
        TracingRefusedError: it cannot be mounted.
    """
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("tracefs", str(TRACING), "tracefs", syscalls.MS_NOSUID)
    except OSError as error:
        raise TracingRefusedError(f"tracefs cannot be mounted: {error.strerror}") from error


@contextmanager
def taking_turns() -> Iterator[None]:
    """Hold the folder of instances, so that no other lab's process makes or removes one.

    The lock is on the kernel's own folder: it is one for all mounts of tracefs, also those of other
    containers, and ends with the process that holds it.
    """
    held = os.open(TRACING / "instances", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def make(name: str) -> int:
    """Make an instance that records nothing yet, and return a descriptor that keeps it in use.

    Raises:
        TracingRefusedError: the kernel has not what is needed.
    """
    folder = TRACING / "instances" / name
    if missing := [e for e in events.REQUIRED if not (TRACING / "events" / e).is_dir()]:
        raise TracingRefusedError(
            f"this kernel has no trace event {', '.join(missing)}; it takes Linux 6.3 or later, "
            "with CONFIG_FTRACE_SYSCALLS"
        )
    try:
        folder.mkdir()
        kept = os.open(folder / "trace_marker", os.O_WRONLY)
        (folder / "tracing_on").write_text("0")
        (folder / "trace_clock").write_text("mono")
        (folder / "options/overwrite").write_text("0")
        (folder / "options/event-fork").write_text("1")
        (folder / "buffer_size_kb").write_text(str(_BUFFER_KIB))
    except OSError as error:
        raise TracingRefusedError(f"no trace instance can be made: {error}") from error
    return kept


def remove_left_behind() -> None:
    """Remove the instances of processes that were killed; those in use stay."""
    for folder in (TRACING / "instances").glob(f"{PREFIX}*"):
        with suppress(OSError):
            folder.rmdir()


def remove(name: str) -> bool:
    """Remove an instance once nobody has it open; return whether that came in time."""
    folder = TRACING / "instances" / name
    with suppress(OSError):
        (folder / "tracing_on").write_text("0")
        (folder / "events/enable").write_text("0")
    end = time.monotonic() + _REMOVE_LIMIT_S
    while folder.exists():
        with suppress(OSError):
            folder.rmdir()
            return True
        if time.monotonic() > end:
            return False
        time.sleep(_REMOVE_LOOK_S)
    return True


def main() -> int:
    """Make an instance, wait for the end of standard input, and remove it; return the status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    name = f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    try:
        mount_tracing()
        with taking_turns():
            remove_left_behind()
            kept = make(name)
    except TracingRefusedError as error:
        print(json.dumps({"lacks": str(error)}), flush=True)
        return 0
    try:
        print(json.dumps({"instance": name}), flush=True)
        while os.read(sys.stdin.fileno(), 1):
            pass
    except OSError:  # the parent is gone
        pass
    finally:
        os.close(kept)
        removed = remove(name)
    return 0 if removed else 1


if __name__ == "__main__":
    sys.exit(main())
