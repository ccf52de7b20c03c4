"""Stored and foreign JSON as typed values, or one line that says what is wrong with it."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from seglab.errors import InputError

T = TypeVar("T")


def from_json(text: bytes | str, kind: type[T], what: str) -> T:
    """A value of its JSON.

    Args:
        text: the JSON.
        kind: of the value.
        what: it is, with its article, as the error says it.

    Raises:
        InputError: the text is none; says at which key.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"not {what}: {error}") from error


def from_dict(values: Mapping[str, Any], kind: type[T], what: str) -> T:
    """A value of plain dictionaries and lists; arguments and errors as of ``from_json``."""
    try:
        return msgspec.convert(values, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"not {what}: {error}") from error
