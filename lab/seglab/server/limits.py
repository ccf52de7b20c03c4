"""The limits of what a client may ask; each has the name under which the server refuses."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from seglab.errors import nearest


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's limits; each bounds memory or time.

    Attributes:
        connections: how many are open at once; the next one gets ``421``.
        command_line_bytes: the length of an SMTP command with its CRLF (RFC 5321, 4.5.3.1.4: 512).
        message_line_bytes: the length of a line of message data with its CRLF. RFC 5321, 4.5.3.1.6
            lets a server stop at 1000; long lines are worth logging, so the default is more.
        message_bytes: the length of a message without its terminator and its stuffed dots, which
            is SIZE of RFC 1870; with raw TCP, the length of the whole stream.
        recipients: how many one transaction has; RFC 5321, 4.5.3.1.8 asks for at least 100.
        errors: how many faulty commands a connection may have before it is closed.
        idle_s: how many seconds nothing may move in either direction (RFC 5321, 4.5.3.2.7: 300).
        session_s: how many seconds a whole connection may last.
        log_bytes: how much memory the log of one connection takes: 16 bytes for each read, and the
            envelopes. The event format needs more, since it keeps what it will print of each read.

    Raises:
        ValueError: a value cannot be used; the message names the field.
    """

    connections: int = 2000
    command_line_bytes: int = 512
    message_line_bytes: int = 1 << 20
    message_bytes: int = 32 << 20
    recipients: int = 1000
    errors: int = 50
    idle_s: float = 300.0
    session_s: float = 3600.0
    log_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if field.name.endswith("_s") else (int,)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ValueError(f"limit {field.name}: expected a number, found {value!r}")
            least = _LEAST.get(field.name, 1)
            if not least <= value <= _MOST:
                raise ValueError(f"limit {field.name}: expected {least} to {_MOST}, found {value}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Limits":
        """Return the limits of a mapping; those that it does not name have their defaults.

        Raises:
            ValueError: a name is unknown or a value cannot be used.
        """
        known = [field.name for field in fields(cls)]
        for key in mapping:
            if key not in known:
                raise ValueError(f"limits: unknown key {key!r}; {nearest(key, known)}")
        return cls(**mapping)


_LEAST = {
    "command_line_bytes": 64,
    "message_line_bytes": 64,
    "idle_s": 0.001,
    "session_s": 0.001,
    "log_bytes": 1024,
}
_MOST = 1 << 40
