"""Figures of stored runs and datasets, all in one style.

This is the only package that imports Matplotlib.
"""

import logging
from importlib import import_module


def _import_matplotlib() -> None:
    """Import Matplotlib, without its warning where it cannot write to the user's home.

    It then keeps its cache of fonts in a temporary folder, which it removes at the end, and is
    only slower. A user who reads a report in a container, or on a read-only disk, need not know.
    """
    logger = logging.getLogger("matplotlib")

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger.addFilter(is_error)
    try:
        import_module("matplotlib").get_cachedir()
    finally:
        logger.removeFilter(is_error)


_import_matplotlib()
