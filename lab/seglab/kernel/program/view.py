"""What a program in the lab sees of the machine: its files, and it may change what it sees.

The view is the machine's own tree below an overlay (``seglab.kernel.program.overlay``), so nothing
that the program writes is on the machine. There are these differences:

    /tmp /var/tmp /dev/shm /run    empty
    /var/spool                     the machine's folders, and no file of its queues
    /dev                           the devices that any program may use, and no disk
    /proc                          of the program's own processes, read-only
    /sys                           read-only; /sys/kernel is empty
    /etc/hosts /etc/resolv.conf    name the lab's hosts only
    sockets of the machine's services    hidden, since they lead out of the lab

The folder that the user is in, and the program's own, are seen also where they lie in one of the
empty ones. Layers, folders with software for example, lie above the machine's tree and below what
the program writes; a queue in a layer is seen.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from seglab.confined import syscalls
from seglab.kernel.program.overlay import Overlay, folders_in, is_below, make_folder

HOSTNAME: Final = "client.seglab.test"
"""The name of the machine that a program sees; ``.test`` is nobody's (RFC 6761)."""

SERVER_NAME: Final = "mx.seglab.test"
"""The name of the lab's server in /etc/hosts."""

MESSAGE_PATH: Final = "/run/seglab/message.eml"
"""Where the message to send lies."""

TEMPORARY_PATH: Final = "/run/seglab/tmp"
"""The folder for temporary files, in ``TMPDIR``: a user may be in /tmp, and sees that then."""

_EMPTY: Final = {"/tmp": 0o1777, "/var/tmp": 0o1777, "/run": 0o755}  # noqa: S108
_SPOOL: Final = "/var/spool"
_SPOOL_FOLDERS_MAX: Final = 5000
_COVERED: Final = (*_EMPTY, _SPOOL)
_OWN: Final = {"/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"}
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS: Final = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_KEPT_CAPABILITIES: Final = frozenset({0, 1, 3, 4, 5, 6, 7, 10, 18})
"""CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT."""

_LAST_CAPABILITY: Final = 63

_FIRST_ACCOUNT: Final = 64001
"""The number of the first user that is added; Debian leaves these to packages."""


def build(
    message: bytes,
    client: str,
    server: str,
    visible: Sequence[str],
    hidden: Iterable[str],
    layers: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    accounts: Sequence[str] = (),
    hostname: str = HOSTNAME,
) -> None:
    """Give this process the view, in a mount namespace that it has for itself already.

    Args:
        message: what lies at ``MESSAGE_PATH``.
        client: the client's address.
        server: the address of the lab's server.
        visible: folders to be seen wherever they lie.
        hidden: paths of sockets that must not be seen.
        layers: folders to be seen above the machine's root, the uppermost first.
        files: further files: the absolute path and the text.
        accounts: users to add where the machine has none of that name.
        hostname: the name of the machine, for /etc/hostname.

    Raises:
        OSError: the kernel refuses a step.
    """
    covered = [path for path in visible if is_below(path, _COVERED)]
    tree = Overlay(layers, [*_OWN, *_COVERED], covered)
    queues = list(folders_in(tree.path(_SPOOL), _SPOOL_FOLDERS_MAX))
    for place, mode in _EMPTY.items():
        tree.empty(place, mode)
    tree.lay_layers(_SPOOL)
    for name, known in queues:
        make_folder(tree.path(f"{_SPOOL}/{name}"), known)
    quiet = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("proc", str(tree.path("/proc")), "proc", quiet)
    syscalls.make_read_only(str(tree.path("/proc")), quiet=False)
    tree.bind("/sys", "/sys")
    with suppress(OSError):  # where there is no tracing there is nothing to hide
        syscalls.mount("none", str(tree.path("/sys/kernel")), "tmpfs", quiet, "mode=755,size=4k")
        syscalls.make_read_only(str(tree.path("/sys/kernel")))
    _make_devices(tree)
    for path in covered:
        tree.lay_visible(path)
    for path in hidden:
        with suppress(OSError):  # it lies in an empty folder, or is gone
            syscalls.mount("/dev/null", str(tree.path(path)), None, syscalls.MS_BIND)
    _write_own_files(tree, message, client, server, hostname)
    for place, text in (files or {}).items():
        tree.write(place, text.encode())
        tree.path(place).chmod(0o755 if text.startswith("#!") else 0o644)
    _add_accounts(tree, accounts)
    tree.enter()


def _add_accounts(tree: Overlay, names: Sequence[str]) -> None:
    for number, name in enumerate(names, _FIRST_ACCOUNT):
        for place, line in (
            ("/etc/passwd", f"{name}:x:{number}:{number}::/nonexistent:/bin/false"),
            ("/etc/group", f"{name}:x:{number}:"),
        ):
            path = tree.path(place)
            text = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
            if not re.search(rf"^{re.escape(name)}:", text, re.MULTILINE):
                text = f"{text.rstrip()}\n{line}\n"
                tree.write(place, text.encode("utf-8", "surrogateescape"))


def _make_devices(tree: Overlay) -> None:
    tree.empty("/dev", 0o755)
    for name in _DEVICES:
        tree.path(f"/dev/{name}").touch()
        tree.bind(f"/dev/{name}", f"/dev/{name}")
    for name, target in _LINKS.items():
        tree.path(f"/dev/{name}").symlink_to(target)
    tree.path("/dev/shm").mkdir()  # noqa: S108
    tree.path("/dev/shm").chmod(0o1777)  # noqa: S108
    tree.path("/dev/pts").mkdir()
    syscalls.mount(
        "devpts",
        str(tree.path("/dev/pts")),
        "devpts",
        syscalls.MS_NOSUID,
        "newinstance,ptmxmode=666",
    )


def _write_own_files(
    tree: Overlay, message: bytes, client: str, server: str, hostname: str
) -> None:
    tree.write(MESSAGE_PATH, message)
    for place in (TEMPORARY_PATH, "/run/lock"):
        tree.path(place).mkdir()
        tree.path(place).chmod(0o1777)
    hosts = {
        "127.0.0.1": "localhost",
        client: f"{HOSTNAME} {HOSTNAME.partition('.')[0]}",
        server: SERVER_NAME,
    }
    lines = "".join(f"{address} {name}\n" for address, name in hosts.items())
    tree.write("/etc/hosts", lines.encode())
    tree.write("/etc/hostname", f"{hostname}\n".encode())
    tree.write("/etc/resolv.conf", b"nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")


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
