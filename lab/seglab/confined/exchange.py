"""What a sender's worker and the process that asks it say to each other.

Each side sends MessagePack with its length before it. The asking side gives a worker's answer a
time and a size, since behind it may stand anyone's code.
"""

import dataclasses
import re
import socket
import struct
import time
from typing import Any, Final, cast

import msgspec

from seglab.core.labels import Style
from seglab.core.parameters import Flag, HeaderNames, Integer, Number, Parameter, Sizes, Word
from seglab.sender.sender import Protocol
from seglab.sender.steps import SOCKET_OPTIONS, Expect, MssBuffer, SetOption, Step, Wait, Write

ANSWER_MAX_BYTES: Final = 64 << 20
"""The longest answer: a payload has at most 16 MiB, and a million steps some bytes each."""

LOADING_LIMIT_S: Final = 20.0
"""How many seconds a sender's file may take to be loaded, with all that it imports."""

_LENGTH = struct.Struct("!I")
_CHUNK_BYTES = 1 << 18
_MORE = "+more"
_WRITE = re.compile(r"(payload|command)(\+more)?(?:\+(\d{1,9})x(\d{1,9}))?")
_PARAMETERS: Final = {
    kind.__name__: kind for kind in (Integer, Number, Flag, Sizes, Word, HeaderNames)
}


class GoneError(Exception):
    """The other side has ended, was silent for too long, or sent what is no message."""


class DescribedSender(msgspec.Struct, frozen=True):
    """The attributes of a ``Sender`` that are no functions, as a worker sends them.

    Attributes:
        parameters: name, type and attributes of each parameter.
        has_style_of: whether ``style_of`` is there.
        has_payload_bytes_of: whether ``payload_bytes_of`` is there.
    """

    name: str
    summary: str
    source: str
    style: Style
    parameters: list[tuple[str, str, dict[str, Any]]]
    protocol: Protocol
    first_header: str | None
    relays: bool
    has_style_of: bool
    has_payload_bytes_of: bool


StoredStep = tuple[str, bytes | float | int]
"""A step as it travels: its kind, and its content.

The kinds are ``payload`` and ``command``, ``wait``, ``expect``, and the names of socket options. A
write with MSG_MORE has ``+more`` after its kind, and one through a buffer that fits the MSS its
least bytes and its segments, such as ``payload+4096x4``.
"""


def encoded(message: object) -> bytes:
    """Return a message as it travels, without its length.

    Raises:
        TypeError: it holds something that cannot travel; so do ValueError and OverflowError.
    """
    return msgspec.msgpack.encode(message)


def send(sock: socket.socket, data: bytes) -> None:
    """Send one message that was ``encoded``.

    Raises:
        GoneError: the other side has ended, or does not read.
    """
    try:
        sock.sendall(_LENGTH.pack(len(data)) + data)
    except OSError as error:
        raise GoneError(str(error)) from error


def receive(sock: socket.socket, limit_s: float | None = None) -> dict[str, Any]:
    """Wait for one message and return it.

    Args:
        sock: the channel.
        limit_s: within how many seconds the whole of it must be there; ``None`` waits for ever.

    Raises:
        GoneError: the other side has ended, was silent, or sent no message.
    """
    end_s = None if limit_s is None else time.monotonic() + limit_s
    (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size, end_s))
    if length > ANSWER_MAX_BYTES:
        raise GoneError(f"a message of {length} bytes")
    try:
        return msgspec.msgpack.decode(_exactly(sock, length, end_s), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise GoneError(str(error)) from error


def _exactly(sock: socket.socket, size: int, end_s: float | None) -> bytes:
    """Read ``size`` bytes until the clock shows ``end_s``."""
    data = bytearray()
    while len(data) < size:
        if end_s is not None:
            sock.settimeout(max(end_s - time.monotonic(), 0.001))
        try:
            chunk = sock.recv(min(size - len(data), _CHUNK_BYTES))
        except OSError as error:
            raise GoneError(str(error)) from error
        if not chunk:
            raise GoneError("the other side has ended")
        data += chunk
    return bytes(data)


def stored_parameters(parameters: dict[str, Parameter]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the parameters as they travel."""
    return [
        (name, type(one).__name__, msgspec.to_builtins(one)) for name, one in parameters.items()
    ]


def parameters_from(stored: list[tuple[str, str, dict[str, Any]]]) -> dict[str, Parameter]:
    """Return the parameters that a worker described.

    Raises:
        ValueError: one is of no known type, or has wrong attributes.
    """
    found: dict[str, Parameter] = {}
    for name, kind, values in stored:
        if kind not in _PARAMETERS:
            raise ValueError(f"parameters: {name}: no parameter is a {kind}")
        try:
            parameter = cast("Parameter", msgspec.convert(values, _PARAMETERS[kind]))
        except msgspec.ValidationError as error:
            raise ValueError(f"parameters: {name}: {error}") from error
        if isinstance(parameter, Number):  # 0 is not to become 0.0
            numbers = {n: values[n] for n in ("default", "minimum", "maximum")}
            parameter = dataclasses.replace(parameter, **numbers)
        try:
            parameter.check(parameter.default)
        except ValueError as error:
            raise ValueError(f"parameters: {name}: the default is not {error}") from error
        found[name] = parameter
    return found


def stored_step(step: Step) -> StoredStep:
    """Return a step as it travels."""
    if isinstance(step, Write):
        kind = "payload" if step.payload else "command"
        kind = kind + _MORE if step.more else kind
        if step.buffer is not None:
            kind += f"+{step.buffer.least_bytes}x{step.buffer.segments}"
        return (kind, step.data)
    if isinstance(step, Wait):
        return ("wait", step.seconds)
    if isinstance(step, SetOption):
        return (step.name, int(step.on))
    return ("expect", step.code)


def step_from(stored: StoredStep) -> Step:
    """Return the step that travelled.

    Raises:
        ValueError: it is none.
    """
    match stored:
        case (str() as kind, bytes() as data) if found := _WRITE.fullmatch(kind):
            name, more, least_bytes, segments = found.groups()
            buffer = None if least_bytes is None else MssBuffer(int(least_bytes), int(segments))
            return Write(data, name == "payload", more is not None, buffer)
        case ("wait", int() | float() as seconds):
            return Wait(seconds)
        case ("expect", int() as code):
            return Expect(code)
        case (str() as name, 0 | 1 as on) if name in SOCKET_OPTIONS:
            return SetOption(name, bool(on))
    raise ValueError("a step of an unknown kind")
