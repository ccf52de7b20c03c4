"""Writes the captures of a shard as one ZIP archive.

A dataset of a million sessions has two million captures. Most file systems and copying programs
do not handle so many files well. A ZIP archive has a directory, so ``unzip -p``, or the library of
any language, reads one capture without reading the others.
"""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

LEVEL: Final = 1
"""The level of deflate. Captures are text for the most part, and the next levels gain little."""

VANTAGES: Final = ("client", "server")
"""The two hosts at which each session is captured."""

ZIP_FAULTS: Final = (
    zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError,
    zlib.error,
)  # fmt: skip
"""What ``zipfile`` raises for a damaged or foreign archive."""

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can hold; packets have their own times


def write_archive(file: BinaryIO, folder: Path, session_ids: Iterable[str]) -> None:
    """Write the captures of some sessions as one archive.

    Args:
        file: where to write it.
        folder: holds the captures. A session without a capture there is left out.
        session_ids: in the order that the archive is to have.

    Raises:
        OSError: for instance, the disk is full.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for session_id in session_ids:
            for vantage in VANTAGES:
                path = folder / f"{session_id}.{vantage}.pcapng"
                if path.exists():
                    entry = zipfile.ZipInfo(path.name, _DATE)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, path.read_bytes(), compresslevel=LEVEL)


def extract_archive(path: Path, folder: Path, session_ids: Iterable[str]) -> None:
    """Write the captures of some sessions from an archive into a folder.

    Raises:
        One of ``ZIP_FAULTS``: the archive cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
        for session_id in session_ids:
            for vantage in VANTAGES:
                name = f"{session_id}.{vantage}.pcapng"
                if name in there:
                    (folder / name).write_bytes(archive.read(name))
