"""Whether what a test has started is over."""

from pathlib import Path


def gone(pid):
    """Whether a process has ended; it may still be a zombie of somebody else's."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"
