"""How a classifier is named, on a command line, in a file, and in Python.

==================== ===============================================================
``boundaries``       a classifier that comes with seglab
``package.module:x`` a callable that Python can import, from the current folder first
``cmd:PROGRAM ARGS`` a program in any language, see ``seglab.runners.program``
==================== ===============================================================

``parse`` tells these apart. It looks nothing up: whether there is such a classifier turns out when
it is loaded (``seglab.classification.registry``) or started (``seglab.runners.open``).
"""

from dataclasses import dataclass
from typing import Final

PROGRAM_PREFIX: Final = "cmd:"
"""What a reference to a program begins with."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A classifier that comes with seglab, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class PythonCallable:
    """A callable of the user's own.

    Attributes:
        module: the dotted name of the module that has it.
        attribute: its name there; dots lead into classes and objects.
    """

    module: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Program:
    """A program that reads observations and prints verdicts.

    Attributes:
        command: the program and its arguments, as a shell would split them.
    """

    command: str


Reference = BuiltIn | PythonCallable | Program


def parse(text: str) -> Reference:
    """Tell which kind of classifier a reference names."""
    if text.startswith(PROGRAM_PREFIX):
        return Program(text.removeprefix(PROGRAM_PREFIX))
    module, colon, attribute = text.partition(":")
    return PythonCallable(module, attribute) if colon else BuiltIn(text)
