"""Reads stored and foreign JSON as typed values, or says in one line what is wrong with it."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from seglab.core.text import one_line
from seglab.errors import InputError

T = TypeVar("T")

UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, UnicodeError)
"""What msgspec raises for a text that is no JSON, or none of the type that was asked for."""

_BEGINNING, _END = 200, 80


def words(error: BaseException) -> str:
    """Return msgspec's error in one line that is safe on a terminal and not long.

    The error may hold a value of the text as a whole. Its end, which says at which key the value
    is, is kept.
    """
    text = one_line(str(error), None)
    if len(text) <= _BEGINNING + _END:
        return text
    return f"{text[:_BEGINNING]}...{text[-_END:]}"


def from_json(text: bytes | str, kind: type[T], what: str) -> T:
    """Return a value that is stored as JSON.

    Args:
        text: the JSON.
        kind: the type of the value.
        what: what the value is, with its article; the error says "not" and this.

    Raises:
        InputError: the text is not JSON of that type; the error says at which key.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except UNREADABLE as error:
        raise InputError(f"not {what}: {words(error)}") from error


def from_dict(values: Mapping[str, Any], kind: type[T], what: str) -> T:
    """Return a value that is stored as dictionaries and lists; ``from_json`` has the arguments."""
    try:
        return msgspec.convert(values, type=kind)
    except UNREADABLE as error:
        raise InputError(f"not {what}: {words(error)}") from error
