"""Finds a thing by its name, and says which names there are where none has it."""

from collections.abc import Mapping
from typing import TypeVar

from seglab.core.parameters import shown
from seglab.errors import InputError, nearest

_T = TypeVar("_T")


def named(
    what: str, name: object, known: Mapping[str, _T], *, where: str = "", remark: str = ""
) -> _T:
    """Return the thing of that name.

    Args:
        what: what the names are of, such as ``"network"``.
        name: the name; from a stranger's file it may be anything.
        known: all things by name.
        where: where the name stands; it begins the error.
        remark: what else to say of the name.

    Raises:
        InputError: nothing has this name; the message has the nearest one.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    raise InputError(
        f"{where}{': ' * bool(where)}unknown {what} {shown(name)}{remark}; "
        f"{nearest(str(name), known)}"
    )
