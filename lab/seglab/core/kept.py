"""What follows from a value, made once for all who hold the same object.

A network, say, is a frozen value with many parts, and many sessions run over it. To compare or to
hash it takes longer than what a simulated session asks of it, so it is known by its identity here.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

_MOST: Final = 256
"""How many values are kept; they are few, and one that is made again costs only its time."""

Source = TypeVar("Source")
Made = TypeVar("Made")


class Kept(Generic[Source, Made]):
    """A function of one frozen value that makes each result once.

    Args:
        make: the function.
    """

    __slots__ = ("_make", "_values")

    def __init__(self, make: Callable[[Source], Made]) -> None:
        self._make = make
        self._values: dict[int, tuple[Source, Made]] = {}

    def __call__(self, source: Source) -> Made:
        """Return what the function makes of a value."""
        found = self._values.get(id(source))
        if found is not None and found[0] is source:  # which is alive, so the id is its own
            return found[1]
        if len(self._values) >= _MOST:
            self._values.clear()
        made = self._make(source)
        self._values[id(source)] = source, made
        return made
