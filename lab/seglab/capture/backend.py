"""The inner loop as it runs here: compiled where that was possible and is up to date.

An extension module that was made from other sources than those that lie beside it (after a change,
or a ``git pull`` in an editable installation) is not used. ``SEGLAB_PURE_PYTHON=1`` does without.
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

MODULES = ("smtp_verbs", "header", "message", "dialogue", "stream", "connection", "table", "walk")
"""Those of ``seglab.capture.core``; ``setup.py`` compiles them."""


class Core(NamedTuple):
    """The parts of the inner loop that others use."""

    compiled: bool
    table: "type[Table]"
    walker: "type[Walker]"


def digest(folder: "str | Path") -> str:
    """What tells the sources of the inner loop from any others: a checksum, quick to make."""
    found = 0
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - as below
        if name.endswith((".py", ".pxd")):
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
                found = crc32(file.read(), crc32(name.encode(), found))
    return f"{found:08x}"


@cache
def pure() -> Core:
    """The inner loop in plain Python."""
    return _core("core", compiled=False)


@cache
def compiled() -> Core | None:
    """The inner loop as extension modules; ``None`` where there are none for these sources."""
    try:
        built = import_module("seglab.capture.compiled.walk")
        if digest(f"{__file__.removesuffix('backend.py')}core") != built.SOURCES:
            return None
        return _core("compiled", compiled=True)
    except (ImportError, OSError):
        return None


def best() -> Core:
    """The inner loop to use."""
    if os.environ.get("SEGLAB_PURE_PYTHON") == "1":
        return pure()
    return compiled() or pure()


def _core(package: str, *, compiled: bool) -> Core:
    table = import_module(f"seglab.capture.{package}.table")
    walk = import_module(f"seglab.capture.{package}.walk")
    return Core(compiled, table.Table, walk.Walker)
