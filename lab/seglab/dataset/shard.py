"""Builds one shard of a dataset, without the other shards.

While a shard is built, its folder ``building/NNNNN`` holds a journal of the sessions that have
ended, and their captures. When all sessions have ended, the builder writes the shard's files, and
its description last: a shard with a description is complete.

So a build can end at any instant, by Ctrl-C, ``kill -9`` or a full disk. The next builder continues
with the sessions that are not in the journal. It does nothing for a shard that is complete.

A session may fail because a part of the lab was killed or hung. It was never tried, so it is
carried out again: in the same build up to ``UNTRIED_TRIES`` times, and then by every later build,
which takes what is complete from the shard's files back into the folder.

Two builders of one shard exclude each other by a lock on the folder.
"""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from seglab.core.files import lock_folder, replace_file, writing
from seglab.core.observation import sizes_of
from seglab.core.record import Captures, SessionRecord
from seglab.core.text import one_line
from seglab.dataset.captures import ZIP_FAULTS, extract_archive, write_archive
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import read_manifest
from seglab.dataset.plan import PlacedSession, fingerprint, planned
from seglab.dataset.result import FailedSession, FileEntry, ShardResult, now, read_result
from seglab.dataset.spec import DatasetSpec
from seglab.dataset.splits import PARTS
from seglab.engine import (
    DEFAULT_ENGINE,
    DEFAULT_JOBS,
    DEFAULT_TIME_LIMIT_S,
    Engine,
    EngineOptions,
)
from seglab.engine import engine as engine_by_name
from seglab.engine.base import OnRecord
from seglab.engine.record import is_untried
from seglab.engine.slots import PrioritySemaphore
from seglab.errors import InputError
from seglab.runs import journal
from seglab.runs.parquet import columns_of, read_rows, write_dataset

TRIES: Final = 2
"""How often a failing session is carried out, if other sessions over its network complete."""

UNTRIED_TRIES: Final = 4
"""How often a session is carried out in one build, if a part of the lab dies over it each time."""

_CHUNK_BYTES = 1 << 20
_PRIORITY_STEP = 1e6  # more than any session lasts: sessions of a lower shard come first


def build_shard(
    spec: DatasetSpec,
    seed: int,
    shard: int,
    out: Path,
    *,
    jobs: int = DEFAULT_JOBS,
    engine: str | None = None,
) -> ShardResult:
    """Build a shard of a dataset, or continue a build that was broken off.

    Args:
        spec: of the dataset.
        seed: of the dataset.
        shard: its number, from 0.
        out: the dataset's folder, which all builders share.
        jobs: how many sessions run side by side.
        engine: the name of the engine; ``None`` takes the one that the dataset was begun with.

    Returns:
        The description of the shard on disk. A shard that was complete is left as it is.

    Raises:
        InputError: another process builds this shard, or the folder holds another dataset.
        EnvironmentLacksError: the disk is full, or this machine cannot run a lab.
        PartDiedError: the labs die again and again.
    """
    return asyncio.run(ShardBuild(spec, seed, shard, out, jobs=jobs, engine=engine).run())


class ShardBuild:
    """The building of one shard.

    Args:
        spec: of the dataset.
        seed: of the dataset.
        shard: its number, from 0.
        out: the dataset's folder.
        jobs: how many sessions run side by side.
        time_limit_s: for one session, in seconds, beyond its sender's pauses and the time that its
            network needs.
        on_record: called once for each session: when it is complete, or has failed for good.
        slots: limits the sessions side by side, where several shards share one limit. Sessions of
            the lower shard come first.
        engine: the name of the engine; ``None`` takes the one that the dataset was begun with.
    """

    def __init__(
        self,
        spec: DatasetSpec,
        seed: int,
        shard: int,
        out: Path,
        *,
        jobs: int = DEFAULT_JOBS,
        time_limit_s: float = DEFAULT_TIME_LIMIT_S,
        on_record: OnRecord | None = None,
        slots: PrioritySemaphore | None = None,
        engine: str | None = None,
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.shard = shard
        self.layout = Layout(out)
        self._work = self.layout.work(shard)
        self._journal = self._work / "sessions.jsonl"
        self._in_force = self._work / "environment.json"
        self._options = (jobs, time_limit_s)
        self._slots = slots
        self._engine = engine
        self._on_record = on_record or (lambda _record: None)
        self._fingerprint = fingerprint(spec, seed)
        self._statuses: dict[str, str] = {}
        self._environment: dict[str, Any] = {}

    def built(self) -> ShardResult | None:
        """The stored description, if the shard is complete.

        Raises:
            InputError: the shard on disk belongs to another dataset.
        """
        result = read_result(self.layout.result(self.shard))
        if result is None:
            return None
        if result.fingerprint != self._fingerprint:
            raise InputError(
                f"{self.layout.result(self.shard)}: a shard of another specification or seed; "
                "give another --out"
            )
        return result if has_all_files(self.layout, result) else None

    def settled(self) -> ShardResult | None:
        """The stored description, if the shard is complete and all of its sessions were tried.

        Raises:
            InputError: the shard on disk belongs to another dataset.
        """
        result = self.built()
        return None if result is None or result.untried else result

    def _take_back(self, places: list[PlacedSession]) -> None:
        """Put the complete sessions of a built shard into the journal, with their captures.

        Does nothing where an earlier builder has a journal, or where no shard is built. A shard
        whose files cannot be read is built from the beginning.
        """
        if self._journal.exists() or (result := self.built()) is None:
            return
        ids = {place.spec.session_id for place in places}
        try:
            records = [
                SessionRecord.from_row(row | {"captures": _in_folder(row["captures"])})
                for part in PARTS
                if (path := self.layout.data(part, self.shard)).exists()
                for row in read_rows(path)
                if row["session_id"] in ids
            ]
            if self.spec.captures and result.complete:
                extract_archive(self.layout.wire(self.shard), self._work / "wire", ids)
        except (InputError, KeyError, *ZIP_FAULTS):
            return
        self._environment = dict(result.environment)
        text = msgspec.json.encode(self._environment)
        with ExitStack() as stack:
            replace_file(self._in_force, lambda file: file.write(text))
            writer = journal.JournalWriter(self._journal)
            stack.callback(writer.close)
            for record in records:
                writer.append(record.to_json())
                self._on_record(record)

    def recorded(self) -> int:
        """How many of its sessions an earlier builder has completed."""
        if not self._journal.exists():
            return 0
        ended = {entry.session_id: entry.status for entry in journal.entries(self._journal)}
        return list(ended.values()).count("complete")

    async def run(self) -> ShardResult:
        """Build it as ``build_shard`` does. Ended sessions are kept when it is cancelled."""
        if (result := self.settled()) is not None:
            self._clear()
            return result
        began = time.monotonic()
        places = list(planned(self.spec, self.seed, self.shard))
        with writing(self.layout.path), ExitStack() as stack:
            self.layout.make_folders(self.shard)
            stack.callback(os.close, lock_folder(self._work, f"shard ({self.shard})"))
            if (result := self.settled()) is not None:  # by another, who had the lock until now
                self._clear()
                return result
            self._take_back(places)
            await self._sessions(places)
            settling = asyncio.create_task(asyncio.to_thread(self._settle, places, began))
            try:
                return await asyncio.shield(settling)
            except asyncio.CancelledError:
                await settling  # all that it needs is there: let it end
                raise

    async def _sessions(self, places: list[PlacedSession]) -> None:
        """Carry out the sessions that are not complete; one that fails runs again.

        It runs ``TRIES`` times in all, or ``UNTRIED_TRIES`` if a part of the lab dies over it.
        """
        with ExitStack() as stack:
            writer = journal.JournalWriter(self._journal)
            stack.callback(writer.close)
            self._statuses = {e.session_id: e.status for e in journal.entries(self._journal)}
            self._environment = self._kept_environment()
            log = stack.enter_context((self._work / "log.txt").open("ab"))
            failed: dict[str, SessionRecord] = {}
            runner: Engine | None = None

            def on_record(record: SessionRecord) -> None:
                if (
                    runner is not None
                    and not runner.environments.keys() <= self._environment.keys()
                ):
                    self._keep_environment(runner)
                with writing(self._journal):
                    writer.append(record.to_json())
                self._statuses[record.session_id] = record.status
                if record.complete:
                    self._on_record(record)
                else:
                    failed[record.session_id] = record

            for attempt in range(UNTRIED_TRIES):
                todo = self._todo(places, failed, attempt)
                if not todo:
                    break
                folder = self._work if self.spec.captures else None
                options = EngineOptions(
                    *self._options, folder, log.fileno(), priority=-_PRIORITY_STEP * self.shard
                )
                runner = engine_by_name(self._engine_name(), options, self._slots)
                await runner.run([(place.spec, place.network) for place in todo], on_record)
                self._keep_environment(runner)
            for session_id, record in failed.items():
                if self._statuses[session_id] != "complete":
                    self._on_record(record)

    def _engine_name(self) -> str:
        """The engine that was asked for, or that the dataset was begun with."""
        return stored_engine(self.layout) if self._engine is None else self._engine

    def _keep_environment(self, engine: Engine) -> None:
        """Store the settings in force for a later builder that has no session left to run."""
        self._environment = {**self._environment, **engine.environments}
        text = msgspec.json.encode(self._environment)
        with writing(self._in_force):
            replace_file(self._in_force, lambda file: file.write(text))

    def _kept_environment(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = msgspec.json.decode(self._in_force.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def _todo(
        self, places: list[PlacedSession], failed: Mapping[str, SessionRecord], attempt: int
    ) -> list[PlacedSession]:
        """The sessions to carry out.

        A session whose failure tells nothing, because a part of the lab died, is always among them.
        After the first attempt, the others are not where they would fail again: none completed over
        their network, or the network is a black hole for large packets.

        Args:
            places: all sessions of the shard.
            failed: the newest records of those that failed in this build.
            attempt: how many attempts there were before.
        """
        if attempt:
            untried = {name for name, record in failed.items() if is_untried(record.error)}
        else:
            untried = {place.spec.session_id for place in places}
        statuses = self._statuses
        fit = {p.network.name for p in places if statuses.get(p.spec.session_id) == "complete"}
        return [
            place
            for place in places
            if statuses.get(place.spec.session_id) != "complete"
            and (
                place.spec.session_id in untried
                or (attempt < TRIES and place.network.name in fit and not place.network.black_hole)
            )
        ]

    def _settle(self, places: list[PlacedSession], began: float) -> ShardResult:
        """Write the shard's files, its description last, and remove its working folder."""
        with writing(self.layout.path):
            result = self._write(places)
            result.seconds = round(time.monotonic() - began, 3)
            text = result.to_json()
            replace_file(self.layout.result(self.shard), lambda file: file.write(text))
        self._clear()
        return result

    def _write(self, places: list[PlacedSession]) -> ShardResult:
        """Make the shard's files from the journal and the captures."""
        newest = {entry.session_id: entry for entry in journal.entries(self._journal)}
        entries = [newest[place.spec.session_id] for place in places]
        result = ShardResult(
            shard=self.shard,
            fingerprint=self._fingerprint,
            first=places[0].number,
            planned=len(places),
            environment=self._environment,
        )

        archive = self.layout.name(self.layout.wire(self.shard)) if self.spec.captures else None

        def rows(part: str) -> Iterator[dict[str, Any]]:
            with self._journal.open("rb") as file:
                for place, entry in zip(places, entries, strict=True):
                    if place.split == part and entry.status == "complete":
                        file.seek(entry.offset)
                        row = _row(file.read(entry.length), place, archive)
                        result.count(row)
                        yield row

        for part in PARTS:
            complete = [
                e.status == "complete"
                for p, e in zip(places, entries, strict=True)
                if p.split == part
            ]
            if any(complete):
                path = self.layout.data(part, self.shard)
                replace_file(path, partial(write_dataset, rows=rows(part)))
                result.files[self.layout.name(path)] = file_entry(path)
            else:
                self.layout.data(part, self.shard).unlink(missing_ok=True)
        result.failed = self._failed(places, entries)
        if self.spec.captures and result.complete:
            names = [e.session_id for e in entries if e.status == "complete"]
            path = self.layout.wire(self.shard)
            replace_file(path, lambda file: write_archive(file, self._work / "wire", names))
            result.files[self.layout.name(path)] = file_entry(path)
        else:
            self.layout.wire(self.shard).unlink(missing_ok=True)
        result.finished = now()
        return result

    def _failed(
        self, places: list[PlacedSession], entries: list[journal.Entry]
    ) -> tuple[FailedSession, ...]:
        found = []
        with self._journal.open("rb") as file:
            for place, entry in zip(places, entries, strict=True):
                if entry.status != "complete":
                    file.seek(entry.offset)
                    error = SessionRecord.from_json(file.read(entry.length)).error
                    found.append(failure(place, error))
        return tuple(found)

    def _clear(self) -> None:
        """Remove what was needed for building only."""
        shutil.rmtree(self._work, ignore_errors=True)


def stored_engine(layout: Layout) -> str:
    """The name of the engine that a dataset was begun with."""
    manifest = read_manifest(layout.manifest)
    return DEFAULT_ENGINE if manifest is None else manifest.engine


def _row(line: bytes, place: PlacedSession, archive: str | None) -> dict[str, Any]:
    """Return the row of a session from its line of the journal.

    Args:
        line: as ``SessionRecord.to_json`` made it.
        place: of the session in the dataset.
        archive: the name of the archive that the captures will be in; ``None`` if none are kept.
    """
    record = SessionRecord.from_json(line)
    row = columns_of(record)
    row["captures"] = Captures(
        *(path and archive and f"{archive}/{path.rpartition('/')[2]}" for path in _paths_of(record))
    )
    return row | {
        "number": place.number,
        "template": place.template,
        "message_id": place.message_id,
        "split": place.split,
        "split_network": place.split_network,
        "split_template": place.split_template,
        "segment_sizes": sizes_of(record, "segments"),
        "read_sizes": sizes_of(record, "reads"),
    }


def _paths_of(record: SessionRecord) -> tuple[str | None, str | None]:
    return record.captures.client, record.captures.server


def _in_folder(captures: Mapping[str, str | None]) -> dict[str, str | None]:
    """The captures' paths in a builder's folder, from those in the archive."""
    return {
        vantage: None if path is None else f"wire/{path.rpartition('/')[2]}"
        for vantage, path in captures.items()
    }


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


def failure(place: PlacedSession, error: str | None) -> FailedSession:
    """The entry of a failed session in the shard's description."""
    return FailedSession(
        place.number, place.spec.session_id, place.network.name, one_line(error or "")
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
