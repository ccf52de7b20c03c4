"""The folder of a run: safe against Ctrl-C, ``kill -9`` and a full disk.

While a run goes on, each session that has ended is one line of the journal ``sessions.jsonl``. At
the end of the run the journal becomes ``sessions.parquet``, and is removed only after that. The
manifest ``run.json`` is always replaced as a whole. So the folder can be opened at every instant,
and then holds all sessions that have ended.

    run.json  sessions.parquet (or sessions.jsonl)  wire/  figures/  report.html  log.txt
"""

import heapq
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Self

from seglab.core.files import (
    is_locked,
    lock_folder,
    make_folder,
    remove_folders,
    replace_file,
    writing,
)
from seglab.core.lateness import LatenessCounter
from seglab.core.ownership import keep_owner
from seglab.core.record import SessionRecord
from seglab.errors import InputError
from seglab.runs import journal
from seglab.runs.manifest import Counts, Manifest, RunStatus, now
from seglab.runs.parquet import read_sessions, read_statuses, write_sessions

MANIFEST = "run.json"
JOURNAL = "sessions.jsonl"
SESSIONS = "sessions.parquet"
PROGRAMS = "programs.tsv"


class RunFolder:
    """A run on disk: ``create`` begins one, ``resume`` continues one, ``open`` reads one.

    One process at a time writes to a run: it holds a lock on the folder, and the kernel releases
    the lock when the process ends.

    Attributes:
        path: the folder.
        manifest: the run's manifest, as this process last read or wrote it.
    """

    def __init__(
        self, path: Path, manifest: Manifest, *, lock: int | None = None, kept_most: int = 0
    ) -> None:
        """Use ``create``, ``resume`` or ``open`` instead."""
        self.path = path
        self.manifest = manifest
        self._lock = lock
        self._writer: journal.JournalWriter | None = None
        self._statuses: dict[str, str] = {}
        self._kept_most = kept_most
        self._kept: dict[str, SessionRecord] = {}
        self._made: list[Path] | None = None
        self._logged_bytes = 0
        self._journal = path / JOURNAL

    @classmethod
    def create(cls, out: Path, manifest: Manifest, *, kept_most: int = 0) -> Self:
        """Begin a run in a folder that is new or empty, and lock it.

        Args:
            out: the folder.
            manifest: the run's.
            kept_most: up to so many records of this process stay in memory, each with about 10 kB,
                and ``sessions`` does not read them again. Of a larger run none does.

        Raises:
            InputError: the folder is not empty, or cannot be created; says what to do.
            EnvironmentLacksError: the disk is full.
        """
        with writing(out, "give another --out"):
            keep_owner(out)
            made = _make_empty(out)
            folder = cls(out, manifest, lock=lock_folder(out), kept_most=kept_most)
            folder._made = made
            try:
                folder._save()
                folder._prepare()
            except BaseException:
                folder.discard()
                raise
        return folder

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Open a stored run to continue it: lock it, and cut a torn last line of the journal.

        Raises:
            InputError: no run is stored there, or another process is writing to it.
        """
        manifest = _load(path)
        with writing(path):
            keep_owner(path)
            folder = cls(path, manifest, lock=lock_folder(path))
            try:
                folder._prepare()
                folder.update(status="running", error=None, finished=None)
            except BaseException:
                folder.close()
                raise
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a stored run to read it, whether it is complete, was interrupted, or still runs.

        Raises:
            InputError: no run is stored there, or a stored file is damaged.
        """
        manifest = _load(path)
        if manifest.status == "running" and not is_locked(path):
            manifest = replace(manifest, status="interrupted")
        folder = cls(path, manifest)
        folder._learn_statuses()
        return folder

    @property
    def writable(self) -> bool:
        """Whether this process holds the run's lock, and so may write to it."""
        return self._lock is not None

    @property
    def wire(self) -> Path:
        """The path of the folder with the captures."""
        return self.path / "wire"

    @property
    def figures(self) -> Path:
        """The path of the folder with the figures."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The path of the report, one HTML file."""
        return self.path / "report.html"

    @property
    def _log(self) -> Path:
        return self.path / "log.txt"

    def statuses(self) -> dict[str, str]:
        """How each recorded session ended, ``complete`` or ``failed``, by its id."""
        return dict(self._statuses)

    def append(self, record: SessionRecord) -> None:
        """Record a session that has ended. From then on the record survives a crash.

        The record replaces an earlier one of the same session, for instance of one that failed
        before ``resume``.

        Raises:
            EnvironmentLacksError: the disk is full. Earlier records stay readable.
        """
        with writing(self._journal):
            if self._writer is None:
                self._writer = journal.JournalWriter(self._journal)
            self._writer.append(record.to_json())
        self._statuses[record.session_id] = record.status
        if self._kept_most:
            self._kept[record.session_id] = record
            if len(self._kept) > self._kept_most:
                self._kept_most = 0
                self._kept.clear()

    def sessions(self) -> Iterator[SessionRecord]:
        """Yield all recorded sessions in the natural order of their ids, a few in memory at a time.

        Those that are kept in memory (``create``) are not read.

        Raises:
            InputError: a stored file is damaged.
        """
        if self._kept and self._kept.keys() == self._statuses.keys():
            yield from sorted(self._kept.values(), key=lambda r: natural_sort_key(r.session_id))
            return
        in_journal, written = {}, self.path / JOURNAL
        if written.exists():
            in_journal = {entry.session_id: entry for entry in journal.entries(written)}
        ordered = sorted(in_journal.values(), key=lambda entry: natural_sort_key(entry.session_id))
        stored = self.path / SESSIONS
        earlier = (
            (record for record in read_sessions(stored) if record.session_id not in in_journal)
            if stored.exists()
            else iter(())
        )
        yield from heapq.merge(
            earlier,
            _read_entries(written, ordered),
            key=lambda record: natural_sort_key(record.session_id),
        )

    def update(self, **changes: Any) -> None:
        """Change fields of the manifest, and write ``run.json``.

        Raises:
            EnvironmentLacksError: the disk is full. ``run.json`` is as it was before.
        """
        self.manifest = replace(self.manifest, **changes)
        self._save()

    def finalise(self, status: RunStatus, error: str | None = None) -> None:
        """Turn the journal into ``sessions.parquet``, and note in the manifest how the run ended.

        The journal is removed only when the Parquet file is on the disk under its final name.

        Raises:
            EnvironmentLacksError: the disk is full. The journal stays, and the run can be read.
        """
        with writing(self.path / SESSIONS):
            counter = LatenessCounter()
            sessions = _noting_lateness(self.sessions(), counter)
            replace_file(self.path / SESSIONS, lambda file: _write_all(file, sessions))
            self._close_journal()
            (self.path / JOURNAL).unlink(missing_ok=True)
        ended = list(self._statuses.values())
        counts = Counts(
            planned=max(self.manifest.counts.planned, len(ended)),
            complete=ended.count("complete"),
            failed=ended.count("failed"),
        )
        self.update(
            status=status,
            error=error,
            counts=counts,
            finished=now(),
            late_ms=counter.lateness,
            redone=counter.redone,
        )

    def discard(self) -> bool:
        """Close the run and remove its folder, if ``create`` began it and it holds nothing.

        It holds nothing where no session is recorded, and where ``log.txt`` has nothing but what
        ``log`` wrote. Folders above it that ``create`` made are removed too.

        Returns:
            Whether the run is gone.
        """
        if self._made is None or self._statuses or _size(self._log) > self._logged_bytes:
            return False
        self.close()
        for name in (MANIFEST, JOURNAL, SESSIONS, self._log.name):
            (self.path / name).unlink(missing_ok=True)
        remove_folders([self.wire])
        remove_folders([self.figures])
        remove_folders(self._made)
        return True

    def log(self, text: str) -> None:
        """Add a line with the time to ``log.txt``. A failure to write it does not stop the run."""
        line = f"{now()} {' '.join(text.splitlines())}\n".encode()
        with suppress(OSError), self._log.open("ab") as file:
            file.write(line)
            self._logged_bytes += len(line)

    def close(self) -> None:
        """Release the lock. The manifest stays as it was last written."""
        self._close_journal()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        """Create the subfolders, open the journal, and read what is recorded."""
        self.wire.mkdir(exist_ok=True)
        self.figures.mkdir(exist_ok=True)
        self._writer = journal.JournalWriter(self.path / JOURNAL)
        self._learn_statuses()

    def _learn_statuses(self) -> None:
        if (self.path / SESSIONS).exists():
            self._statuses = read_statuses(self.path / SESSIONS)
        if (self.path / JOURNAL).exists():
            self._statuses |= {e.session_id: e.status for e in journal.entries(self.path / JOURNAL)}

    def _save(self) -> None:
        data = self.manifest.to_json()
        with writing(self.path / MANIFEST):
            replace_file(self.path / MANIFEST, lambda file: file.write(data))

    def _close_journal(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def natural_sort_key(name: str) -> tuple[str | int, ...]:
    """A sort key by which ``scenario-1/2`` comes before ``scenario-1/10``."""
    return tuple(
        int(part) if index % 2 else part for index, part in enumerate(re.split(r"(\d+)", name))
    )


def _noting_lateness(
    records: Iterator[SessionRecord], counter: LatenessCounter
) -> Iterator[SessionRecord]:
    """Yield the records, and count how late each was."""
    for record in records:
        counter.add(record)
        yield record


def _write_all(file: BinaryIO, records: Iterator[SessionRecord]) -> None:
    write_sessions(file, records)


def _read_entries(path: Path, ordered: list[journal.Entry]) -> Iterator[SessionRecord]:
    if not ordered:
        return
    with path.open("rb") as file:
        for entry in ordered:
            file.seek(entry.offset)
            yield SessionRecord.from_json(file.read(entry.length))


def _load(path: Path) -> Manifest:
    try:
        text = (path / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no run is stored here ({MANIFEST} is missing)") from error
    except OSError as error:
        raise InputError(f"{path / MANIFEST}: {error.strerror}") from error
    try:
        return Manifest.from_json(text)
    except InputError as error:
        raise InputError(f"{path / MANIFEST}: {error}") from error


def _make_empty(out: Path) -> list[Path]:
    """Make the folder of a run; return it and those above it that were not there."""
    if (out / MANIFEST).exists():
        raise InputError(
            f"{out}: already holds a run; continue it by --resume {out}, or give another --out"
        )
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give another --out")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty and holds no run; give another --out")
    return make_folder(out)


def _size(path: Path) -> int:
    """The size of a file in bytes; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
