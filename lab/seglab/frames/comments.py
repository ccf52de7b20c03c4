"""The words of captures: what each packet is, and what became of it.

A capture says of every packet what only the lab knows: where it was lost, how long it took, which
bytes of the stream it had. Both engines say it in these words.
"""

from collections.abc import Sequence
from functools import cache

from seglab.frames.headers import ACK, FIN, RST, SYN, TooBig

_FLAG_NAMES = (SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (ACK, "ACK")


@cache
def flag_names(flags: int) -> str:
    """Return the name of a segment without payload: its flags, without PSH."""
    return ", ".join(name for bit, name in _FLAG_NAMES if flags & bit) or "no flags"


def data(start: int, end: int, *, again: bool) -> str:
    """Return the name of a segment with the bytes ``start:end`` of its direction's stream."""
    return f"data {start}:{end}, a retransmission" if again else f"data {start}:{end}"


def complaint(message: TooBig, about: str | None) -> str:
    """Return the name of a router's message; ``about`` is the name of the segment's bytes."""
    words = [message.name]
    if message.mtu:
        words.append(f"MTU {message.mtu}")
    if about is not None:
        words.append(f"about {about}")
    return ", ".join(words)


def sent_before(name: str, duration_ns: int, copy: int = 0) -> str:
    """Return the comment of a packet where it arrived, that many nanoseconds after it was sent."""
    comment = f"{name}, sent {duration_ns / 1e6:.3f} ms before"
    return f"{comment}, a duplicate" if copy else comment


def outcome(
    name: str,
    sent_ns: int,
    arrivals_ns: Sequence[int],
    fate: str | None,
    waiting_on: str | None,
) -> str:
    """Return the comment of a packet where it was sent: the fields are those of ``Packet``."""
    if len(arrivals_ns) == 1:
        return f"{name}, arrived after {(arrivals_ns[0] - sent_ns) / 1e6:.3f} ms"
    if arrivals_ns:
        after = " and ".join(f"{(t_ns - sent_ns) / 1e6:.3f}" for t_ns in arrivals_ns)
        return f"{name}, arrived {len(arrivals_ns)} times, after {after} ms"
    if fate is not None:
        return f"{name}, lost: {fate}"
    return f"{name}, still queued on {waiting_on} at the end"
