"""What has become of the files of a dataset that was built: gone, cut off, or changed.

Sizes are looked at always; contents where all of them together are read in a few seconds.
``seglab.dataset.check`` reads everything, rows as well.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from seglab.dataset.layout import Layout
from seglab.dataset.manifest import Manifest
from seglab.dataset.shard import described
from seglab.errors import InputError

READ_MAX_BYTES: Final = 1 << 30
"""The most that is read to be compared; some two seconds of SHA-256."""

_BUILT_ANEW = ("data/", "wire/")


def lost(layout: Layout, manifest: Manifest) -> Iterator[str]:
    """In words, the files of rows and captures that are not there as they were built."""
    for name, file in manifest.files.items():
        if not name.startswith(_BUILT_ANEW):
            continue
        found = _size(layout.path / name)
        if found is None:
            yield f"{name} is missing"
        elif found != file.bytes:
            yield f"{name} has {found} bytes instead of {file.bytes}"


def readable(manifest: Manifest) -> bool:
    """Whether the contents are looked at, too."""
    return sum(file.bytes for file in manifest.files.values()) <= READ_MAX_BYTES


def refuse_changed(layout: Layout, manifest: Manifest) -> None:
    """Make sure that no file has another content than when it was written.

    What is missing, and rows and captures of another size, are passed over: these are made anew.

    Raises:
        InputError: one has; says what to do.
    """
    names = [*_changed(layout, manifest)]
    if not names:
        return
    first, *others = names
    more = f" (and {len(others)} more; `seglab dataset check` names all)" if others else ""
    raise InputError(
        f"{layout.path}: {first} has changed since it was written, by its SHA-256{more}; "
        "remove it, and the same command makes it anew"
    )


def _changed(layout: Layout, manifest: Manifest) -> Iterator[str]:
    reads = readable(manifest)
    for name, file in manifest.files.items():
        path = layout.path / name
        found = _size(path)
        if found is None or (found != file.bytes and name.startswith(_BUILT_ANEW)):
            continue
        if found != file.bytes or (reads and described(path).sha256 != file.sha256):
            yield name


def _size(path: Path) -> int | None:
    """Of a file; ``None`` where there is none that could be read."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None
