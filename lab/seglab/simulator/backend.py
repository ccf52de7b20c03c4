"""Chooses the form of the model: compiled where that was possible and is up to date.

``setup.py`` compiles copies of some modules into ``seglab.simulator.compiled``, with the types
of C from their annotations (``seglab.core.c_copies``); ``seglab.core.compiling`` says when they are
used. Both forms give the same bytes, which a test holds them to.
"""

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from seglab.core import compiling

if TYPE_CHECKING:
    from collections.abc import Callable

    from seglab.experiment.plan import SessionSpec
    from seglab.frames.pcapng import Vantage
    from seglab.networks.network import Network
    from seglab.simulator.session import Simulation

    Captures = Callable[[SessionSpec, Network, Simulation, str], dict[Vantage, bytes]]


def simulation() -> "type[Simulation]":
    """Return the class of sessions to use.

    It is the one of plain Python where somebody traces this process, such as a debugger or
    ``seglab.validation.rules``, since there is nothing to trace in compiled code.
    """
    compiled = compiling.state(compiling.SIMULATOR) == "compiled" and sys.gettrace() is None
    return form(compiled=compiled)


@cache
def captures(module: str) -> "Captures":
    """Return what makes the captures of sessions: it has the form of their class's module."""
    package = module.rpartition(".")[0]
    found: Captures = import_module(f"{package}.captured").captures
    return found


@cache
def form(*, compiled: bool) -> "type[Simulation]":
    """Return the class of sessions in one of its forms."""
    package = compiling.SIMULATOR.package if compiled else "seglab.simulator"
    found: type[Simulation] = import_module(f"{package}.session").Simulation
    return found
