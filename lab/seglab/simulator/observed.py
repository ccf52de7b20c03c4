"""From a simulated session to what an engine reports of it."""

import hashlib
from collections.abc import Sequence
from itertools import starmap

from seglab.core.record import NO_CAPTURES, Captures, MtuChange
from seglab.core.trace import Read, Write
from seglab.engine.record import ObservedSession, within_payload
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
    ended_ns = client.ended_ns
    assert ended_ns is not None
    return ObservedSession(
        t0_ns=0,
        duration_ns=ended_ns,
        payload_bytes=end - start,
        payload_sha256=digest,
        received_sha256=[message.sha256 for message in server.messages],
        mss=client.mss or None,
        timestamps=client.timestamps if client.mss else None,
        writes=tuple(starmap(Write, within_payload(client.writes, start, end))),
        segments=simulation.segments(start, end),
        reads=tuple(starmap(Read, within_payload(server.reads, start, end))),
        mtu_changes=tuple(
            [MtuChange(t_ns, mtu) for t_ns, mtu in simulation.path.changes if t_ns <= ended_ns]
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


def _error(simulation: Simulation) -> str | None:
    """Return why the session failed, as far as the engine knows; ``None`` where it did not."""
    if simulation.client.error is not None:
        return simulation.client.error
    if not simulation.server.accepted:
        return "the server has no record of the connection"
    if simulation.server.session.refused:
        return f"the server refused: {simulation.server.session.refused}"
    return None
