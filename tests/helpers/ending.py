"""Finds out whether a process that a test has started is over."""

from pathlib import Path


def gone(pid):
    """Return whether a process has ended, even if its parent has not collected it yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"
