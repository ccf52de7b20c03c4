"""The description of a built shard, which is stored beside its files."""

from collections.abc import Mapping
from pathlib import Path
from platform import release
from typing import Any, Self

import msgspec

from seglab.core import decoding
from seglab.core.record import SessionRecord
from seglab.dataset.columns import LABELS, SPLITS
from seglab.engine.record import is_untried
from seglab.errors import InputError
from seglab.runs.manifest import hardware, now, versions

__all__ = ["FailedSession", "FileEntry", "ShardResult", "now", "read_result"]


class FileEntry(msgspec.Struct, frozen=True):
    """A file of the dataset: its size, and the SHA-256 of its bytes in hexadecimal."""

    bytes: int
    sha256: str


class FailedSession(msgspec.Struct, frozen=True):
    """A planned session that failed, and why; it is no row."""

    number: int
    session_id: str
    network: str
    error: str


class ShardResult(msgspec.Struct, kw_only=True):
    """The description of a complete shard.

    Attributes:
        shard: its number.
        fingerprint: of the dataset's plan.
        first: the number of its first session.
        planned: how many sessions were planned for it.
        complete: how many of them are rows.
        failed: the other sessions.
        too_late: how many rows are of sessions that stayed too late.
        redone: how many rows are of sessions that were carried out again, since they were too late.
        splits: rows by part, for each of the three columns.
        labels: rows by value and part of ``split``, for each column that is a label.
        files: its files by their names in the dataset.
        environment: by network, the settings that were in force on each host, as read back.
        versions: of seglab, Python and the packages.
        kernel: the release of the kernel.
        machine: the machine's architecture, and how many processors it has.
        seconds: how long its last builder took.
        session_s: the durations of its sessions added up, in seconds.
        finished: date and time, in UTC.
    """

    shard: int
    fingerprint: str
    first: int
    planned: int
    complete: int = 0
    failed: tuple[FailedSession, ...] = ()
    too_late: int = 0
    redone: int = 0
    splits: dict[str, dict[str, int]] = {}
    labels: dict[str, dict[str, dict[str, int]]] = {}
    files: dict[str, FileEntry] = {}
    environment: dict[str, Any] = {}
    versions: dict[str, str] = msgspec.field(default_factory=versions)
    kernel: str = msgspec.field(default_factory=release)
    machine: str = msgspec.field(default_factory=hardware)
    seconds: float = 0.0
    session_s: float = 0.0
    finished: str = ""

    @property
    def untried(self) -> tuple[FailedSession, ...]:
        """The failed sessions that were not really tried, because a part of the lab died."""
        return tuple(session for session in self.failed if is_untried(session.error))

    def count(self, record: SessionRecord) -> None:
        """Count a row that has been written."""
        self.complete += 1
        self.too_late += record.too_late is True
        self.redone += bool(record.discarded_late_ns)
        self.session_s = round(self.session_s + record.duration_ns / 1e9, 6)

    def count_values(self, rows: Mapping[tuple[str | None, ...], int]) -> None:
        """Count the rows that have been written by part and label.

        Args:
            rows: how many rows have which values of ``SPLITS`` and ``LABELS``.
        """
        for values, found in rows.items():
            row = dict(zip((*SPLITS, *LABELS), values, strict=True))
            for column in SPLITS:
                if (part := row[column]) is not None:
                    parts = self.splits.setdefault(column, {})
                    parts[part] = parts.get(part, 0) + found
            split = row["split"] or ""
            for column in LABELS:
                counts = self.labels.setdefault(column, {}).setdefault(row[column] or "null", {})
                counts[split] = counts.get(split, 0) + found

    def to_json(self) -> bytes:
        """The description as indented JSON, with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            InputError: the text is no description of a shard.
        """
        return decoding.from_json(text, cls, "a shard's description")


def read_result(path: Path) -> ShardResult | None:
    """Read a stored description; ``None`` where there is none.

    Raises:
        InputError: the file is damaged.
    """
    try:
        return ShardResult.from_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}; remove it to build the shard again") from error
