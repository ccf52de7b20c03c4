"""How long the programs of both hosts take, drawn from what was measured in the kernel engine.

A simulator without such times would have readers that always come at once, so that two segments
that arrive close together would never share a read. ``host_times.json`` has the distribution of
each time, as quantiles, and where it was measured (``benchmarks/host_times.py`` writes it). A draw
takes a uniform random number and the distribution's inverse, linear between two quantiles. It is
made of a table, since a session draws a hundred times.

Some times depend on those before them, since Linux keeps a process on its processor as long as it
can. The wire goes before the client's program wherever a link takes time; where it wakes up on the
program's own processor (``select_task_rq_rt`` leaves it where it was), the program stands still
after each write until the frames are carried, and elsewhere after none. So of these times there are
sequences, each of what followed upon one waking of the client's program, and a session takes one of
them after the other.
"""

import json
from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Final

from seglab.core.seeds import derive

KINDS: Final = (
    "client_wake",
    "client_quiet_step",
    "event-loop_wake",
    "event-loop_turn",
    "recv-loop_wake",
    "recv-loop_turn",
    "hop",
    "hop_apart",
    "router",
    "wire_wake",
)
(
    CLIENT_WAKE,
    CLIENT_QUIET_STEP,
    EVENT_LOOP_WAKE,
    EVENT_LOOP_TURN,
    RECV_LOOP_WAKE,
    RECV_LOOP_TURN,
    HOP,
    HOP_APART,
    ROUTER,
    WIRE_WAKE,
) = range(10)
"""What is drawn:

- ``client_wake``: from the moment when something reached the client's host until the client's
  program acts on it.
- ``client_quiet_step``: from one write of the client to the next, where it does not wait between
  them and nothing left by the first of them.
- ``event-loop_wake``, ``recv-loop_wake``: from the moment when bytes reached the server's host
  until a reader that waits for them has read them.
- ``event-loop_turn``, ``recv-loop_turn``: from one read until the next, where more bytes are there
  already.
- ``hop``: how long a frame takes over a link that does nothing to it.
- ``router``: from the moment when a frame was due at the end of the first link until it is on
  the second one. The wire's own lateness is a part of it.
- ``hop_apart``: from one frame to the next behind such a link, where they came together.
- ``wire_wake``: from the moment when a frame left a host until the wire has read it, if it was
  asleep.
"""

SEQUENCES: Final = (
    "client_step",
    "client_burst_step",
    "client_bare_step",
    "bare_wire_wake",
)
CLIENT_STEP, CLIENT_BURST_STEP, CLIENT_BARE_STEP, BARE_WIRE_WAKE = range(4)
"""What follows upon the time before it:

- ``client_step``: from one write of the client to the next, where it does not wait between them
  and the first of them made a segment leave, which is carried on its way meanwhile.
- ``client_burst_step``: the same where several segments left.
- ``client_bare_step``: the time of both over links that do nothing, where the wire does not go
  first.
- ``bare_wire_wake``: the time of ``wire_wake`` over such links. Below 0 the wire was not awake
  before the client's program slept, and the rest is how much later it was.
"""

_STEPS: Final = 1000
"""How many values the table has of one kind."""


@cache
def measured() -> Mapping[str, Any]:
    """Return the content of ``host_times.json``."""
    found: Mapping[str, Any] = json.loads(
        files("seglab.simulator").joinpath("host_times.json").read_text("utf-8")
    )
    return found


@cache
def _measured_table() -> "array[int]":
    return _table(measured()["quantiles_ns"])


def _table(quantiles: Mapping[str, Sequence[int]]) -> "array[int]":
    """Return the values of the distributions at the middles of ``_STEPS`` equal shares, in order.

    They lie side by side: of numbers that are objects, each draw would read another place in
    memory, which takes longer than all else that a draw does.
    """
    shares = [(step + 0.5) / _STEPS for step in range(_STEPS)]
    return array(
        "q", [_inverse(quantiles.get(kind, (0, 0)), share) for kind in KINDS for share in shares]
    )


def _inverse(values: Sequence[int], share: float) -> int:
    at = share * (len(values) - 1)
    low = int(at)
    return int(values[low] + (at - low) * (values[low + 1] - values[low]))


@cache
def _measured_sequences() -> Sequence[Sequence[list[int]]]:
    return [[row[::-1] for row in measured()["sequences_ns"][kind]] for kind in SEQUENCES]


class HostTimes:
    """The times of one session, in nanoseconds.

    Args:
        seed: the session's.
        quantiles: by the names of kinds, the values at equally spaced shares from 0 to 1; by
            default those that were measured. Of ``SEQUENCES`` each value is then a sequence of its
            own. What is of a kind that is not there takes no time.
    """

    __slots__ = ("_random", "_rest", "_sequences", "_table")

    def __init__(self, seed: int, quantiles: Mapping[str, Sequence[int]] | None = None) -> None:
        self._random = Random(derive(seed, "host times")).random
        self._rest: dict[int, list[int]] = {}
        if quantiles is None:
            self._table: array[int] = _measured_table()
            self._sequences = _measured_sequences()
        else:
            self._table = _table(quantiles)
            self._sequences = [[[one] for one in quantiles.get(kind, (0,))] for kind in SEQUENCES]

    def draw(self, kind: int) -> int:
        """Draw a time of one of the ``KINDS``."""
        share: float = self._random()
        at: int = int(share * _STEPS)
        return self._table[kind * _STEPS + at]

    def follow(self, kind: int) -> int:
        """Take the next time of a sequence, or the first of another one behind its end."""
        rest = self._rest.get(kind)
        if not rest:
            sequences = self._sequences[kind]
            share: float = self._random()
            rest = self._rest[kind] = sequences[int(share * len(sequences))].copy()
        return rest.pop()

    def begin(self) -> None:
        """Begin other sequences: the client's program has woken, perhaps on another processor."""
        self._rest.clear()
