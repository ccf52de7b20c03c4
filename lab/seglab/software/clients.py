"""Running the clients of the registries: apt-get, pip and npm."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from seglab.core.text import one_line

LIMIT_S: Final = 600
"""After this many seconds, a client of a registry is ended."""


class RefusedError(Exception):
    """A program cannot be installed; the message says why, in one line."""


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a client, and return what it printed on standard output.

    Args:
        command: the client and its arguments.
        folder: where it runs.
        environment: variables beside those of this process.

    Raises:
        RefusedError: it is not here, failed, or took too long; says what it said.
    """
    if shutil.which(command[0]) is None:
        raise RefusedError(f"{command[0]} is not on this machine")
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C.UTF-8", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RefusedError(f"{Path(command[0]).name} did not end within {LIMIT_S} s") from error
    if ended.returncode:
        raise RefusedError(_reason(command[0], ended))
    return ended.stdout.decode("utf-8", "replace")


def _reason(client: str, ended: subprocess.CompletedProcess[bytes]) -> str:
    """Return what a client gave as the reason of its failure."""
    said = (ended.stderr or ended.stdout).decode("utf-8", "replace")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [
        line
        for line in lines
        if line.lower().startswith(("e: ", "error", "npm err", "npm error"))
        and "log of this run" not in line
    ]
    reason = "; ".join(dict.fromkeys((errors or lines[-1:] or ["no reason was given"])[:3]))
    return one_line(f"{Path(client).name}: {reason}", 400)
