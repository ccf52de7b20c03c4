"""Reads stored and foreign JSON as typed values, or says in one line what is wrong with it."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from seglab.errors import InputError

T = TypeVar("T")


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
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"not {what}: {error}") from error


def from_dict(values: Mapping[str, Any], kind: type[T], what: str) -> T:
    """Return a value that is stored as dictionaries and lists; ``from_json`` has the arguments."""
    try:
        return msgspec.convert(values, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"not {what}: {error}") from error
