"""The path that a session really had on the kernel engine, for the simulator to have it too."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from seglab.core.record import SessionRecord
from seglab.engine.base import Planned
from seglab.networks.network import Network, ScheduledMtu

_LATER_MAX: Final = 100
"""How many changes follow those that were made, for a session that lasts longer than its model."""


def as_measured(planned: Iterable[Planned], kernel: Mapping[str, SessionRecord]) -> list[Planned]:
    """Return planned sessions whose routers change their MTU when the kernel engine's did.

    The kernel engine works in real time, and makes a change of the router's MTU some milliseconds
    after the time of the schedule. Its records say when.

    Args:
        planned: the sessions.
        kernel: the records of the kernel engine by the sessions' ids.
    """
    return [
        (spec, measured(network, kernel[spec.session_id]) if spec.session_id in kernel else network)
        for spec, network in planned
    ]


def measured(network: Network, record: SessionRecord) -> Network:
    """Return a network whose MTU changes as it did in a session; later changes are the schedule's.

    Where the network has no schedule, it is returned as it is.
    """
    if not network.router.schedule:
        return network
    made = tuple(ScheduledMtu(change.t_ns / 1e6, change.mtu) for change in record.mtu_changes)
    last_ms = made[-1].at_ms if made else 0.0
    later = tuple(
        replace(change, at_ms=max(change.at_ms, last_ms))
        for change in islice(network.router.changes(), len(made), len(made) + _LATER_MAX)
    )
    return replace(network, router=replace(network.router, schedule=made + later, repeat_ms=None))
