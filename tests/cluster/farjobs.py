"""Jobs that a test gives to workers; they import this module."""

import os
import time
from pathlib import Path


def doubled(scratch: Path, number: int) -> int:
    """Twice a number; leaves something in its folder, which was empty."""
    assert list(scratch.iterdir()) == []
    (scratch / "left").write_text("over")
    return 2 * number


def fussy(_scratch: Path, number: int, tally: str) -> int:
    """The number, but for 3, over which it raises each time; keeps a tally of its calls."""
    with Path(tally).open("a") as file:
        file.write(f"{number}\n")
    if number == 3:
        raise ValueError("not\x1b[2J three")
    return number


def until(_scratch: Path, number: int, path: str) -> int:
    """The number, once there is a file; says by another one that it has begun."""
    Path(f"{path}.{number}.{os.getpid()}").touch()
    end = time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    return number
