"""The kernel engine: carries out planned sessions in labs, and returns their records."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from lab.errors import PartDiedError
from lab.kernel import join, sandbox
from lab.kernel.lab import KernelLab
from lab.plan import SessionSpec
from lab.record import SessionRecord

BARREN_LABS = 3
"""How many labs in a row may die without completing a session before the run is given up."""

LABS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine runs sessions.

    Attributes:
        jobs: sessions side by side, over all labs.
        time_limit_s: for one session, beyond what its network and its sender's waits need.
        wire: the folder of the captures; ``None`` writes none.
        log: where the lab's processes write what they have to say.
    """

    jobs: int = 40
    time_limit_s: float = 60.0
    wire: Path | None = None
    log: IO[bytes] | int | None = None


class KernelEngine:
    """Runs sessions over the real TCP stack of this machine's kernel.

    Attributes:
        environments: by network name, what was in force on each host, read back.
    """

    name = "kernel"

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        self.environments: dict[str, dict[str, Any]] = {}
        self._slots = asyncio.Semaphore(options.jobs)
        self._labs = asyncio.Semaphore(LABS_AT_ONCE)
        self._wall_offset_ns = time.time_ns() - time.monotonic_ns()

    async def run(
        self, specs: Iterable[SessionSpec], on_record: Callable[[SessionRecord], None]
    ) -> None:
        """Carry out the sessions; hand over each record as soon as it is complete or failed.

        Raises:
            EnvironmentLacksError: this machine cannot run a lab, or not as asked.
            PartDiedError: labs die again and again.
        """
        sandbox.check()
        ordered = sorted(specs, key=_lab_key)
        async with asyncio.TaskGroup() as group:
            for _, members in groupby(ordered, key=_lab_key):
                group.create_task(self._run_group(deque(members), on_record))

    async def _run_group(
        self, pending: deque[SessionSpec], on_record: Callable[[SessionRecord], None]
    ) -> None:
        """Sessions that share a lab: one network, one way of reading."""
        first, barren = pending[0], 0
        while pending:
            waiting = len(pending)
            async with self._labs, KernelLab(first.network, first.reader, self.options.log) as lab:
                self.environments[first.network.name] = {
                    host: state.to_manifest() for host, state in lab.states.items()
                }
                workers = min(self.options.jobs, len(pending))
                completed = await asyncio.gather(
                    *(self._work(lab, pending, on_record, n / workers) for n in range(workers))
                )
            barren = 0 if any(completed) else barren + 1
            if lab.dead and pending and (barren >= BARREN_LABS or waiting == len(pending)):
                raise PartDiedError(f"gave up after {barren} labs in a row died: {lab.dead}")

    async def _work(
        self,
        lab: KernelLab,
        pending: deque[SessionSpec],
        on_record: Callable[[SessionRecord], None],
        phase: float,
    ) -> int:
        """Take sessions one after the other until none is left, or the lab is dead.

        The workers begin at even phases of a session's rough length, so that sessions do not
        march in step and all want the processor at once.
        """
        await asyncio.sleep(phase * 3 * lab.network.round_trip_s)
        completed = 0
        while pending and lab.dead is None:
            async with self._slots:
                if not pending:
                    break
                spec = pending.popleft()
                record = await self._session(lab, spec)
            completed += record.status == "complete"
            on_record(record)
        return completed

    async def _session(self, lab: KernelLab, spec: SessionSpec) -> SessionRecord:
        limit_s = self.options.time_limit_s
        job = join.client_job(spec, limit_s)
        try:
            outcome = await lab.session(job, join.wire_order(spec))
        except PartDiedError as error:
            return join.failed(spec, self.name, str(error))
        joined = join.joined(spec, self.name, outcome, self._wall_offset_ns)
        if self.options.wire is not None:
            for name, data in joined.captures.items():
                (self.options.wire / name).write_bytes(data)
        return joined.record


def _lab_key(spec: SessionSpec) -> tuple[str, str, int]:
    return spec.network.name, spec.reader.kind, spec.reader.buffer_bytes


