"""The kernel's coarse clock: jiffies, and the timer wheel that rounds every timeout up.

TCP's timers (retransmission, loss probe, delayed acknowledgement) count jiffies of 4 ms
(``CONFIG_HZ=250``), and ``kernel/time/timer.c`` keeps them in a wheel. A timer never fires early,
so the wheel rounds up to the next step, and its steps grow with the distance: up to 63 jiffies one
jiffy, up to 504 eight, and so on (``calc_wheel_index``). Timeouts of 200 ms and more are therefore
up to 32 ms late on a real kernel, and the same here.
"""

from typing import Final

TICK_NS: Final = 4_000_000
TICK_US: Final = 4_000
HZ: Final = 250
NEVER: Final = 1 << 62
"""A time that never comes."""

REFRESHED_NS: Final = 1_000
"""How much later TCP's clock is each time that ``tcp_write_xmit`` refreshes it within one event.

Sending takes the kernel some microseconds, and RACK tells one apart (``tcp_rack_sent_after``).
"""

_LEVELS: Final = ((63, 0), (504, 3), (4032, 6), (32_256, 9), (258_048, 12), (2_064_384, 15))


def usecs_to_jiffies(us: int) -> int:
    """Return microseconds in jiffies, rounded up."""
    return -(-us // TICK_US)


def fires_ns(jiffies: int, expires: int, phase_ns: int) -> int:
    """Return when a timer fires that is set in jiffy ``jiffies`` for jiffy ``expires``."""
    delta = expires - jiffies
    if delta < 63:
        return (expires + 1) * TICK_NS - phase_ns
    shift: int = 15
    for limit, at in _LEVELS:
        if delta < limit:
            shift = at
            break
    return (((expires >> shift) + 1) << shift) * TICK_NS - phase_ns
