"""Types for paths and numbers on the command line, with clear messages for wrong ones."""

import math
import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from seglab.core.text import safe
from seglab.errors import InputError


class _Place(click.Path):
    """A path as click's own, with messages that say folder and file."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; fail if it is a folder where a file is expected, or the reverse."""
        path = Path(value)
        if not self.dir_okay and path.is_dir():
            self.fail(f"{safe(str(path))} is a folder; expected a file", param, ctx)
        if not self.file_okay and path.is_file():
            self.fail(f"{safe(str(path))} is a file; expected a folder", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Place(path_type=Path, dir_okay=False)
"""The path of a file, which need not exist."""

FOLDER = _Place(path_type=Path, file_okay=False)
"""The path of a folder, which need not exist."""

STORED = _Place(path_type=Path, exists=True, file_okay=False)
"""The path of a folder that exists."""


def given(*names: str) -> list[str]:
    """Which of these parameters stand on the command line, by the names of their options."""
    context = click.get_current_context()
    return [
        parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for parameter in context.command.params
        if parameter.name in names
        and context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE
    ]


def finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """Refuse ``nan``, which passes every check of a range."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number")
    return value


def refuse_unwritable(*paths: Path | None) -> None:
    """Find out before a long run, and not after it, that a result cannot be written.

    Raises:
        InputError: names the file.
    """
    for path in paths:
        if path is None:
            continue
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: cannot be written: there is no folder {path.parent}")
        if not os.access(path.absolute().parent, os.W_OK):
            raise InputError(f"{path}: cannot be written: {path.absolute().parent} is read-only")
        if path.exists() and not os.access(path, os.W_OK):
            raise InputError(f"{path}: cannot be written: the file is read-only")
