"""The processes of a lab beside its first, which forks them.

A fresh interpreter for each would import the same modules again, one after the other's host. A
forked part imports what it needs while Mininet still makes the hosts, waits at a gate until its
own host is set up, and then joins that host's namespaces.
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
    """A kind of process: the node that it runs in, and its module.

    The module has ``serve``, which takes the part's end of its channel as a file descriptor, and
    returns the exit status.
    """

    node: str
    module: str


PARTS = {
    "wire": LabPart("wire", "seglab.kernel.wire"),
    "server": LabPart("server", "seglab.kernel.server"),
    "client": LabPart("client", "seglab.kernel.client"),
}


class PartProcess:
    """A part, forked from this process, which must have one thread only until then.

    Args:
        name: of the part.
        fd: its end of its channel; from here on it is the part's alone.
    """

    def __init__(self, name: str, fd: int) -> None:
        gate, self._gate = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _live(PARTS[name], fd, gate)
        os.close(gate)
        os.close(fd)

    def enter(self, node_pid: int) -> None:
        """Let it go on, in the network and mount namespaces of the process ``node_pid``."""
        os.write(self._gate, node_pid.to_bytes(4, "little"))
        os.close(self._gate)

    def kill(self) -> None:
        """End it as a crash would."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """How it ended: its exit status, or less than zero the signal that killed it."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def _live(part: LabPart, fd: int, gate: int) -> NoReturn:
    """The part's whole life."""
    status = 1
    try:
        os.setsid()
        _keep_only(fd, gate)
        module = importlib.import_module(part.module)
        if told := os.read(gate, 4):
            os.close(gate)
            _join_namespaces(int.from_bytes(told, "little"))
            status = module.serve(fd)
    except BaseException:  # nothing may return into the life of the process that forked it
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def _keep_only(*descriptors: int) -> None:
    """Close all but standard error and these; the parent's end of file must be felt by all."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    low = 3
    for fd in sorted(descriptors):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, _MAX_FD)


def _join_namespaces(pid: int) -> None:
    """Become one of the processes of a host, as ``mnexec -a`` does."""
    folder = os.getcwd()  # noqa: PTH109, for a system call
    namespaces = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt")]
    for namespace in namespaces:
        _setns(namespace)
        os.close(namespace)
    os.chdir(folder)  # to join a mount namespace leads to its root


def _setns(fd: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(fd)
        return
    import ctypes  # noqa: PLC0415, newer Pythons do without

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
