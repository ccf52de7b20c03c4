"""Recognises SMTP by the words that its commands and replies begin with."""

import re
from typing import Final

_VERBS = (
    *(b"EHLO", b"HELO", b"LHLO", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"NOOP", b"QUIT"),
    *(b"VRFY", b"EXPN", b"HELP", b"AUTH", b"STAR", b"ETRN", b"XCLI", b"XFOR"),
    *(b"CONN", b"PROX"),  # HTTP CONNECT and the PROXY protocol, which may stand before SMTP
)
PROXY_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""The first bytes of a header of the PROXY protocol, version 2."""

SOCKS5: Final = 5
"""The first byte of what either host says in SOCKS, version 5 (RFC 1928)."""

LONGEST_OPENING: Final = 16
"""So many bytes are enough to recognise a command, if a blank follows its words at once."""

_KNOWN = frozenset(_VERBS)
_BEGINNINGS = frozenset(verb[:size] for verb in _VERBS for size in range(4))
_OPENING = re.compile(
    rb"(?:EHLO|HELO|LHLO)[ \t]|MAIL[ \t]+FROM[ \t]*:|RCPT[ \t]+TO[ \t]*:"
    rb"|(?:DATA|RSET|QUIT|NOOP|STARTTLS)[ \t]*\r?\n|BDAT[ \t]+\d|AUTH[ \t]+[A-Z]"
    rb"|CONNECT[ \t]+[^ ]+[ \t]+HTTP/",
    re.IGNORECASE,
)
_OPENINGS = (
    *(b"EHLO ", b"HELO ", b"LHLO ", b"MAIL FROM:", b"RCPT TO:", b"DATA\r\n", b"RSET\r\n"),
    *(b"QUIT\r\n", b"NOOP\r\n", b"STARTTLS\r\n", b"BDAT ", b"AUTH "),
)
_WHOLE_LINES = frozenset(line for line in _OPENINGS if line.endswith(b"\n"))
_ANY_COMMAND = re.compile(
    rb"(?:EHLO|HELO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|NOOP|QUIT|VRFY|EXPN|HELP|AUTH|STARTTLS|ETRN"
    rb"|XCLIENT|XFORWARD|XEXCH50)(?:[ \t]|\r?\n)",
    re.IGNORECASE,
)
_REPLY = re.compile(rb"(?:220|250|354)[ -]")


def begins_command(data: bytes) -> bool:
    """Return whether bytes begin like an SMTP command, in the middle of a connection."""
    return _OPENING.match(data) is not None


def begins_any_command(data: bytes) -> bool:
    """Return whether bytes begin with a word of SMTP, where a command is likely to come."""
    return _ANY_COMMAND.match(data) is not None


def may_begin_command(data: bytes) -> bool:
    """Return whether bytes, perhaps few, are the beginning of an SMTP command."""
    if _OPENING.match(data) is not None:
        return True
    head = data[:LONGEST_OPENING].upper()
    return any(line.startswith(head) for line in _OPENINGS)


def is_cut_command(data: bytes, size: int) -> bool:
    """Return whether a segment of ``size`` bytes, captured only in part, may be a whole command.

    Only commands without an argument can be recognised, by their length: ``QU`` of six bytes is
    QUIT. At least two bytes have to be captured.
    """
    if len(data) < 2 or len(data) >= size:
        return False
    head = data.upper()
    return any(len(line) == size and line.startswith(head) for line in _WHOLE_LINES)


def may_be_smtp(data: bytes, lenient: bool) -> bool:
    """Return whether a client's first bytes may be SMTP, or what may stand before it.

    Args:
        data: as many as there are.
        lenient: whether any word will do.
    """
    verb = data[:4].upper()
    if verb in _KNOWN or (lenient and verb[:1].isalnum()):
        return True
    if verb[:1] == b"\r":
        return PROXY_SIGNATURE.startswith(data[:12])
    if verb[:1] == b"\x04":  # SOCKS 4: then the command, to connect
        return data[1:2] in (b"", b"\x01")
    if verb[:1] == b"\x05":  # SOCKS: then the number of methods that the client knows
        return len(data) < 2 or (data[1] > 0 and len(data) <= 2 + data[1])
    return len(verb) < 4 and verb in _BEGINNINGS


def begins_reply(data: bytes) -> bool:
    """Return whether bytes begin like a reply that leads to a message."""
    return _REPLY.match(data) is not None
