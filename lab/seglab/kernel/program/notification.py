"""A filter by which the kernel notifies a process of the calls of others, without privilege.

seccomp(2) can hold a call of a filtered process until the process that has the filter's *listener*
lets it continue (``SECCOMP_RET_USER_NOTIF``, Linux 5.0). The filter is inherited by all that the
process starts. Here are the filter, how a process puts it on itself, and how another one gets the
listener; ``seglab.kernel.program.watching`` reads the notifications.

A call of another architecture of the same machine (a 32-bit program) passes unseen.
"""

import ctypes
import errno
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from seglab.confined.syscalls import BpfProgram

CALLS: Final = {
    "x86_64": {
        1: "write", 20: "writev", 328: "pwritev2", 44: "sendto", 46: "sendmsg", 307: "sendmmsg",
        40: "sendfile64", 275: "splice", 54: "setsockopt", 55: "getsockopt", 42: "connect",
    },
    "aarch64": {
        64: "write", 66: "writev", 287: "pwritev2", 206: "sendto", 211: "sendmsg", 269: "sendmmsg",
        71: "sendfile64", 76: "splice", 208: "setsockopt", 209: "getsockopt", 203: "connect",
    },
}  # fmt: skip
"""The calls that are notified, by the machine's architecture and their numbers."""

_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_AUDIT_ARCHITECTURE: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_PIDFD_GETFD: Final = 438
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 1 << 3
_WAIT_KILLABLE: Final = 1 << 5
"""Since Linux 5.19: no signal but a fatal one ends the wait, so no call is notified twice."""
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_INSTRUCTION = struct.Struct("=HBBI")
_LISTENER_LINK: Final = "anon_inode:seccomp notify"

_libc = ctypes.CDLL(None, use_errno=True)


def problem() -> str | None:
    """Return why calls cannot be notified here; ``None`` where they can, as far as is known."""
    machine = platform.machine()
    if machine not in CALLS:
        return f"the system calls' numbers on {machine} are not known"
    known = Path("/proc/sys/kernel/seccomp/actions_avail")
    with suppress(OSError):
        if "user_notif" in known.read_text().split():
            return None
    return "the kernel has no user notification of seccomp; it takes Linux 5.0 or later"


def bpf(machine: str) -> bytes:
    """Return the filter: notify of the calls in ``CALLS``, allow all others."""
    numbers = sorted(CALLS[machine])
    last = len(numbers)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 0, last + 1, _AUDIT_ARCHITECTURE[machine]),
        (_LOAD, 0, 0, _NUMBER_AT),
        *((_JUMP_EQUAL, last - at, 0, number) for at, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _NOTIFY),
    ]
    return b"".join(_INSTRUCTION.pack(*one) for one in program)


def install() -> int:
    """Put the filter on this process, and return its listener.

    From here on each of the calls waits for whoever has the listener.

    Raises:
        OSError: the kernel refuses.
    """
    code = bpf(platform.machine())
    held = BpfProgram(len(code) // _INSTRUCTION.size, code)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
        found = _libc.syscall(
            _SECCOMP[platform.machine()], _SET_MODE_FILTER, flags, ctypes.byref(held)
        )
        if found >= 0:
            return int(found)
        if ctypes.get_errno() != errno.EINVAL:
            break
    raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def listener_of(pid: int) -> int:
    """Return a descriptor of this process's own for the listener that another process holds.

    Raises:
        OSError: it holds none, or the kernel refuses.
    """
    process = os.pidfd_open(pid)
    try:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if str(path.readlink()) == _LISTENER_LINK:
                    return descriptor_of(process, int(path.name))
    finally:
        os.close(process)
    raise OSError(errno.ENOENT, "it has no listener")


def descriptor_of(process: int, number: int) -> int:
    """Return a descriptor of this process's own for one of another process, given by its number.

    Args:
        process: a descriptor of the process, of pidfd_open(2).
        number: the descriptor's, there.

    Raises:
        OSError: there is none, or the kernel refuses.
    """
    found = _libc.syscall(_PIDFD_GETFD, process, number, 0)
    if found < 0:
        raise OSError(ctypes.get_errno(), f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    return int(found)
