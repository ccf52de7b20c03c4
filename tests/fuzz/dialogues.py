"""Conversations of SMTP, drawn by a grammar, and the TCP segments that carry them.

A drawn conversation is a list of turns: who says what. Where both hosts keep to RFC 5321 the
messages in it are known, and so are their bytes: that is what the reader of captures is held to.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Final

from fuzz.packets import ACK, FIN, PSH, SYN, Packet

T0_NS: Final = 1_700_000_000_000_000_000
_MS = 1_000_000

VERBS: Final = (
    *(
        b"EHLO c.example",
        b"HELO c.example",
        b"LHLO c.example",
        b"MAIL FROM:<a@b>",
        b"RCPT TO:<c@d>",
    ),
    *(b"DATA", b"BDAT 10", b"BDAT 10 LAST", b"BDAT 0 LAST", b"BDAT 5 X", b"BDAT", b"RSET", b"NOOP"),
    *(b"BDAT 99999999999999999999", b"BDAT 86 LASTING", b"QUIT", b"STARTTLS", b"AUTH LOGIN"),
    *(b"AUTH PLAIN AHgAeA==", b"XEXCH50 4 2", b"VRFY a", b"HELP", b"*", b"eA==", b"", b"X" * 600),
    *(b"CONNECT mx:25 HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n", b"\5\1\0", b"\5\1\0\3\2mx\0\x19"),
    *(b"\x16\3\1\0\x05hello", b"PROXY TCP4 1.2.3.4 5.6.7.8 9 25", b"ETRN x", b"mail from:<a@b>"),
)
REPLIES: Final = (
    *(b"220 mx ESMTP", b"250 Ok", b"250-mx\r\n250 CHUNKING", b"354 Go", b"334 eA==", b"235 Ok"),
    *(
        b"451 Later",
        b"452 No",
        b"500 What",
        b"501 Syntax",
        b"503 No",
        b"550 No",
        b"554 No",
        b"421 Bye",
    ),
    *(b"221 Bye", b"25", b"250", b"250-", b"2500 x", b"999 x", b"HTTP/1.1 200 Ok\r\n", b"220 Go"),
    *(b"HTTP/1.1 407 No\r\n", b"\5\0", b"\5\0\0\1\0\0\0\0\0\0", b"\x16\3\3\0\x04data", b"2" * 600),
)
ENDS: Final = (
    *(b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b".\r\n"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n..\r\n", b"\r\n. \r\n", b""),
)
_HEADERS = (
    *(
        b"Received: from a by b\r\n\tid 1\r\n",
        b"Subject: test\r\n",
        b"To: <c@d>\r\n",
        b"X-y: z\r\n",
    ),
    *(b"Message-ID: <1@a>\r\n", b"MIME-Version: 1.0\r\n", b"Date: now\r\n"),
)
_STRANGE = (
    b":\r\n",
    b" folded\r\n",
    b"no colon\r\n",
    b"a\r\n",
    b"\r\r\n",
    b"X\0: y\r\n",
    b"bare\n",
)


@dataclass(slots=True)
class Conversation:
    """What two hosts say, and what is known of it.

    Attributes:
        turns: way and bytes, in order.
        messages: of each message its bytes, with its terminator.
    """

    turns: list[tuple[int, bytes]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    def say(self, way: int, data: bytes) -> None:
        """Let a host say something; the client is 0."""
        self.turns.append((way, data))


def text(random: Random, *, strange: bool = False) -> bytes:
    """Return a message without its terminator: header fields, an empty line and a body."""
    fields = random.choices(_HEADERS + (_STRANGE if strange else ()), k=random.randint(1, 8))
    lines = [b"word " * random.randint(0, 15) for _ in range(random.choice((0, 1, 5, 40, 300)))]
    if strange and random.random() < 0.3:
        lines.insert(0, random.choice((b".", b"..", b"QUIT", b"\0", b"x" * 3000, b"a\rb", b"a\nb")))
    return b"".join(fields) + b"\r\n" + b"\r\n".join(lines)


def proper(random: Random) -> Conversation:
    """Return a conversation in which both hosts keep to the RFCs; its messages are known."""
    talk = Conversation()
    talk.say(1, b"220 mx.example ESMTP\r\n")
    talk.say(0, random.choice((b"EHLO c.example\r\n", b"HELO c.example\r\n")))
    talk.say(1, b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
    for _ in range(random.randint(1, 3)):
        _transaction(random, talk)
    if random.random() < 0.8:
        talk.say(0, b"QUIT\r\n")
        talk.say(1, b"221 Bye\r\n")
    return talk


def _transaction(random: Random, talk: Conversation) -> None:
    recipients = random.choice((1, 1, 3))
    commands = [b"MAIL FROM:<a@c.example>\r\n", *[b"RCPT TO:<b@mx.example>\r\n"] * recipients]
    chunked = random.random() < 0.2
    if not chunked:
        commands.append(b"DATA\r\n")
    replies = [b"250 Ok\r\n"] * (len(commands) - (not chunked))
    if not chunked:
        replies.append(b"354 Go on\r\n")
    if random.random() < 0.3:
        talk.say(0, b"".join(commands))
        talk.say(1, b"".join(replies))
    else:
        for command, reply in zip(commands, replies, strict=True):
            talk.say(0, command)
            talk.say(1, reply)
    body = text(random)
    if chunked:
        body += b"\r\n"
        talk.say(0, b"BDAT %d LAST\r\n" % len(body) + body)
    else:
        body += b"\r\n.\r\n"
        talk.say(0, body)
    talk.messages.append(body)
    talk.say(1, random.choice((b"250 Queued\r\n", b"550 No\r\n", b"250-Well\r\n250 Queued\r\n")))


def careless(random: Random) -> Conversation:
    """Return a conversation of anything, mostly near to what the RFCs say."""
    talk = proper(random)
    turns = talk.turns
    for _ in range(random.randint(0, 6)):
        at = random.randrange(len(turns) + 1)
        how = random.randrange(9)
        if how == 0:
            turns.insert(at, (0, random.choice(VERBS) + b"\r\n"))
        elif how == 1:
            turns.insert(at, (1, random.choice(REPLIES) + b"\r\n"))
        elif how == 2:
            turns[at:at] = [
                (0, random.choice(VERBS) + b"\r\n"),
                (1, random.choice(REPLIES) + b"\r\n"),
            ]
        elif how == 3 and turns:
            del turns[min(at, len(turns) - 1)]
        elif how == 4:
            end = random.choice(ENDS) + random.choice((b"", b"MAIL FROM:<x@y>\r\n", b"QUIT\r\n"))
            turns.insert(at, (0, text(random, strange=True) + end))
        elif how == 5:
            turns.insert(at, (random.randrange(2), _tls(random)))
        elif how == 6:
            body = text(random, strange=True)
            size = max(0, len(body) + random.choice((0, 0, 0, -1, 1, 100, -100)))
            last = random.choice((b"", b" LAST", b" last", b" LAST x"))
            turns.insert(at, (0, b"BDAT %d%b\r\n" % (size, last) + body))
        elif how == 7 and len(turns) > 1:
            at = random.randrange(len(turns) - 1)
            turns[at], turns[at + 1] = turns[at + 1], turns[at]
        else:
            turns.insert(at, (random.randrange(2), random.randbytes(random.randint(1, 60))))
    if random.random() < 0.15:
        turns[0:0] = random.choice(_PROXIES)
    return talk


_PROXIES = (
    [(0, b"CONNECT mx:25 HTTP/1.1\r\nA: b\r\n\r\n"), (1, b"HTTP/1.1 200 Ok\r\n\r\n")],
    [(0, b"CONNECT mx:25 HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 407 No\r\n\r\n")],
    [
        (0, b"\5\1\0"),
        (1, b"\5\0"),
        (0, b"\5\1\0\3\2mx\0\x19"),
        (1, b"\5\0\0\1\0\0\0\0\0\0"),
    ],
    [(0, b"\4\1\0\x19\1\2\3\4\0"), (1, b"\0\x5a\0\0\0\0\0\0")],
)


def _tls(random: Random) -> bytes:
    """Return some TLS records, the last of which may lie about its length."""
    out = b""
    for _ in range(random.randint(1, 4)):
        body = random.randbytes(random.choice((1, 40, 300, 2000)))
        size = len(body) + random.choice((0, 0, 0, 0, 1, -1, 16384, 60000))
        kind = random.choice((20, 21, 22, 23, 23, 23, 0, 128))
        out += bytes((kind, 3, random.randint(0, 4))) + (size & 0xFFFF).to_bytes(2, "big") + body
    return out


def segments(
    random: Random, talk: Conversation, *, port: int = 25, v6: bool = False
) -> list[Packet]:
    """Return the packets that carry a conversation, cut into segments of drawn sizes."""
    mss = random.choice((1460, 1448, 1400, 536, 88, 1))
    stamps = random.random() < 0.5
    options = b"\1\1\x08\x0a" + bytes(8) if stamps else b""
    offers = b"\2\4" + mss.to_bytes(2, "big") + b"\3\3\7\1" + options
    ports = (random.randint(1024, 65535), port)
    next_seq = [random.choice((1000, 0xFFFFFF00, random.getrandbits(32))), random.getrandbits(32)]
    t_ns, out = T0_NS, list[Packet]()

    def send(way: int, flags: int, payload: bytes = b"", more: bytes = options) -> None:
        nonlocal t_ns
        t_ns += random.choice((1000, _MS, 40 * _MS))
        ack = next_seq[1 - way] if flags & ACK else 0
        out.append(
            Packet(t_ns, way, flags, next_seq[way], ack, 500, more, payload, v6=v6, ports=ports)
        )
        next_seq[way] += len(payload) + bool(flags & (SYN | FIN))

    if random.random() < 0.9:
        send(0, SYN, more=offers)
        send(1, SYN | ACK, more=offers)
        send(0, ACK)
    size = mss if mss > 1 else random.randint(20, 2000)
    for way, data in talk.turns:
        at = 0
        while at < len(data):
            step = size if random.random() < 0.8 else random.randint(1, size)
            last = at + step >= len(data)
            send(way, ACK | (PSH if last else 0), data[at : at + step])
            at += step
        if random.random() < 0.3:
            send(1 - way, ACK)
    if random.random() < 0.7:
        for way in (0, 1):
            send(way, FIN | ACK)
        send(0, ACK)
    return out
