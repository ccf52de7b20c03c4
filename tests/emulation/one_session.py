"""One session through a lab of its own, with what every part saw of it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import striking

from seglab.core.record import SessionRecord
from seglab.engine.base import Planned
from seglab.execution.request import RunRequest
from seglab.frames.headers import SYN
from seglab.frames.packets import Packet, join_frames
from seglab.kernel import join
from seglab.kernel.lab import KernelLab


@dataclass(frozen=True)
class Carried:
    """What one session left behind.

    Attributes:
        record: its record.
        packets: all packets of both directions.
        counters: what the router's and the server's kernels count, by ``Group.name``.
    """

    record: SessionRecord
    packets: list[Packet]
    counters: dict[str, dict[str, int]]


def modelled(planned: Planned) -> Planned:
    """The same session with the simulator's TCP at its client."""
    spec, network = planned
    return spec, striking.modelled(network)


def carry_out(planned: Planned, prepare: Callable[[KernelLab], None] | None = None) -> Carried:
    """Carry one session through a lab of its own, with what every part saw.

    Args:
        planned: the session.
        prepare: does something to the lab before it begins.
    """
    spec, network = planned
    job = join.client_job(spec, network.limited_s(30.0))

    async def session() -> Carried:
        async with KernelLab(network, spec.reader) as lab:
            if prepare is not None:
                prepare(lab)
            reports = await lab.session(job, join.wire_order(spec))
            record = join.assemble(spec, network, reports, 0).record
            counted = {
                node: counters(await lab.execute(node, "cat /proc/net/snmp"))
                for node in ("router", "server", "client")
            }
            return Carried(record, join_frames(reports.wire["frames"]), counted)

    return asyncio.run(session())


def counters(text: str) -> dict[str, int]:
    """``/proc/net/snmp``: a line of names and a line of values for each group."""
    lines = [line.split() for line in text.splitlines()]
    return {
        f"{names[0]}{name}": int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=True)
        for name, value in zip(names[1:], values[1:], strict=True)
    }


CLIENTS = {
    "kernel": "",
    "linux": 'client.tcp = "simulator"',
    "windows": 'client.personality = "windows"',
    "lwip": 'client.personality = "lwip"',
}
"""The TCPs that a client can have: this kernel's, and the simulator's with each personality."""


def from_client(packets: Iterable[Packet]) -> list[Packet]:
    """The packets that the client sent."""
    return [packet for packet in packets if packet.direction == 0 and packet.tcp is not None]


def initial(packets: Iterable[Packet]) -> tuple[int, int]:
    """The initial sequence numbers of client and server."""
    syns = {p.direction: p.tcp.seq for p in packets if p.tcp is not None and p.tcp.flags & SYN}
    return syns[0], syns[1]


def own(folder: Path, network: str, sender: str, payload_bytes: int) -> Planned:
    """One session over a network that a test describes."""
    file = folder / "own.toml"
    file.write_text(
        f'title = "t"\nsenders = [{sender}]\nsessions = 1\n'
        f"message.payload_bytes = {payload_bytes}\n"
        f'[[network]]\nname = "own"\ntitle = "t"\n{network}\n'
    )
    (planned,) = RunRequest((str(file),)).specs(2014)
    return planned
