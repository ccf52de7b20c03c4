"""From a simulated session to what an engine reports of it."""

import hashlib
from collections.abc import Sequence

from seglab.core.record import Captures, MtuChange
from seglab.core.trace import Read, Segment, Write
from seglab.engine.record import NO_CAPTURES, ObservedSession, within_payload
from seglab.simulator.path import UP, Carried
from seglab.simulator.script import Script
from seglab.simulator.session import Simulation


def observed(simulation: Simulation, names: Captures = NO_CAPTURES) -> ObservedSession:
    """Return what was observed of a session that has ended.

    Args:
        simulation: the session itself.
        names: where its captures will be.
    """
    client, server = simulation.client, simulation.server
    script = simulation.script
    start, end = _written(script, client.writes)
    digest = script.sha256
    if (start, end) != script.payload:
        digest = hashlib.sha256(script.stream[start:end]).hexdigest()
    layout = script.layout
    assert client.ended_ns is not None
    return ObservedSession(
        t0_ns=0,
        duration_ns=client.ended_ns,
        payload_bytes=end - start,
        payload_sha256=digest,
        received_sha256=[message.sha256 for message in server.messages],
        mss=client.mss or None,
        timestamps=client.timestamps if client.mss else None,
        writes=tuple(Write(*span) for span in within_payload(client.writes, start, end)),
        segments=_segments(simulation.packets, start, end),
        reads=tuple(Read(*span) for span in within_payload(server.reads, start, end)),
        mtu_changes=tuple(
            MtuChange(t_ns, mtu) for t_ns, mtu in simulation.path.changes if t_ns <= client.ended_ns
        ),
        header_end=layout.header_end if layout else None,
        header_fields=layout.fields if layout else (),
        captures=names,
        error=_error(simulation),
    )


def _written(script: Script, writes: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Return the range of the payload in the client's stream, as far as it was written."""
    start, end = script.payload
    reached = writes[-1][2] if writes else 0
    return (start, min(end, reached)) if reached > start else (0, 0)


def _segments(packets: Sequence[Carried], start: int, end: int) -> tuple[Segment, ...]:
    """Return the segments from the client with bytes of the payload, clipped to it."""
    found = []
    reached = 0
    for packet in packets:
        segment = packet.segment
        if packet.direction != UP or segment is None or segment.end <= segment.start:
            continue
        again = segment.end <= reached
        reached = max(reached, segment.end)
        if segment.start >= end or segment.end <= start:
            continue
        arrived = min(packet.arrivals_ns, default=None)
        fate = packet.fate if arrived is None else None
        found.append(
            Segment(
                t_sent_ns=packet.sent_ns,
                t_arrived_ns=arrived,
                start=max(segment.start, start) - start,
                end=min(segment.end, end) - start,
                psh=segment.psh,
                retransmission=again,
                dropped=fate is not None,
                drop_reason=fate,
            )
        )
    return tuple(found)


def _error(simulation: Simulation) -> str | None:
    """Return why the session failed, as far as the engine knows; ``None`` where it did not."""
    if simulation.client.error is not None:
        return simulation.client.error
    if not simulation.server.accepted:
        return "the server has no record of the connection"
    if simulation.server.session.refused:
        return f"the server refused: {simulation.server.session.refused}"
    return None
