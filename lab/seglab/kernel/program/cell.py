"""Where a program of the user's runs: namespaces of its own, with a first process of ours.

Theory of operation
-------------------
    client of the lab
      `- keeper    makes the namespaces, waits, and ends with ``first``
           `- first    process 1 of the new namespaces: builds the view, starts the program, waits
                `- the program, and whatever it starts

``first`` reports over a pipe, as JSON lines: ``ready`` when the program's process waits at its
gate; ``started`` when it runs; ``ended`` with its exit code; ``alone`` when nothing that it started
is left; or ``failed`` with the reason. When the client asks it to stop, it says which processes are
``left`` and ends. When ``first`` ends, in whatever way, the kernel kills all that is left in its
namespace; it ends when ``keeper`` does, and that when the client does.

Deliberately ignored: what the program does with its processor and memory. Its session has a time
limit, and its files lie in memory of a limited size.
"""

import json
import os
import resource
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from seglab.confined import syscalls
from seglab.kernel.program import view

_LOOK_S: Final = 0.02
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
        announcement: what its process writes to ``marker`` before it waits at the gate.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    message: bytes
    client: str
    server: str
    hidden: Sequence[str]
    announcement: bytes


class Cell:
    """A program in its namespaces, as the client sees it.

    Args:
        command: what is to run.
        marker: a descriptor for the announcement; ``None`` where nobody listens.

    Attributes:
        reports: a descriptor with the reports of ``first``.
        output: a descriptor with what the program prints.
    """

    def __init__(self, command: Command, marker: int | None) -> None:
        self.reports, reports = os.pipe()
        self.output, output = os.pipe()
        gate, self._gate = os.pipe()
        stop, self._stop = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            keep = {"reports": reports, "output": output, "gate": gate, "stop": stop}
            _keep(command, keep, marker)
        for fd in (reports, output, gate, stop):
            os.close(fd)
        for fd in (self.reports, self.output):
            os.set_blocking(fd, False)

    def open_gate(self) -> None:
        """Let the program begin."""
        os.write(self._gate, b"x")

    def stop(self) -> None:
        """Ask ``first`` to end everything."""
        with suppress(OSError):
            os.write(self._stop, b"x")

    def kill(self) -> None:
        """End everything in it, and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        for fd in (self.reports, self.output, self._gate, self._stop):
            os.close(fd)


def _keep(command: Command, fds: dict[str, int], marker: int | None) -> NoReturn:
    """Do all that ``keeper`` does."""
    status = 1
    try:
        os.setsid()
        _die_with_parent()
        _close_but(2, marker, *fds.values())
        syscalls.unshare(
            syscalls.CLONE_NEWNS
            | syscalls.CLONE_NEWPID
            | syscalls.CLONE_NEWUTS
            | syscalls.CLONE_NEWIPC
        )
        first = os.fork()
        if first == 0:
            _be_first(command, fds, marker)
        os.close(fds["reports"])
        os.close(fds["output"])
        os.waitpid(first, 0)
        status = 0
    except OSError as error:
        _report(fds["reports"], {"failed": f"it cannot be shut in: {error}"})
    finally:
        os._exit(status)


def _be_first(command: Command, fds: dict[str, int], marker: int | None) -> NoReturn:
    """Do all that process 1 of the namespaces does."""
    try:
        _die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        socket.sethostname(view.HOSTNAME)
        view.build(
            command.message,
            command.client,
            command.server,
            [command.folder, *_program_folder(command)],
            command.hidden,
        )
        view.give_up_rights()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _run(command, fds, marker)
    except OSError as error:
        _report(fds["reports"], {"failed": f"it cannot be shut in: {error}"})
    except BaseException as error:  # nothing may return into the client's code
        _report(fds["reports"], {"failed": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


def _run(command: Command, fds: dict[str, int], marker: int | None) -> None:
    begun, beginning = os.pipe()
    program = os.fork()
    if program == 0:
        _become(command, fds, marker, beginning)
    os.close(beginning)
    os.close(fds["output"])
    if os.read(begun, 1):  # it stands at the gate
        _report(fds["reports"], {"ready": True})
    if failure := os.read(begun, 4096):
        _report(fds["reports"], {"failed": failure.decode("utf-8", "replace")})
        return
    _report(fds["reports"], {"started": True})
    os.set_blocking(fds["stop"], False)
    told = False
    while not _asked(fds["stop"]):
        with suppress(ChildProcessError):
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == program:
                code = os.waitstatus_to_exitcode(status)
                _report(fds["reports"], {"ended": code, "t_ns": time.monotonic_ns()})
            if pid:
                continue
            time.sleep(_LOOK_S)
            continue
        if not told:
            _report(fds["reports"], {"alone": True})
            told = True
        time.sleep(_LOOK_S)
    _report(fds["reports"], {"left": _others()})


def _become(command: Command, fds: dict[str, int], marker: int | None, begun: int) -> NoReturn:
    """Become the program, once the gate opens."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.chdir(command.folder)
        message = os.open(view.MESSAGE_PATH, os.O_RDONLY)
        os.dup2(message, 0)
        os.dup2(fds["output"], 1)
        os.dup2(fds["output"], 2)
        if marker is not None:
            os.write(marker, command.announcement)
        os.write(begun, b"x")
        os.read(fds["gate"], 1)
        os.set_inheritable(begun, False)
        _close_but(2, begun)
        os.execvpe(command.argv[0], list(command.argv), dict(command.environment))  # noqa: S606
    except OSError as error:
        with suppress(OSError):
            words = f"{command.argv[0]}: cannot be started: {error.strerror}"
            os.write(begun, words.encode())
    finally:
        os._exit(127)


def _program_folder(command: Command) -> list[str]:
    """Return the folders of the files that the command line names by their paths."""
    found = []
    for argument in command.argv:
        path = Path(command.folder, argument)
        if os.sep in argument and path.is_file() and not argument.startswith(view.MESSAGE_PATH):
            found.append(str(path.parent.resolve()))
    return list(dict.fromkeys(found))


def _asked(stop: int) -> bool:
    try:
        os.read(stop, 1)
    except BlockingIOError:
        return False
    return True


def _others() -> list[str]:
    """Return the names of the processes that are left in this namespace, beside this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = path.read_text("utf-8", "replace").rpartition(")")
            if path.parent.name != str(os.getpid()) and rest.split()[0] != "Z":
                found.append(name.partition("(")[2])
    return sorted(found)


def _report(fd: int, message: dict[str, Any]) -> None:
    with suppress(OSError):
        os.write(fd, json.dumps(message).encode() + b"\n")


def _die_with_parent() -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def _close_but(most: int, *kept: int | None) -> None:
    """Close all descriptors above ``most`` but these."""
    low = most + 1
    for fd in sorted(fd for fd in kept if fd is not None):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, _MAX_FD)
