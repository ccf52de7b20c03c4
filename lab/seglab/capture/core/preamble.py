"""What may stand before SMTP in a connection: a proxy's header, or a dialogue with one.

Three kinds are known by their first bytes. ``Preamble`` takes the client's bytes, and of SOCKS also
the server's, until the connection is as if there had been no proxy.

| kind | the client sends | the server sends |
| --- | --- | --- |
| HTTP CONNECT (RFC 9110, 9.3.6) | a request, its fields, an empty line | a status |
| PROXY protocol, version 2 | 16 bytes, and as many as the last two of them say | nothing |
| SOCKS 5 (RFC 1928, RFC 1929) | methods; perhaps a login; the target | an answer to each |
| SOCKS 4 and 4a | the target | 8 bytes |

``Dialogue`` reads the status of HTTP, since a client may try again after a refusal.
Version 1 of the PROXY protocol is one line, which ``Dialogue`` takes for a command.
"""

from typing import Final

from .smtp_verbs import PROXY_SIGNATURE

HTTP, PROXY, SOCKS, SOCKS4 = 1, 2, 3, 4
OPEN, DONE, FAILED = 0, 1, 2

LINE_BYTES: Final = 1 << 14
"""The longest line of an HTTP request that is taken for one, and the longest name of SOCKS 4."""

_HTTP, _PROXY, _SOCKS4 = HTTP, PROXY, SOCKS4
_OPEN, _DONE, _FAILED = OPEN, DONE, FAILED
_PROXY_BYTES = 16
_IPV4, _NAME, _IPV6 = 1, 3, 4
_METHODS, _METHOD, _LOGIN, _LOGGED_IN, _TARGET, _CONNECTED = range(6)
_USER_AND_PASSWORD = 2
_ANSWER4_BYTES, _GRANTED4 = 8, 90


class Preamble:
    """Takes what stands before SMTP.

    Args:
        kind: ``HTTP``, ``PROXY``, ``SOCKS`` or ``SOCKS4``.

    Attributes:
        kind: the same.
        port: which SOCKS is asked to connect to; 0 where that is not known.
        state: ``OPEN``; ``DONE`` once SMTP comes next; ``FAILED`` where it does not.
    """

    __slots__ = ("_held", "_remaining", "_said", "_step", "kind", "port", "state")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.state = _OPEN
        self.port = 0
        self._held = b""
        self._said = b""
        self._remaining = 0
        self._step = _METHODS

    def client(self, data: bytes, at: int, size: int) -> int:
        """Take the client's bytes from ``at`` on, of which ``data`` was captured.

        Returns:
            Where in the ``size`` bytes the rest begins, which is no part of the preamble.
        """
        if self._remaining:  # contents of a PROXY header need not be captured
            end = min(size, at + self._remaining)
            self._remaining -= end - at
            self.state = _OPEN if self._remaining else _DONE
            return end
        held = len(self._held)
        text = self._held + data[at:]
        if self.kind == _HTTP:
            used = self._request(text)
        elif self.kind == _PROXY:
            used = self._proxy(text)
        elif self.kind == _SOCKS4:
            used = self._socks4(text)
        else:
            used = self._socks(text)
        if self.state == _FAILED:
            return size
        if self.state == _OPEN and not self._remaining:
            if len(data) < size:  # the rest was not captured
                self.state = _FAILED
            self._held = text[used:]
            return size
        self._held = b""
        end = at + used - held
        return self.client(data, end, size) if self._remaining and end < size else end

    def held_bytes(self) -> int:
        """Return how many bytes it keeps until more of them come."""
        return len(self._held) + len(self._said)

    def server(self, data: bytes) -> bytes:
        """Take the server's bytes; returns those that are no part of the preamble."""
        if self.kind in (_HTTP, _PROXY) or self.state != _OPEN:
            return data
        text = self._said + data
        self._said = b""
        while text and self.state == _OPEN:
            size = self._answer(text)
            if not size:
                self._said = text
                return b""
            text = text[size:]
        return text

    def _request(self, text: bytes) -> int:
        """Take lines up to an empty one; returns how many bytes they have."""
        at = 0
        while True:
            end = text.find(b"\n", at)
            if end < 0:
                if len(text) - at > LINE_BYTES:
                    self.state = _FAILED
                return at
            if not text[at:end].strip():
                self.state = _DONE
                return end + 1
            at = end + 1

    def _proxy(self, text: bytes) -> int:
        if not PROXY_SIGNATURE.startswith(text[:12]):
            self.state = _FAILED
        elif len(text) >= _PROXY_BYTES:
            self._remaining = text[14] << 8 | text[15]
            if not self._remaining:
                self.state = _DONE
            return _PROXY_BYTES
        return 0

    def _socks(self, text: bytes) -> int:
        """Take the message that the client is to send next, if it is whole."""
        size = 0
        if self._step == _METHODS and len(text) >= 2:
            size = 2 + text[1]
        elif self._step == _LOGIN and len(text) >= 2 and len(text) > 2 + text[1]:
            size = 3 + text[1] + text[2 + text[1]]
        elif self._step == _TARGET:
            size = _address_end(text)
        elif self._step in (_METHOD, _LOGGED_IN, _CONNECTED):
            return 0  # the server's turn; what came early waits
        if size < 0 or text[:1] != (b"\x01" if self._step == _LOGIN else b"\x05"):
            self.state = _FAILED
            return 0
        if not size or len(text) < size:
            return 0
        if self._step == _TARGET:
            self.port = text[size - 2] << 8 | text[size - 1]
        self._step += 1
        return size

    def _socks4(self, text: bytes) -> int:
        """Take the only message of a client of SOCKS 4, or of 4a, which sends a name at its end."""
        if self._step == _CONNECTED:
            return 0
        end = text.find(b"\0", 8)
        if end >= 0 and text[4:7] == b"\0\0\0" and text[7]:
            end = text.find(b"\0", end + 1)
        if text[:2] != b"\x04\x01"[: len(text)] or (end < 0 and len(text) > LINE_BYTES):
            self.state = _FAILED
        elif end >= 0:
            self.port = text[2] << 8 | text[3]
            self._step = _CONNECTED
        return end + 1 if self._step == _CONNECTED else 0

    def _answer(self, text: bytes) -> int:
        """Take the server's next message; returns its size, 0 while it is not whole."""
        if self.kind == _SOCKS4:
            return self._answer4(text)
        if self._step == _METHOD and len(text) >= 2:
            self._step = _LOGIN if text[1] == _USER_AND_PASSWORD else _TARGET
            if text[0] != 5 or text[1] == 0xFF:
                self.state = _FAILED
            return 2
        if self._step == _LOGGED_IN and len(text) >= 2:
            self._step = _TARGET
            if text[1]:
                self.state = _FAILED
            return 2
        if self._step == _CONNECTED:
            size = _address_end(text)
            if size < 0 or (size and text[1]):
                self.state = _FAILED
            elif size:
                self.state = _DONE
            return max(size, 0)
        if self._step in (_METHODS, _LOGIN, _TARGET):
            self.state = _FAILED  # it answers what nobody asked
        return 0

    def _answer4(self, text: bytes) -> int:
        if self._step != _CONNECTED or text[0] or (len(text) > 1 and text[1] != _GRANTED4):
            self.state = _FAILED
        elif len(text) >= _ANSWER4_BYTES:
            self.state = _DONE
            return _ANSWER4_BYTES
        return 0


def _address_end(text: bytes) -> int:
    """Return where the address of a SOCKS message ends; 0 while it is not whole, -1 for none."""
    if len(text) < 5:
        return 0
    sizes = {_IPV4: 10, _IPV6: 22, _NAME: 7 + text[4]}
    size = sizes.get(text[3], -1)
    return size if len(text) >= size else 0
