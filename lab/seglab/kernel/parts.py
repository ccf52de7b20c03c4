"""The parts of a lab: the wire, the server and the client, forked from the lab's first process.

A new interpreter for each part would import the same modules again. A forked part shares what is
imported already, and imports the rest while Mininet still makes the hosts. Then it waits at a
gate, a pipe, until its own host is set up, and joins that host's namespaces.
"""

import importlib
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import NamedTuple, NoReturn

_MAX_FD = 1 << 16


class LabPart(NamedTuple):
    """A kind of process: the node that it runs on, and its module.

    The module has a function ``serve``. It takes the descriptor of the part's end of its channel,
    and returns the exit status.
    """

    node: str
    module: str


PARTS = {
    "wire": LabPart("wire", "seglab.kernel.wire"),
    "server": LabPart("server", "seglab.kernel.server"),
    "client": LabPart("client", "seglab.kernel.client"),
}

CLIENTS = {
    "sender": "seglab.kernel.client",
    "program": "seglab.kernel.program.client",
}
"""The modules that a lab's client may be: it plays senders, or it runs programs."""

SERVERS = {
    "logging": "seglab.kernel.server",
    "program": "seglab.kernel.program.server",
}
"""The modules that a lab's server may be: the lab's own server, or a program that serves."""


class PartProcess:
    """A part, forked from this process, which must have no other threads yet.

    Args:
        name: which part.
        fd: the part's end of its channel; only the part has it from here on.
        client_kind: which client the lab has, by its name in ``CLIENTS``.
        server_kind: which server it has, by its name in ``SERVERS``.
    """

    def __init__(
        self, name: str, fd: int, client_kind: str = "sender", server_kind: str = "logging"
    ) -> None:
        gate, self._gate = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            part = PARTS[name]
            if name == "client":
                part = part._replace(module=CLIENTS[client_kind])
            elif name == "server":
                part = part._replace(module=SERVERS[server_kind])
            _live(part, fd, gate)
        os.close(gate)
        os.close(fd)

    def enter(self, node_pid: int) -> None:
        """Let the part continue in the network and mount namespaces of process ``node_pid``."""
        os.write(self._gate, node_pid.to_bytes(4, "little"))
        os.close(self._gate)

    def kill(self) -> None:
        """End the part as a crash would."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for the part's end; return its exit status, or the signal as a negative number."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def _live(part: LabPart, fd: int, gate: int) -> NoReturn:
    """Do all that the part does, from its fork to its end."""
    status = 1
    try:
        os.setsid()
        _keep_only(fd, gate)
        module = importlib.import_module(part.module)
        if node_pid := os.read(gate, 4):
            os.close(gate)
            _join_namespaces(int.from_bytes(node_pid, "little"))
            status = module.serve(fd)
    except BaseException:  # nothing may return into the code of the process that forked it
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _keep_only(*descriptors: int) -> None:
    """Close all descriptors but standard error and these, so that end-of-file reaches everyone."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    low = 3
    for fd in sorted(descriptors):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, _MAX_FD)


def _join_namespaces(pid: int) -> None:
    """Enter the namespaces of a host's process, as ``mnexec -a`` does."""
    folder = os.getcwd()  # noqa: PTH109, for a system call
    namespaces = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt")]
    for namespace in namespaces:
        _setns(namespace)
        os.close(namespace)
    os.chdir(folder)  # joining a mount namespace has changed it to the root


def _setns(fd: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(fd)
        return
    import ctypes  # noqa: PLC0415, newer Pythons do not need it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
