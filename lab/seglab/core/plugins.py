"""Finds the files of plug-ins, and loads a Python file by its path.

A plug-in is one file in a folder: a sender (``senders/NAME.py``) or a scenario
(``scenarios/NAME.toml``). The folders are no packages, so that an installation puts one name,
``seglab``, into ``site-packages`` and no other. A user's own sender is not loaded here, since its
code runs in a process that is shut in (``seglab.confined``).
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from seglab.errors import InputError

PACKAGE = Path(__file__).absolute().parents[1]
"""The folder of the package ``seglab``."""


def shipped(kind: str) -> Path:
    """The folder of the shipped ``senders``, ``servers`` or ``scenarios``.

    A wheel carries it inside the package. In a checkout it lies beside ``lab/``.
    """
    inside = PACKAGE / "shipped" / kind
    return inside if inside.is_dir() else PACKAGE.parents[1] / kind


def files(folder: Path, ending: str) -> list[Path]:
    """The plug-ins of a folder, sorted by name; names that begin with ``_`` are private.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    return [file for file in found if file.suffix == ending and not file.name.startswith("_")]


def load(file: Path) -> ModuleType:
    """The module in a file; the same module when the file is loaded again.

    The module's name holds the file's whole path, so that it clashes with no other module.

    Raises:
        InputError: the file cannot be loaded; names it, and says why.
    """
    file = file.absolute()
    name = f"seglab-plugin:{file}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever somebody's module raises
        del sys.modules[name]
        raise InputError(f"{file}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
