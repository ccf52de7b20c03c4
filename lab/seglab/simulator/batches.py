"""Planned sessions on their way to another process.

A network, the parameters of a sender and the measures of a mail are values that many sessions have
in common. They cross once a run, beside the batches, which have their numbers. So a process also
has one object for each of them, and keeps what follows from it (``seglab.core.kept``).
"""

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

from seglab.core.kept import Kept
from seglab.engine.base import Planned
from seglab.experiment.plan import SessionSpec

_SHARED_MOST: Final = 64
"""How many values cross beside the batches: those that most sessions have."""


class Batch(NamedTuple):
    """Sessions that one process carries out.

    Attributes:
        sessions: of each its class, its attributes, and last its network.
        shared: pickled, the values that stand as numbers from 0 in place of attributes that are no
            numbers; the same bytes for all batches of a run.
    """

    sessions: Sequence[tuple[type[SessionSpec], Sequence[Any]]]
    shared: bytes

    def unpacked(self) -> Iterator[Planned]:
        """Yield the sessions."""
        values = _values(self.shared)
        for kind, packed in self.sessions:
            shared = [values[one] if type(one) is int else one for one in packed[-4:]]
            named = dict(zip(_names(kind), (*packed[:-4], *shared[:3]), strict=True))
            yield kind(**named), shared[3]


class Packer:
    """Packs the sessions of a run.

    Args:
        planned: all of them.
    """

    def __init__(self, planned: Iterable[Planned]) -> None:
        self._values = _in_common(planned)
        self._numbers = {id(value): number for number, value in enumerate(self._values)}
        self._shared = pickle.dumps(self._values)

    def packed(self, planned: Iterable[Planned]) -> Batch:
        """Return some of the sessions as a batch."""
        number = self._numbers.get
        sessions = []
        for spec, network in planned:
            kind = type(spec)
            *plain, parameters, reader, message = _attributes(kind)(spec)
            shared = (number(id(one), one) for one in (parameters, reader, message, network))
            sessions.append((kind, (*plain, *shared)))
        return Batch(sessions, self._shared)


_SHARED: Final = ("parameters", "reader", "message")


def _named(kind: type[SessionSpec]) -> Sequence[str]:
    """Return the names of a session's attributes, those that may be shared last."""
    return (*(one.name for one in fields(kind) if one.name not in _SHARED), *_SHARED)


def _getter(kind: type[SessionSpec]) -> Callable[[SessionSpec], tuple[Any, ...]]:
    return attrgetter(*_named(kind))


_names = Kept(_named)
_attributes = Kept(_getter)


def _in_common(planned: Iterable[Planned]) -> list[object]:
    """Return the values that most sessions have, by their identity, the most frequent first."""
    values: dict[int, object] = {}
    times: Counter[int] = Counter()
    for spec, network in planned:
        for value in (network, spec.parameters, spec.message, spec.reader):
            values[id(value)] = value
            times[id(value)] += 1
    return [values[key] for key, _ in times.most_common(_SHARED_MOST)]


@lru_cache(maxsize=8)
def _values(shared: bytes) -> Sequence[Any]:
    found: Sequence[Any] = pickle.loads(shared)  # noqa: S301 - by the process that started this
    return found
