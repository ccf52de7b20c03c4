"""The folder with what is installed of the named programs.

    XDG_CACHE_HOME/seglab/software/
      installed/NAME/          one program
        program.json           what it consists of
        tree/                  its files, as they are to lie below /
      locks/NAME.json          the packages that were chosen first, with their digests; it stays
                               when the program is removed: a new installation is the same
      locks/NAME.npm.json      npm's own lock, for programs from there
      refused/NAME.json        why the last attempt to install it failed
      apt/                     the lists of packages, and nothing of the machine's own
      new/                     what is being installed, and what an interruption left

One process at a time writes here. A program appears when it is complete, by a rename.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from seglab.core import decoding
from seglab.core.files import lock_folder, make_folder, replace_file, writing
from seglab.errors import InputError

NPM_LOCK: Final = "npm-lock.json"
"""In a workshop: npm's own lock, to be kept."""

_T = TypeVar("_T")

_REMEDY: Final = "free some space, or set XDG_CACHE_HOME to a folder on another disk"


@dataclass(frozen=True, slots=True)
class Package:
    """One package of an installation.

    Attributes:
        registry: ``debian``, ``pypi`` or ``npm``; ``debian-build`` if it was only needed to build.
        name: the package's.
        version: exactly as the registry has it.
        digest: of the archive: ``sha256:`` and hexadecimal, or ``sha512-`` and base64.
        size_bytes: of the archive; 0 where the registry's client does not tell.
    """

    registry: str
    name: str
    version: str
    digest: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Installation:
    """A program that is installed.

    Attributes:
        name: the program's.
        version: of its main package; empty where it has no package.
        packages: all that was installed for it.
        size_bytes: of its files.
        borrowed: by program: what it runs on and the machine has, with its path.
    """

    name: str
    version: str
    packages: tuple[Package, ...]
    size_bytes: int
    borrowed: Mapping[str, str]


class Store:
    """The folder with what is installed.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def usual(cls) -> "Store":
        """Return the store of this user: below ``XDG_CACHE_HOME``, or ``~/.cache``."""
        given = os.environ.get("XDG_CACHE_HOME", "")
        cache = Path(given) if given.startswith("/") else Path.home() / ".cache"
        return cls(cache / "seglab" / "software")

    def installation(self, name: str) -> Installation | None:
        """Return what is installed of a program; ``None`` where nothing is.

        Raises:
            InputError: its description is damaged, or its files are gone.
        """
        path = self.path / "installed" / name / "program.json"
        try:
            found = _decoded(path, Installation, "the description of a program")
            if found is not None and not self.tree(name).is_dir():
                raise InputError(f"{self.tree(name)}: the program's files are not there")
        except InputError as error:
            raise InputError(
                f"{error}; seglab software remove {name}, and install it again"
            ) from error
        return found

    def tree(self, name: str) -> Path:
        """Return the folder with a program's files."""
        return self.path / "installed" / name / "tree"

    def refusal(self, name: str) -> str | None:
        """Return why the last attempt to install a program failed; ``None`` if it did not."""
        path = self.path / "refused" / f"{name}.json"
        try:
            found = _decoded(path, dict[str, str], "a reason")
        except InputError:
            return "the reason cannot be read any more"
        return None if found is None else found.get("reason")

    def locked(self, name: str) -> tuple[Package, ...]:
        """Return the packages that a program must have; empty where any will do.

        Raises:
            InputError: the lock is damaged.
        """
        path = self.path / "locks" / f"{name}.json"
        try:
            return _decoded(path, tuple[Package, ...], "a lock") or ()
        except InputError as error:
            raise InputError(f"{error}; remove the file") from error

    def npm_lock(self, name: str) -> Path:
        """Return the path of npm's own lock for a program; it need not be there."""
        return self.path / "locks" / f"{name}.npm.json"

    @contextmanager
    def writer(self) -> Iterator["StoreWriter"]:
        """Lock the folder, to change it.

        Raises:
            InputError: another process changes it, or it cannot be written.
            DiskFullError: the disk is full.
        """
        with writing(self.path, _REMEDY):
            make_folder(self.path)
            lock = lock_folder(self.path, "folder of programs")
        try:
            with writing(self.path, _REMEDY):
                yield StoreWriter(self)
        finally:
            os.close(lock)


class StoreWriter:
    """Changes a store, whose lock this process holds.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.path = store.path
        _discard(self.path / "new")
        for folder in ("installed", "locks", "refused"):
            (self.path / folder).mkdir(exist_ok=True)

    @contextmanager
    def workshop(self, name: str) -> Iterator[Path]:
        """Make an empty folder in which a program is put together; it is gone afterwards."""
        folder = self.path / "new" / name
        (folder / "tree").mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(self.path / "new", ignore_errors=True)

    def put(self, installation: Installation, folder: Path) -> None:
        """Take a complete program out of its workshop, in the place of an older one."""
        _write_json(folder / "program.json", installation)
        _write_json(self.path / "locks" / f"{installation.name}.json", installation.packages)
        if (folder / NPM_LOCK).is_file():
            (folder / NPM_LOCK).replace(self.store.npm_lock(installation.name))
        for path in list(folder.iterdir()):
            if path.name not in ("tree", "program.json"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._put_away(installation.name)
        folder.rename(self.path / "installed" / installation.name)
        (self.path / "refused" / f"{installation.name}.json").unlink(missing_ok=True)

    def refuse(self, name: str, reason: str) -> None:
        """Note why a program could not be installed."""
        _write_json(self.path / "refused" / f"{name}.json", {"reason": reason})

    def remove(self, name: str) -> bool:
        """Remove a program; return whether it was there."""
        away = self._put_away(name)
        if away is None:
            return False
        _discard(away)
        with suppress(OSError):
            away.parent.rmdir()
        return True

    def _put_away(self, name: str) -> Path | None:
        """Move a program, if it is there, to where the next writer removes what it finds."""
        old = self.path / "installed" / name
        if not os.path.lexists(old):
            return None
        away = self.path / "new" / f"{name}.old"
        away.parent.mkdir(exist_ok=True)
        old.rename(away)
        return away

    def unlock(self, name: str) -> None:
        """Forget which packages a program must have."""
        for path in (self.path / "locks" / f"{name}.json", self.store.npm_lock(name)):
            path.unlink(missing_ok=True)


def size_of(folder: Path) -> int:
    """Return how many bytes the files in a folder have."""
    return sum(
        path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink()
    )


def _discard(path: Path) -> None:
    """Remove what lies there, whatever it is; a link's target stays."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _decoded(path: Path, kind: type[_T], what: str) -> _T | None:
    try:
        return decoding.from_json(path.read_bytes(), kind, what)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _write_json(path: Path, value: Any) -> None:
    data = msgspec.json.format(msgspec.json.encode(value), indent=1)
    replace_file(path, lambda file: file.write(data))
