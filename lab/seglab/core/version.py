"""The version of the installed package."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """Return seglab's version, or ``0+unknown`` in a source tree that was never installed."""
    try:
        return installed("seglab")
    except PackageNotFoundError:
        return "0+unknown"
