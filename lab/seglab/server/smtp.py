"""The server's side of SMTP (RFC 5321) without any I/O.

Service extensions: 8BITMIME (RFC 6152), SIZE (RFC 1870), and as far as they are offered PIPELINING
(RFC 2920) and CHUNKING (RFC 3030). The work is linear in the bytes fed, however they are cut, and
the memory is bounded by the limits.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from seglab.experiment.offers import USUAL_OFFERS, Offers
from seglab.server.chunks import Chunks
from seglab.server.limits import Limits
from seglab.server.payload import Payload
from seglab.server.session import Output, ReceivedPayload

# An address without spaces or control characters: (dot-)string or quoted string, and a domain or
# an address literal. The source route before it, "@one,@two:", is accepted and ignored
# (RFC 5321, appendix C).
_MAILBOX = rb'(?:"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"|[!#-;=?A-~]+)@[!-;=?A-~]+'
_ROUTE = rb"(?:@[A-Za-z0-9.\-]+(?:,@[A-Za-z0-9.\-]+)*:)?"
_REVERSE = re.compile(rb"FROM:[ ]*<" + _ROUTE + rb"(|" + _MAILBOX + rb")>((?: +[!-~]+)*) *", re.I)
_FORWARD = re.compile(
    rb"TO:[ ]*<" + _ROUTE + rb"(Postmaster|" + _MAILBOX + rb")>((?: +[!-~]+)*) *", re.I
)
_PRINTABLE = re.compile(rb"[ -~]*")

_CHUNK = re.compile(rb"(\d{1,18})(?: +(LAST))?", re.I)
_MAX_PATH = 256  # RFC 5321, 4.5.3.1.3, with its angle brackets
_NOT_IMPLEMENTED = frozenset(
    (b"BDAT", b"EXPN", b"ETRN", b"AUTH", b"STARTTLS", b"TURN", b"SEND", b"SOML", b"SAML", b"BURL")
)

_OK = b"250 OK\r\n"
_START = b"354 Start mail input; end with <CRLF>.<CRLF>\r\n"
_HELP = b"214 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP; this server forwards nothing\r\n"
_VRFY = b"252 Cannot verify, but will take a message for it\r\n"
_UNKNOWN = b"500 Command not recognized\r\n"
_MISSING = b"502 Command not implemented\r\n"
_TOO_LONG = "500 Line too long"
_MESSAGE_TOO_BIG = "552 Message exceeds the size limit"
_CHUNK_BEGINS = b""  # its reply is due at its end
_DATA_LINE_TOO_LONG = "500 Line of message data too long"


class _Transaction(NamedTuple):
    """The transaction that a MAIL command began."""

    mail_from: str
    parameters: tuple[str, ...]


class SmtpSession:
    """One SMTP session; see ``seglab.server.session.ProtocolSession`` for its attributes."""

    __slots__ = (
        "_chunk_last",
        "_chunk_left",
        "_chunk_problem",
        "_chunking",
        "_chunks",
        "_consumed",
        "_domain",
        "_ehlo",
        "_errors",
        "_helo",
        "_keep_content",
        "_limits",
        "_partial",
        "_payload",
        "_recipients",
        "_skipping",
        "_transaction",
        "ended",
        "greeting",
        "payload_start",
        "refused",
    )

    def __init__(
        self,
        limits: Limits,
        domain: str = "seglab.invalid",
        *,
        keep_content: bool = False,
        offers: Offers = USUAL_OFFERS,
    ) -> None:
        self._limits = limits
        self._keep_content = keep_content
        self._domain = domain
        extensions = (*offers.keywords, "8BITMIME", f"SIZE {limits.message_bytes}")
        lines = "".join(f"250-{extension}\r\n" for extension in extensions)
        self._ehlo = f"250-{domain}\r\n{lines}250 HELP\r\n".encode()
        self._chunking = offers.chunking
        self.greeting = f"220 {domain} ESMTP seglab, forwards nothing\r\n".encode()
        self.ended: str | None = None
        self.refused: str | None = None
        self.payload_start: int | None = None
        self._consumed = 0
        self._partial = b""
        self._skipping = False
        self._errors = 0
        self._helo: str | None = None
        self._transaction: _Transaction | None = None
        self._recipients: list[str] = []
        self._payload: Payload | None = None
        self._chunks: Chunks | None = None
        self._chunk_left = 0
        self._chunk_last = False
        self._chunk_problem = b""

    def feed(self, data: bytes) -> Output:
        """Take what one ``recv`` returned.

        Returns:
            The replies to send, and the messages that have ended. Bytes after the end of the
            session are counted and ignored.
        """
        replies: list[bytes] = []
        messages: list[ReceivedPayload] = []
        position = 0
        while position < len(data) and self.ended is None:
            position = self.step(data, position, replies, messages)
        self._consumed += len(data)
        return b"".join(replies), messages

    def step(
        self, data: bytes, position: int, replies: list[bytes], messages: list[ReceivedPayload]
    ) -> int:
        """Take one command, or what there is of a message; return the position after it.

        Args:
            data: what one ``recv`` returned.
            position: where the command, or the message's part, begins.
            replies: gets the replies to it.
            messages: gets the message that ended.
        """
        if self._chunk_left:
            return self._feed_chunk(data, position, replies, messages)
        if self._payload is None:
            return self._feed_command(data, position, replies, messages)
        return self._feed_payload(data, position, replies, messages)

    def stop(self, ended: str, text: str) -> bytes:
        """End the session for a reason of the server.

        Args:
            ended: what the log is to say, such as ``"idle"``.
            text: the reason for the client.

        Returns:
            The 421 reply (RFC 5321, 3.8).
        """
        self.ended = ended
        reply = f"421 {self._domain} {text}, closing"
        if ended.startswith("limit"):
            self.refused = self.refused or reply
        return reply.encode() + b"\r\n"

    def end_of_stream(self) -> Sequence[ReceivedPayload]:
        """Note that the client sends nothing more; a message without its end is no message."""
        return ()

    # Commands ------------------------------------------------------------------------------

    def _feed_command(
        self, data: bytes, position: int, replies: list[bytes], messages: list[ReceivedPayload]
    ) -> int:
        """Take a command line, or the part of it that is there; return the position after it."""
        limit = self._limits.command_line_bytes
        end = data.find(b"\n", position) + 1
        if self._chunks is not None:
            self._chunks.between(data[position:end] if end else data[position:])
        if end == 0:
            if not self._skipping:
                self._partial += data[position : position + limit]
                if len(self._partial) >= limit:
                    self._partial = b""
                    self._skipping = True
                    self._refuse_line(replies)
            return len(data)
        if self._skipping:
            self._skipping = False
            return end
        if end - position + len(self._partial) > limit:
            self._partial = b""
            self._refuse_line(replies)
            return end
        line = self._partial + data[position:end]
        self._partial = b""
        reply = self._command(line)
        if reply is _CHUNK_BEGINS:
            if self._chunks is not None and self.payload_start is None:
                self.payload_start = self._consumed + end
            if not self._chunk_left:
                self._end_chunk(end, replies, messages)
            return end
        if reply is _START:
            self.payload_start = self._consumed + end
        replies.append(reply)
        if reply[:1] == b"5":
            self._count_error(replies)
        return end

    def _refuse_line(self, replies: list[bytes]) -> None:
        self.refused = self.refused or _TOO_LONG
        replies.append(_TOO_LONG.encode() + b"\r\n")
        self._count_error(replies)

    def _count_error(self, replies: list[bytes]) -> None:
        self._errors += 1
        if self._errors >= self._limits.errors and self.ended is None:
            replies.append(self.stop("limit errors", "too many errors"))

    def _command(self, line: bytes) -> bytes:
        if line[-2:-1] != b"\r":
            return b"500 Line must end with CRLF\r\n"
        text = line[:-2]
        if not _PRINTABLE.fullmatch(text):
            return b"500 Only printable ASCII is allowed in a command\r\n"
        verb, _, argument = text.partition(b" ")
        verb = verb.upper()
        handler = _HANDLERS.get(verb)
        if verb == b"BDAT" and self._chunking:
            return self._bdat_command(argument.strip(b" "))
        if handler is None:
            return _MISSING if verb in _NOT_IMPLEMENTED else _UNKNOWN
        return handler(self, argument.strip(b" "))

    def _ehlo_command(self, argument: bytes) -> bytes:
        return self._hello(argument, self._ehlo)

    def _helo_command(self, argument: bytes) -> bytes:
        return self._hello(argument, f"250 {self._domain}\r\n".encode())

    def _hello(self, argument: bytes, reply: bytes) -> bytes:
        if not argument or b" " in argument:
            return b"501 Syntax: EHLO or HELO, then the client's domain\r\n"
        self._helo = argument.decode("ascii")
        self._reset()
        return reply

    def _mail_command(self, argument: bytes) -> bytes:
        if self._helo is None:
            return b"503 Send EHLO or HELO first\r\n"
        if self._transaction is not None:
            return b"503 A transaction is under way; RSET ends it\r\n"
        match = _REVERSE.fullmatch(argument)
        if match is None or len(match[1]) + 2 > _MAX_PATH:
            return b"501 Syntax: MAIL FROM:<address> [SIZE=n] [BODY=7BIT|8BITMIME]\r\n"
        parameters = match[2].split()
        for parameter in parameters:
            if (problem := self._mail_parameter(parameter)) is not None:
                return problem
        self._transaction = _Transaction(
            match[1].decode("ascii"), tuple(p.decode("ascii") for p in parameters)
        )
        return _OK

    def _mail_parameter(self, parameter: bytes) -> bytes | None:
        """Return the reply that refuses a parameter of MAIL; ``None`` where it is good."""
        key, _, value = parameter.upper().partition(b"=")
        if key == b"SIZE":
            if not value.isdigit() or len(value) > 20:  # RFC 1870: at most 20 digits
                return b"501 Syntax: SIZE=number\r\n"
            if int(value) > self._limits.message_bytes:
                self.refused = self.refused or _MESSAGE_TOO_BIG
                return _MESSAGE_TOO_BIG.encode() + b"\r\n"
            return None
        if key == b"BODY":
            if value in {b"7BIT", b"8BITMIME"}:
                return None
            return b"501 Syntax: BODY=7BIT or BODY=8BITMIME\r\n"
        return b"555 Parameter of MAIL not recognized\r\n"

    def _rcpt_command(self, argument: bytes) -> bytes:
        if self._transaction is None:
            return b"503 Send MAIL first\r\n"
        match = _FORWARD.fullmatch(argument)
        if match is None or len(match[1]) + 2 > _MAX_PATH:
            return b"501 Syntax: RCPT TO:<address>\r\n"
        if match[2]:
            return b"555 Parameter of RCPT not recognized\r\n"
        if len(self._recipients) >= self._limits.recipients:
            reply = f"452 Too many recipients, {self._limits.recipients} is the limit"
            self.refused = self.refused or reply
            return reply.encode() + b"\r\n"
        self._recipients.append(match[1].decode("ascii"))
        return _OK

    def _data_command(self, argument: bytes) -> bytes:
        if argument:
            return b"501 Syntax: DATA\r\n"
        if self._transaction is None:
            return b"503 Send MAIL and RCPT first\r\n"
        if self._chunks is not None:  # RFC 3030, 2
            return b"503 The message has begun by BDAT\r\n"
        if not self._recipients:
            return b"554 No valid recipients\r\n"
        limits = self._limits
        self._payload = Payload(
            limits.message_bytes, limits.message_line_bytes, keep_content=self._keep_content
        )
        return _START

    def _bdat_command(self, argument: bytes) -> bytes:
        """Begin a chunk. It is read to its end even if it is refused (RFC 3030, 2)."""
        match = _CHUNK.fullmatch(argument)
        if match is None:
            return b"501 Syntax: BDAT size [LAST]\r\n"
        self._chunk_left = int(match[1])
        self._chunk_last = match[2] is not None
        self._chunk_problem = b""
        if self._transaction is None:
            self._chunk_problem = b"503 Send MAIL and RCPT first\r\n"
        elif not self._recipients:
            self._chunk_problem = b"554 No valid recipients\r\n"
        elif self._chunks is None:
            self._chunks = Chunks(self._limits.message_bytes, keep_content=self._keep_content)
        return _CHUNK_BEGINS

    def _rset_command(self, argument: bytes) -> bytes:
        if argument:
            return b"501 Syntax: RSET\r\n"
        self._reset()
        return _OK

    def _quit_command(self, argument: bytes) -> bytes:
        if argument:
            return b"501 Syntax: QUIT\r\n"
        self.ended = "quit"
        return f"221 {self._domain} closing\r\n".encode()

    def _noop_command(self, _argument: bytes) -> bytes:
        return _OK

    def _help_command(self, _argument: bytes) -> bytes:
        return _HELP

    def _vrfy_command(self, argument: bytes) -> bytes:
        return _VRFY if argument else b"501 Syntax: VRFY user\r\n"

    def _reset(self) -> None:
        self._transaction = None
        self._recipients = []
        if self._chunks is not None:
            self._chunks = None
            self.payload_start = None

    # Message data --------------------------------------------------------------------------

    def _feed_chunk(
        self, data: bytes, position: int, replies: list[bytes], messages: list[ReceivedPayload]
    ) -> int:
        """Take bytes of a chunk; return the position after them."""
        end = min(position + self._chunk_left, len(data))
        if self._chunks is not None and not self._chunk_problem:
            self._chunks.feed(data[position:end])
        self._chunk_left -= end - position
        if not self._chunk_left:
            self._end_chunk(end, replies, messages)
        return end

    def _end_chunk(self, end: int, replies: list[bytes], messages: list[ReceivedPayload]) -> None:
        """Answer a chunk that is complete, and with the last one take the message."""
        chunks = self._chunks
        if self._chunk_problem or chunks is None:
            replies.append(self._chunk_problem)
            self._count_error(replies)
            return
        reply = "250 OK, chunk received"
        if chunks.too_big:
            reply = _MESSAGE_TOO_BIG
            self.refused = self.refused or reply
        elif self._chunk_last:
            reply = "250 OK, logged and not forwarded"
        if chunks.too_big or self._chunk_last:
            messages.append(
                self._received(end, chunks.hexdigest(), chunks.content_bytes, reply, chunks.content)
            )
            self._reset()
        replies.append(reply.encode() + b"\r\n")

    def _feed_payload(
        self, data: bytes, position: int, replies: list[bytes], messages: list[ReceivedPayload]
    ) -> int:
        payload = self._payload
        assert payload is not None
        end = payload.feed(data, position)
        if end < 0:
            return len(data)
        reply = "250 OK, logged and not forwarded"
        if payload.too_big:
            reply = _MESSAGE_TOO_BIG
        elif payload.line_too_long:
            reply = _DATA_LINE_TOO_LONG
        if reply[0] != "2":
            self.refused = self.refused or reply
        messages.append(
            self._received(end, payload.hexdigest(), payload.content_bytes, reply, payload.content)
        )
        replies.append(reply.encode() + b"\r\n")
        self._payload = None
        self.payload_start = None
        self._reset()
        return end

    def _received(
        self, end: int, sha256: str, content_bytes: int, reply: str, content: bytes | None
    ) -> ReceivedPayload:
        """Return the message that ends at a position of what was fed."""
        transaction, start = self._transaction, self.payload_start
        assert transaction is not None
        assert start is not None
        return ReceivedPayload(
            start=start,
            end=self._consumed + end,
            sha256=sha256,
            content_bytes=content_bytes,
            reply=reply,
            helo=self._helo or "",
            mail_from=transaction.mail_from,
            recipients=tuple(self._recipients),
            parameters=transaction.parameters,
            content=content,
        )


_HANDLERS: dict[bytes, Callable[[SmtpSession, bytes], bytes]] = {
    b"EHLO": SmtpSession._ehlo_command,
    b"HELO": SmtpSession._helo_command,
    b"MAIL": SmtpSession._mail_command,
    b"RCPT": SmtpSession._rcpt_command,
    b"DATA": SmtpSession._data_command,
    b"RSET": SmtpSession._rset_command,
    b"NOOP": SmtpSession._noop_command,
    b"QUIT": SmtpSession._quit_command,
    b"VRFY": SmtpSession._vrfy_command,
    b"HELP": SmtpSession._help_command,
}
