"""Carries schedules out: many side by side in one kernel lab, and one by one in the simulator."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import starmap
from pathlib import Path

from seglab.confined.exchange import stored_step
from seglab.core.record import SessionRecord
from seglab.core.seeds import derive
from seglab.engine.record import may_be_load, session_record
from seglab.errors import PartDiedError
from seglab.frames import packets
from seglab.kernel import join
from seglab.kernel.lab import KernelLab
from seglab.kernel.reports import SessionReports
from seglab.networks.link import LinkParams
from seglab.networks.network import Link, Network
from seglab.sender.script import needed_s
from seglab.sender.steps import Write
from seglab.simulator import observed
from seglab.simulator.script import Script
from seglab.simulator.session import Simulation
from seglab.simulator.worker import ENGINE
from seglab.validation.recording import (
    Closed,
    Event,
    JiffyClock,
    Looked,
    OptionSet,
    Recording,
    SeenPacket,
    SeenSession,
    Written,
)
from seglab.validation.schedule import Schedule

LIMIT_S = 20.0
"""How long a session may take beyond its own time."""

JOBS = 80
"""How many sessions run in a lab at once, by default. They mostly wait."""

APART_S = 0.02
"""How long after the session before one begins, so that not all want the processor together."""

_CLIENTS_LINK = packets.LINKS.index("access")


@dataclass(frozen=True, slots=True)
class Carried:
    """A schedule that an engine has carried out.

    Attributes:
        record: of the session; ``None`` where its lab died.
        recording: what the client's TCP was given and sent; of the kernel alone.
    """

    record: SessionRecord | None
    recording: Recording | None = None

    @property
    def usable(self) -> bool:
        """Whether the session counts: the engine was in time, and it did not fail by the load."""
        record = self.record
        return record is not None and not record.too_late and not may_be_load(record.error)

    @property
    def sequence(self) -> tuple[tuple[int, int, bool, bool], ...]:
        """The segments from the client: range, PSH, whether all of it had been sent before."""
        segments = () if self.record is None else self.record.segments
        return tuple((s.start, s.end, s.psh, s.retransmission) for s in segments)

    @property
    def error(self) -> str | None:
        """Why the session failed; ``None`` where it did not."""
        return "the lab died" if self.record is None else self.record.error


def path_of(schedule: Schedule) -> Schedule:
    """Return what schedules of one lab have in common: all but the steps and what gets lost."""
    network = schedule.network
    links = {name: _without_drops(getattr(network, name)) for name in packets.LINKS}
    return replace(schedule, network=replace(network, **links), steps=(), nodelay=False, about="")


def _without_drops(link: Link) -> Link:
    return Link(replace(link.up, drop_data=()), replace(link.down, drop_data=()))


def _drops(network: Network) -> dict[str, list[int]]:
    """Return the positions that get lost, by the wire's names of its ports."""
    found: dict[str, list[int]] = {}
    for name in packets.LINKS:
        link = getattr(network, name)
        for way, params in (("a_to_b", link.up), ("b_to_a", link.down)):
            _add(found, f"{name}:{way}", params)
    return found


def _add(found: dict[str, list[int]], port: str, params: LinkParams) -> None:
    if params.drop_data:
        found[port] = list(params.drop_data)


async def on_kernel(
    schedules: Sequence[Schedule], seeds: Sequence[int], jobs: int = JOBS
) -> list[Carried]:
    """Carry schedules out on the kernel engine; those that share a path share a lab.

    Args:
        schedules: what to do.
        seeds: of each, for what is drawn on the path.
        jobs: how many sessions run at once.

    Raises:
        EnvironmentLacksError: this machine cannot run labs.
    """
    groups: dict[Schedule, list[int]] = {}
    for number, schedule in enumerate(schedules):
        groups.setdefault(path_of(schedule), []).append(number)
    results: dict[int, Carried] = {}
    for path, numbers in groups.items():
        async with KernelLab(path.network, path.reader) as lab:
            slots = asyncio.Semaphore(jobs)
            async with asyncio.TaskGroup() as tasks:
                running = {
                    number: tasks.create_task(
                        _session(lab, schedules[number], seeds[number], slots, APART_S * place)
                    )
                    for place, number in enumerate(numbers)
                }
            results |= {number: task.result() for number, task in running.items()}
    return [results[number] for number in range(len(schedules))]


async def _session(
    lab: KernelLab, schedule: Schedule, seed: int, slots: asyncio.Semaphore, delay_s: float
) -> Carried:
    await asyncio.sleep(delay_s)
    spec = schedule.session("schedule", seed)
    job = {
        **join.client_job(spec, LIMIT_S),
        "script": [stored_step(step) for step in schedule.steps],
    }
    order = {**join.wire_order(spec), "drop_data": _drops(schedule.network)}
    async with slots:
        try:
            reports = await lab.session(job, order)
        except PartDiedError:
            return Carried(None)
    record = join.assemble(spec, schedule.network, reports, 0).record
    return Carried(record, _recording(schedule, reports))


def _recording(schedule: Schedule, reports: SessionReports) -> Recording | None:
    """Return what the client's TCP was given, and what it sent.

    Both are frames of the client's own link. What became of a packet before does not matter, and
    over IPv6 nothing tells acknowledgements apart that differ in their SACK blocks alone.
    """
    seen: list[SeenPacket] = []
    for frame in starmap(packets.Frame, reports.wire["frames"]):
        if frame.link != _CLIENTS_LINK:
            continue
        if frame.direction == 0:
            seen.append(SeenPacket(frame.t_in_ns, frame.raw, sent=True))
        else:
            seen += [SeenPacket(t_ns, frame.raw, sent=False) for t_ns in frame.t_out_ns]
    seen.sort(key=lambda one: one.t_ns)
    client = reports.client
    more = {start: step.more for start, step in _starts(schedule)}
    asked: list[tuple[int, Event]] = []
    at, flag = 0, False
    for t_ns, size, took in client["sends"]:
        flag = more.get(at, flag)
        asked.append((t_ns, Written(size, flag, size - took)))
        at += took
    asked += [(t_ns, OptionSet(name, on)) for t_ns, name, on in client.get("options", ())]
    asked += [(t_ns, Looked()) for t_ns in client.get("looks", ())]
    if client.get("shut_ns") is not None:
        asked.append((client["shut_ns"], Closed()))
    try:
        asked.sort(key=lambda one: one[0])
        return SeenSession(seen).recording(asked, _jiffies())
    except ValueError:
        return None


@cache
def _jiffies() -> JiffyClock | None:
    """Return how this kernel counts jiffies; only root may know."""
    try:
        return JiffyClock.from_timer_list(Path("/proc/timer_list").read_text())
    except OSError:
        return None


def _starts(schedule: Schedule) -> Iterator[tuple[int, Write]]:
    """Yield where each write begins in the stream."""
    at = 0
    for step in schedule.steps:
        if isinstance(step, Write):
            yield at, step
            at += len(step.data)


def on_simulator(schedule: Schedule, seed: int, repetition: int = 0) -> Carried:
    """Carry a schedule out on the simulator.

    Args:
        schedule: what to do.
        seed: for what is drawn on the path, as on the kernel engine.
        repetition: for what is drawn in the hosts alone.
    """
    spec = schedule.session("schedule", seed)
    network = schedule.network
    limit_s = LIMIT_S + needed_s(schedule.steps, network.round_trip_s, network.slowest_mbit)
    simulation = Simulation(
        spec, network, Script(schedule.steps, "raw"), int(limit_s * 1e9), repetition
    )
    simulation.run()
    return Carried(session_record(spec, network, ENGINE, observed.observed(simulation)))


def seeds_of(seed: int, number: int, count: int) -> Iterable[int]:
    """Return the seeds of the repeats of one schedule, the same on both engines."""
    return (derive(seed, "schedule", number, repeat) for repeat in range(count))
