"""From what the parts of a lab saw of a session to its record and its captures: pure."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from seglab.core.reading import ServerCall, ServerReading, SetOption
from seglab.core.record import Captures, MtuChange, SessionRecord
from seglab.core.trace import HeaderField, Read, SocketOption, Write, WriteCall
from seglab.engine.record import (
    WIRE_TOO_SLOW,
    ObservedProgram,
    ObservedSession,
    session_record,
    within_payload,
)
from seglab.errors import EnvironmentLacksError
from seglab.experiment.offers import announced
from seglab.experiment.plan import SessionSpec
from seglab.experiment.serving import ServerProgram
from seglab.frames import packets, pcapng
from seglab.frames.packets import Packet
from seglab.kernel import lateness
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.reports import SessionReports
from seglab.networks.network import Network

ENGINE = "kernel"

_REPLIES_MOST = 4096
"""More than a greeting and the reply to EHLO have."""


@dataclass(frozen=True, slots=True)
class AssembledSession:
    """A session's record, and its captures by their paths in the run folder."""

    record: SessionRecord
    captures: dict[str, bytes]


def wire_order(spec: SessionSpec) -> ChannelMessage:
    """Return the wire's part of a session: the seed of its link's dice."""
    return {"seed": spec.seed}


def client_job(spec: SessionSpec, time_limit_s: float) -> ChannelMessage:
    """Return the client's part of a session: what makes its steps again, and its time limit."""
    return {
        "sender": spec.sender,
        "parameters": dict(spec.parameters),
        "message": msgspec.to_builtins(spec.message),
        "message_seed": spec.message_seed,
        "protocol": spec.protocol,
        "nodelay": spec.nodelay,
        "seed": spec.seed,
        "time_limit_s": time_limit_s,
    }


def assemble(
    spec: SessionSpec, network: Network, reports: SessionReports, wall_offset_ns: int
) -> AssembledSession:
    """Put together the session's record and its captures.

    Args:
        spec: what was planned.
        network: the network that the session ran over.
        reports: what the parts of the lab saw.
        wall_offset_ns: what to add to the lab's clock to get the time of day for the captures.

    Raises:
        EnvironmentLacksError: a segment exceeds the MSS, so that what the wire saw is not what
            TCP sent.
    """
    client, connection = reports.client, reports.connection
    t0_ns: int = client["t0_ns"]
    start, end = client["payload"]
    sent = packets.join_frames(reports.wire["frames"])
    handshake = packets.handshake(sent)
    connected = bool(client["mss"])
    if handshake is not None:
        _refuse_offloads(spec, sent, handshake.mss)
    names = pcapng.capture_paths(spec.session_id)
    segments = packets.segments(sent, start, end, t0_ns)
    reads = (
        ()
        if connection is None
        else tuple(
            Read(t - t0_ns, a, b) for t, a, b in within_payload(connection["reads"], start, end)
        )
    )
    observed = ObservedSession(
        t0_ns=t0_ns,
        duration_ns=client["t_end_ns"] - t0_ns,
        payload_bytes=end - start,
        payload_sha256=client["sha256"],
        received_sha256=_received(client, connection, end),
        mss=client["mss"] if connected else None,
        mtu=reports.path_mtu,
        initcwnd=reports.initcwnd,
        congestion_control=client.get("congestion_control"),
        timestamps=client["timestamps"] if connected else None,
        writes=tuple(
            Write(t - t0_ns, a, b) for t, a, b in within_payload(client["writes"], start, end)
        ),
        segments=segments,
        reads=reads,
        mtu_changes=tuple(MtuChange(t - t0_ns, mtu) for t, mtu in reports.mtu_changes),
        late_ns=max(
            reports.wire["late_ns"],
            client.get("late_ns", 0),
            lateness.of_reads(reads, segments, spec.reader),
        ),
        header_end=client.get("header_end"),
        header_fields=tuple(HeaderField(*span) for span in client.get("header_fields", ())),
        captures=Captures(**names),
        error=_error(reports),
        program=_program(client),
        offers=_offers(spec, sent),
    )
    record = session_record(spec, network, ENGINE, observed)
    description = f"{spec.session_id}: {record.error or 'complete'}"
    captures = pcapng.captures(sent, wall_offset_ns, description)
    files = {names[vantage]: captures[vantage] for vantage in captures}
    if connection is not None and "calls" in connection:
        files[reading_path(spec.session_id)] = reading(spec, connection, t0_ns, (start, end))
    return AssembledSession(record, files)


def reading_path(session_id: str) -> str:
    """Return where a run folder has the calls by which a server program read a session."""
    return f"reading/{session_id}.json"


def reading(
    spec: SessionSpec, connection: ChannelMessage, t0_ns: int, payload: tuple[int, int]
) -> bytes:
    """Return the calls by which a server program read, as a file; its times count from ``t0_ns``.

    Args:
        spec: what was planned; its reader is the program.
        connection: the server's record.
        t0_ns: when the session began.
        payload: where the payload lies in the client's stream.
    """
    assert isinstance(spec.reader, ServerProgram)
    calls = msgspec.convert(connection["calls"], tuple[ServerCall, ...])
    found = ServerReading(
        program=spec.reader.name,
        version=spec.reader.version,
        payload=payload,
        calls=tuple(call.after(t0_ns) for call in calls),
        options=msgspec.convert(connection["options"], tuple[SetOption, ...]),
    )
    return msgspec.json.encode(found)


def _received(client: ChannelMessage, connection: ChannelMessage | None, end: int) -> list[str]:
    """Return the digests of what the server received.

    A program keeps none. It has received the payload where its reads reach to the payload's end:
    that they are the same bytes is TCP's promise, whose segments the wire saw.
    """
    if connection is None:
        return []
    if "calls" not in connection:
        return list(connection["sha256"])
    whole = connection["reads"] and connection["reads"][-1][2] >= end
    return [client["sha256"]] if whole else []


def _offers(spec: SessionSpec, sent: Iterable[Packet]) -> tuple[str, ...] | None:
    """Return what a server program said that it offers; ``None`` for the lab's own server."""
    if not isinstance(spec.reader, ServerProgram):
        return None
    return announced(packets.stream(sent, 1, _REPLIES_MOST)).keywords


def _program(client: ChannelMessage) -> ObservedProgram | None:
    """Return what was seen of a program; ``None`` where the client played a sender."""
    if "program" not in client:
        return None
    seen = client["program"]
    return ObservedProgram(
        calls=tuple(WriteCall(*call) for call in seen["calls"]),
        options=tuple(SocketOption(*option) for option in seen["options"]),
        exit_code=seen["exit_code"],
        output=seen["output"],
        structure=seen["structure"],
        notes=tuple(seen["notes"]),
        dialogue=tuple(seen["dialogue"]),
    )


def _error(reports: SessionReports) -> str | None:
    """Return why the lab could not carry the session through; ``None`` where it did."""
    if reports.client["error"] is not None:
        return str(reports.client["error"])
    if reports.connection is None:
        return "the server has no record of the connection"
    if reports.connection.get("refused"):
        return f"the server refused: {reports.connection['refused']}"
    if errors := reports.client.get("checksum_errors"):
        return f"{errors} frames of the server had a wrong checksum"
    if drops := reports.wire["kernel_drops"]:
        return f"{WIRE_TOO_SLOW}: the kernel dropped {drops} frames unseen"
    return None


def _refuse_offloads(spec: SessionSpec, sent: Iterable[Packet], mss: int) -> None:
    """Raise EnvironmentLacksError if a packet of the client carries more than ``mss`` bytes."""
    largest = packets.largest(sent)
    if largest is not None and largest.end - largest.start > mss:
        size = largest.end - largest.start
        raise EnvironmentLacksError(
            f"{spec.network} x {spec.sender}: segment {largest.start}:{largest.end}({size}) "
            f"exceeds the MSS {mss}; is TSO or GSO on at c-eth0, or GRO at w-c0?"
        )
