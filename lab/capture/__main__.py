"""Writes the observations of captures as JSON lines: ``python -m lab.capture FILE...``."""

import gc
import sys
from pathlib import Path

from lab.capture.reader import observations
from lab.errors import SeglabError


def main(names: list[str]) -> int:
    """Read the named captures, or standard input for ``-``; the exit code."""
    gc.set_threshold(100_000)  # what is read makes no cycles, and to look for them takes time
    write = sys.stdout.buffer.write
    for name in names:
        file = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - with
        with file:
            for observation in observations(file, name, warn=_warn):
                write(observation.to_json() + b"\n")
    return 0


def _warn(note: str) -> None:
    sys.stderr.write(f"{note}\n")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SeglabError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
