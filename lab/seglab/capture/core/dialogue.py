"""What the two directions of an SMTP connection say: where messages begin and end."""

from typing import Final, Protocol

from .message import Account, CapturedMessage
from .smtp_verbs import PROXY_SIGNATURE, begins_command, may_be_smtp

Piece = tuple[int, int, bool, int, bytes]
"""Consecutive bytes of one segment: time, PSH or ``GAP``, came again, size, what was captured."""

LINE_BYTES: Final = 1 << 14
HELD_PIECES: Final = 64
HELD_BYTES: Final = 1 << 18

_TLS_HANDSHAKE = b"\x16\x03"
_HYPHEN = 0x2D

# What the client's next bytes are: command lines; the body after DATA; a chunk after BDAT; TLS
# records or another protocol; what the reply to DATA or to STARTTLS will say; the header of HTTP
# CONNECT; what the binary header of the PROXY protocol goes on with; of no interest.
_LINE, _BODY, _CHUNK, _OPAQUE, _WAIT_DATA, _WAIT_TLS, _TUNNEL, _PROXIED, _DEAD = range(9)
_NEW_TRANSACTION = frozenset((b"RSET", b"MAIL", b"EHLO", b"HELO", b"LHLO"))
_PROXY_BYTES = 16


class Owner(Protocol):
    """Whose dialogue it is: a connection."""

    def finish(self, message: CapturedMessage, complete: bool | None, encrypted: bool) -> None:
        """Hand out a message."""

    def drop(self) -> None:
        """Follow no further: this is not SMTP."""


class Dialogue:
    """Follows the commands and the replies, and cuts the messages out.

    Args:
        owner: the connection.
        account: of the memory in use.
        lenient: whether any text may be a command: on a port for mail.
        tls: whether TLS from the first byte means encrypted mail.
        greeted: whether the greeting has passed, or may have.
        answered: whether packets of the server were captured.
    """

    __slots__ = (
        "_account",
        "_blind",
        "_challenge",
        "_encrypted",
        "_guessed",
        "_held",
        "_held_bytes",
        "_judged",
        "_last",
        "_lenient",
        "_line",
        "_outstanding",
        "_owner",
        "_refused",
        "_remaining",
        "_reply",
        "_server_seen",
        "_tls",
        "_tunnelled",
        "greeted",
        "message",
        "mode",
    )

    def __init__(
        self,
        owner: Owner,
        account: Account,
        lenient: bool,
        tls: bool,
        greeted: bool,
        answered: bool,
    ) -> None:
        self._owner = owner
        self._account = account
        self._lenient = lenient
        self._tls = tls
        self.greeted = greeted
        self.mode = _LINE
        self.message: CapturedMessage | None = None
        self._judged = False
        self._line = b""
        self._reply = b""
        self._outstanding = 0
        self._challenge = False
        self._server_seen = answered
        self._guessed = 0
        self._tunnelled = False
        self._refused = False
        self._blind = False
        self._held: list[Piece] = []
        self._held_bytes = 0
        self._remaining = 0
        self._last = False
        self._encrypted = False

    def follow_raw(self) -> None:
        """Take all that the client says as one message, whatever the protocol."""
        self.message = CapturedMessage(opaque=True)
        self.mode = _OPAQUE

    # --- the client -----------------------------------------------------------------------

    def client(self, t_ns: int, push: int, again: bool, size: int, data: bytes) -> None:
        """Take the client's next bytes, or their absence: ``message.GAP`` in place of ``push``."""
        at = 0
        while at < size:
            mode = self.mode
            if mode == _BODY:
                at = self._body(t_ns, push, again, size, data, at)
            elif mode == _LINE:
                at = self._lines(data, at, size)
            elif mode == _CHUNK:
                at = self._chunk(t_ns, push, again, size, data, at)
            elif mode == _OPAQUE:
                assert self.message is not None
                self._account.take(self.message.add(t_ns, push, again, size - at, data[at:]))
                return
            elif mode == _TUNNEL:
                at = self._tunnel(data, at, size)
            elif mode == _PROXIED:
                at = self._proxied(at, size)
            elif mode == _DEAD:
                return
            elif self._server_seen and not self._blind:
                self._keep((t_ns, push, again, size - at, data[at:]))
                return
            else:
                self._guess(data[at:])

    def _lines(self, data: bytes, at: int, size: int) -> int:  # noqa: PLR0911 - a case each
        if not self._judged and data[at : at + 1] == _TLS_HANDSHAKE[:1]:
            if self._tls:
                self._open(True)
                return at
            self._die()
            return size
        if not self._judged and (self._line or data[at : at + 1]).startswith(b"\r"):
            return self._signed(data, at, size)
        end = data.find(b"\n", at)
        if end < 0:
            line = self._line + data[at:]
            if not self._judged and not self._judge(line):
                return size
            if len(data) < size:  # the rest was not captured: most often a segment ends a line
                self._line = b""
                if line:
                    self._command(line, False)
                return size
            self._account.take(len(data) - at)
            self._line = line
            if len(line) > LINE_BYTES:
                self._die()
            return size
        line = self._line + data[at : end + 1]
        if self._line:
            self._account.take(-len(self._line))
            self._line = b""
        if self._judged or self._judge(line):
            self._command(line, True)
        return end + 1

    def _judge(self, line: bytes) -> bool:
        """Whether the client's first bytes are SMTP's; ends the dialogue where they are not."""
        if not may_be_smtp(line, self._lenient):
            self._die()
            return False
        if len(line) >= 4:
            self._judged = True
        return True

    def _command(self, line: bytes, whole: bool) -> None:
        self._outstanding += 1
        if self._challenge:  # an answer within AUTH (RFC 4954), whatever it looks like
            self._challenge = False
            return
        verb = line[:4].upper()
        if self._refused and verb != b"CONN":
            self._die()
            return
        if self.message is not None and verb in _NEW_TRANSACTION:
            self._give_up(verb.decode())
        if verb == b"DATA":
            if len(line.rstrip()) == 4 or not whole:
                self.mode = _WAIT_DATA
        elif verb == b"BDAT":
            self._begin_chunk(line)
        elif verb == b"STAR" and line[:8].upper() == b"STARTTLS":
            self.mode = _WAIT_TLS
        elif verb == b"CONN" and b"HTTP/" in line.upper():
            self._outstanding -= 1
            self._tunnelled = True
            self._reply = b""  # the body of a refusal need not end with a line break
            self.mode = _TUNNEL
        elif verb == b"PROX" and line[:6].upper() == b"PROXY ":
            self._outstanding -= 1
            self._judged = False

    def _tunnel(self, data: bytes, at: int, size: int) -> int:
        """Pass over the header of an HTTP CONNECT, up to its empty line."""
        end = data.find(b"\n", at)
        if end < 0:
            self._line += data[at:]
            if len(self._line) > LINE_BYTES or len(data) < size:
                self._die()
            return size
        line = self._line + data[at : end + 1]
        self._line = b""
        if not line.strip():
            self.mode = _LINE
            self._judged = False
        return end + 1

    def _signed(self, data: bytes, at: int, size: int) -> int:
        """Take the fixed part of a binary header of the PROXY protocol, version 2."""
        held = len(self._line)
        end = min(len(data), at + _PROXY_BYTES - held)
        line = self._line + data[at:end]
        whole = len(line) == _PROXY_BYTES
        if not PROXY_SIGNATURE.startswith(line[:12]) or (not whole and len(data) < size):
            self._account.take(-held)
            self._die()
            return size
        if not whole:
            self._account.take(end - at)
            self._line = line
            return end
        self._account.take(-held)
        self._line = b""
        self._remaining = line[14] << 8 | line[15]
        if self._remaining:
            self.mode = _PROXIED
        return end

    def _proxied(self, at: int, size: int) -> int:
        """Pass over the rest of that header, whose length it told."""
        end = min(size, at + self._remaining)
        self._remaining -= end - at
        if not self._remaining:
            self.mode = _LINE
        return end

    def _begin_chunk(self, line: bytes) -> None:
        words = line.split()
        if len(words) < 2 or not words[1].isdigit() or len(words[1]) > 18:
            return
        self._remaining = int(words[1])
        self._last = len(words) > 2 and words[2].upper() == b"LAST"
        if self.message is None:
            self._open().notes.append(
                "sent by BDAT: sizes count the chunks, no CRLF . CRLF ends it"
            )
        self.mode = _CHUNK
        if not self._remaining:
            self._end_chunk()

    def _chunk(self, t_ns: int, push: int, again: bool, size: int, data: bytes, at: int) -> int:
        assert self.message is not None
        end = min(size, at + self._remaining)
        self._remaining -= end - at
        self._account.take(self.message.add(t_ns, push, again, end - at, data[at:end]))
        if not self._remaining:
            self._end_chunk()
        return end

    def _end_chunk(self) -> None:
        self.mode = _LINE
        if self._last:
            self._close_message(True)

    def _body(self, t_ns: int, push: int, again: bool, size: int, data: bytes, at: int) -> int:
        message = self.message
        assert message is not None
        if message.blind and begins_command(data[at:]):
            message.notes.append("its end was not captured; it is where the next command begins")
            self._close_message(not message.gapped)
            self.mode = _LINE
            return at
        end = message.end_in(data, at)
        if end < 0:
            self._account.take(message.add(t_ns, push, again, size - at, data[at:] if at else data))
            return size
        self._account.take(message.add(t_ns, push, again, end - at, data[at:end]))
        self._outstanding += 1
        self._close_message(True)
        self.mode = _LINE
        return end

    # --- the server -----------------------------------------------------------------------

    def server(self, size: int, data: bytes) -> None:
        """Take the server's next bytes, or their absence."""
        self._server_seen = True
        if self.mode in (_OPAQUE, _DEAD):
            return
        if not data:
            self._blind = True
            self._reply = b""
            if self._held:
                self._settle()
            return
        text = self._reply + data
        lines = text.split(b"\n")
        self._reply = lines.pop()
        if len(data) < size and self._reply:
            lines.append(self._reply)
            self._reply = b""
        if len(self._reply) > LINE_BYTES:
            self._die()
        for line in lines:
            self._hear(line)
            if self.mode == _DEAD:
                return

    def _hear(self, line: bytes) -> None:
        text = line  # compiled, slices of it do not check their bounds
        code = text[:3] if len(line) >= 3 else b""
        if not code.isdigit():
            if line.startswith(b"HTTP/"):
                self._hear_proxy(line[8:].split())
            elif not self.greeted and not self._tunnelled:
                self._die()
        elif not self._refused and (len(line) == 3 or line[3] != _HYPHEN):
            self._answer(code)

    def _hear_proxy(self, words: list[bytes]) -> None:
        """Take a status of HTTP: after a refusal, nothing but another CONNECT may follow."""
        self._refused = not words or not words[0].startswith(b"2")
        if self._refused and (not self._tunnelled or self._outstanding):
            self._die()

    def _answer(self, code: bytes) -> None:  # noqa: PLR0912 - a table of states, read downwards
        if not self.greeted:
            self.greeted = True
            if code != b"220" and code < b"400":
                self._die()
            return
        mode = self.mode
        if self._outstanding:
            self._outstanding -= 1
        if code == b"334":
            self._challenge = True
        elif mode == _WAIT_DATA:
            if code == b"354":
                self._accept()
            elif not self._outstanding:
                self._refuse()
        elif mode == _WAIT_TLS:
            if not self._outstanding:
                if code == b"220":
                    self._accept()
                else:
                    self._refuse()
        elif code == b"354":
            if self._guessed:
                self._guessed -= 1
            elif mode == _LINE:
                self._judged = True
                self._line = b""
                self._open()
        elif mode == _BODY:
            self._answer_in_body()

    def _answer_in_body(self) -> None:
        """See whether the reply is to a message whose end was not seen."""
        message = self.message
        assert message is not None
        if message.blind:
            message.notes.append("its end was not captured; it is where the server replied")
            self._close_message(not message.gapped)
            self.mode = _LINE
        elif message.ends_bare:
            message.notes.append("ended by LF . LF, which the server took for the end")
            self._close_message(True)
            self.mode = _LINE

    # --- decisions ------------------------------------------------------------------------

    def _keep(self, piece: Piece) -> None:
        """Keep what came before the reply that says what it is."""
        self._held.append(piece)
        self._held_bytes += len(piece[4])
        self._account.take(len(piece[4]) + 128)
        if len(self._held) >= HELD_PIECES or self._held_bytes > HELD_BYTES:
            self._settle()

    def _settle(self) -> None:
        """Decide by what the kept bytes look like, since no reply says it."""
        self._guess(self._held[0][4])
        self._replay()

    def _guess(self, data: bytes) -> None:
        if self.mode == _WAIT_DATA:
            if begins_command(data):
                self.mode = _LINE
            else:
                self._guessed += 1
                self._open()
        elif data.startswith(_TLS_HANDSHAKE):
            self._open(True)
        else:
            self.mode = _LINE

    def _accept(self) -> None:
        self._open(self.mode == _WAIT_TLS)
        self._replay()

    def _refuse(self) -> None:
        self.mode = _LINE
        self._replay()

    def _replay(self) -> None:
        pieces, self._held = self._held, []
        self._account.take(-self._held_bytes - 128 * len(pieces))
        self._held_bytes = 0
        for piece in pieces:
            self.client(*piece)

    def _open(self, encrypted: bool = False) -> CapturedMessage:
        if self.message is not None:
            self._give_up("STARTTLS" if encrypted else "DATA")
        self.message = message = CapturedMessage(opaque=encrypted)
        self.mode = _OPAQUE if encrypted else _BODY
        self._encrypted = encrypted
        if encrypted:
            message.notes.append(
                "encrypted: sizes are of TLS records from the handshake on, "
                "and messages cannot be told apart"
            )
        return message

    def _close_message(self, complete: bool | None) -> None:
        message = self.message
        assert message is not None
        self.message = None
        self._account.take(-message.cost)
        if message.offset:
            self._owner.finish(message, complete, False)

    def _give_up(self, word: str) -> None:
        """Hand out what a client sent by BDAT, of which there will be no last chunk."""
        assert self.message is not None
        self.message.notes.append(f"given up before its last chunk, by {word}")
        self._close_message(False)

    def _die(self) -> None:
        """Follow no further: this is not SMTP, or not any longer."""
        self.mode = _DEAD
        self._line = self._reply = b""
        self._held = []
        self._owner.drop()

    def close(self, reason: str, ended: bool) -> None:
        """The connection is over, or followed no further.

        Args:
            reason: why, for a message that is cut off by it.
            ended: whether the client has said all that it wanted to say.
        """
        if self._held:
            self._settle()
        self.mode = _DEAD
        message = self.message
        if message is None:
            return
        self.message = None
        self._account.take(-message.cost)
        if not message.offset:
            return
        if message.opaque:
            self._owner.finish(message, ended and not message.gapped, self._encrypted)
        else:
            message.notes.append(reason)
            self._owner.finish(message, False, False)
