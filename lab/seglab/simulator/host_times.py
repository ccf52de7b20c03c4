"""How long the programs of both hosts take, drawn from what was measured in the kernel engine.

A simulator without such times would have readers that always come at once, so that two segments
that arrive close together would never share a read. ``host_times.json`` has the distribution of
each time, as quantiles, and where it was measured (``benchmarks/host_times.py`` writes it). A draw
takes a uniform random number and the distribution's inverse, linear between two quantiles. It is
made of a table, since a session draws a hundred times.
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
    "client_step",
    "client_quiet_step",
    "event-loop_wake",
    "event-loop_turn",
    "recv-loop_wake",
    "recv-loop_turn",
    "hop",
    "hop_apart",
    "router",
)
"""What is drawn:

- ``client_wake``: from the moment when something reached the client's host until the client's
  program acts on it.
- ``client_step``: from one write of the client to the next, where it does not wait between them
  and the first of them made segments leave, which the kernel carries on their way meanwhile.
- ``client_quiet_step``: the same where nothing left.
- ``event-loop_wake``, ``recv-loop_wake``: from the moment when bytes reached the server's host
  until a reader that waits for them has read them.
- ``event-loop_turn``, ``recv-loop_turn``: from one read until the next, where more bytes are there
  already.
- ``hop``: how long a frame takes over a link that does nothing to it.
- ``router``: from the moment when a frame was due at the end of the first link until it is on
  the second one. The wire's own lateness is a part of it.
- ``hop_apart``: from one frame to the next behind such a link, where they came together.
"""


_STEPS: Final = 1000
"""How many values a table has."""


@cache
def measured() -> Mapping[str, Any]:
    """Return the content of ``host_times.json``."""
    found: Mapping[str, Any] = json.loads(
        files("seglab.simulator").joinpath("host_times.json").read_text("utf-8")
    )
    return found


@cache
def _measured_tables() -> dict[str, "array[int]"]:
    return _tables(measured()["quantiles_ns"])


def _tables(quantiles: Mapping[str, Sequence[int]]) -> dict[str, "array[int]"]:
    """Return the values of each distribution at the middles of equal shares.

    They lie side by side: of numbers that are objects, each draw would read another place in
    memory, which takes longer than all else that a draw does.
    """
    return {
        kind: array("q", [_inverse(values, (step + 0.5) / _STEPS) for step in range(_STEPS)])
        for kind, values in quantiles.items()
    }


def _inverse(values: Sequence[int], share: float) -> int:
    at = share * (len(values) - 1)
    low = int(at)
    return int(values[low] + (at - low) * (values[low + 1] - values[low]))


class HostTimes:
    """The times of one session, in nanoseconds.

    Args:
        seed: the session's.
        quantiles: by kind, the values at equally spaced shares from 0 to 1; by default those that
            were measured.
    """

    __slots__ = ("_random", "_tables")

    def __init__(self, seed: int, quantiles: Mapping[str, Sequence[int]] | None = None) -> None:
        self._random = Random(derive(seed, "host times")).random
        self._tables = _measured_tables() if quantiles is None else _tables(quantiles)

    def draw(self, kind: str) -> int:
        """Draw a time of one kind."""
        share: float = self._random()
        at: int = int(share * _STEPS)
        return self._tables[kind][at]
