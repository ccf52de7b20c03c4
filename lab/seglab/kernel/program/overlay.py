"""A tree of files that a program may change as it likes, while the machine's own stays as it is.

Theory of operation
-------------------
All that the program writes lies in one tmpfs, the store, whose size is limited. Overlays
(``Documentation/filesystems/overlayfs.rst``) put folders of the store above folders of the machine:

    lower   the machine's folder, and above it the layers: folders with software, for example
    upper   what the program writes, removes and changes; a folder of the store
    root    what the program sees

Each file system of the machine needs an overlay of its own, since an overlay shows what lies on one
file system and no mount below it. One that is mounted read-only, or that cannot be the lower part
of an overlay, is seen read-only.

In a user namespace the kernel refuses an overlay of a folder that has mounts below it, such as the
root. Then the root is put together: each folder in it gets an overlay of its own; those that have
mounts below them are put together again; and what cannot be the lower part of an overlay is seen
read-only. Files of users that this namespace does not know stay as they are.

Sockets and named pipes of the machine are no way out: the kernel makes new ones in an overlay.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from seglab.confined import syscalls

STORE_MIB: Final = 256
"""How much a program may write, in all places together."""

STORE_FILES: Final = 100_000
"""How many files and folders it may make or change."""

_STORE: Final = "/tmp"  # noqa: S108, it is mounted here, in a mount namespace of its own
_ROOT: Final = f"{_STORE}/root"
_ALL_USERS: Final = ["0", "0", "4294967295"]
"""The map of user numbers of the machine's own user namespace."""

_QUIET: Final = syscalls.MS_NOSUID | syscalls.MS_NODEV


class Mount(NamedTuple):
    """A mount of the machine: where, of which kind, and whether nothing can be written there."""

    path: str
    kind: str
    read_only: bool


class Overlay:
    """A root that is being put together; ``enter`` makes it this process's own.

    Args:
        layers: folders to be seen above the machine's root, the uppermost first.
        skipped: places whose mounts are not taken over.
        visible: folders that are needed later, by their paths now.

    Raises:
        OSError: the kernel refuses a step.
    """

    def __init__(
        self, layers: Sequence[str], skipped: Sequence[str], visible: Sequence[str]
    ) -> None:
        syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        mounts = machine_mounts(Path("/proc/self/mountinfo").read_text("utf-8", "replace"))
        syscalls.make_read_only("/", quiet=False)
        opened = [os.open(layer, os.O_PATH) for layer in layers]
        self._visible = {path: os.open(path, os.O_PATH) for path in visible}
        size = f"mode=755,size={STORE_MIB}m,nr_inodes={STORE_FILES}"
        syscalls.mount("none", _STORE, "tmpfs", _QUIET, size)
        self._areas = 0
        self._layers = self._merged(opened)
        self._skipped = skipped
        self._mounted = [mount.path for mount in mounts]
        try:
            self.lay(self._lower("/"), "/")
        except OSError:
            self._put_together("/")
            return
        for mount in mounts:
            if not is_below(mount.path, skipped):
                self._take_over(mount)

    def path(self, place: str) -> Path:
        """Return where a place of the new root is now."""
        return Path(f"{_ROOT}{place}")

    def lay(self, lower: Sequence[str], place: str) -> None:
        """Show folders at a place of the new root, the uppermost first, and let them be changed.

        Raises:
            OSError: the kernel refuses; they cannot be the lower part of an overlay.
        """
        area = self._area()
        upper, work = area / "upper", area / "work"
        work.mkdir()
        _like(upper, Path(lower[0]).stat())
        self.path(place).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work}{_marks()}"
        syscalls.mount("overlay", str(self.path(place)), "overlay", syscalls.MS_NODEV, options)

    def lay_visible(self, path: str) -> None:
        """Show one of the folders that were needed later, where it was."""
        folder = _by_descriptor(self._visible[path])
        try:
            self.lay([folder], path)
        except OSError:
            self.path(path).mkdir(parents=True, exist_ok=True)
            self.bind(folder, path)

    def lay_layers(self, place: str) -> None:
        """Show at a place what the layers have there, and nothing of the machine's."""
        if self._layers is not None and Path(f"{self._layers}{place}").is_dir():
            self.lay([f"{self._layers}{place}"], place)
        else:
            self.empty(place, 0o755)

    def empty(self, place: str, mode: int) -> None:
        """Have an empty folder at a place where the machine has a folder."""
        if self.path(place).is_dir() and not self.path(place).is_symlink():
            area = self._area()
            area.chmod(mode)
            self.bind(str(area), place)

    def bind(self, source: str, place: str) -> None:
        """Have something of the machine's at a place as it is.

        Raises:
            OSError: the kernel refuses.
        """
        target = str(self.path(place))
        syscalls.mount(source, target, None, syscalls.MS_BIND | syscalls.MS_REC)

    def write(self, place: str, content: bytes) -> None:
        """Have a file at a place, instead of the machine's if that has one."""
        path = self.path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    def enter(self) -> None:
        """Make the new root the root of this mount namespace."""
        for descriptor in self._visible.values():
            os.close(descriptor)
        syscalls.pivot_root(_ROOT)

    def _merged(self, layers: Sequence[int]) -> str | None:
        """Return the path of the layers as one read-only file system; ``None`` without any.

        The kernel refuses a lower folder that lies in another one, and a layer lies somewhere in
        the machine's root. In a file system of its own it does not. What a layer has removed of the
        machine's is seen again, since the marks for that are gone.
        """
        if not layers:
            return None
        merged, empty = f"{_STORE}/layers", f"{_STORE}/empty"
        for folder in (merged, empty):
            Path(folder).mkdir()
        lower = ":".join([*map(_by_descriptor, layers), empty])
        syscalls.mount(
            "overlay", merged, "overlay", syscalls.MS_NODEV, f"lowerdir={lower}{_marks()}"
        )
        for descriptor in layers:
            os.close(descriptor)
        return merged

    def _lower(self, place: str) -> list[str]:
        """Return the folders that the layers and the machine have at a place."""
        found = [f"{self._layers or ''}{place}", place]
        return [path for path in dict.fromkeys(found) if Path(path).is_dir()]

    def _put_together(self, place: str) -> None:
        """Show all that a folder has, one by one, where it cannot be the lower part as a whole."""
        if place == "/":
            self.path(place).mkdir(exist_ok=True)
            self.bind(str(self._area()), place)
        lower = self._lower(place)
        found = {path.name: path for one in reversed(lower) for path in Path(one).iterdir()}
        for name, source in sorted(found.items()):
            path = f"{place.rstrip('/')}/{name}"
            target = self.path(path)
            with suppress(OSError):  # it is gone, or may not be seen
                if source.is_symlink():
                    target.symlink_to(source.readlink())
                elif source.is_dir():
                    target.mkdir()
                    self._show_folder(path)
                elif not is_below(path, self._skipped):
                    target.touch()
                    self.bind(str(source), path)

    def _show_folder(self, path: str) -> None:
        if is_below(path, self._skipped):
            return
        try:
            self.lay(self._lower(path), path)
        except OSError:
            if any(one.startswith(f"{path}/") for one in self._mounted):
                self._put_together(path)
            else:
                self.bind(path, path)

    def _area(self) -> Path:
        """Return a new folder of the store."""
        self._areas += 1
        area = Path(_STORE, str(self._areas))
        area.mkdir()
        return area

    def _take_over(self, mount: Mount) -> None:
        """Show a mount of the machine in the new root; leave out one that is not reached there."""
        with suppress(OSError), _opened(mount.path) as source:
            target = self.path(mount.path)
            if stat.S_ISDIR(target.stat().st_mode) and not mount.read_only:
                with suppress(OSError):
                    self.lay([source], mount.path)
                    return
            syscalls.mount(source, str(target), None, syscalls.MS_BIND)


def machine_mounts(mountinfo: str) -> list[Mount]:
    """Return the mounts below the root, each after those that it lies in.

    Args:
        mountinfo: ``/proc/self/mountinfo``, see proc(5).
    """
    found: dict[str, Mount] = {}
    for line in mountinfo.splitlines():
        own, _, of_file_system = line.partition(" - ")
        _, _, _, _, path, options, *_ = own.split(" ")
        kind, _, more = of_file_system.split(" ", 2)
        path = path.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
        read_only = "ro" in options.split(",") or "ro" in more.split(",")
        if path != "/" and kind != "autofs":
            found[path] = Mount(path, kind, read_only)
    return [found[path] for path in sorted(found, key=lambda path: path.count("/"))]


def is_below(path: str, places: Sequence[str]) -> bool:
    """Whether a path is one of the places, or lies in one."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def folders_in(path: Path, most: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the folders below a path, as relative paths, with owner and mode; at most so many."""
    found = 0
    for parent, names, _ in os.walk(path):
        for name in sorted(names):
            folder = Path(parent, name)
            with suppress(OSError):
                known = folder.lstat()
                if stat.S_ISDIR(known.st_mode):
                    found += 1
                    if found > most:
                        return
                    yield str(folder.relative_to(path)), known


def make_folder(path: Path, known: os.stat_result) -> None:
    """Make a folder with the owner and the mode of another one, unless there is something."""
    if not path.exists():
        with suppress(OSError):
            _like(path, known)


def full(place: str) -> bool:
    """Whether nothing more can be written in the file system of a place."""
    state = os.statvfs(place)
    return not state.f_bfree or not state.f_ffree


def _like(folder: Path, known: os.stat_result) -> None:
    folder.mkdir(parents=True)
    with suppress(OSError):  # a user namespace does not know every user
        os.chown(folder, known.st_uid, known.st_gid)
    folder.chmod(stat.S_IMODE(known.st_mode))


def _marks() -> str:
    """Return the option by which overlays mark files as a user namespace may."""
    maps = Path("/proc/self/uid_map").read_text("ascii", "replace").split()
    return "" if maps == _ALL_USERS else ",userxattr"


@contextmanager
def _opened(path: str) -> Iterator[str]:
    """Yield a name of a path that has no character with a meaning in an overlay's options."""
    descriptor = os.open(path, os.O_PATH)
    try:
        yield _by_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _by_descriptor(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
