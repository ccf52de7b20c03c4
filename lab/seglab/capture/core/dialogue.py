"""What the two hosts of an SMTP connection say: where messages begin and end.

Theory of operation
-------------------

What comes in are the bytes of both directions, in order, in pieces: each is a segment, a part of
one, or a hole (``GAP``), whose bytes nobody saw. A piece has its size on the wire, and as many of
its bytes as were captured. What goes out are messages, to the connection.

``mode`` says what the client's next bytes are:

| mode | the next bytes are | until |
| --- | --- | --- |
| ``_LINE`` | command lines | a command or a reply leads elsewhere |
| ``_WAIT_DATA`` | held back: DATA was said | 354: the message; another reply: commands |
| ``_WAIT_TLS`` | held back: STARTTLS was said | 220: TLS, if it looks like TLS; else commands |
| ``_WAIT_BDAT`` | held back: a malformed BDAT was said | 2xx: a chunk after all; else commands |
| ``_BODY`` | the message | its end, see below |
| ``_CHUNK`` | a chunk of BDAT | its size is reached |
| ``_BLOB`` | bytes that a 354 asked for and DATA did not (XEXCH50) | their size, or a reply |
| ``_OPAQUE`` | TLS records, or another protocol (``raw``) | the end |
| ``_PREAMBLE`` | what stands before SMTP, see ``preamble`` | that is over |
| ``_DEAD`` | of no interest | the end |

Replies come in the order of the commands (RFC 5321, 2.1; RFC 2920), so ``_expected`` is a queue of
what each reply to come will answer. That decides what a 354 means, and which reply a message got.
Where commands or replies were cut (``_unsure``), the queue may be too long or too short.
Only a 354 that DATA waits for opens a message; where commands were not captured (``_missed``), any
354 does.

A message ends

- at ``CRLF . CRLF``, or at the last byte of the last chunk;
- where the server replies, or the next command begins, if the bytes that may be its terminator were
  not captured;
- where a lax server saw an end and the RFC does not: ``LF . LF`` and its like. If a command seems
  to follow, the message is in doubt (``_Doubt``): what both hosts say from there on is followed as
  the RFC has it, and recorded as well. If replies come that nobody waits for, the server took the
  end, and the record is followed once more from there, as commands. So as many messages come out as
  the server said, though a client may have meant one (SMTP smuggling).

A message is handed out once its reply is known and it is not in doubt, and in any case at the end.

If packets of the server are missing, nothing is waited for: bytes that were held back are what they
look like.

The module is long because it is one automaton: the client's bytes, the replies and the record of a
message in doubt change the same state, and compiled, that state is fields of one C struct. What has
a state of its own has a module of its own: ``preamble``, ``message`` and ``tls_records``.

Ignored on purpose: what addresses and parameters say, pipelining that was not offered, line lengths
below ``LINE_BYTES``, and whether a command is allowed where it stands.
"""

from typing import Final, Protocol

from .message import GAP, Account, CapturedMessage, lax_end_words
from .preamble import DONE, FAILED, HTTP, PROXY, SOCKS, SOCKS4, Preamble
from .smtp_verbs import begins_any_command, begins_command, is_cut_command, may_be_smtp

Piece = tuple[int, int, bool, int, bytes]
"""Consecutive bytes of one segment: time, PSH or ``GAP``, came again, size, what was captured."""

LINE_BYTES: Final = 1 << 14
"""The longest line that is taken for a command or a reply."""

HELD_PIECES: Final = 64
"""How many pieces wait for a reply, before what they look like decides."""

HELD_BYTES: Final = 1 << 18
"""How many bytes wait for a reply, or are recorded of a message in doubt."""

TLS_PORT: Final = 465
"""The port on which TLS from the first byte is mail (RFC 8314)."""

UNANSWERED_MAX: Final = 64
"""How many messages wait for their replies."""

REWINDS_MAX: Final = 64
"""How many ends of data that only lax servers take are followed in a connection."""

_TLS_HANDSHAKE = b"\x16\x03"
_TLS_PORT = b":%d" % TLS_PORT
_HYPHEN = 0x2D
_CHUNK_DIGITS = 18
_PIECE_COST = 128

(
    _LINE, _BODY, _CHUNK, _OPAQUE, _WAIT_DATA, _WAIT_TLS, _WAIT_BDAT, _BLOB, _PREAMBLE, _DEAD,
) = range(10)  # fmt: skip
_NEW_TRANSACTION = frozenset((b"RSET", b"MAIL", b"EHLO", b"HELO", b"LHLO"))

# What a reply answers.
_OTHER, _DATA, _TLS, _BLOB_COMMAND, _CHUNK_END, _MESSAGE_END, _RCPT, _QUIT = range(8)


class Owner(Protocol):
    """Whose dialogue it is: a connection."""

    def finish(self, message: CapturedMessage) -> None:
        """Hand out a message."""

    def drop(self) -> None:
        """Follow no further: this is not SMTP."""

    def count_tls(self) -> None:
        """Count a connection that is TLS, and nothing says that it is mail."""


class Doubt:
    """An end of data that a server may have taken, and all that was said after it.

    Attributes:
        message: the message that it is in.
        offset: where in it the end of data ends.
        end: the bytes of the end.
        at: how many bytes of its segment lie before what follows the end in it; 0 if nothing does.
        events: what was said after it: the client's pieces, and the codes of the server's replies.
        size: how many bytes these hold.
    """

    __slots__ = ("at", "end", "events", "message", "offset", "size")

    def __init__(self, message: CapturedMessage, offset: int, end: bytes, at: int) -> None:
        self.message = message
        self.offset = offset
        self.end = end
        self.at = at
        self.events: list[tuple[Piece | None, bytes]] = []
        self.size = 0


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
        "_added",
        "_blind",
        "_challenge",
        "_chunk_refused",
        "_continues",
        "_continues_at",
        "_doubt",
        "_expected",
        "_guessed",
        "_heard",
        "_held",
        "_held_added",
        "_held_at",
        "_held_bytes",
        "_judged",
        "_last",
        "_lenient",
        "_line",
        "_lmtp",
        "_missed",
        "_notes",
        "_owner",
        "_piece_at",
        "_preamble",
        "_recipients",
        "_recorded",
        "_refused",
        "_remaining",
        "_reply",
        "_rewinds",
        "_server_seen",
        "_tls",
        "_tls_agreed",
        "_tls_next",
        "_tunnelled",
        "_unanswered",
        "_unsure",
        "greeted",
        "message",
        "mode",
        "refusals",
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
        self.refusals = 0
        self._judged = False
        self._line = b""
        self._reply = b""
        self._expected: list[int] = []
        self._challenge = False
        self._server_seen = answered
        self._guessed = 0
        self._tunnelled = False
        self._refused = False
        self._blind = False
        self._heard = False
        self._missed = not answered
        self._lmtp = False
        self._recipients = 0
        self._held: list[Piece] = []
        self._held_bytes = 0
        self._remaining = 0
        self._last = False
        self._chunk_refused = False
        self._added = False
        self._continues = False
        self._held_added = False
        self._piece_at = 0
        self._continues_at = 0
        self._held_at = 0
        self._notes: list[str] = []
        self._preamble: Preamble | None = None
        self._tls_agreed = False
        self._tls_next = False
        self._unanswered: list[CapturedMessage] = []
        self._unsure = not answered
        self._doubt: Doubt | None = None
        self._recorded: Doubt | None = None
        self._rewinds = 0

    def follow_raw(self) -> None:
        """Take all that the client says as one message, whatever the protocol."""
        self.message = CapturedMessage(opaque=True)
        self.mode = _OPAQUE

    # --- the client -----------------------------------------------------------------------

    def client(self, t_ns: int, push: int, again: bool, size: int, data: bytes) -> None:
        """Take the client's next bytes, or their absence: ``message.GAP`` in place of ``push``."""
        if self._doubt is not None and self._doubt is not self._recorded:
            self._record((t_ns, push, again, size, data), b"")
        if self._blind and self._heard and self.mode == _LINE:  # the server is seen again
            self._blind = self._heard = False
            self._expected = []
            self._guessed = 0
        self._added = self._continues
        self._continues = False
        self._piece_at = self._continues_at
        self._continues_at = 0
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
            elif mode == _PREAMBLE:
                at = self._before(data, at, size)
            elif mode == _BLOB:
                at = self._blob(at, size)
            elif mode == _DEAD:
                return
            elif self._server_seen and not self._blind:
                self._keep((t_ns, push, again, size - at, data[at:]), at)
                return
            else:
                self._guess(data[at:])

    def _lines(self, data: bytes, at: int, size: int) -> int:  # noqa: PLR0911 - a case each
        if not self._line:
            first = data[at : at + 1]
            if not self._judged and first in (b"\r", b"\x05", b"\x04"):
                kinds = {b"\r": PROXY, b"\x05": SOCKS, b"\x04": SOCKS4}
                self._begin_preamble(kinds[first])
                return at
            if (first == _TLS_HANDSHAKE[:1] and (self._tls_agreed or not self._judged)) or (
                not first and self._tls_next
            ):
                if self._tls_agreed or self._tls:
                    self._open(True)
                    return at
                self._owner.count_tls()
                self._die()
                return size
            if first and self._tls_next:
                self._tls_next = False
                self._notes = ["STARTTLS and 220 were said, and clear text follows"]
        end = data.find(b"\n", at)
        if end < 0:
            line = self._line + data[at:]
            if not self._judged and not self._judge(line):
                return size
            if len(data) < size:  # the rest was not captured: most often a segment ends a line
                self._line = b""
                self._missed = self._unsure = True
                if line:
                    self._cut_command(line, size - at)
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
        self._missed = len(data) < size
        self._unsure = self._unsure or self._missed
        if self._judged or self._judge(line):
            self._command(line)
        return end + 1

    def _judge(self, line: bytes) -> bool:
        """Return whether the client's first bytes are SMTP's; end the dialogue if they are not."""
        if not may_be_smtp(line, self._lenient):
            self._die()
            return False
        if len(line) >= 4:
            self._judged = True
        return True

    def _cut_command(self, line: bytes, size: int) -> None:
        """Take a command of which only the beginning was captured."""
        if is_cut_command(line, size):
            whole = {b"DA": b"DATA\r\n", b"QU": b"QUIT\r\n", b"ST": b"STARTTLS\r\n"}
            line = whole.get(line[:2].upper(), line)
        elif line[:4].upper() == b"BDAT":
            line = b"NOOP"  # nobody knows how long the chunk is
        self._command(line)

    def _command(self, line: bytes) -> None:  # noqa: PLR0912 - a case for each verb
        kind = _OTHER
        if self._challenge:  # an answer within AUTH (RFC 4954), whatever it looks like
            self._challenge = False
            self._expected.append(kind)
            return
        verb = line[:4].upper()
        if self._refused and verb != b"CONN":
            self._die()
            return
        if self.message is not None and verb in _NEW_TRANSACTION:
            self._give_up(verb.decode())
        if verb == b"DATA":
            if len(line) == 4 or line[4:5].isspace():  # lax servers take arguments
                kind = _DATA
                self.mode = _WAIT_DATA
        elif verb == b"BDAT":
            self._begin_chunk(line)
            return
        elif verb == b"STAR" and line[:8].upper() == b"STARTTLS":
            kind = _TLS
            self.mode = _WAIT_TLS
        elif verb == b"RCPT":
            kind = _RCPT
        elif verb == b"QUIT":
            kind = _QUIT
        elif verb in _NEW_TRANSACTION:
            self._lmtp = self._lmtp or verb == b"LHLO"
            self._recipients = 0
        elif verb == b"XEXC" and line[:7].upper() == b"XEXCH50":
            kind = _BLOB_COMMAND
            words = line.split()
            self._remaining = int(words[1]) if len(words) > 1 and _is_size(words[1]) else -1
        elif verb == b"CONN" and b"HTTP/" in line.upper():
            self._tunnelled = True
            self._reply = b""  # the body of a refusal need not end with a line break
            self._begin_preamble(HTTP)
            words = line.split()
            self._tls = self._tls or (len(words) > 1 and words[1].endswith(_TLS_PORT))
            return
        elif verb == b"PROX" and line[:6].upper() == b"PROXY ":
            self._judged = False
            return
        self._expected.append(kind)

    # --- before SMTP ----------------------------------------------------------------------

    def _begin_preamble(self, kind: int) -> None:
        self._preamble = Preamble(kind)
        self.mode = _PREAMBLE

    def _before(self, data: bytes, at: int, size: int) -> int:
        preamble = self._preamble
        assert preamble is not None
        held = preamble.held_bytes()
        at = preamble.client(data, at, size)
        self._account.take(preamble.held_bytes() - held)
        if preamble.state == FAILED:
            self._die()
        elif preamble.state == DONE:
            self._end_preamble()
        return at

    def _end_preamble(self) -> None:
        assert self._preamble is not None
        self._tls = self._tls or self._preamble.port == TLS_PORT
        self._preamble = None
        self._judged = False
        self.mode = _LINE

    def _blob(self, at: int, size: int) -> int:
        """Take bytes that a 354 to another command than DATA asked for."""
        if self._remaining < 0:
            return size
        end = min(size, at + self._remaining)
        self._remaining -= end - at
        if not self._remaining:
            self._expected.append(_OTHER)
            self.mode = _LINE
        return end

    # --- BDAT -----------------------------------------------------------------------------

    def _begin_chunk(self, line: bytes) -> None:
        """Take BDAT: its size, and LAST or nothing (RFC 3030, 2)."""
        words = line.split()
        if len(words) < 2 or not _is_size(words[1]):
            self._expected.append(_OTHER)  # without a size there is no chunk
            return
        self._remaining = int(words[1])
        self._last = len(words) > 2 and words[2].upper() == b"LAST"
        if len(words) > 2 + self._last:
            self._last = words[2].upper().startswith(b"LAST")
            self.mode = _WAIT_BDAT
        else:
            self.mode = _CHUNK
        self._chunk_refused = False
        self._expected.append(_CHUNK_END)
        if self.mode == _CHUNK and not self._remaining:
            self._end_chunk()

    def _chunk(self, t_ns: int, push: int, again: bool, size: int, data: bytes, at: int) -> int:
        if self._chunk_refused and not at and self._is_any_command(data, size):
            self.mode = _LINE  # the client has heard that BDAT was refused, and sends no chunk
            return at
        if self.message is None:
            self._open_chunked()
            if self._chunk_refused and self.message is not None:
                self.message.reply = "rejected"
        message = self.message
        assert message is not None
        end = min(size, at + self._remaining)
        self._remaining -= end - at
        if not message.offset:
            self._begin(message, push, again, at)
        grown = message.add(t_ns, push, again, end - at, data[at:end], self._added)
        self._account.take(grown)
        self._added = True
        if not self._remaining:
            self._end_chunk()
        return end

    def _open_chunked(self) -> None:
        message = self._open()
        self.mode = _CHUNK
        message.chunked = True
        message.notes.append(
            "sent by BDAT: sizes count the chunks, and its last chunk ends it, no terminator"
        )

    def _end_chunk(self) -> None:
        self.mode = _LINE
        if self._last and self.message is not None:
            if self._expected and self._expected[-1] == _CHUNK_END:
                self._expected.pop()
                self._expect_replies(self.message)
            self._close_message(True)

    # --- the message ----------------------------------------------------------------------

    def _body(self, t_ns: int, push: int, again: bool, size: int, data: bytes, at: int) -> int:
        message = self.message
        assert message is not None
        if message.may_have_ended and self._is_command(data[at:], size - at):
            message.notes.append("its end was not captured; it is where the next command begins")
            self._end_message(not message.gapped)
            return at
        end = -1
        if self._continues_end(data, at):
            self._settle_doubt()
        if message.may_end_in(data, at):
            end = message.end_in(data, at)
            if self._doubt is None and self._rewinds < REWINDS_MAX:
                lax = message.lax_end_in(data, at, end)
                if lax >= 0 and (lax < len(data) or len(data) == size):
                    follows = self._piece_at + lax if lax < size else 0
                    ended = message.offset + lax - at
                    self._doubt = Doubt(message, ended, message.lax_end, follows)
                    self._record((t_ns, push, again, size - lax, data[lax:]), b"")
        stop = size if end < 0 else end
        part = data[at:stop] if at or end >= 0 else data
        if not message.offset:
            self._begin(message, push, again, at)
        self._account.take(message.add(t_ns, push, again, stop - at, part, self._added))
        self._added = True
        if end >= 0:
            self._end_message(True)
        return stop

    def _begin(self, message: CapturedMessage, push: int, again: bool, at: int) -> None:
        """Note how many bytes of its first segment came before a message, where that is known."""
        if push != GAP and not again:
            message.begins_at = self._piece_at + at

    def _continues_end(self, data: bytes, at: int) -> bool:
        """Return whether an end of data in doubt was cut: its CR came, and now its LF."""
        doubt = self._doubt
        if doubt is None or doubt.message is not self.message:
            return False
        if doubt.offset != doubt.message.offset or not doubt.end.endswith(b"\r"):
            return False
        return data[at:].lstrip(b"\r\0").startswith(b"\n")

    def _is_command(self, data: bytes, size: int) -> bool:
        return begins_command(data) or is_cut_command(data, size)

    def _is_any_command(self, data: bytes, size: int) -> bool:
        return begins_any_command(data) or is_cut_command(data, size)

    def _end_message(self, complete: bool) -> None:
        message = self.message
        assert message is not None
        self._expect_replies(message)
        self.mode = _LINE
        self._close_message(complete)

    def _expect_replies(self, message: CapturedMessage) -> None:
        """Expect the reply to a message; LMTP has one for each recipient (RFC 2033, 4.2)."""
        message.replies_due = max(1, self._recipients if self._lmtp else 1)
        self._expected += [_MESSAGE_END] * message.replies_due

    # --- the server -----------------------------------------------------------------------

    def server(self, size: int, data: bytes) -> None:
        """Take the server's next bytes, or their absence."""
        self._server_seen = True
        if self.mode in (_OPAQUE, _DEAD):
            return
        if not data:
            self._lose_replies()
            return
        if self._preamble is not None:
            data = self._preamble.server(data)
            if self._preamble.state == FAILED:
                self._die()
                return
            if self._preamble.state == DONE:
                self._end_preamble()
        text = self._reply + data
        lines = text.split(b"\n")
        self._reply = lines.pop()
        if len(data) < size:  # how many replies were cut off, nobody knows
            self._unsure = True
            if self._reply:
                lines.append(self._reply)
                self._reply = b""
            last = lines[len(lines) - 1] if lines else b""
            if last[3:4] == b"-":
                lines.append(last[:3])  # a reply of many lines has a last one
        self._heard = self._blind
        if len(self._reply) > LINE_BYTES:
            self._die()
        for line in lines:
            self._hear(line)
            if self.mode == _DEAD:
                return

    def _lose_replies(self) -> None:
        """Wait for no reply any more, since some were not captured."""
        self._blind = True
        self._heard = False
        self._reply = b""
        self._expected = []
        self._release(True)
        if self._held:
            self._settle()

    def _hear(self, line: bytes) -> None:
        text = line  # compiled, slices of it do not check their bounds
        code = text[:3] if len(line) >= 3 else line.rstrip()
        if len(code) < 2 or not code.isdigit():
            if line.startswith(b"HTTP/"):
                self._hear_proxy(line[8:].split())
            elif not self.greeted and not self._tunnelled:
                self._die()
        elif not self._refused and (len(line) <= 3 or line[3] != _HYPHEN):
            self._answer(code)

    def _hear_proxy(self, words: list[bytes]) -> None:
        """Take a status of HTTP: after a refusal, nothing but another CONNECT may follow."""
        self._refused = not words or not words[0].startswith(b"2")
        if self._refused and (not self._tunnelled or self._expected):
            self._die()

    def _answer(self, code: bytes) -> None:
        """Take a reply; two digits are enough, where no more were captured."""
        if not self.greeted:
            self.greeted = True
            self.refusals += code >= b"400"
            if code[:2] != b"22" and code < b"400":
                self._die()
            return
        if self._doubt is not None:
            self._record(None, code)
            if self._is_surplus(code):
                self._rewind()
                return
        if code == b"221" and _QUIT in self._expected:
            self._skip_replies()
        kind = self._expected.pop(0) if self._expected else -1
        if kind in (_MESSAGE_END, _CHUNK_END):
            self._answer_message(kind, code)
        elif kind == _RCPT and code < b"300":
            self._recipients += 1
        self.refusals += code >= b"400"
        self._lead_on(kind, code)

    def _skip_replies(self) -> None:
        """Wait for no reply to what came before QUIT: its own reply has come."""
        while self._expected[0] != _QUIT:
            if self._expected.pop(0) == _MESSAGE_END:
                for waiting in self._unanswered:
                    waiting.replies_due = 0
        self._release(False)

    def _lead_on(self, kind: int, code: bytes) -> None:  # noqa: PLR0912 - a table of states
        """Go where a reply leads, by what it answers and by what is waited for."""
        mode = self.mode
        if code[:2] == b"33":
            self._challenge = True
        elif mode == _WAIT_DATA:
            if code[:2] == b"35":
                if kind in (_DATA, -1) or self._unsure or _DATA not in self._expected:
                    self._forget_until(_DATA)
                    self._accept(False)
            elif kind in (_DATA, -1):
                self._refuse()
        elif mode == _WAIT_TLS:
            if kind in (_TLS, -1):
                if code[:2] == b"22" and code != b"221":
                    self._accept(True)
                else:
                    self._refuse()
        elif mode == _WAIT_BDAT:
            if kind in (_CHUNK_END, -1) and _CHUNK_END not in self._expected:
                self._decide_bdat(code)
        elif code[:2] == b"35":
            self._go_ahead(kind)
        elif mode == _BLOB:
            self.mode = _LINE
        elif mode == _BODY and kind < 0:
            self._answer_in_body(code)

    def _go_ahead(self, kind: int) -> None:
        """Take a 354 that no DATA waits for."""
        if self._guessed:
            self._guessed -= 1
        elif self.mode != _LINE:
            return
        elif kind == _BLOB_COMMAND or not (self._missed or self._blind):
            self.mode = _BLOB if self._remaining or kind != _BLOB_COMMAND else _LINE
            if kind != _BLOB_COMMAND:
                self._remaining = -1
        else:  # DATA was not captured
            self._judged = True
            self._line = b""
            self._expected = []
            self._open()

    def _answer_message(self, kind: int, code: bytes) -> None:
        """Take the reply to a message or to a chunk of one."""
        message = None
        if kind == _CHUNK_END:
            message = self.message
            refused = code >= b"400" and _CHUNK_END not in self._expected
            self._chunk_refused = refused and self.mode == _CHUNK
        else:
            for waiting in self._unanswered:
                if message is None and waiting.replies_due:
                    message = waiting
                    message.replies_due -= 1
        if message is None:
            return
        if kind == _MESSAGE_END or code >= b"400":
            accepted = code < b"300" or (self._lmtp and message.reply == "accepted")
            message.reply = "accepted" if accepted else "rejected"
        self._release(False)

    def _answer_in_body(self, code: bytes) -> None:
        """Take a reply in the midst of a message: perhaps its end was not seen."""
        message = self.message
        assert message is not None
        if message.may_have_ended:
            message.notes.append("its end was not captured; it is where the server replied")
            message.reply = "accepted" if code < b"300" else "rejected"
            self.mode = _LINE
            self._close_message(not message.gapped)
        elif code >= b"400":
            message.reply = "rejected"  # early, or for good

    # --- ends of data that only lax servers take ------------------------------------------

    def _record(self, piece: Piece | None, code: bytes) -> None:
        """Record what was said after an end of data that the server may have taken."""
        doubt = self._doubt
        assert doubt is not None
        if piece is not None and not piece[3]:
            return
        doubt.events.append((piece, code))
        size = _PIECE_COST + (0 if piece is None else len(piece[4]))
        doubt.size += size
        self._account.take(size)
        if doubt.size > HELD_BYTES:
            self._settle_doubt()

    def _is_surplus(self, code: bytes) -> bool:
        """Return whether a reply shows that the server took the end of data which is in doubt."""
        if code == b"421":
            return False
        if not self._expected:
            return self.mode != _CHUNK
        kind = self._expected[0]
        if code[:2] == b"35":
            return kind not in (_DATA, _BLOB_COMMAND) and self.mode != _WAIT_DATA
        return kind == _QUIT and code != b"221" and code < b"400"

    def _settle_doubt(self) -> None:
        """Take it that the server did not take the end of data which is in doubt."""
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            self._account.take(-doubt.size)
            self._release(False)

    def _rewind(self) -> None:
        """Go back to an end of data that the server took, and follow what came after it."""
        doubt, self._doubt = self._doubt, None
        assert doubt is not None
        self._rewinds += 1
        self._account.take(-doubt.size)
        message = doubt.message
        if message in self._unanswered:
            at = self._unanswered.index(message)
            for later in self._unanswered[at + 1 :]:  # they come once more
                self._account.take(-later.cost)
            del self._unanswered[at:]
        if self.message is not None and self.message is not message:
            self._account.take(-self.message.cost)
        self._drop_held()
        before = message.cost
        message.truncate(doubt.offset)
        self._account.take(message.cost - before)
        message.reply = "unknown"
        message.notes.append(
            f"ended by {lax_end_words(doubt.end)}, which the server took for the end"
        )
        self.message = message
        self._account.take(-len(self._line))
        self._line = b""
        self._challenge = False
        self._expected = []
        self._end_message(True)
        self._continues_at = doubt.at
        for piece, code in doubt.events:
            if piece is None:
                self._answer(code)
            else:
                self.client(*piece)
            if self.mode == _DEAD:
                return

    # --- decisions ------------------------------------------------------------------------

    def _keep(self, piece: Piece, at: int) -> None:
        """Keep what came before the reply that says what it is."""
        if not self._held:  # whether the segment has begun with bytes of the message
            self._held_added = self._added
            self._held_at = self._piece_at + at
        self._held.append(piece)
        self._held_bytes += len(piece[4])
        self._account.take(len(piece[4]) + _PIECE_COST)
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
        elif self.mode == _WAIT_BDAT:
            self.mode = _LINE if begins_command(data) else _CHUNK
        else:
            self._tls_agreed = data.startswith(_TLS_HANDSHAKE)
            self.mode = _LINE

    def _accept(self, tls: bool) -> None:
        """Go on after the reply that was waited for: with the message, or perhaps with TLS."""
        if tls:
            self._tls_agreed = self._tls_next = True
            self._expected = []
            self.mode = _LINE
        else:
            self._open()
        self._replay()

    def _refuse(self) -> None:
        self.mode = _LINE
        self._replay()

    def _decide_bdat(self, code: bytes) -> None:
        """Go on after the reply to a malformed BDAT: the server may have read a chunk."""
        if code < b"300":
            if self.message is None:
                self._open_chunked()
            assert self.message is not None
            self.mode = _CHUNK
            if self._last:
                self.message.reply = "accepted"
        else:
            self.mode = _LINE
        self._replay()

    def _forget_until(self, kind: int) -> None:
        """Expect no replies to what came before the first ``kind``, nor to it."""
        if kind in self._expected:
            del self._expected[: self._expected.index(kind) + 1]

    def _replay(self) -> None:
        self._recorded = self._doubt  # has recorded the pieces when they came
        continues = self._held_added and self.message is not None
        self._continues_at = self._held_at
        for piece in self._drop_held():
            self._continues = continues
            continues = False
            self.client(*piece)
        self._recorded = None

    def _drop_held(self) -> list[Piece]:
        pieces, self._held = self._held, []
        self._account.take(-self._held_bytes - _PIECE_COST * len(pieces))
        self._held_bytes = 0
        return pieces

    def _open(self, encrypted: bool = False) -> CapturedMessage:
        if self.message is not None:
            self._give_up("STARTTLS" if encrypted else "DATA")
        self._settle_doubt()
        self.message = message = CapturedMessage(opaque=encrypted, encrypted=encrypted)
        message.notes += self._notes
        self._added = False
        self.mode = _OPAQUE if encrypted else _BODY
        return message

    def _close_message(self, complete: bool) -> None:
        """Take the message as ended, and hand it out if its reply need not be waited for."""
        message = self.message
        assert message is not None
        self.message = None
        message.complete = complete
        if not message.offset:
            self._account.take(-message.cost)
            return
        if not self._server_seen or self._blind:
            message.replies_due = 0
        self._unanswered.append(message)
        self._release(len(self._unanswered) > UNANSWERED_MAX)

    def _release(self, everything: bool) -> None:
        """Hand out the messages whose replies are known and that are not in doubt, in order."""
        while self._unanswered:
            message = self._unanswered[0]
            doubted = self._doubt is not None and self._doubt.message is message
            if not everything and (message.replies_due or doubted):
                return
            del self._unanswered[0]
            message.replies_due = 0
            self._account.take(-message.cost)
            self._owner.finish(message)

    def _give_up(self, word: str) -> None:
        """Hand out what a client sent by BDAT, of which there will be no last chunk."""
        assert self.message is not None
        self.message.notes.append(f"given up before its last chunk, by {word}")
        self._close_message(False)

    def _die(self) -> None:
        """Follow no further: this is not SMTP, or not any longer."""
        self._doubt = None
        self._release(True)
        self.mode = _DEAD
        self._line = self._reply = b""
        self._held = []
        self._owner.drop()

    def awaits_reply(self) -> bool:
        """Return whether a reply may still say what the client's bytes were, or were worth."""
        waits = self._held or self._unanswered or self._doubt is not None
        if self.message is not None and self.message.may_have_ended:
            waits = True
        return bool(waits) and self._server_seen and not self._blind

    def close(self, reason: str, ended: bool) -> None:
        """Hand out what there is: the connection is over, or followed no further.

        Args:
            reason: why, for a message that is cut off by it.
            ended: whether the client has said all that it wanted to say.
        """
        if self._held:
            self._settle()
        self.mode = _DEAD
        self._doubt = None
        self._release(True)
        message = self.message
        if message is None:
            return
        self.message = None
        self._account.take(-message.cost)
        if not message.offset:
            return
        if message.opaque:
            message.complete = ended and not message.gapped
            records = message.records
            if records is not None and records.readable and not records.whole:
                message.complete = False
        else:
            message.notes.append(reason)
            message.complete = False
        self._owner.finish(message)


def _is_size(word: bytes) -> bool:
    return word.isdigit() and len(word) <= _CHUNK_DIGITS
