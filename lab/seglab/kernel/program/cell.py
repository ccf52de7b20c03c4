"""Where a program of the user's runs: namespaces of its own, with a first process of ours.

Theory of operation
-------------------
    client of the lab
      `- keeper    makes the namespaces, waits, and ends with ``first``
           `- first    process 1 of the new namespaces: builds the view, starts the program, waits
                `- the program, and whatever it starts

``seglab.kernel.program.first`` says what ``first`` does and reports. It ends when ``keeper`` does,
and that when the client does.

Deliberately ignored: what the program does with its processor and memory. Its session has a time
limit, and its files lie in memory of a limited size.
"""

import os
import resource
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from seglab.confined import syscalls
from seglab.kernel.program import view
from seglab.kernel.program.first import STOP, Command, First, close_but, report


class Cell:
    """A program in its namespaces, as the client sees it.

    Args:
        command: what is to run.
        marker: a descriptor for the announcement; ``None`` where nobody listens.
        watched: whether the calls of what runs are watched (``notification``).

    Attributes:
        reports: a descriptor with the reports of ``first``.
        output: a descriptor with what the program prints.
        listeners: a socket with the listeners of the calls, where they are watched.
    """

    def __init__(self, command: Command, marker: int | None, *, watched: bool = False) -> None:
        self.reports, reports = os.pipe()
        self.output, output = os.pipe()
        gate, self._gate = os.pipe()
        orders, self._orders = os.pipe()
        self.listeners: socket.socket | None = None
        listeners: socket.socket | None = None
        if watched:
            self.listeners, listeners = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            keep = {"reports": reports, "output": output, "gate": gate, "orders": orders}
            if listeners is not None:
                keep["listeners"] = listeners.fileno()
            _keep(command, keep, marker)
        for fd in (reports, output, gate, orders):
            os.close(fd)
        if listeners is not None and self.listeners is not None:
            listeners.close()
            self.listeners.setblocking(False)
        for fd in (self.reports, self.output):
            os.set_blocking(fd, False)

    def open_gate(self) -> None:
        """Let the program begin."""
        os.write(self._gate, b"x")

    def order(self, what: bytes) -> None:
        """Order ``first`` to do something."""
        with suppress(OSError):
            os.write(self._orders, what)

    def stop(self) -> None:
        """Order ``first`` to end everything."""
        self.order(STOP)

    def kill(self) -> None:
        """End everything in it, and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        for fd in (self.reports, self.output, self._gate, self._orders):
            os.close(fd)
        if self.listeners is not None:
            self.listeners.close()


def _keep(command: Command, fds: dict[str, int], marker: int | None) -> NoReturn:
    """Do all that ``keeper`` does."""
    status = 1
    try:
        os.setsid()
        _die_with_parent()
        close_but(2, marker, *fds.values())
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
        report(fds["reports"], {"failed": f"it cannot be shut in: {error}"})
    finally:
        os._exit(status)


def _be_first(command: Command, fds: dict[str, int], marker: int | None) -> NoReturn:
    """Do all that process 1 of the namespaces does."""
    try:
        _die_with_parent()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        socket.sethostname(command.hostname)
        view.build(
            command.message,
            command.client,
            command.server,
            [command.folder, *_program_folder(command)],
            command.hidden,
            command.layers,
            command.files,
            command.accounts,
            command.hostname,
        )
        view.give_up_rights()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        first = First(command, fds["reports"], fds["orders"], fds["output"], fds.get("listeners"))
        first.run(fds["gate"], marker)
    except OSError as error:
        report(fds["reports"], {"failed": f"it cannot be shut in: {error}"})
    except BaseException as error:  # nothing may return into the client's code
        report(fds["reports"], {"failed": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


def _program_folder(command: Command) -> list[str]:
    """Return the folders of the files that the command line names by their paths."""
    found = []
    for argument in command.argv:
        path = Path(command.folder, argument)
        if os.sep in argument and path.is_file() and not argument.startswith(view.MESSAGE_PATH):
            found.append(str(path.parent.resolve()))
    return list(dict.fromkeys(found))


def _die_with_parent() -> None:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
