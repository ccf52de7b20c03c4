"""What a confined process sees of the file system: Python, packages, and nothing else."""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from seglab.core import plugins

_SYSTEM: Final = ("/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib64", "/usr/local/lib")
"""Where shared libraries lie, which Python's own modules need."""

_LOADER_CACHE: Final = "/etc/ld.so.cache"
_PACKAGE_FOLDERS: Final = ("site-packages", "dist-packages")
_NEEDED: Final = ("seglab", "msgspec", "faker")
"""The packages that a confined process imports, wherever they lie."""

_OTHERS_READ = 0o004
_OTHERS_ENTER = 0o005


def python_folders() -> list[str]:
    """Return the folders in which this Python finds its library, packages and shared libraries.

    Other folders of ``sys.path`` are left out, since they may hold anything: the folder of a
    script, or what PYTHONPATH names.
    """
    library = os.path.dirname(os.__file__)  # noqa: PTH120, as sys.path has it
    found = [*_SYSTEM, _LOADER_CACHE, str(Path(sys.base_prefix) / "lib"), library]
    for folder in filter(None, sys.path):
        if os.path.basename(folder) in _PACKAGE_FOLDERS or folder.startswith(library):  # noqa: PTH119
            found.append(folder)
        else:
            found += [path for name in _NEEDED if (path := _package(folder, name))]
    if str(plugins.PACKAGE) not in found:
        found.append(str(plugins.PACKAGE))
    return [path for path in dict.fromkeys(found) if Path(path).exists()]


def sender_folders() -> list[str]:
    """Return the folders of the installed senders, also where they are symbolic links."""
    folder = plugins.shipped("senders")
    files = [file.resolve().parent for file in folder.glob("*.py")]
    return [str(path) for path in dict.fromkeys([folder, *files])]


def outermost(paths: Iterable[str]) -> list[str]:
    """Return the paths that lie in no other one of them, as they are spelt."""
    kept: list[str] = []
    for path in sorted(map(os.path.normpath, paths)):
        if not any(path == one or path.startswith(one.rstrip("/") + "/") for one in kept):
            kept.append(path)
    return kept


def owner(paths: Iterable[str]) -> int | None:
    """Return who must be able to read the view's files.

    Returns:
        ``None`` where everyone can, else the user who owns the first file that not everyone can
        read.
    """
    for path in paths:
        for one in (Path(path), *_samples(Path(path))):
            status = one.stat()
            needed = _OTHERS_ENTER if stat.S_ISDIR(status.st_mode) else _OTHERS_READ
            if status.st_mode & needed != needed:
                return status.st_uid
    return None


def _package(folder: str, name: str) -> str | None:
    """Return the folder of a package in a folder of ``sys.path``; ``None`` where it has none."""
    path = Path(folder, name)
    return str(path) if (path / "__init__.py").exists() else None


def _samples(folder: Path) -> list[Path]:
    """Return what stands for all that is in a folder: its own modules, and what must be there."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.suffix == ".py" or path.name in _NEEDED]
