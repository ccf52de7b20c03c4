"""The path that a session really had on the kernel engine, for the simulator to have it too.

The kernel engine works in real time. It makes a change of the router's MTU some milliseconds after
the time of the schedule, and a session on a busy machine is late as well: its client writes the
payload some milliseconds later than in virtual time. What matters to TCP is which of its segments
have passed the router when the MTU changes. So the simulator's router changes when the kernel
engine's did, and for changes during the payload that counts from the first write of the payload.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from seglab.core.record import SessionRecord
from seglab.engine.base import DEFAULT_TIME_LIMIT_S, Planned
from seglab.networks.network import Network, ScheduledMtu
from seglab.simulator.worker import one_session

_LATER_MAX: Final = 100
"""How many changes follow those that were made, for a session that lasts longer than its model."""


def as_measured(
    planned: Iterable[Planned], kernel: Mapping[str, SessionRecord], repetition: int = 0
) -> list[Planned]:
    """Return planned sessions whose routers change their MTU when the kernel engine's did.

    Args:
        planned: the sessions.
        kernel: the records of the kernel engine by the sessions' ids.
        repetition: of the run on the simulator, as in ``EngineOptions``.
    """
    return [(spec, _path((spec, network), kernel, repetition)) for spec, network in planned]


def _path(one: Planned, kernel: Mapping[str, SessionRecord], repetition: int) -> Network:
    spec, network = one
    record = kernel.get(spec.session_id)
    if record is None or not network.router.schedule:
        return network
    path = measured(network, record)
    model = one_session(spec, path, DEFAULT_TIME_LIMIT_S, None, repetition)
    if not (record.writes and model.writes):
        return path
    return measured(network, record, model.writes[0].t_ns)


def measured(network: Network, record: SessionRecord, first_write_ns: int | None = None) -> Network:
    """Return a network whose MTU changes as it did in a session; later changes are the schedule's.

    Where the network has no schedule, it is returned as it is.

    Args:
        network: what was planned.
        record: the kernel engine's.
        first_write_ns: when the payload's first write is in virtual time: changes after that write
            keep their distance to it. ``None`` keeps all times.
    """
    if not network.router.schedule:
        return network
    written_ns = record.writes[0].t_ns if first_write_ns is not None else 0
    ahead_ns = (first_write_ns or 0) - written_ns
    made = tuple(
        ScheduledMtu((one.t_ns + (ahead_ns if one.t_ns > written_ns else 0)) / 1e6, one.mtu)
        for one in record.mtu_changes
    )
    last_ms = made[-1].at_ms if made else 0.0
    later = tuple(
        replace(change, at_ms=max(change.at_ms, last_ms))
        for change in islice(network.router.changes(), len(made), len(made) + _LATER_MAX)
    )
    return replace(network, router=replace(network.router, schedule=made + later, repeat_ms=None))
