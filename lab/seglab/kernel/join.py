"""From what the lab's parts saw of a session to one record with three layers: pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from seglab.core.record import Captures, MtuChange, SessionRecord
from seglab.core.trace import HeaderField, Read, Write
from seglab.errors import EnvironmentLacksError
from seglab.experiment.plan import SessionSpec
from seglab.kernel import packets, pcapng
from seglab.kernel.channel import Message
from seglab.kernel.packets import Journey
from seglab.networks.network import Network

ENGINE = "kernel"

Span = Sequence[int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the lab's parts saw of one session, not yet joined.

    Attributes:
        flow: the session's number in its lab.
        client: the client's result.
        connection: the server's record; ``None`` where no connection reached it.
        wire: the wire's record: its frames, and what the kernel dropped before it saw them.
        mtu_changes: when, on the lab's clock, the path's MTU became what.
    """

    flow: int
    client: Message
    connection: Message | None
    wire: Message
    mtu_changes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """A session's record, and its captures by their paths in the run folder."""

    record: SessionRecord
    captures: dict[str, bytes]


def wire_order(spec: SessionSpec) -> Message:
    """The wire's part of a session: the seed of its link's dice."""
    return {"seed": spec.seed}


def client_job(spec: SessionSpec, time_limit_s: float) -> Message:
    """The client's part of a session: how to make its steps again, and how long it may take."""
    return {
        "sender": spec.sender,
        "parameters": dict(spec.parameters),
        "message": msgspec.to_builtins(spec.message),
        "message_seed": spec.message_seed,
        "protocol": spec.protocol,
        "nodelay": spec.nodelay,
        "time_limit_s": time_limit_s,
    }


def blank(spec: SessionSpec, network: Network) -> SessionRecord:
    """The record of a session of which nothing is known but the plan."""
    return SessionRecord(
        session_id=spec.session_id,
        scenario=spec.scenario,
        variant=spec.variant,
        sender=spec.sender,
        style=spec.style,
        terminator=spec.terminator,
        network=spec.network,
        path_condition=spec.path_condition,
        engine=ENGINE,
        seed=spec.seed,
        repeat=spec.repeat,
        mtu=network.path_mtu,
        mss=network.mss,
        timestamps=network.client.timestamps,
        status="failed",
        payload_bytes=0,
        parameters=msgspec.json.encode(spec.parameters).decode(),
        reader=spec.reader.kind,
        buffer_bytes=spec.reader.buffer_bytes,
        initcwnd=network.client.initcwnd,
        nodelay=spec.nodelay,
        message=spec.message_name,
        congestion_control=network.client.congestion_control,
    )


def failed(spec: SessionSpec, network: Network, reason: str) -> SessionRecord:
    """The record of a session that the lab did not live to finish."""
    return replace(blank(spec, network), error=reason)


def joined(spec: SessionSpec, network: Network, outcome: Outcome, wall_offset_ns: int) -> Joined:
    """The session's record and captures.

    Args:
        spec: what was planned.
        network: where it ran.
        outcome: what was seen.
        wall_offset_ns: what to add to the lab's clock for the time of day, in the captures.

    Raises:
        EnvironmentLacksError: a segment exceeds the MSS: what the wire sees are no segments.
    """
    client, connection = outcome.client, outcome.connection
    t0_ns: int = client["t0_ns"]
    start, end = client["payload"]
    way = packets.journeys(outcome.wire["frames"])
    handshake = packets.handshake(way)
    mss = client["mss"] or network.mss
    if handshake is not None:
        _refuse_offloads(spec, way, handshake.mss)
    record = replace(
        blank(spec, network),
        mss=mss,
        timestamps=client["timestamps"] if client["mss"] else network.client.timestamps,
        payload_bytes=end - start,
        payload_sha256=client["sha256"],
        writes=tuple(Write(t - t0_ns, a, b) for t, a, b in _clipped(client["writes"], start, end)),
        segments=packets.segments(way, start, end, t0_ns),
        reads=()
        if connection is None
        else tuple(Read(t - t0_ns, a, b) for t, a, b in _clipped(connection["reads"], start, end)),
        t0_ns=t0_ns,
        duration_ns=client["t_end_ns"] - t0_ns,
        mtu_changes=tuple(MtuChange(t - t0_ns, mtu) for t, mtu in outcome.mtu_changes),
        header_end=client.get("header_end"),
        header_fields=tuple(HeaderField(*span) for span in client.get("header_fields", ())),
    )
    error = _error(client, connection, record, outcome.wire)
    if error and network.black_hole and any(s.drop_reason == "router" for s in record.segments):
        error += f"; the router, a black hole, lost each packet above {network.path_mtu} bytes"
    names = Captures(
        client=f"wire/{spec.session_id}.client.pcapng",
        server=f"wire/{spec.session_id}.server.pcapng",
    )
    record = replace(record, status="failed" if error else "complete", error=error, captures=names)
    return Joined(
        record,
        {
            f"wire/{spec.session_id}.{vantage}.pcapng": data
            for vantage, data in pcapng.captures(
                way, wall_offset_ns, f"{spec.session_id}: {error or 'complete'}"
            ).items()
        },
    )


def _clipped(spans: Iterable[Span], start: int, end: int) -> Iterable[tuple[int, int, int]]:
    """The spans' parts within the payload, counted from its first byte."""
    for t_ns, a, b in spans:
        if a < end and b > start:
            yield t_ns, max(a, start) - start, min(b, end) - start


def _error(
    client: Message, connection: Message | None, record: SessionRecord, wire: Message
) -> str | None:
    """Why the session does not count as complete; ``None`` where it does."""
    if client["error"] is not None:
        return str(client["error"])
    if connection is None:
        return "the server has no record of the connection"
    if connection.get("refused"):
        return f"the server refused: {connection['refused']}"
    if wire["kernel_drops"]:
        return f"the wire was too slow: the kernel dropped {wire['kernel_drops']} frames unseen"
    if record.payload_sha256 not in connection["sha256"]:
        return "the server received other bytes than were written"
    return next(iter(record.trace.violations()), None)


def _refuse_offloads(spec: SessionSpec, way: Iterable[Journey], mss: int) -> None:
    stretch = packets.largest(way)
    if stretch is not None and stretch.end - stretch.start > mss:
        size = stretch.end - stretch.start
        raise EnvironmentLacksError(
            f"{spec.network} x {spec.sender}: segment {stretch.start}:{stretch.end}({size}) "
            f"exceeds the MSS {mss}; is TSO or GSO on at c-eth0, or GRO at w-c0?"
        )
