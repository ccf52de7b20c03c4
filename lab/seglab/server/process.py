"""What the server asks of the kernel for its own process."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from seglab.core import open_files

SPARE_FILES: Final = 32
"""Open files of the server beside its connections: at most twenty, and some to spare."""


def raise_descriptor_limit(connections: int) -> int:
    """Raise this process's soft limit of open files to what ``connections`` need.

    Returns:
        How many connections the limit in force allows, at most ``connections``.
    """
    limit = open_files.raise_limit(connections + SPARE_FILES)
    return max(1, min(connections, limit - SPARE_FILES))


def sharpen_timers() -> None:
    """Ask for timers of 1 us instead of 50 us in this thread, where the kernel lets us."""
    with suppress(OSError):
        Path(f"/proc/{threading.get_native_id()}/timerslack_ns").write_text("1000", "ascii")
