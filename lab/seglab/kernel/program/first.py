"""Process 1 of a program's namespaces: it starts what is to run, and says what becomes of it.

Theory of operation
-------------------
``first`` writes the recorder's announcement, so that all that it starts is recorded, and waits at
the gate. Then it starts the program, and does what the client orders, a byte each:

    check whether it is ready   run the command that says so, again and again, until it succeeds
    send                        run the command that hands the message over
    check whether it is done    as the first
    stop                        say which processes are ``left``, and end

Over a pipe it reports, as JSON lines: ``waiting`` when it stands at the gate; ``started`` when the
program runs; ``ended`` with its exit code; ``sent`` with that of the command that hands over;
``held`` when a check has succeeded; ``alone`` when nothing that it started is left; ``full`` when
nothing more can be written; or ``failed`` with the reason.

When ``first`` ends, in whatever way, the kernel kills all that is left in its namespace.
"""

import json
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from seglab.kernel.program import notification, view
from seglab.kernel.program.overlay import full

CHECK_READY: Final = b"r"
SEND: Final = b"s"
CHECK_DONE: Final = b"d"
STOP: Final = b"x"
"""The client's orders."""

_LOOK_S: Final = 0.02
_LOOK_GROWTH: Final = 1.03
_LOOK_MAX_S: Final = (
    0.2  # a program over a slow network takes a minute, and looking takes processor time
)
_CHECK_PAUSE_S: Final = 0.1
_MAX_FD: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Command:
    """What is to run.

    Attributes:
        argv: the program and its arguments.
        environment: its environment.
        folder: where it starts.
        message: the message that it is to send.
        client: the client's address.
        server: the server's address.
        hidden: sockets of the machine that it must not see.
        announcement: what ``first`` writes to the recorder's marker before it waits at the gate.
        layers: folders that it sees above the machine's root.
        files: further files that it finds: the absolute path and the text.
        accounts: further users that it finds.
        send: the shell's command that hands the message over; ``None`` where the program has it.
        ready: the shell's command that succeeds once the program is ready; ``None`` without one.
        done: the shell's command that succeeds once the program is done; ``None`` without one.
        hostname: the name of the machine that it sees.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    message: bytes
    client: str
    server: str
    hidden: Sequence[str]
    announcement: bytes
    layers: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    accounts: Sequence[str] = ()
    send: str | None = None
    ready: str | None = None
    done: str | None = None
    hostname: str = view.HOSTNAME


class First:
    """What process 1 does.

    Args:
        command: what is to run.
        reports: a descriptor for the reports.
        orders: a descriptor with the client's orders.
        output: a descriptor for what the program prints.
        listeners: a socket for the listeners of the calls of what is started, where these are
            watched (``notification``); ``None`` where they are not.
    """

    def __init__(
        self, command: Command, reports: int, orders: int, output: int, listeners: int | None
    ) -> None:
        self._command = command
        self._reports = reports
        self._orders = orders
        self._output = output
        self._listeners = listeners
        self._program = self._sender = self._checker = 0
        self._check: str | None = None
        self._held = ""
        self._check_due_s = 0.0
        self._alone = self._full = False

    def run(self, gate: int, marker: int | None) -> None:
        """Start the program once the gate opens, and follow the orders until ``STOP``."""
        if marker is not None:
            os.write(marker, self._command.announcement)
        report(self._reports, {"waiting": True})
        os.read(gate, 1)
        message = None if self._command.send is not None else view.MESSAGE_PATH
        self._program, failure = self._start(
            self._command.argv, message, self._output, self._listeners
        )
        if failure:
            report(self._reports, {"failed": failure})
            return
        report(self._reports, {"started": True})
        os.set_blocking(self._orders, False)
        pause_s = _LOOK_S
        while self._obey():
            self._check_again()
            if not self._full and full("/"):
                self._full = True
                report(self._reports, {"full": True})
            if not self._reap():
                time.sleep(pause_s)
                pause_s = min(pause_s * _LOOK_GROWTH, _LOOK_MAX_S)
        report(self._reports, {"left": _others()})

    def _obey(self) -> bool:
        """Do what the client orders; return whether to continue."""
        orders = b""
        with suppress(BlockingIOError):
            orders = os.read(self._orders, 64) or STOP
        if CHECK_READY in orders:
            self._check, self._held = self._command.ready, "ready"
        if SEND in orders:
            line = ["/bin/sh", "-c", self._command.send or ""]
            self._alone = False
            self._sender, failure = self._start(
                line, view.MESSAGE_PATH, self._output, self._listeners
            )
            if failure:
                report(self._reports, {"failed": failure})
        if CHECK_DONE in orders:
            self._check, self._held = self._command.done, "done"
        return STOP not in orders

    def _check_again(self) -> None:
        if self._check is not None and not self._checker and time.monotonic() > self._check_due_s:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            self._checker, _ = self._start(["/bin/sh", "-c", self._check], None, nowhere)
            os.close(nowhere)

    def _reap(self) -> bool:
        """See which process has ended; return whether one has."""
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            if not self._alone:
                self._alone = True
                report(self._reports, {"alone": True})
            return False
        code = os.waitstatus_to_exitcode(status) if pid else 0
        if not pid:
            return False
        if pid == self._program:
            report(self._reports, {"ended": code, "t_ns": time.monotonic_ns()})
        elif pid == self._sender:
            report(self._reports, {"sent": code})
        elif pid == self._checker:
            self._checker = 0
            self._check_due_s = time.monotonic() + _CHECK_PAUSE_S
            if code == 0 and self._check is not None:
                self._check = None
                report(self._reports, {"held": self._held})
        return True

    def _start(
        self, argv: Sequence[str], stdin: str | None, output: int, listeners: int | None = None
    ) -> tuple[int, str]:
        """Start a process; return its number, and why it could not be started.

        A watched one waits until somebody else has its listener: it cannot hand it over itself,
        since the calls for that are watched.
        """
        begun, beginning = os.pipe()
        watch = None if listeners is None else _Handover()
        pid = os.fork()
        if pid == 0:
            _become(argv, self._command, stdin or os.devnull, output, beginning, watch)
        os.close(beginning)
        if watch is not None and listeners is not None:
            watch.hand_over(pid, listeners)
        failure = os.read(begun, 4096).decode("utf-8", "replace")
        os.close(begun)
        return pid, failure


class _Handover:
    """Two pipes, by which a process shows that it is watched, and is told that this is known."""

    def __init__(self) -> None:
        self._watched, self._watching = os.pipe()
        self._known, self._knowing = os.pipe()

    def hand_over(self, pid: int, listeners: int) -> None:
        """Send a process's listener on, once it has one, and let it continue."""
        os.close(self._watching)
        os.close(self._known)
        os.read(self._watched, 1)
        with suppress(OSError):  # it has ended, and said why
            listener = notification.listener_of(pid)
            with socket.socket(fileno=os.dup(listeners)) as sock:
                socket.send_fds(sock, [b"x"], [listener])
            os.close(listener)
        for descriptor in (self._watched, self._knowing):
            os.close(descriptor)

    def begin(self) -> None:
        """Have this process watched from here on, and wait until somebody has the listener."""
        os.close(self._knowing)
        listener = notification.install()
        os.close(self._watching)
        os.read(self._known, 1)
        os.close(listener)


def _become(
    argv: Sequence[str],
    command: Command,
    stdin: str,
    output: int,
    beginning: int,
    watch: _Handover | None,
) -> NoReturn:
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(command.folder)
        os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.set_inheritable(beginning, False)
        if watch is not None:
            watch.begin()
        close_but(2, beginning)
        os.execvpe(argv[0], list(argv), dict(command.environment))  # noqa: S606
    except OSError as error:
        with suppress(OSError):
            words = f"{argv[0]}: cannot be started: {error.strerror}"
            os.write(beginning, words.encode())
    finally:
        os._exit(127)


def _others() -> list[str]:
    """Return the names of the processes that are left in this namespace, beside this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = path.read_text("utf-8", "replace").rpartition(")")
            if path.parent.name != str(os.getpid()) and rest.split()[0] != "Z":
                found.append(name.partition("(")[2])
    return sorted(found)


def report(descriptor: int, message: dict[str, Any]) -> None:
    """Tell the client something."""
    with suppress(OSError):
        os.write(descriptor, json.dumps(message).encode() + b"\n")


def close_but(most: int, *kept: int | None) -> None:
    """Close all descriptors above ``most`` but these."""
    low = most + 1
    for fd in sorted(fd for fd in kept if fd is not None):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, _MAX_FD)
