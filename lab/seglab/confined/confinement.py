"""How a process shuts itself in before it runs code that nobody has vouched for.

Theory of operation
-------------------
The process must have been started as root of its user namespace: by root, or by ``unshare
--map-root-user``. Then it does these steps, in this order, and none of them can be undone:

    1. a new root: an empty file system in memory, with Python and packages bound into it, all
       read-only. Nothing of the host is left: no /proc, no /run, no socket, nobody's files.
    2. an unprivileged user, where the user namespace has one (where root started seglab)
    3. no capabilities, not even to be regained: bounding and ambient set are empty
    4. limits: no new process, no file that grows, no core, and for a sender's worker few
       descriptors and little memory
    5. no new privileges, and a filter of system calls (``seccomp``)

Where there are no namespaces, ``confine`` leaves out the first two, and where the system is not
Linux all of them. No lab can run there either, so this is for commands that only look at a sender.

Deliberately ignored: how much of the processor the code takes (whoever waits for it has a limit),
and which files of packages there are to read.
"""

import os
import platform
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seglab.confined import view

if TYPE_CHECKING:
    from seglab.confined.seccomp import Sockets

NOBODY: Final = 65534
"""The user and the group without any rights, on every Linux."""

ROOT_AT: Final = "/proc"
"""Where the new root is built: a folder that every machine has, and in which no package lies."""

_MEMORY_MAX_BYTES = 2 << 30
_FILES_MAX = 64
_LAST_CAPABILITY = 63


@dataclass(frozen=True, slots=True)
class Confinement:
    """What is left to a process.

    Attributes:
        folders: what it sees of the file system, read-only; ``None`` leaves it the whole of it,
            where there are no namespaces.
        sockets: which sockets it may make.
        bounded: whether its memory and its descriptors are bounded.
    """

    folders: Sequence[str] | None
    sockets: "Sockets"
    bounded: bool


def confine(to: Confinement) -> None:
    """Shut this process in; see the head of this module.

    Raises:
        OSError: the kernel refuses a step.
    """
    _limit(to)
    if sys.platform != "linux":
        return
    from seglab.confined import seccomp, syscalls  # noqa: PLC0415, elsewhere there is no such C

    if to.folders is not None:
        paths = view.outermost(to.folders)
        user = _unprivileged(paths)
        _see_only(paths)
        if user is not None:
            _drop_capability_bounds()
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
    _drop_capability_bounds()
    syscalls.clear_capabilities()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    machine = platform.machine()
    if machine in seccomp.ARCHITECTURES:
        filter_ = seccomp.bpf(machine, to.sockets)
        program = syscalls.BpfProgram(len(filter_) // 8, filter_)
        syscalls.prctl(syscalls.PR_SET_SECCOMP, syscalls.SECCOMP_MODE_FILTER, program)


def _unprivileged(paths: Sequence[str]) -> int | None:
    """Return the user to become; ``None`` where this user namespace has only one.

    It is nobody, if everyone may read the view. Otherwise it is the owner of what only the owner
    may read, such as a checkout in somebody's home; root stays root without capabilities then.
    """
    maps = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    if not any(int(start) <= NOBODY < int(start) + int(size) for start, _, size in maps):
        return None
    owner = view.owner(paths)
    return NOBODY if owner is None else owner


def _see_only(paths: Sequence[str]) -> None:
    """Make a new root in which there is nothing but these paths, read-only."""
    from seglab.confined import syscalls  # noqa: PLC0415, elsewhere there is no such C

    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    quiet = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("none", ROOT_AT, "tmpfs", quiet, "mode=755,size=1m")
    for path in paths:
        target = Path(f"{ROOT_AT}{path}")
        if Path(path).is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        syscalls.mount(path, str(target), None, syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.make_read_only(ROOT_AT)
    syscalls.pivot_root(ROOT_AT)


def _drop_capability_bounds() -> None:
    """Empty the bounding set and the ambient set, which only CAP_SETPCAP may do."""
    from seglab.confined import syscalls  # noqa: PLC0415, elsewhere there is no such C

    with suppress(OSError):
        syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    with suppress(OSError):  # the first one that the kernel does not know ends the loop
        for capability in range(_LAST_CAPABILITY + 1):
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)


def _limit(to: Confinement) -> None:
    """Set the limits of a process that starts no other one and writes no file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if to.bounded:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES_MAX, _FILES_MAX))
        if sys.platform == "linux":  # macOS takes no limit of the address space
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX_BYTES, _MEMORY_MAX_BYTES))
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
