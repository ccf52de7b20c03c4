"""The kernel engine: carries out planned sessions in labs, and returns their records."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab.errors import PartDiedError
from lab.kernel import join, sandbox
from lab.kernel.lab import KernelLab
from lab.network import Network
from lab.plan import SessionSpec
from lab.reader import Reader
from lab.record import SessionRecord
from lab.runfolder import writing

BARREN_LABS = 3
"""How many labs in a row may die without completing a session before the run is given up."""

LABS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine runs sessions.

    Attributes:
        jobs: sessions side by side, over all labs.
        time_limit_s: for one session, beyond what its network and its sender's waits need.
        folder: the run's, for the captures; ``None`` writes none.
        log: where the lab's processes write what they have to say.
    """

    jobs: int = 40
    time_limit_s: float = 60.0
    folder: Path | None = None
    log: IO[bytes] | int | None = None


class KernelEngine:
    """Runs sessions over the real TCP stack of this machine's kernel.

    Attributes:
        environments: by network name, what was in force on each host, read back.
    """

    name = join.ENGINE

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        self.environments: dict[str, dict[str, Any]] = {}
        self._wall_offset_ns = time.time_ns() - time.monotonic_ns()

    async def run(
        self,
        specs: Iterable[tuple[SessionSpec, Network]],
        on_record: Callable[[SessionRecord], None],
    ) -> None:
        """Carry out the sessions; hand over each record as soon as it is complete or failed.

        Sessions that share a network and a reader share a lab.

        Raises:
            EnvironmentLacksError: this machine cannot run a lab, or not as asked.
            PartDiedError: labs die again and again.
        """
        sandbox.check()
        labs: dict[tuple[Network, Reader], deque[SessionSpec]] = {}
        for spec, network in specs:
            labs.setdefault((network, spec.reader), deque()).append(spec)
        # Made here, since a semaphore that had to wait belongs to that event loop for good.
        self._slots = asyncio.Semaphore(self.options.jobs)
        self._labs = asyncio.Semaphore(LABS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for (network, reader), pending in labs.items():
                group.create_task(self._run_group(network, reader, pending, on_record))

    async def _run_group(
        self,
        network: Network,
        reader: Reader,
        pending: deque[SessionSpec],
        on_record: Callable[[SessionRecord], None],
    ) -> None:
        """Sessions that share a lab; one that dies is followed by another."""
        barren = 0
        while pending:
            waiting = len(pending)
            async with self._labs, KernelLab(network, reader, self.options.log) as lab:
                self.environments[network.name] = {
                    host: state.to_manifest() for host, state in lab.states.items()
                }
                workers = min(self.options.jobs, len(pending))
                async with (
                    asyncio.TaskGroup() as group
                ):  # where one fails, the others are called off
                    tasks = [
                        group.create_task(self._work(lab, pending, on_record, n / workers))
                        for n in range(workers)
                    ]
            barren = 0 if any(task.result() for task in tasks) else barren + 1
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
        job = join.client_job(spec, self.options.time_limit_s)
        try:
            outcome = await lab.session(job, join.wire_order(spec))
        except PartDiedError as error:
            return join.failed(spec, lab.network, str(error))
        result = join.joined(spec, lab.network, outcome, self._wall_offset_ns)
        if self.options.folder is not None:
            for name, data in result.captures.items():
                _write(self.options.folder / name, data)
        return result.record


def _write(path: Path, data: bytes) -> None:
    """Write a capture wholly, or not at all."""
    with writing(path):
        try:
            path.write_bytes(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
