"""What every engine is, and what any of them needs: an engine by its name.

An engine carries out planned sessions and returns a record of each (``seglab.engine.base``). This
module knows the engines by name only. It imports an engine's own module when somebody asks for
that engine, so that reading runs and checking or estimating datasets needs none of them.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from importlib import import_module
from typing import Final

from seglab.core.labels import SIMULATORS
from seglab.core.lookup import named
from seglab.engine.base import (
    DEFAULT_JOBS,
    DEFAULT_TIME_LIMIT_S,
    Engine,
    EngineOptions,
)
from seglab.engine.slots import PrioritySemaphore

__all__ = [
    "DEFAULT_ENGINE",
    "DEFAULT_JOBS",
    "DEFAULT_TIME_LIMIT_S",
    "SIMULATORS",
    "Engine",
    "EngineFactory",
    "EngineOptions",
    "check_name",
    "engine",
    "engine_names",
    "kept",
    "register",
]

DEFAULT_ENGINE: Final = "kernel"
"""The name of the engine that a command uses when its user names none."""

EngineFactory = Callable[[EngineOptions, PrioritySemaphore | None], Engine]
"""What makes an engine: its class, or a function with the class's parameters."""

_factories: dict[str, EngineFactory | str] = {
    "kernel": "seglab.kernel.engine:KernelEngine",
    "simulator": "seglab.simulator.engine:SimulatorEngine",
}
"""By an engine's name, what makes it; a text ``module:name`` is imported when it is needed."""


def engine_names() -> list[str]:
    """Return the names of all engines, in alphabetical order."""
    return sorted(_factories)


def check_name(name: str) -> str:
    """Return ``name`` if an engine has it.

    Raises:
        InputError: no engine has this name; the message gives the nearest one.
    """
    named("engine", name, _factories)
    return name


def engine(
    name: str = DEFAULT_ENGINE,
    options: EngineOptions | None = None,
    slots: PrioritySemaphore | None = None,
) -> Engine:
    """Make an engine.

    Args:
        name: which engine.
        options: how it is to run sessions; ``None`` takes the defaults.
        slots: ``jobs`` times ``schedule.SLOT`` slots that this engine shares with others of the
            same event loop; ``None`` gives the engine slots of its own.

    Raises:
        InputError: no engine has this name.
    """
    return _factory(name)(options or EngineOptions(), slots)


def kept(name: str) -> AbstractAsyncContextManager[None]:
    """Let engines of a name work one after the other without starting their processes again.

    What an engine starts in this block, and can be used by the next one, ends with the block. It
    is for engines of one event loop. An engine has such processes if its factory has ``kept``; for
    all others this does nothing.

    Raises:
        InputError: no engine has this name.
    """
    made: AbstractAsyncContextManager[None] = getattr(_factory(name), "kept", nullcontext)()
    return made


def _factory(name: str) -> EngineFactory:
    factory = _factories[check_name(name)]
    if isinstance(factory, str):
        module, _, attribute = factory.partition(":")
        found: EngineFactory = getattr(import_module(module), attribute)
        return found
    return factory


def register(name: str, factory: EngineFactory) -> None:
    """Add an engine to those that can be asked for by name, or replace the one of that name."""
    _factories[name] = factory
