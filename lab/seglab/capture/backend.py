"""Chooses the form of the inner loop: compiled where that was possible and is up to date.

``setup.py`` compiles copies of ``seglab.capture.core`` into ``seglab.capture.compiled``. After a
change of the sources, or a ``git pull`` in an editable installation, the extension modules are
older than the sources, and the sources run. ``SEGLAB_PURE_PYTHON=1`` makes the sources run always.
"""

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from pathlib import Path

    from seglab.capture.core.table import Table
    from seglab.capture.core.walk import Walker

PURE_PYTHON = "SEGLAB_PURE_PYTHON"
"""The variable of the environment that is ``1`` where the sources shall run."""

MODULES = (
    *("smtp_verbs", "header", "tls_records", "message", "preamble", "dialogue", "stream"),
    *("connection", "table", "encapsulation", "walk"),
)
"""The modules of ``seglab.capture.core`` that ``setup.py`` compiles."""


class Core(NamedTuple):
    """The parts of the inner loop that other modules use."""

    compiled: bool
    table: "type[Table]"
    walker: "type[Walker]"


def digest(folder: "str | Path") -> str:
    """Return a checksum of the inner loop's sources, which tells them from any others."""
    found = 0
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - as below
        if name.endswith((".py", ".pxd")):
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
                found = crc32(file.read(), crc32(name.encode(), found))
    return f"{found:08x}"


@cache
def pure() -> Core:
    """Return the inner loop in plain Python."""
    return _core("core", compiled=False)


@cache
def compiled() -> Core | None:
    """Return the inner loop as extension modules; ``None`` if there are none of these sources."""
    try:
        built = import_module("seglab.capture.compiled.walk")
        if digest(f"{__file__.removesuffix('backend.py')}core") != built.SOURCES:
            return None
        return _core("compiled", compiled=True)
    except (ImportError, OSError):
        return None


def best() -> Core:
    """Return the inner loop to use."""
    if os.environ.get(PURE_PYTHON) == "1":
        return pure()
    return compiled() or pure()


def is_outdated() -> bool:
    """Whether there are extension modules, and they were compiled from other sources."""
    try:
        import_module("seglab.capture.compiled.walk")
    except ImportError:
        return False
    return compiled() is None


def _core(package: str, *, compiled: bool) -> Core:
    table = import_module(f"seglab.capture.{package}.table")
    walk = import_module(f"seglab.capture.{package}.walk")
    return Core(compiled, table.Table, walk.Walker)
