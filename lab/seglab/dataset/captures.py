"""The captures of a shard: one ZIP archive.

A dataset of a million sessions has two million captures, more files than most file systems and
copying programs handle well. A ZIP has a directory: one capture is read without the others, by
``unzip -p`` or by any language's own library.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

LEVEL: Final = 1
"""Of deflate: the captures are text for the most part, and the next levels gain little."""

VANTAGES: Final = ("client", "server")
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say; the packets have stamps


def write_archive(file: BinaryIO, folder: Path, session_ids: Iterable[str]) -> None:
    """Write the captures of some sessions as one archive, those that there are.

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
