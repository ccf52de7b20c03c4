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
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec

from seglab.core.files import lock_folder, replace_file, writing
from seglab.core.record import RecordLine, SessionRecord
from seglab.dataset.captures import ZIP_FAULTS, extract_archive
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import read_manifest
from seglab.dataset.plan import PlacedSession, fingerprint, planned
from seglab.dataset.result import ShardResult, read_result
from seglab.dataset.settling import EndedShard, RowPlace, Settle, settle_in_thread
from seglab.dataset.spec import DatasetSpec
from seglab.dataset.splits import PARTS
from seglab.dataset.stored_files import has_all_files
from seglab.engine import (
    DEFAULT_ENGINE,
    DEFAULT_JOBS,
    DEFAULT_TIME_LIMIT_S,
    Engine,
    EngineOptions,
)
from seglab.engine import engine as engine_by_name
from seglab.engine.base import OnLine, run_as_lines
from seglab.engine.record import is_untried
from seglab.engine.slots import PrioritySemaphore
from seglab.errors import InputError
from seglab.runs import journal
from seglab.runs.parquet import read_rows

TRIES: Final = 2
"""How often a failing session is carried out, if other sessions over its network complete."""

UNTRIED_TRIES: Final = 4
"""How often a session is carried out in one build, if a part of the lab dies over it each time."""

_PLANNED_AT_ONCE = 100
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
        settle: makes the shard's files once its sessions have ended.
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
        on_record: OnLine | None = None,
        slots: PrioritySemaphore | None = None,
        engine: str | None = None,
        settle: Settle = settle_in_thread,
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.shard = shard
        self.layout = Layout(out)
        self._work = self.layout.work(shard)
        self._journal = self.layout.journal(shard)
        self._in_force = self._work / "environment.json"
        self._options = (jobs, time_limit_s)
        self._slots = slots
        self._engine = engine
        self._settle = settle
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
            for record in map(RecordLine.of, records):
                writer.append(record.line)
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
        places = await self._planned()
        with writing(self.layout.path), ExitStack() as stack:
            self.layout.make_folders(self.shard)
            stack.callback(os.close, lock_folder(self._work, f"shard ({self.shard})"))
            if (result := self.settled()) is not None:  # by another, who had the lock until now
                self._clear()
                return result
            self._take_back(places)
            await self._sessions(places)
            settling = asyncio.create_task(self._end(places, began))
            try:
                return await asyncio.shield(settling)
            except asyncio.CancelledError:
                await settling  # all that it needs is there: let it end
                raise

    async def _planned(self) -> list[PlacedSession]:
        """Plan the sessions, while those of other shards go on."""
        places = []
        for place in planned(self.spec, self.seed, self.shard):
            places.append(place)
            if len(places) % _PLANNED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return places

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
            failed: dict[str, RecordLine] = {}
            runner: Engine | None = None

            def on_record(record: RecordLine) -> None:
                if (
                    runner is not None
                    and not runner.environments.keys() <= self._environment.keys()
                ):
                    self._keep_environment(runner)
                with writing(self._journal):
                    writer.append(record.line)
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
                these = [(place.spec, place.network) for place in todo]
                await run_as_lines(runner, these, on_record)
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
        self, places: list[PlacedSession], failed: Mapping[str, RecordLine], attempt: int
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

    async def _end(self, places: list[PlacedSession], began: float) -> ShardResult:
        """Let the shard's files be made, and remove its working folder."""
        ended = EndedShard(
            self.layout.path,
            self.shard,
            self._fingerprint,
            [RowPlace.of(place) for place in places],
            self.spec.captures,
            self._environment,
            time.monotonic() - began,
        )
        result = await self._settle(ended)
        await asyncio.to_thread(self._clear)
        return result

    def _clear(self) -> None:
        """Remove what was needed for building only."""
        shutil.rmtree(self._work, ignore_errors=True)


def stored_engine(layout: Layout) -> str:
    """The name of the engine that a dataset was begun with."""
    manifest = read_manifest(layout.manifest)
    return DEFAULT_ENGINE if manifest is None else manifest.engine


def _in_folder(captures: Mapping[str, str | None]) -> dict[str, str | None]:
    """The captures' paths in a builder's folder, from those in the archive."""
    return {
        vantage: None if path is None else f"wire/{path.rpartition('/')[2]}"
        for vantage, path in captures.items()
    }
