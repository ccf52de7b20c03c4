"""When Python looks for garbage: for cycles of objects, which counting references does not free."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unsearched() -> Iterator[None]:
    """Let Python not look for garbage in this block, which makes little or none.

    It would look through all that has been made again and again.
    """
    searches = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searches:
            gc.enable()


@contextmanager
def exempt() -> Iterator[None]:
    """Let Python never look for garbage in what is made in this block, since it stays."""
    with unsearched():
        try:
            yield
        finally:
            gc.freeze()
