"""The kernel engine: carries out planned sessions in labs, and returns their records."""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from seglab.core.files import writing
from seglab.core.record import SessionRecord
from seglab.errors import EnvironmentLacksError, PartDiedError, SeglabError
from seglab.experiment.plan import SessionSpec
from seglab.experiment.reader import Reader
from seglab.kernel import join, pace, sandbox
from seglab.kernel.lab import KernelLab
from seglab.kernel.slots import Slots
from seglab.networks.network import Network

BARREN_LABS = 3
"""How many labs in a row may die without completing a session before the run is given up."""

Hand = Callable[[SessionRecord], None]
"""What takes a record as soon as there is one."""


class _NetworkRefusedError(Exception):
    """This machine cannot carry sessions over a network; the reason is its cause."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine runs sessions.

    Attributes:
        jobs: sessions side by side, over all labs. One over a slow link, which mostly waits,
            counts only for its share of work (``pace.weight``).
        time_limit_s: for one session, beyond what its network and its sender's waits need.
        folder: the run's, for the captures; ``None`` writes none.
        log: where the lab's processes write what they have to say.
        urgency: of all sessions, against those of other engines with the same slots.
    """

    jobs: int = 40
    time_limit_s: float = 60.0
    folder: Path | None = None
    log: IO[bytes] | int | None = None
    urgency: float = 0.0


class KernelEngine:
    """Runs sessions over the real TCP stack of this machine's kernel.

    Args:
        options: how.
        slots: ``jobs`` times ``pace.SLOT``, shared with other engines of the same event loop; by
            default the engine has its own.

    Attributes:
        environments: by network name, what was in force on each host, read back.
        forecast: when the sessions will have ended.
    """

    name = join.ENGINE

    def __init__(self, options: EngineOptions, slots: Slots | None = None) -> None:
        self.options = options
        self._shared = slots
        self.environments: dict[str, dict[str, Any]] = {}
        self.forecast = pace.Forecast(options.jobs)
        self._wall_offset_ns = time.time_ns() - time.monotonic_ns()

    async def run(self, specs: Iterable[tuple[SessionSpec, Network]], on_record: Hand) -> None:
        """Carry out the sessions; hand over each record as soon as it is complete or failed.

        Sessions that share a network and a reader share a lab. The longest begin first. Where
        this machine cannot do what one network asks for, that network's sessions fail; where it
        cannot for any, none is recorded.

        Raises:
            EnvironmentLacksError: this machine cannot run a lab, or none of those asked for.
            PartDiedError: every lab dies again and again.
        """
        await asyncio.to_thread(sandbox.check)
        labs: dict[tuple[Network, Reader], deque[SessionSpec]] = {}
        for spec, network in specs:
            labs.setdefault((network, spec.reader), deque()).append(spec)
        groups = [_Group(*key, pending) for key, pending in labs.items()]
        groups.sort(key=lambda group: group.session_s, reverse=True)
        for group in groups:
            self.forecast.plan([group.session_s] * len(group.pending))
        # Made here, since who has to wait belongs to that event loop for good.
        self._slots = self._shared or Slots(self.options.jobs * pace.SLOT)
        self._labs = Slots(pace.labs_at_once())
        self._starting = Slots(os.cpu_count() or 1)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._run_group(group, on_record)) for group in groups]
        refusals = [task.result() for task in running]
        if all(refusals):
            for refusal in refusals:
                raise refusal or AssertionError
        for group, refusal in zip(groups, refusals, strict=True):
            for spec in group.pending if refusal else ():
                on_record(join.failed(spec, group.network, str(refusal)))

    async def _run_group(self, group: "_Group", on_record: Hand) -> SeglabError | None:
        """Sessions that share a lab; one that dies is followed by another.

        Returns:
            Why some sessions are left that cannot be carried out; ``None`` where none is.
        """
        barren = 0
        pending = group.pending
        while pending:
            waiting = len(pending)
            try:
                async with self._lab(group) as lab:
                    completed = await self._work_off(lab, group, on_record)
            except _NetworkRefusedError as refusal:
                reason = refusal.__cause__
                assert isinstance(reason, SeglabError)
                self.forecast.call_off([group.session_s] * len(pending))
                return reason
            barren = 0 if completed else barren + 1
            if lab.dead and pending and (barren >= BARREN_LABS or waiting == len(pending)):
                return PartDiedError(f"gave up after {barren} labs in a row died: {lab.dead}")
        return None

    @asynccontextmanager
    async def _lab(self, group: "_Group") -> AsyncIterator[KernelLab]:
        """A lab for a group, when there is room for one."""
        lab = KernelLab(group.network, group.reader, self.options.log)
        async with self._labs.take(urgency=group.session_s):
            try:
                async with self._starting.take(urgency=group.session_s):
                    await lab.__aenter__()
            except (EnvironmentLacksError, PartDiedError) as error:
                raise _NetworkRefusedError from error
            try:
                self.environments[group.network.name] = {
                    host: state.to_manifest() for host, state in lab.states.items()
                }
                yield lab
            finally:
                await lab.__aexit__()

    async def _work_off(self, lab: KernelLab, group: "_Group", on_record: Hand) -> int:
        """Carry out a group's sessions; how many became complete before the lab died."""
        weight = pace.weight(group.session_s)
        workers = min(self.options.jobs * pace.SLOT // weight, len(group.pending))
        spread_s = pace.spread_s(group.network, workers)
        async with asyncio.TaskGroup() as tasks:  # where one fails, the others are called off
            working = [
                tasks.create_task(self._work(lab, group, on_record, n / workers * spread_s))
                for n in range(workers)
            ]
        return sum(task.result() for task in working)

    async def _work(self, lab: KernelLab, group: "_Group", on_record: Hand, delay_s: float) -> int:
        """Take sessions one after the other until none is left, or the lab is dead.

        The workers begin one after the other, so that sessions do not march in step and all want
        the processor at once.
        """
        await asyncio.sleep(delay_s)
        completed = 0
        weight = pace.weight(group.session_s)
        while group.pending and lab.dead is None:
            async with self._slots.take(weight, self.options.urgency + group.session_s):
                if not group.pending:
                    break
                spec = group.pending.popleft()
                self.forecast.began(spec.session_id, group.session_s)
                record = await self._session(lab, spec)
                self.forecast.ended(spec.session_id)
            completed += record.status == "complete"
            on_record(record)
        return completed

    async def _session(self, lab: KernelLab, spec: SessionSpec) -> SessionRecord:
        limits_s = (self.options.time_limit_s, lab.network.time_limit_s)
        job = join.client_job(spec, min(limit for limit in limits_s if limit is not None))
        try:
            outcome = await lab.session(job, join.wire_order(spec))
        except PartDiedError as error:
            return join.failed(spec, lab.network, str(error))
        result = join.joined(spec, lab.network, outcome, self._wall_offset_ns)
        if self.options.folder is not None:
            for name, data in result.captures.items():
                _write(self.options.folder / name, data)
        return result.record


class _Group:
    """Sessions that share a network and a reader.

    Attributes:
        network: what they run over.
        reader: how the server reads.
        pending: those that have not begun.
        session_s: about how long the longest of them takes.
    """

    def __init__(self, network: Network, reader: Reader, pending: deque[SessionSpec]) -> None:
        self.network = network
        self.reader = reader
        self.pending = pending
        self.session_s = pace.estimate_s(pending, network)


def _write(path: Path, data: bytes) -> None:
    """Write a capture wholly, or not at all."""
    with writing(path):
        try:
            path.write_bytes(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
