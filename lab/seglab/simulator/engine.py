"""The simulator as an engine: sessions in virtual time, over all cores, in the planned order.

Sessions are handed to processes in batches, and their records come back in the order of the plan,
however many processes there are. A batch that is lost because its process was killed is carried
out again, since that gives the same records.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from seglab.core import processors
from seglab.core.child_processes import follow_parent
from seglab.core.record import RecordLine, SessionRecord
from seglab.engine import schedule
from seglab.engine.base import EngineOptions, OnLine, OnRecord, Planned
from seglab.engine.slots import PrioritySemaphore
from seglab.errors import PartDiedError
from seglab.networks.network import Network
from seglab.simulator import worker
from seglab.simulator.batches import Batch, Packer

BATCH: Final = 32
"""How many sessions a process gets at once."""

ALONE_MOST: Final = 200
"""Up to this number of sessions, starting other processes takes longer than it saves."""

DEATHS_MOST: Final = 3
"""How often in a row processes may die without completing a batch before the engine gives up."""

_SESSION_S = 0.002  # the time that a session takes, for the forecast
_TURN_S = 0.02  # how long sessions are carried out here before others have a turn
_AHEAD = 8  # batches for each process that have been handed out and not come back


class SimulatorEngine:
    """Carries sessions out in virtual time.

    Args:
        options: how it runs them. ``jobs`` processes work side by side, but not more than there
            are cores that this process may use.
        slots: has no effect, since sessions do not wait.

    Attributes:
        name: ``simulator``.
        environments: empty: no host is set up.
        forecast: when the sessions will have ended.
    """

    name = worker.ENGINE

    def __init__(self, options: EngineOptions, slots: PrioritySemaphore | None = None) -> None:
        del slots
        self.options = options
        self.environments: Mapping[str, Mapping[str, Any]] = {}
        self._processes = max(1, min(options.jobs, processors.usable()))
        self.forecast = schedule.Forecast(self._processes)

    def check(self, networks: Iterable[Network] = ()) -> None:
        """Do nothing: the simulator needs nothing of the machine.

        A network that it does not model is no lack of the machine: its sessions fail, each with
        the reason (``seglab.simulator.support``).
        """

    @staticmethod
    def kept() -> AbstractAsyncContextManager[None]:
        """Keep the processes that engines start in this block until it ends."""
        return _shared.keep()

    async def run(self, specs: Iterable[Planned], on_record: OnRecord) -> None:
        """Carry out the sessions; hand over the records in the order of the plan.

        Raises:
            EnvironmentLacksError: a capture cannot be written.
            PartDiedError: the processes are killed again and again.
        """
        await self._run(
            specs, on_record, lambda found: on_record(SessionRecord.from_json(found.line))
        )

    async def run_as_lines(self, specs: Iterable[Planned], on_line: OnLine) -> None:
        """Do what ``run`` does, and hand over each record as its line."""
        await self._run(specs, lambda record: on_line(RecordLine.of(record)), on_line)

    async def _run(self, specs: Iterable[Planned], on_record: OnRecord, on_line: OnLine) -> None:
        """Carry out the sessions, here or in other processes, which hand over lines."""
        planned = list(specs)
        self.forecast.plan([_SESSION_S] * len(planned))
        if self._processes == 1 or len(planned) <= ALONE_MOST:
            due_s = time.monotonic() + _TURN_S
            for one in planned:
                self.forecast.began(one[0].session_id, _SESSION_S)
                (record,) = worker.carry_out(
                    [one],
                    self.options.time_limit_s,
                    self.options.folder,
                    self.options.repetition,
                )
                self.forecast.ended(record.session_id)
                on_record(record)
                if time.monotonic() >= due_s:
                    await asyncio.sleep(0)  # where the run may be cancelled
                    due_s = time.monotonic() + _TURN_S
            return
        batches = deque(_batches(planned))
        packer = Packer(planned)
        deaths = 0
        while batches:
            left = len(batches)
            try:
                await self._work_off(batches, packer, on_line)
            except BrokenExecutor as error:
                deaths = deaths + 1 if len(batches) == left else 1
                if deaths >= DEATHS_MOST:
                    raise PartDiedError(
                        f"the simulator gave up: its processes died {deaths} times in a row; a "
                        'script that runs seglab does so below `if __name__ == "__main__":`, '
                        "since its processes read the script again"
                    ) from error

    async def _work_off(
        self, batches: deque[Sequence[Planned]], packer: Packer, on_line: OnLine
    ) -> None:
        """Let processes carry out the batches, and remove each one that has come back.

        Engines hand their batches out one after the other, not all at once: so the first one is
        done while the next one has work for the processes, and not both at the same time.
        """
        loop = asyncio.get_running_loop()
        async with _shared.use(self._processes) as (pool, turn), AsyncExitStack() as handing_out:
            await handing_out.enter_async_context(turn)
            under_way: deque[Future[list[RecordLine]]] = deque()
            try:
                while batches:
                    for batch in islice(batches, len(under_way), self._processes * _AHEAD):
                        for spec, _ in batch:
                            self.forecast.began(spec.session_id, _SESSION_S)
                        under_way.append(_submit(pool, packer.packed(batch), self.options))
                    if len(under_way) == len(batches):
                        await handing_out.aclose()
                    lines = await asyncio.wrap_future(under_way[0], loop=loop)
                    under_way.popleft()
                    batches.popleft()
                    for line in lines:
                        self.forecast.ended(line.session_id)
                        on_line(line)
            except BrokenExecutor:
                raise  # the pool ends what is under way; one that is cancelled would stop it there
            except BaseException:
                for future in under_way:
                    future.cancel()
                raise


def _batches(planned: Sequence[Planned]) -> Iterator[Sequence[Planned]]:
    for first in range(0, len(planned), BATCH):
        yield planned[first : first + BATCH]


def _submit(
    pool: ProcessPoolExecutor, batch: Batch, options: EngineOptions
) -> Future[list[RecordLine]]:
    folder = options.folder and Path(options.folder).absolute()
    limit_s, repetition = options.time_limit_s, options.repetition
    return pool.submit(worker.carry_out_batch, batch, limit_s, folder, repetition)


class _SharedPool:
    """The processes of all engines that are at work, such as those of a dataset's shards.

    They start with the first engine that needs them, and end when nobody uses or keeps them.
    """

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self._users = 0

    @asynccontextmanager
    async def keep(self) -> AsyncIterator[None]:
        """Let the processes wait for more work, once they have started, until this block ends."""
        self._users += 1
        try:
            yield
        finally:
            await self._leave(self._pool)

    @asynccontextmanager
    async def use(self, processes: int) -> AsyncIterator[tuple[ProcessPoolExecutor, asyncio.Lock]]:
        """Hold the processes; each is a new interpreter, as every system can start one.

        Yields:
            The processes, and the lock of the one who gives them work.
        """
        if self._pool is None:
            self._pool, self._turn = _started(processes), asyncio.Lock()
        pool = self._pool
        self._users += 1
        try:
            yield pool, self._turn
        except BrokenExecutor:
            if self._pool is pool:  # the next one who needs processes starts others
                self._pool = None
            raise
        finally:
            await self._leave(pool)

    async def _leave(self, pool: ProcessPoolExecutor | None) -> None:
        """End the processes where nobody needs them any longer, or where one of them has died."""
        self._users -= 1
        if not self._users:
            self._pool = None
        if pool is not None and pool is not self._pool:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)


def _started(processes: int) -> ProcessPoolExecutor:
    """Return a pool all of whose processes have been started.

    A pool starts them one by one, as work comes. One that is started while another dies is not
    among those that the pool then ends, nobody reads what it answers, and Python waits for its end.
    """
    pool = ProcessPoolExecutor(processes, get_context("spawn"), follow_parent)
    for _ in range(processes):
        pool.submit(os.getpid)
    return pool


_shared = _SharedPool()
