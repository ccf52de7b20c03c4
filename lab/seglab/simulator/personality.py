"""The settings of an endpoint whose TCP is not Linux's; ``seglab.networks.personality`` has them.

**All but Linux's are unchecked**: they are written from documents, and nothing here was compared
with such a system.
"""

from typing import Any

from msgspec.structs import replace

from seglab.core.tcpip import full_segment
from seglab.errors import InputError
from seglab.networks.personality import LINUX, PERSONALITIES, Personality
from seglab.simulator.settings import EndpointSettings


def personality(name: str) -> Personality:
    """Return a personality.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PERSONALITIES:
        raise InputError(
            f"personality {name!r}: the simulator has none of this name; "
            f"it has {', '.join(PERSONALITIES)}"
        )
    return PERSONALITIES[name]


def applied(settings: EndpointSettings) -> EndpointSettings:
    """Return the settings with what their personality fixes.

    Raises:
        InputError: there is no such personality.
    """
    who = personality(settings.personality)
    if who is LINUX:
        return settings
    fixed: dict[str, Any] = {
        "timestamps": who.timestamps,
        "sack": who.sack,
        "wscale": who.wscale,
        "initcwnd": who.initial_window(full_segment(settings.mtu, ip_version=settings.ip_version)),
        "receive_buffer_bytes": who.receive_buffer_bytes,
    }
    return replace(settings, **{name: value for name, value in fixed.items() if value is not None})
