"""What a program in the lab sees of the machine: its files, none of which it can change.

The view is the machine's own tree, read-only, with these differences:

    /tmp /var/tmp /dev/shm /run /var/spool   empty, and the program's own; they are gone with it
    /proc                                    of the program's own processes, read-only
    /etc/resolv.conf /etc/hosts              name the lab's hosts only
    /sys/kernel                              empty
    sockets of the machine's services        hidden, since they lead out of the lab

The folder that the user is in, and the program's own, are seen also where they lie in one of the
empty ones.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from seglab.confined import syscalls

HOSTNAME: Final = "client.seglab.test"
"""The name of the machine that a program sees; ``.test`` is nobody's (RFC 6761)."""

SERVER_NAME: Final = "mx.seglab.test"
"""The name of the lab's server in /etc/hosts."""

MESSAGE_PATH: Final = "/run/seglab/message.eml"
"""Where the message to send lies."""

TEMPORARY_PATH: Final = "/run/seglab/tmp"
"""The folder for temporary files, in ``TMPDIR``: a user may be in /tmp, and sees that then."""

_EMPTY: Final = {
    "/tmp": "mode=1777,size=64m",  # noqa: S108, it is mounted here
    "/var/tmp": "mode=1777,size=64m",  # noqa: S108
    "/dev/shm": "mode=1777,size=64m",  # noqa: S108
    "/run": "mode=755,size=64m",
    "/var/spool": "mode=755,size=64m",
}
_KEPT_CAPABILITIES: Final = frozenset({0, 1, 3, 4, 5, 6, 7, 10, 18})
"""CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT."""

_LAST_CAPABILITY: Final = 63


def build(
    message: bytes, client: str, server: str, visible: Sequence[str], hidden: Iterable[str]
) -> None:
    """Give this process the view, in a mount namespace that it has for itself already.

    Args:
        message: what lies at ``MESSAGE_PATH``.
        client: the client's address.
        server: the address of the lab's server.
        visible: folders to be seen wherever they lie.
        hidden: paths of sockets that must not be seen.

    Raises:
        OSError: the kernel refuses a step.
    """
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.make_read_only("/", quiet=False)
    covered = [(path, os.open(path, os.O_PATH)) for path in visible if _is_covered(path)]
    quiet = syscalls.MS_NOSUID | syscalls.MS_NODEV
    for place, options in _EMPTY.items():
        if Path(place).is_dir() and not Path(place).is_symlink():
            syscalls.mount("none", place, "tmpfs", quiet, options)
    syscalls.mount("proc", "/proc", "proc", quiet)
    for path, folder in covered:
        Path(path).mkdir(parents=True, exist_ok=True)
        syscalls.mount(f"/proc/self/fd/{folder}", path, None, syscalls.MS_BIND | syscalls.MS_REC)
        syscalls.make_read_only(path, quiet=False)
        os.close(folder)
    syscalls.make_read_only("/proc", quiet=False)
    with suppress(OSError):  # where there is no tracing there is nothing to hide
        syscalls.mount("none", "/sys/kernel", "tmpfs", quiet, "mode=755,size=4k")
        syscalls.make_read_only("/sys/kernel")
    for path in hidden:
        with suppress(OSError):  # it lies in an empty folder, or is gone
            syscalls.mount("/dev/null", path, None, syscalls.MS_BIND)
    _write_own_files(message, client, server)


def _write_own_files(message: bytes, client: str, server: str) -> None:
    folder = Path(MESSAGE_PATH).parent
    folder.mkdir(parents=True, exist_ok=True)
    Path(MESSAGE_PATH).write_bytes(message)
    Path(TEMPORARY_PATH).mkdir()
    Path(TEMPORARY_PATH).chmod(0o1777)
    hosts = {
        "127.0.0.1": "localhost",
        client: f"{HOSTNAME} {HOSTNAME.partition('.')[0]}",
        server: SERVER_NAME,
    }
    _replace("/etc/hosts", "".join(f"{address} {name}\n" for address, name in hosts.items()))
    _replace("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")


def _replace(path: str, content: str) -> None:
    """Put a file of the lab's own in the place of one of the machine's."""
    own = Path(MESSAGE_PATH).parent / Path(path).name
    own.write_text(content)
    target = os.path.realpath(path)
    if not Path(target).exists():
        with suppress(OSError):  # a link into /run, which is empty now; elsewhere nothing is new
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).touch()
    if Path(target).exists():
        syscalls.mount(str(own), target, None, syscalls.MS_BIND)


def give_up_rights() -> None:
    """Give up the rights to change the lab or the machine, also for all programs started later.

    What is left is what root needs to run a mail program: to use files and ports of others, and to
    become another user. It can neither mount, nor trace, nor change an interface or a route.
    """
    with suppress(OSError):  # the first one that the kernel does not know ends the loop
        for capability in range(_LAST_CAPABILITY + 1):
            if capability not in _KEPT_CAPABILITIES:
                syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)


def services() -> list[str]:
    """Return the paths of the sockets on which services of this machine listen."""
    found = set()
    with suppress(OSError):
        for line in Path("/proc/net/unix").read_text("utf-8", "replace").splitlines()[1:]:
            path = line.split(maxsplit=7)[7:]
            if path and path[0].startswith("/"):
                found.add(path[0])
    return sorted(found)


def _is_covered(path: str) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in _EMPTY)
