"""System calls for which Python 3.11 has no function, by way of the C library."""

import ctypes
import os
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWPID: Final = 0x20000000
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 1 << 18
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MNT_DETACH: Final = 2
PR_SET_PDEATHSIG: Final = 1
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
SECCOMP_MODE_FILTER: Final = 2

_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_READ_ONLY = 0x1
_READ_ONLY_NOSUID_NODEV = 0x1 | 0x2 | 0x4
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    """``struct mount_attr`` of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class BpfProgram(ctypes.Structure):
    """``struct sock_fprog`` of seccomp(2)."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def prctl(option: int, *arguments: int | ctypes.Structure) -> None:
    """Set something of this process.

    See prctl(2).

    Raises:
        OSError: the kernel refuses.
    """
    padded = [*arguments, 0, 0, 0, 0][:4]
    given = [ctypes.c_ulong(a) if isinstance(a, int) else ctypes.byref(a) for a in padded]
    _check(_libc.prctl(option, *given), "prctl")


def unshare(flags: int) -> None:
    """Leave namespaces.

    See unshare(2).

    Raises:
        OSError: the kernel refuses.
    """
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount something.

    See mount(2).

    Raises:
        OSError: the kernel refuses.
    """
    filesystem = None if kind is None else kind.encode()
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        filesystem,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"mount {target}")


def make_read_only(target: str, *, quiet: bool = True) -> None:
    """Make a mount and all below it read-only.

    Args:
        target: where it is mounted.
        quiet: whether devices and set-user-ID programs have no effect there, either.

    Raises:
        OSError: the kernel refuses; it knows the call since Linux 5.12.
    """
    attributes = MountAttributes(attr_set=_READ_ONLY_NOSUID_NODEV if quiet else _READ_ONLY)
    result = _libc.syscall(
        _MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(result, "mount_setattr")


def pivot_root(target: str) -> None:
    """Make a mount the root of this mount namespace, and take the old root out of it.

    Raises:
        OSError: the kernel refuses.
    """
    os.chdir(target)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", MNT_DETACH), "umount")
    os.chdir("/")


def clear_capabilities() -> None:
    """Give up all effective, permitted and inheritable capabilities.

    Raises:
        OSError: the kernel refuses.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(none)), "capset")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
