"""The kernel engine: carries out planned sessions in labs, and returns their records.

Sessions that share a network, a reader and what the server offers form a group, and the sessions of
a group run in one lab after the other until none is left. Three semaphores say who may work: one
for labs that exist, one for labs that start, and one for sessions (``slots``), which other engines
may share, and with it the other two. All three prefer what takes longest.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from seglab.core.files import write_whole
from seglab.core.record import SessionRecord
from seglab.engine import again, schedule
from seglab.engine.base import EngineOptions, OnRecord, Planned
from seglab.engine.record import failed_record
from seglab.engine.slots import PrioritySemaphore
from seglab.errors import EnvironmentLacksError, PartDiedError, SeglabError
from seglab.experiment.offers import Offers
from seglab.experiment.plan import ProgramSession, SessionSpec
from seglab.experiment.reader import Reader
from seglab.experiment.serving import ServerProgram
from seglab.kernel import capacity, join, luggage, sandbox
from seglab.kernel.join import AssembledSession
from seglab.kernel.lab import KernelLab
from seglab.kernel.program import order
from seglab.kernel.program.lab import ProgramLab
from seglab.kernel.program.served_lab import ServedLab
from seglab.networks.network import Network

BARREN_LABS = 3
"""How many labs in a row may die without completing a session before the engine gives up."""


_PROGRAMS_S = 100.0
"""For how many seconds a lab is to be busy with programs before a second one is worth its while."""


class _NetworkRefusedError(Exception):
    """This machine cannot carry sessions over a network; the reason is its cause."""


class KernelEngine:
    """Runs sessions over the real TCP stack of this machine's kernel.

    Args:
        options: how it runs them.
        slots: ``jobs`` times ``schedule.SLOT`` slots, shared with other engines of the same event
            loop; ``None`` gives the engine slots of its own.

    Attributes:
        name: ``kernel``.
        environments: by the name of a network and of a host, what was in force, as read back.
        forecast: when the sessions will have ended.
    """

    name = join.ENGINE

    def __init__(self, options: EngineOptions, slots: PrioritySemaphore | None = None) -> None:
        self.options = options
        self._shared = slots
        self.environments: dict[str, dict[str, Any]] = {}
        self._strays: dict[str, tuple[int, int]] = {}
        self.forecast = schedule.Forecast(options.jobs)
        self._second_tries = again.SecondTries()
        self._wall_offset_ns = time.time_ns() - time.monotonic_ns()

    def check(self, networks: Iterable[Network] = ()) -> None:
        """Make sure that labs can be built here, also for these networks.

        Raises:
            EnvironmentLacksError: a program or a permission is missing.
        """
        capacity.check_open_files()
        sandbox.check()
        for network in networks:
            sandbox.check_network(network)

    async def run(self, specs: Iterable[Planned], on_record: OnRecord) -> None:
        """Carry out the sessions; hand over each record as soon as it is complete or failed.

        Sessions that share a network, a reader and what the server offers share a lab. The longest
        begin first. Where
        this machine cannot do what one network asks for, that network's sessions fail. Where it
        cannot do so for any network, there are no records and ``run`` raises the first reason.

        Raises:
            EnvironmentLacksError: this machine cannot run a lab, or none of those asked for.
            PartDiedError: every lab dies again and again.
        """
        await asyncio.to_thread(self.check)
        labs: dict[tuple[Network, Reader | ServerProgram, Offers, bool], deque[SessionSpec]] = {}
        for spec, network in specs:
            key = network, spec.reader, spec.offers, isinstance(spec, ProgramSession)
            labs.setdefault(key, deque()).append(spec)
        groups = [
            group
            for key, pending in labs.items()
            for group in _Group(*key, pending).divided(self.options.jobs)
        ]
        groups.sort(key=lambda group: group.session_s, reverse=True)
        for group in groups:
            self.forecast.plan([group.session_s] * len(group.pending))
            self._second_tries.plan(len(group.pending))
        # These belong to the event loop of the first task that waits for them.
        self._slots = self._shared or PrioritySemaphore(self.options.jobs * schedule.SLOT)
        self._labs, self._starting = _labs_beside(self._slots)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._run_group(group, on_record)) for group in groups]
        refusals = [task.result() for task in running]
        if all(refusals):
            for refusal in refusals:
                raise refusal or AssertionError
        for group, refusal in zip(groups, refusals, strict=True):
            for spec in group.pending if refusal else ():
                on_record(failed_record(spec, group.network, self.name, str(refusal)))

    async def _run_group(self, group: "_Group", on_record: OnRecord) -> SeglabError | None:
        """Carry out a group's sessions; where a lab dies, another one follows.

        Returns:
            Why the sessions that are left cannot be carried out; ``None`` where none is left.
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
        """Start a lab for a group when there is room for one, and take it down at the end."""
        lab = self._new_lab(group)
        priority = group.session_s + self.options.priority
        async with self._labs.take(priority=priority):
            try:
                async with self._starting.take(priority=priority):
                    await lab.__aenter__()
            except (EnvironmentLacksError, PartDiedError) as error:
                raise _NetworkRefusedError from error
            try:
                self.environments[group.network.name] = {
                    host: state.to_manifest() for host, state in lab.states.items()
                }
                if isinstance(lab, ProgramLab):
                    self.environments[group.network.name]["client"]["recorder"] = lab.recorder
                yield lab
            finally:
                self._count_strays(group.network.name, lab)
                await lab.__aexit__()

    def _new_lab(self, group: "_Group") -> KernelLab:
        """Return a lab that can carry a group's sessions; it does not run yet."""
        if isinstance(group.reader, ServerProgram):
            return ServedLab(group.network, group.reader, self.options.log)
        kind = ProgramLab if group.programs else KernelLab
        return kind(group.network, group.reader, self.options.log, offers=group.offers)

    def _count_strays(self, network: str, lab: KernelLab) -> None:
        """Add the strays of a lab to those of the network's other labs."""
        passed, lost = self._strays.get(network, (0, 0))
        self._strays[network] = passed + lab.strays, lost + lab.strays_lost
        passed, lost = self._strays[network]
        self.environments[network]["wire"]["strays"] = {"passed": passed, "lost": lost}

    async def _work_off(self, lab: KernelLab, group: "_Group", on_record: OnRecord) -> int:
        """Carry out a group's sessions; return how many became complete before the lab died."""
        weight = schedule.weight(group.session_s)
        workers = (
            1
            if group.programs
            else min(
                self.options.jobs * schedule.SLOT // weight,
                len(group.pending),
                capacity.sessions_at_once(),
            )
        )
        spread_s = capacity.spread_s(group.network, workers)
        async with asyncio.TaskGroup() as tasks:  # if one task fails, the others are cancelled
            working = [
                tasks.create_task(self._work(lab, group, on_record, n / workers * spread_s))
                for n in range(workers)
            ]
        return sum(task.result() for task in working)

    async def _work(
        self, lab: KernelLab, group: "_Group", on_record: OnRecord, delay_s: float
    ) -> int:
        """Carry out one session after the other until none is left, or the lab is dead.

        Each worker begins ``delay_s`` later than the first. Otherwise all sessions would do the
        same at the same time, and want the processor together.

        Returns:
            How many sessions became complete.
        """
        await asyncio.sleep(delay_s)
        completed = 0
        weight = schedule.weight(group.session_s, program=group.programs)
        while group.pending and lab.dead is None:
            async with self._slots.take(weight, self.options.priority + group.session_s):
                if not group.pending:
                    break
                record = await self._in_time(lab, group, group.pending.popleft())
            completed += record.status == "complete"
            on_record(record)
        return completed

    async def _in_time(self, lab: KernelLab, group: "_Group", spec: SessionSpec) -> SessionRecord:
        """Carry out one session, again if it was late; write its captures and return its record."""
        kept = await self._session(lab, group, spec)
        late_ns, kept_at = [kept.record.late_ns], 0
        while lab.dead is None and self._second_tries.grant(kept.record, len(late_ns)):
            self.forecast.plan([group.session_s])
            tried = await self._session(lab, group, spec)
            late_ns.append(tried.record.late_ns)
            if again.better(kept.record, tried.record):
                kept, kept_at = tried, len(late_ns) - 1
        del late_ns[kept_at]
        if self.options.folder is not None:
            for name, data in kept.captures.items():
                (self.options.folder / name).parent.mkdir(exist_ok=True)
                write_whole(self.options.folder / name, data)
        return again.noting(kept.record, late_ns)

    async def _session(
        self, lab: KernelLab, group: "_Group", spec: SessionSpec
    ) -> AssembledSession:
        """Carry out one session once."""
        self.forecast.began(spec.session_id, group.session_s)
        limit_s = lab.network.limited_s(self.options.time_limit_s)
        if isinstance(spec, ProgramSession):
            job = await asyncio.to_thread(order.of, spec, limit_s)
        else:
            job = join.client_job(spec, limit_s)
        if luggage.needed(spec):
            job |= await asyncio.to_thread(luggage.of, spec)
        try:
            reports = await lab.session(job, join.wire_order(spec))
        except PartDiedError as error:
            return AssembledSession(failed_record(spec, lab.network, self.name, str(error)), {})
        finally:
            self.forecast.ended(spec.session_id)
        return join.assemble(spec, lab.network, reports, self._wall_offset_ns)


_LABS: WeakKeyDictionary[PrioritySemaphore, tuple[PrioritySemaphore, PrioritySemaphore]] = (
    WeakKeyDictionary()
)


def _labs_beside(slots: PrioritySemaphore) -> tuple[PrioritySemaphore, PrioritySemaphore]:
    """Return the semaphores for labs that exist and that start; engines share them with slots."""
    if slots not in _LABS:
        labs = PrioritySemaphore(capacity.labs_at_once())
        _LABS[slots] = labs, PrioritySemaphore(os.cpu_count() or 1)
    return _LABS[slots]


class _Group:
    """Sessions that share a network, a reader and what the server offers.

    Attributes:
        network: the network that they run over.
        reader: how the server reads.
        offers: the service extensions that the server offers.
        programs: whether they are programs, not emulated senders.
        pending: the sessions that have not begun.
        session_s: about how many seconds the longest of them takes.
    """

    def __init__(
        self,
        network: Network,
        reader: Reader | ServerProgram,
        offers: Offers,
        programs: bool,
        pending: deque[SessionSpec],
    ) -> None:
        self.network = network
        self.reader = reader
        self.offers = offers
        self.programs = programs
        self.pending = pending
        self.session_s = schedule.estimate_s(pending, network)

    def divided(self, most: int) -> list["_Group"]:
        """Return groups for labs that work side by side.

        A lab runs one program after the other, so programs over a slow link need several labs.

        Args:
            most: there are at most so many of them.
        """
        if not self.programs:
            return [self]
        work_s = sum(schedule.estimate_s([spec], self.network) for spec in self.pending)
        many = max(1, min(most, int(work_s / _PROGRAMS_S)))
        parts = [deque(list(self.pending)[n::many]) for n in range(many)]
        return [_Group(self.network, self.reader, self.offers, True, part) for part in parts]
