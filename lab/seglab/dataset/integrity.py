"""Which files of a built dataset are missing, cut off, or changed since they were written.

A build that starts on an existing dataset asks this before it does anything. Sizes are always
compared. Contents are compared only where all files together are read in a few seconds.
``seglab.dataset.check`` reads everything, and the rows as well.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from seglab.dataset.layout import Layout
from seglab.dataset.manifest import DatasetManifest
from seglab.dataset.stored_files import file_entry
from seglab.errors import InputError

COMPARED_MAX_BYTES: Final = 1 << 30
"""Contents are compared where all files together have at most so many bytes.

SHA-256 takes some two seconds for them.
"""

_REBUILT = ("data/", "wire/")
"""The folders whose files a build makes again when they are missing or cut off."""


def lost_files(layout: Layout, manifest: DatasetManifest) -> Iterator[str]:
    """Describe each file of rows or captures that is missing or has another size."""
    for name, file in manifest.files.items():
        if not name.startswith(_REBUILT):
            continue
        found = _size(layout.path / name)
        if found is None:
            yield f"{name} is missing"
        elif found != file.bytes:
            yield f"{name} has {found} bytes instead of {file.bytes}"


def contents_are_compared(manifest: DatasetManifest) -> bool:
    """Whether ``refuse_changed`` compares contents as well as sizes."""
    return sum(file.bytes for file in manifest.files.values()) <= COMPARED_MAX_BYTES


def refuse_changed(layout: Layout, manifest: DatasetManifest) -> None:
    """Refuse a dataset in which a file has another content than when it was written.

    A missing file is accepted, and so is a file of rows or captures that has another size: the
    build makes these again.

    Raises:
        InputError: a file has changed; names the first one, and says what to do.
    """
    names = [*_changed(layout, manifest)]
    if not names:
        return
    first, *others = names
    more = f" (and {len(others)} more; `seglab dataset check` names all)" if others else ""
    raise InputError(
        f"{layout.path}: {first} has changed since it was written, by its SHA-256{more}; "
        "remove it, and the same command makes it again"
    )


def _changed(layout: Layout, manifest: DatasetManifest) -> Iterator[str]:
    compares = contents_are_compared(manifest)
    for name, file in manifest.files.items():
        path = layout.path / name
        found = _size(path)
        if found is None or (found != file.bytes and name.startswith(_REBUILT)):
            continue
        if found != file.bytes or (compares and file_entry(path).sha256 != file.sha256):
            yield name


def _size(path: Path) -> int | None:
    """The size of a file in bytes; ``None`` where no readable file is there."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None
