"""Chooses the form of the inner loop: compiled where that was possible and is up to date.

``setup.py`` compiles copies of ``seglab.capture.core`` into ``seglab.capture.compiled``;
``seglab.core.compiling`` says when they are used.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from seglab.core import compiling

if TYPE_CHECKING:
    from seglab.capture.core.table import Table
    from seglab.capture.core.walk import Walker


class Core(NamedTuple):
    """The parts of the inner loop that other modules use."""

    compiled: bool
    table: "type[Table]"
    walker: "type[Walker]"


@cache
def pure() -> Core:
    """Return the inner loop in plain Python."""
    return _core("core", compiled=False)


def compiled() -> Core | None:
    """Return the inner loop as extension modules; ``None`` if there are none of these sources."""
    if compiling.built(compiling.CAPTURE) != "compiled":
        return None
    return _core("compiled", compiled=True)


def best() -> Core:
    """Return the inner loop to use."""
    return (compiled() if compiling.state(compiling.CAPTURE) == "compiled" else None) or pure()


@cache
def _core(package: str, *, compiled: bool) -> Core:
    table = import_module(f"seglab.capture.{package}.table")
    walk = import_module(f"seglab.capture.{package}.walk")
    return Core(compiled, table.Table, walk.Walker)
