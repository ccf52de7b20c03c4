"""What is known of a dataset's files: how long they are, and what is in them."""

import hashlib
from pathlib import Path

from seglab.dataset.layout import Layout
from seglab.dataset.result import FileEntry, ShardResult

_CHUNK_BYTES = 1 << 20


def has_all_files(layout: Layout, result: ShardResult) -> bool:
    """Whether all files of a shard are there, judged by their sizes."""
    return all(_size(layout.path / name) == file.bytes for name, file in result.files.items())


def file_entry(path: Path) -> FileEntry:
    """The size of a file, and the SHA-256 of its content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return FileEntry(path.stat().st_size, digest.hexdigest())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
