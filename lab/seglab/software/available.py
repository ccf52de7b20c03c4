"""Named programs that can run now."""

import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from seglab.core.text import one_line
from seglab.errors import EnvironmentLacksError
from seglab.software.program import TREE_NPM, TREE_PYPI, NamedProgram
from seglab.software.store import Store

_VERSION_LIMIT_S: Final = 20


@dataclass(frozen=True, slots=True)
class AvailableProgram:
    """A named program that can run now.

    Attributes:
        program: what it is.
        version: of its main package; of what runs it, where it has none.
        runtime: what runs it, with its version; empty where nothing does.
        tree: the folder with its files; ``None`` where it has none of its own.
    """

    program: NamedProgram
    version: str
    runtime: str
    tree: Path | None

    @property
    def parameters(self) -> dict[str, str]:
        """What its sessions have as parameters: all that tells it from another version of it."""
        found = {
            "version": self.version,
            "runtime": self.runtime,
            "settings": self.program.settings,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def variables(self) -> dict[str, str]:
        """Its environment, with placeholders."""
        found = {"HOME": "/run/seglab/tmp"}
        if self.program.pypi:
            found["PYTHONPATH"] = TREE_PYPI
        if self.program.npm:
            found["NODE_PATH"] = f"{TREE_NPM}/node_modules"
        return found | dict(self.program.environment)


def available(program: NamedProgram, store: Store) -> AvailableProgram:
    """Return a program that can run now.

    Raises:
        EnvironmentLacksError: it is not installed, or what runs it is not there.
        InputError: its installation is damaged.
    """
    found = store.installation(program.name)
    if found is None and not program.needs_nothing:
        reason = store.refusal(program.name)
        tried = f" (it could not be: {reason})" if reason else ""
        raise EnvironmentLacksError(
            f"program {program.name!r} is not installed{tried}: "
            f"seglab software install {program.name}"
        )
    tree = None if found is None else store.tree(program.name)
    runtime = _runtime(program, tree) if program.runtime else ""
    version = found.version if found is not None and found.version else runtime.split(" ")[-1]
    return AvailableProgram(program, version, runtime, tree)


def is_available(program: NamedProgram, store: Store) -> bool:
    """Whether a program can run now."""
    try:
        available(program, store)
    except EnvironmentLacksError:
        return False
    return True


def _runtime(program: NamedProgram, tree: Path | None) -> str:
    """Return what runs a program, with its version.

    Raises:
        EnvironmentLacksError: it is not on this machine any more.
    """
    command = [sys.executable if word == "{python}" else word for word in program.runtime]
    if tree is not None:
        own = tree / "usr" / "bin" / command[0]
        command[0] = str(own) if own.is_file() else command[0]
    try:
        return _said(tuple(command))
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentLacksError(
            f"program {program.name!r}: {command[0]} does not tell its version: {error}; "
            f"seglab software install --upgrade {program.name}"
        ) from error


@cache
def _said(command: tuple[str, ...]) -> str:
    """Return the first line that a command prints."""
    said = subprocess.run(
        command, capture_output=True, timeout=_VERSION_LIMIT_S, check=True
    ).stdout.decode("utf-8", "replace")
    return one_line(said.strip().partition("\n")[0], 100)
