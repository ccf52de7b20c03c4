"""Paths and numbers on the command line, and what is said of those that are no such thing."""

import math
import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from seglab.core.text import safe


class _Place(click.Path):
    """As click's own, which calls a folder a directory that is a file."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path, if what is there may be there."""
        path = Path(value)
        if not self.dir_okay and path.is_dir():
            self.fail(f"{safe(str(path))} is a folder; expected a file", param, ctx)
        if not self.file_okay and path.is_file():
            self.fail(f"{safe(str(path))} is a file; expected a folder", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Place(path_type=Path, dir_okay=False)
"""A file, or the name of one to come."""

FOLDER = _Place(path_type=Path, file_okay=False)
"""A folder, or the name of one to come."""

STORED = _Place(path_type=Path, exists=True, file_okay=False)
"""A folder that there is."""


def given(*names: str) -> list[str]:
    """Which of these parameters stand on the command line, as their options are written."""
    context = click.get_current_context()
    return [
        parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for parameter in context.command.params
        if parameter.name in names
        and context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE
    ]


def finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """Refuse ``nan``, which is in every range."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number")
    return value
