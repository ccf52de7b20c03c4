"""Writes the observations of captures as JSON lines: ``python -m seglab.capture FILE...``."""

import gc
import os
import sys

from seglab.capture.reader import observations
from seglab.core.text import safe
from seglab.errors import InputError, SeglabError

_USAGE = "usage: python -m seglab.capture CAPTURE...   (- is standard input)"


def main(names: list[str]) -> int:
    """Read the named captures, or standard input for ``-``; the exit code."""
    if not names or {"-h", "--help"} & set(names):
        print(_USAGE, file=sys.stdout if names else sys.stderr)
        return 0 if names else 2
    gc.freeze()
    gc.set_threshold(100_000)  # what is read makes no cycles, and to look for them takes time
    write = sys.stdout.buffer.write
    for name in names:
        try:
            file = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: PTH123, SIM115 - a quick start; with
        except OSError as error:
            raise InputError(f"{safe(name)}: {error.strerror or error}") from error
        with file:
            for observation in observations(file, name, warn=_warn):
                write(observation.to_json() + b"\n")
    sys.stdout.flush()
    return 0


def _warn(note: str) -> None:
    sys.stderr.write(f"{safe(note)}\n")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SeglabError as error:
        sys.stderr.write(f"{safe(str(error))}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
        sys.exit(141)
