"""Programs from Debian and Ubuntu: their packages, unpacked into a folder.

``apt-get`` chooses the packages: those that are asked for, and what they depend on and the machine
does not have. It works on lists of its own in the store, and checks the signatures of what it
downloads. The packages' own scripts do not run; what these would do and a program needs is in the
program's file.
"""

import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seglab.core.text import count
from seglab.software.clients import RefusedError, run
from seglab.software.store import Package

_FRESH_S: Final = 24 * 3600
_PLANNED = re.compile(
    r"^'(?P<url>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE
)
_MERGED: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_STATUS: Final = Path("/var/lib/dpkg/status")


@dataclass(frozen=True, slots=True)
class _Deb:
    package: Package
    file: str


class Apt:
    """``apt-get`` with lists of its own.

    Args:
        folder: for its lists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        settings = {
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": _STATUS,
            "Dir::Cache": folder,
            "Dir::Cache::archives": folder / "archives",
            "Debug::NoLocking": "1",
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "SHA256",
            "APT::Sandbox::User": "",
            "Acquire::Retries": "2",
        }
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"
        self._command = ["apt-get", "-q"]
        for name, value in settings.items():
            self._command += ["-o", f"{name}={value}"]

    def update(self, *, again: bool = False) -> None:
        """Get the lists of packages, unless they are of today.

        Args:
            again: get them even so.

        Raises:
            RefusedError: they cannot be had.
        """
        stamp = self._folder / "updated"
        if not again and stamp.exists() and time.time() - stamp.stat().st_mtime < _FRESH_S:
            return
        if not _STATUS.is_file():
            raise RefusedError("this machine is neither Debian nor Ubuntu: it has no dpkg")
        run([*self._command, "-o", "APT::Update::Error-Mode=any", "update"], self._folder)
        stamp.touch()

    def choose(self, names: Sequence[str]) -> list[_Deb]:
        """Return the packages to unpack for those that are asked for.

        Args:
            names: packages, each also as ``NAME=VERSION``.

        Raises:
            RefusedError: one is not to be had.
        """
        options = ["--reinstall", "--no-install-recommends", "--allow-downgrades", "-y"]
        said = run([*self._command, "install", *options, "--print-uris", *names], self._folder)
        found = []
        for planned in _PLANNED.finditer(said):
            name, version, _ = planned["file"].split("_", 2)
            digest = f"sha256:{planned['sha256']}"
            package = Package(
                "debian", name, version.replace("%3a", ":"), digest, int(planned["size"])
            )
            found.append(_Deb(package, planned["file"]))
        absent = {name.partition("=")[0] for name in names} - {deb.package.name for deb in found}
        if absent:
            raise RefusedError(
                f"apt-get: the version of {', '.join(sorted(absent))} on this machine is in none "
                "of its registries"
            )
        return found

    def download(self, packages: Sequence[Package], folder: Path) -> list[Path]:
        """Download packages, and return their files, in the same order.

        Raises:
            RefusedError: one is not there any more, or is not what it must be.
        """
        run([*self._command, "download", *(f"{p.name}={p.version}" for p in packages)], folder)
        files = []
        for package in packages:
            version = package.version.replace(":", "%3a")
            (file,) = folder.glob(f"{package.name}_{version}_*.deb")
            with file.open("rb") as content:
                found = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
            if found != package.digest:
                raise RefusedError(
                    f"{package.name} {package.version}: expected {package.digest}, found {found}"
                )
            files.append(file)
        return files


def install(
    names: Sequence[str],
    locked: Sequence[Package],
    apt: Path,
    workshop: Path,
    tell: Callable[[str], None],
    tree: str = "tree",
) -> list[Package]:
    """Put packages into the tree of a workshop.

    Args:
        names: the packages that are asked for.
        locked: exactly those to take; empty lets apt-get choose.
        apt: the folder for its lists.
        workshop: a folder for what is downloaded.
        tell: is told how far it is.
        tree: the name of the tree, which is a folder of the workshop.

    Returns:
        All packages that are in the tree now.

    Raises:
        RefusedError: they are not to be had.
    """
    client = Apt(apt)
    client.update()
    packages = list(locked) or [deb.package for deb in client.choose(names)]
    size = sum(package.size_bytes for package in packages)
    tell(f"downloads {count(len(packages), 'package')}, {size / 1e6:.1f} MB")
    archives = workshop / "archives"
    archives.mkdir(exist_ok=True)
    (workshop / tree).mkdir(exist_ok=True)
    for file in client.download(packages, archives):
        run(["dpkg-deb", "-x", str(file), str(workshop / tree)], workshop)
        file.unlink()
        merge_usr(workshop / tree)
    forget_rights(workshop / tree)
    return packages


def merge_usr(tree: Path) -> None:
    """Move what lies in ``/bin``, ``/lib`` and their like below ``/usr``, where the machine has it.

    A package of before the merge of ``/usr`` has files in both.
    """
    for name in _MERGED:
        folder = tree / name
        if folder.is_dir() and not folder.is_symlink():
            _move_into(folder, tree / "usr" / name)
            shutil.rmtree(folder)


def _move_into(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in list(source.iterdir()):
        place = target / path.name
        if path.is_dir() and not path.is_symlink() and place.is_dir():
            _move_into(path, place)
        else:
            path.rename(place)


def forget_rights(tree: Path) -> None:
    """Take the set-user-ID and set-group-ID bits off all files: nobody needs them here."""
    for path in tree.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            path.chmod(stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))
