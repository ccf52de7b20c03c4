"""Which bytes may be SMTP's: the words that its commands and replies begin with."""

import re

_VERBS = (
    *(b"EHLO", b"HELO", b"LHLO", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"NOOP", b"QUIT"),
    *(b"VRFY", b"EXPN", b"HELP", b"AUTH", b"STAR", b"ETRN", b"XCLI", b"XFOR"),
    *(b"CONN", b"PROX"),  # HTTP CONNECT and the PROXY protocol, which may stand before SMTP
)
PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""What a header of the PROXY protocol, version 2, begins with."""

_KNOWN = frozenset(_VERBS)
_BEGINNINGS = frozenset(verb[:size] for verb in _VERBS for size in range(4))
_OPENING = re.compile(
    rb"(?:EHLO|HELO|LHLO)[ \t]|MAIL[ \t]+FROM[ \t]*:|RCPT[ \t]+TO[ \t]*:"
    rb"|(?:DATA|RSET|QUIT|NOOP|STARTTLS)[ \t]*\r?\n|BDAT[ \t]+\d|AUTH[ \t]+[A-Z]"
    rb"|CONNECT[ \t]+[^ ]+[ \t]+HTTP/",
    re.IGNORECASE,
)
_REPLY = re.compile(rb"(?:220|250|354)[ -]")


def begins_command(data: bytes) -> bool:
    """Whether bytes begin like an SMTP command, in the middle of a connection."""
    return _OPENING.match(data) is not None


def may_be_smtp(data: bytes, lenient: bool) -> bool:
    """Whether a client's first bytes may be SMTP.

    Args:
        data: as many as there are.
        lenient: whether any word will do.
    """
    verb = data[:4].upper()
    if verb in _KNOWN or (lenient and verb[:1].isalnum()):
        return True
    if verb[:1] == b"\r":
        return PROXY_SIGNATURE.startswith(data[:12])
    return len(verb) < 4 and verb in _BEGINNINGS


def begins_reply(data: bytes) -> bool:
    """Whether bytes begin like a reply that leads to a message."""
    return _REPLY.match(data) is not None
