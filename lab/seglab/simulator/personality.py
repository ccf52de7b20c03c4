"""Whose TCP an endpoint has: Linux's, or one of the stacks that the paper's bots lived on.

Linux's is held to the kernel. **The others are unchecked**: they are written from documents, and
nothing here was compared with such a system. Whatever shows their segments must say so
(``Personality.checked``).

What the other stacks have in common: their congestion window counts bytes, so it may end inside a
write; Nagle's algorithm is RFC 896's, which waits for any unacknowledged data; and they delay an
acknowledgement by a fixed time, or until a second segment comes. The rest is Linux's here as well:
round trips, timeouts, loss recovery, the path's MTU.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from seglab.errors import InputError
from seglab.simulator.settings import EndpointSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """How a stack differs from Linux's.

    Attributes:
        name: what settings call it.
        checked: whether it was compared with a real system.
        source: where its rules come from.
        timestamps: whether it offers timestamps; ``None`` leaves it to the settings. So do all
            other fields.
        sack: whether it offers selective acknowledgements.
        wscale: whether it offers window scaling.
        initcwnd: its initial congestion window in segments.
        receive_buffer_bytes: its receive buffer; half of that is the window.
        rfc896: whether Nagle's algorithm waits for any data, not for small segments alone.
        counts_bytes: whether its congestion window counts bytes.
        whole_segments: whether a segment is sent only if all of it fits into the window. Otherwise
            a part may leave, by the rules of RFC 9293, 3.8.6.2.1.
        delayed_ack_ms: how long it delays an acknowledgement.
    """

    name: str
    checked: bool
    source: str
    timestamps: bool | None = None
    sack: bool | None = None
    wscale: bool | None = None
    initcwnd: int | None = None
    receive_buffer_bytes: int | None = None
    rfc896: bool = False
    counts_bytes: bool = False
    whole_segments: bool = False
    delayed_ack_ms: int | None = None


LINUX: Final = Personality(name="linux", checked=True, source="Linux 6.18, measured")

PERSONALITIES: Final = {
    one.name: one
    for one in (
        LINUX,
        Personality(
            name="windows",
            checked=False,
            source="KB224829 (XP, Server 2003: RFC 1323 options off), KB214397 (200 ms, RFC 896)",
            timestamps=False,
            wscale=False,
            initcwnd=2,
            rfc896=True,
            counts_bytes=True,
            delayed_ack_ms=200,
        ),
        Personality(
            name="lwip",
            checked=False,
            source="lwIP 2.1: opt.h, tcp_out.c, tcp_priv.h (tcp_do_output_nagle, TCP_TMR_INTERVAL)",
            timestamps=False,
            sack=False,
            wscale=False,
            initcwnd=3,
            receive_buffer_bytes=8 * 536,
            rfc896=True,
            counts_bytes=True,
            whole_segments=True,
            delayed_ack_ms=250,
        ),
    )
}
"""All personalities by name."""


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
        "initcwnd": who.initcwnd,
        "receive_buffer_bytes": who.receive_buffer_bytes,
    }
    return replace(settings, **{name: value for name, value in fixed.items() if value is not None})
