"""A user's own sender, by the path of its file: its code runs in a worker, and never here."""

import hashlib
import reprlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from seglab.confined.remote import SenderWorker
from seglab.errors import InputError
from seglab.sender.named import sender as shipped_sender
from seglab.sender.registry import NAME, SenderFile, senders
from seglab.sender.sender import Sender

_SOURCE_MAX_BYTES: Final = 1 << 20
"""The largest file of a sender; it travels to the worker."""

_WORKERS_MAX: Final = 32
"""How many senders are remembered, each with a process; one more, and the oldest is forgotten."""


def sender(name: str, path: str | None = None) -> Sender:
    """Return the sender of that name.

    Args:
        name: of the sender.
        path: of the file that holds it; ``None`` for a shipped sender.

    Raises:
        InputError: there is no such sender; the message has the nearest name, or the file.
    """
    if path is None:
        return shipped_sender(name)
    own, _ = own_sender(Path(path))
    if own.name != name:
        raise InputError(f"{path}: expected a sender called {name!r}, found {own.name!r}")
    return own


def own_sender(path: Path) -> tuple[Sender, SenderFile]:
    """Return a user's own sender, whose functions ask a process that is shut in.

    The same file with the same content gives the same object.

    Raises:
        InputError: the file cannot be loaded, has no sender or more than one, or its sender's name
            cannot be used; names the file.
    """
    path = path.absolute()
    try:
        with path.open("rb") as file:
            source = file.read(_SOURCE_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(source) > _SOURCE_MAX_BYTES:
        raise InputError(f"{path}: expected at most {_SOURCE_MAX_BYTES} bytes of Python")
    own = _described(str(path), source)
    if not NAME.fullmatch(own.name):
        raise InputError(
            f"{path}: SENDER.name: expected up to 64 letters, digits, '_' and '-', a letter first, "
            f"found {reprlib.repr(own.name)}"
        )
    if own.name in senders():
        raise InputError(
            f"{path}: SENDER.name: {own.name!r} is the name of a shipped sender; choose another"
        )
    return own, SenderFile(str(path), hashlib.sha256(source).hexdigest())


@lru_cache(maxsize=_WORKERS_MAX)
def _described(path: str, source: bytes) -> Sender:
    return SenderWorker(path, source).sender()
