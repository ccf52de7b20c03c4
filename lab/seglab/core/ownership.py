"""Whose the results are that root writes: ``sudo seglab run`` leaves nothing of root's to a user.

A folder of root's in a user's checkout would make the user's next run fail. So when the process
ends, what it made belongs to the user who called sudo; without sudo, as in a container, to the
owner of the folder in which it was made.
"""

import atexit
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """A user and a group, by their numbers."""

    user: int
    group: int


_kept: dict[Path, Owner] = {}
"""What is to change hands when the process ends, by the outermost path that was made."""


def keep_owner(of: Path) -> None:
    """Note, before a folder or file is made or written, that what root makes there is not its own.

    Args:
        of: a folder with all that will be in it, or a file.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return
    outermost = of = of.absolute()
    for path in (of, *of.parents):
        if path.exists():
            break
        outermost = path
    owner = _caller() or _owner_of(outermost if outermost.exists() else outermost.parent)
    if owner is not None:
        if not _kept:
            atexit.register(hand_over)
        _kept.setdefault(outermost, owner)


def hand_over() -> None:
    """Give what was noted to its owners, as far as it is root's."""
    while _kept:
        folder, owner = _kept.popitem()
        with suppress(OSError):  # it is gone, or its file system has no owners
            _give(folder, owner)


def _give(folder: Path, owner: Owner) -> None:
    """Give a folder and what is in it; no symbolic link is followed, and no other file system."""
    device = folder.lstat().st_dev
    if not folder.is_dir() and folder.lstat().st_uid == 0:
        os.chown(folder, *owner, follow_symlinks=False)
    for _, folders, files, at in os.fwalk(folder, follow_symlinks=False):
        for name in (".", *folders, *files):
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
            linked = found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode)
            if found.st_uid == 0 and found.st_dev == device and not linked:
                os.chown(name, *owner, dir_fd=at, follow_symlinks=False)


def _caller() -> Owner | None:
    """Return who called sudo; ``None`` where nobody did, or root."""
    try:
        owner = Owner(int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
    except (KeyError, ValueError):
        return None
    return owner if owner.user else None


def _owner_of(folder: Path) -> Owner | None:
    """Return whose a folder is; ``None`` where it is root's."""
    found = folder.stat()
    return Owner(found.st_uid, found.st_gid) if found.st_uid else None
