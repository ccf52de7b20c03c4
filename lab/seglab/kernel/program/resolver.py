"""The name server of a program's lab: every name is the lab's server.

It answers on UDP port 53 of the client's loopback (RFC 1035). Every name has an address, A or AAAA
as the network's version of IP has it, and an MX that names the lab's server. Of all other types
there is nothing: the name exists, without such a record. A program that asks for what it needs to
find a server so finds the lab's, whatever domain it sends to.

Deliberately ignored: TCP, EDNS and several questions in one message, which no resolver of a program
needs for answers of this size.
"""

import socket
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from seglab.kernel.program.view import SERVER_NAME

ADDRESS: Final = "127.0.0.1"
PORT: Final = 53

_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_A, _MX, _AAAA = 1, 15, 28
_IN: Final = 1
_RESPONSE, _AUTHORITATIVE = 0x8000, 0x0400
_KEPT_FLAGS: Final = 0x7900  # the kind of question, and whether recursion is desired
_RECURSION_AVAILABLE: Final = 0x0080
_NOT_IMPLEMENTED: Final = 4
_OPCODE: Final = 0x7800
_POINTER_TO_QUESTION: Final = b"\xc0\x0c"
_TTL_S: Final = 60
_LABEL_MAX: Final = 63
_MESSAGE_MAX: Final = 512


class Resolver:
    """The name server of a client's network namespace.

    Attributes:
        server: the address that every name has now; ``None`` answers nothing.

    Raises:
        OSError: the port cannot be had.
    """

    def __init__(self) -> None:
        self.server: str | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind((ADDRESS, PORT))

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def serve(self) -> None:
        """Answer all questions that have come."""
        with suppress(OSError):
            while True:
                question, asker = self._socket.recvfrom(_MESSAGE_MAX)
                if self.server and (reply := answer(question, self.server)):
                    self._socket.sendto(reply, asker)


def answer(question: bytes, server: str) -> bytes | None:
    """Return the answer to a question.

    Args:
        question: the message that came.
        server: the address that every name has.

    Returns:
        ``None`` for what is no question of one name.
    """
    if len(question) < _HEADER.size:
        return None
    number, flags, questions, *_ = _HEADER.unpack_from(question)
    end = _end_of_name(question, _HEADER.size)
    if flags & _RESPONSE or questions != 1 or end is None or len(question) < end + 4:
        return None
    asked = question[_HEADER.size : end + 4]
    kind, group = struct.unpack_from("!HH", question, end)
    said = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | (flags & _KEPT_FLAGS)
    if flags & _OPCODE:
        return _HEADER.pack(number, said | _NOT_IMPLEMENTED, 1, 0, 0, 0) + asked
    address = ip_address(server)
    own = _A if address.version == 4 else _AAAA
    data = None
    if group == _IN and kind == own:
        data = address.packed
    elif group == _IN and kind == _MX:
        data = struct.pack("!H", 10) + _name(SERVER_NAME)
    if data is None:
        return _HEADER.pack(number, said, 1, 0, 0, 0) + asked
    record = _POINTER_TO_QUESTION + _RECORD.pack(kind, _IN, _TTL_S, len(data)) + data
    return _HEADER.pack(number, said, 1, 1, 0, 0) + asked + record


def _name(text: str) -> bytes:
    return b"".join(bytes([len(a)]) + a.encode("ascii") for a in text.split(".")) + b"\0"


def _end_of_name(message: bytes, at: int) -> int | None:
    """Return the offset after the name at ``at``; ``None`` where there is no whole name."""
    while at < len(message):
        length = message[at]
        at += 1 + length
        if not length:
            return at
        if length > _LABEL_MAX:  # a pointer, which a question has no use for
            return None
    return None
