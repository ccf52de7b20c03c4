"""Captures: what an SMTP connection says becomes the right messages."""

import gzip
import io

import pytest
from capturing import (
    CLIENT,
    CLIENT6,
    FIELDS,
    MS,
    RTT_NS,
    SERVER,
    T0_NS,
    Talk,
    mail,
    message,
    pcap,
    read,
    read_noting,
    read_one,
)

from seglab.capture import Capture, observations, sniff
from seglab.capture.backend import Core
from seglab.capture.core.table import CONNECTION_BYTES
from seglab.core.trace import HeaderField
from seglab.errors import InputError

pytest_plugins = ["capture_core"]

SIZES = (77, 1448, 1448, 329)


def test_a_message(core: Core) -> None:
    """Sizes, flags, times, MSS, layout, round trip and ends of a plain connection."""
    talk = message(SIZES)
    first = len(talk.packets) - 7 - len(SIZES)  # reply, QUIT and its reply, two FINs, an ACK
    found = read_one(talk, core)
    assert found.sizes == SIZES
    assert found.push == (False, False, False, True)
    assert found.t_ns == tuple(t for t, _ in talk.packets[first + 1 : first + 1 + len(SIZES)])
    assert found.retransmission == (False,) * 4
    assert (found.mss, found.timestamps) == (1448, True)
    assert found.header_end == 82
    assert found.fields == tuple(HeaderField(*field) for field in FIELDS)
    assert found.rtt_ns == RTT_NS
    assert (found.client, found.server) == (f"{CLIENT}:40000", "198.51.100.25:25")
    assert (found.complete, found.encrypted, found.layer) == (True, False, "segments")
    assert (found.id, found.source, found.notes) == ("test.pcap#0.1", "test.pcap", ())


def test_ipv6_is_told_with_brackets(core: Core) -> None:
    """Addresses of IPv6 stand in brackets before the port (RFC 3986)."""
    found = read_one(message(SIZES, v6=True), core)
    assert (found.client, found.sizes) == (f"[{CLIENT6}]:40000", SIZES)


@pytest.mark.parametrize(
    ("mss", "stamps", "expected"),
    [
        ((1460, 1460), False, 1460),
        ((1460, 1440), False, 1440),
        ((1400, 65495), False, 1400),
        ((1460, 1440), True, 1428),
        ((None, 1440), False, 536),  # RFC 9293, 3.7.1
        ((1460, None), True, 524),
        ((4, 1460), True, None),  # nonsense is not known
    ],
)
def test_the_mss(
    core: Core, mss: tuple[int | None, int | None], stamps: bool, expected: int | None
) -> None:
    """It is the lower of the two, less what timestamps take."""
    found = read_one(message((100, 50), mss=mss, stamps=stamps), core)
    assert (found.mss, found.timestamps) == (expected, stamps)


def test_several_messages_in_one_connection(core: Core) -> None:
    """Each message is one observation; ids count them."""
    talk = Talk()
    talk.begin()
    talk.body(mail(500), (500,))
    talk.send(1, b"250 Ok\r\n")
    talk.envelope()
    talk.body(mail(900), (100, 800))
    talk.finish()
    found = read(pcap(talk.packets), core)
    assert [(o.id, o.sizes) for o in found] == [
        ("test.pcap#0.1", (500,)),
        ("test.pcap#0.2", (100, 800)),
    ]


def test_connections_are_counted_as_wireshark_counts_them(core: Core) -> None:
    """The number in the id is that of ``tcp.stream``, other traffic included."""
    web = Talk(port=80, client_port=1)
    web.handshake()
    web.send(0, b"GET / HTTP/1.0\r\n\r\n")
    both = [*web.packets, *message((100,)).packets, *message((70,), client_port=2).packets]
    assert [o.id for o in read(pcap(both), core)] == ["test.pcap#1.1", "test.pcap#2.1"]


def test_pipelining_in_one_segment(core: Core) -> None:
    """Commands in one segment, QUIT behind the message: only the payload's part counts."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx.example\r\n")
    talk.command(b"EHLO c.example", b"250 PIPELINING")
    talk.send(0, b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@mx.example>\r\nDATA\r\n")
    talk.send(1, b"250 Ok\r\n250 Ok\r\n354 Go\r\n")
    payload = mail(700)
    talk.send(0, payload[:600], "A")
    talk.send(0, payload[600:] + b"QUIT\r\n")
    assert read_one(talk, core).sizes == (600, 100)


def test_data_sent_before_its_reply(core: Core) -> None:
    """A client that does not wait for 354: the payload begins after DATA's line all the same."""
    talk = Talk()
    talk.handshake()
    talk.send(0, b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + mail(300))
    talk.send(1, b"220 mx\r\n250 Ok\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n")
    talk.finish()
    assert read_one(talk, core).sizes == (300,)


def test_data_refused(core: Core) -> None:
    """After a 5xx reply to DATA come commands, and there is no message until 354."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx.example\r\n")
    talk.command(b"HELO c.example", b"250 Ok")
    talk.send(0, b"MAIL FROM:<a@c.example>\r\nRCPT TO:<no@mx.example>\r\nDATA\r\n")
    talk.send(1, b"250 Ok\r\n550 No such user\r\n554 No valid recipients\r\n")
    talk.command(b"RSET", b"250 Ok")
    assert read(pcap(talk.packets), core) == []
    talk.envelope()
    talk.body(mail(400), (400,))
    talk.finish()
    assert read_one(talk, core).sizes == (400,)


def test_auth_in_several_steps(core: Core) -> None:
    """What answers a 334 is not a command, even if it looks like one."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx.example\r\n")
    talk.command(b"EHLO c.example", b"250-mx.example\r\n250 AUTH LOGIN")
    talk.command(b"AUTH LOGIN", b"334 VXNlcm5hbWU6")
    talk.command(b"DATA", b"334 UGFzc3dvcmQ6")
    talk.command(b"STARTTLS", b"235 Ok")
    talk.envelope()
    talk.body(mail(300), (300,))
    talk.finish()
    assert read_one(talk, core).sizes == (300,)


def test_bdat(core: Core) -> None:
    """The payload of BDAT is the chunks joined (RFC 3030), their commands left out."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx.example\r\n")
    talk.command(b"EHLO c.example", b"250 CHUNKING")
    talk.command(b"MAIL FROM:<a@c.example>", b"250 Ok")
    talk.command(b"RCPT TO:<b@mx.example>", b"250 Ok")
    body = mail(1000)
    talk.send(0, b"BDAT 600\r\n" + body[:500], "A")
    talk.send(0, body[500:600])
    talk.send(1, b"250 600 octets\r\n")
    talk.send(0, b"BDAT 400 LAST\r\n")
    talk.send(0, body[600:] + b"QUIT\r\n")
    found = read_one(talk, core)
    assert (found.sizes, found.complete, found.header_end) == ((500, 100, 400), True, 82)
    assert "BDAT" in found.notes[0]


@pytest.mark.parametrize("line", [b"RSET", b"EHLO c.example", b"MAIL FROM:<a@c.example>"])
@pytest.mark.parametrize("verb", [b"BDAT", b"DATA"])
def test_bdat_given_up(core: Core, line: bytes, verb: bytes) -> None:
    """A transaction ends with RSET, EHLO or MAIL: the chunks of the next are another message."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx.example\r\n")
    talk.command(b"EHLO c.example", b"250 CHUNKING")
    talk.command(b"MAIL FROM:<a@c.example>", b"250 Ok")
    talk.command(b"RCPT TO:<b@mx.example>", b"250 Ok")
    talk.send(0, b"BDAT 600\r\n" + mail(600))
    talk.send(1, b"552 Too big\r\n")
    talk.command(line, b"250 Ok")
    if verb == b"BDAT":
        talk.command(b"MAIL FROM:<a@c.example>", b"250 Ok")
        talk.command(b"RCPT TO:<b@mx.example>", b"250 Ok")
        talk.send(0, b"BDAT 300 LAST\r\n" + mail(300))
    else:
        talk.envelope()
        talk.body(mail(300), (300,))
    talk.send(1, b"250 Queued\r\n")
    capture = Capture("test.pcap", core=core)
    first, second = capture.feed(pcap(talk.packets))
    assert (first.id, first.sizes, first.complete) == ("test.pcap#0.1", (600,), False)
    assert any("given up" in note and line[:4].decode() in note for note in first.notes)
    assert (second.id, second.sizes, second.complete) == ("test.pcap#0.2", (300,), True)
    assert capture._table.ledger.held == CONNECTION_BYTES  # nothing of the messages is left


@pytest.mark.parametrize("port", [25, 2007])
def test_starttls(core: Core, port: int) -> None:
    """After STARTTLS and 220, what looks like TLS is one encrypted observation, by records."""
    talk = Talk(port=port)
    talk.handshake()
    talk.send(1, b"220 mx.example ESMTP\r\n")
    talk.command(b"EHLO c.example", b"250-mx.example\r\n250 STARTTLS")
    talk.command(b"STARTTLS", b"220 Ready")
    talk.send(0, b"\x16\x03\x01\x00\xfa" + bytes(250))
    talk.send(1, b"\x16\x03\x03\x00\xfa" + bytes(1000))
    talk.send(0, b"\x17\x03\x03\x07\xfb" + bytes(1443), "A")
    talk.send(0, bytes(600))
    talk.close()
    found = read_one(talk, core)
    assert (found.encrypted, found.sizes, found.complete) == (True, (255, 2048), True)
    assert (found.push, found.retransmission) == ((True, True), (False, False))
    assert (found.header_end, found.fields, found.mss) == (None, None, 1448)


def test_starttls_refused(core: Core) -> None:
    """After a 454 reply to STARTTLS the connection goes on in the clear."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx.example\r\n")
    talk.command(b"EHLO c.example", b"250 STARTTLS")
    talk.command(b"STARTTLS", b"454 Not now")
    talk.envelope()
    talk.body(mail(300), (300,))
    assert read_one(talk, core).encrypted is False


def test_tls_from_the_first_byte(core: Core) -> None:
    """On port 465 TLS is mail; on another port it is somebody else's."""
    for port, expected in ((465, [(517,)]), (443, [])):
        talk = Talk(port=port)
        talk.handshake()
        talk.send(0, b"\x16\x03\x01\x02\x00" + bytes(512))
        talk.close()
        assert [o.sizes for o in read(pcap(talk.packets), core)] == expected


def mail_inside(talk: Talk) -> None:
    """What goes through a tunnel that is open: a session with one message, in two segments."""
    talk.send(1, b"220 mx.example ESMTP\r\n")
    talk.command(b"EHLO c.example", b"250 mx.example")
    talk.envelope()
    talk.body(mail(400), (150, 250))
    talk.finish()


def test_a_tunnel_in_front(core: Core) -> None:
    """HTTP CONNECT and its answer are skipped; what is inside is read."""
    talk = Talk(port=3128)
    talk.handshake()
    talk.send(0, b"CONNECT mx.example:25 HTTP/1.1\r\nHost: mx.example:25\r\n\r\n")
    talk.send(1, b"HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n")
    mail_inside(talk)
    assert read_one(talk, core).sizes == (150, 250)


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"403 Forbidden"])
def test_a_tunnel_refused(core: Core, status: bytes) -> None:
    """Where the proxy does not connect, nothing after is taken for mail."""
    talk = Talk(port=3128)
    talk.handshake()
    talk.send(0, b"CONNECT mx.example:25 HTTP/1.1\r\n\r\n")
    talk.send(1, b"HTTP/1.1 " + status + b"\r\n\r\n")
    talk.send(0, b"DATA\r\n" + mail(300))
    assert read(pcap(talk.packets), core) == []


@pytest.mark.parametrize("body", [b"", b"401 Unauthorized\r\n200 words", b"<html>" * 9])
def test_a_tunnel_refused_at_first(core: Core, body: bytes) -> None:
    """After 407 the client comes again with its credentials, in the same connection."""
    talk = Talk(port=3128)
    talk.handshake()
    connect = b"CONNECT mx.example:25 HTTP/1.1\r\n"
    talk.send(0, connect + b"\r\n")
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    talk.send(1, b"HTTP/1.1 407 Proxy Authentication Required\r\n" + length + body)
    talk.send(0, connect + b"Proxy-Authorization: Basic eA==\r\n\r\n")
    talk.send(1, b"HTTP/1.1 200 OK\r\n\r\n")
    mail_inside(talk)
    assert read_one(talk, core).sizes == (150, 250)


V2 = b"\r\n\r\n\0\r\nQUIT\n"
"""What begins version 2 of the PROXY protocol (its specification, 2.2)."""


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.7 198.51.100.25 5000 25\r\n",
        V2 + b"\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 25, 19, 136, 0, 25]),
        V2 + b"\x21\x21\x01\x2c" + b"DATA\r\n" * 50,
        V2 + b"\x20\0\0\0",
    ],
)
@pytest.mark.parametrize("piece", [1, 5, 14, 1000])
@pytest.mark.parametrize("port", [25, 2007])
def test_the_proxy_protocol(core: Core, header: bytes, piece: int, port: int) -> None:
    """Its header, in text or binary, is skipped, however it is cut."""
    talk = Talk(port=port)
    talk.handshake()
    for at in range(0, len(header), piece):
        talk.send(0, header[at : at + piece])
    talk.send(1, b"220 mx.example ESMTP\r\n")
    talk.command(b"EHLO c.example", b"250 mx.example")
    talk.envelope()
    talk.body(mail(400), (150, 250))
    talk.finish()
    found = read_one(talk, core)
    assert (found.sizes, found.complete) == ((150, 250), True)


def test_the_proxy_protocol_and_smtp_in_one_segment(core: Core) -> None:
    """What stands behind the binary header in its segment is read, and after it TLS is as well."""
    talk = Talk()
    talk.handshake()
    talk.send(1, b"220 mx.example ESMTP\r\n")
    talk.send(0, V2 + b"\x20\0\0\x03abcEHLO c.example\r\n")
    talk.send(1, b"250 mx.example\r\n")
    talk.envelope()
    talk.body(mail(300), (300,))
    assert read_one(talk, core).sizes == (300,)
    talk = Talk(port=465)
    talk.handshake()
    talk.send(0, V2 + b"\x20\0\0\x03abc\x16\x03\x01\x02\0" + bytes(512))
    talk.close()
    assert read_one(talk, core).sizes == (517,)


@pytest.mark.parametrize("port", [25, 587, 2525, 2007, 50000])
def test_any_port(core: Core, port: int) -> None:
    """SMTP is known by what is said, on whatever port."""
    assert read_one(message((300,), port=port), core).sizes == (300,)


@pytest.mark.parametrize(
    ("greeting", "command"),
    [
        (b"220 ftp.example FTP server\r\n", b"USER anonymous\r\n"),
        (b"+OK POP3\r\n", b"USER me\r\n"),
        (b"* OK IMAP\r\n", b"a1 LOGIN me\r\n"),
        (b"SSH-2.0-x\r\n", b"SSH-2.0-y\r\n"),
    ],
)
def test_other_protocols(core: Core, greeting: bytes, command: bytes) -> None:
    """Protocols with lines, even with a 220 greeting, yield nothing."""
    talk = Talk(port=21)
    talk.handshake()
    talk.send(1, greeting)
    talk.send(0, command)
    talk.send(0, b"DATA\r\n" + mail(300))
    talk.close()
    assert read(pcap(talk.packets), core) == []


def test_the_client_alone(core: Core) -> None:
    """With the server's packets missing, DATA itself says where the payload begins."""
    talk = message(SIZES)
    packets = [(t, p) for t, p in talk.packets if p[12:16] == bytes([192, 0, 2, 1])]
    found = read_one(packets, core)
    assert found.sizes == SIZES
    assert (found.mss, found.timestamps, found.rtt_ns) == (None, True, None)
    assert found.complete is True


def test_the_client_alone_and_refused(core: Core) -> None:
    """With the server's packets missing, a command after DATA says that it was refused."""
    talk = Talk()
    talk.handshake()
    talk.send(0, b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    talk.send(0, b"QUIT\r\n")
    packets = [(t, p) for t, p in talk.packets if p[12:16] == bytes([192, 0, 2, 1])]
    assert read(pcap(packets), core) == []


def test_the_server_alone(core: Core) -> None:
    """With the client's packets missing there is nothing to observe."""
    packets = [(t, p) for t, p in message(SIZES).packets if p[12:16] != bytes([192, 0, 2, 1])]
    found, notes = read_noting(pcap(packets), core)
    assert found == []
    assert notes == ["0 messages: of 1 connections only the server's packets were captured"]


@pytest.mark.parametrize("lost", range(12))
def test_picked_up_in_the_middle(core: Core, lost: int) -> None:
    """From whichever packet of the dialogue on: the same message, and a note."""
    talk = message(SIZES)
    found = read_one(talk.packets[lost:], core)
    assert found.sizes == SIZES
    assert found.header_end == 82
    assert (found.mss is None) == (lost >= 1)
    assert any("beginning" in note for note in found.notes) == (lost >= 2)


def test_picked_up_within_the_message(core: Core) -> None:
    """Of a message whose beginning is missing nothing is said; of the next one, all."""
    talk = Talk()
    talk.begin()
    talk.body(mail(4000), (1448, 1448, 1104))
    talk.send(1, b"250 Ok\r\n")
    talk.envelope()
    talk.body(mail(300), (300,))
    talk.finish()
    (first_body,) = [
        i for i, (_, p) in enumerate(talk.packets) if len(p) > 1400 and HEADER_START in p
    ]
    assert read_one(talk.packets[first_body + 1 :], core).sizes == (300,)


HEADER_START = b"Received: from"


def test_cut_off_in_the_message(core: Core) -> None:
    """A capture that ends within a message: what there is, not complete, and why."""
    talk = Talk()
    talk.begin()
    talk.body(mail(3000), (1448, 1448, 104))
    found = read_one(talk.packets[:-1], core)
    assert (found.sizes, found.complete) == ((1448, 1448), False)
    assert found.notes == ("the capture ends before the message does",)


@pytest.mark.parametrize(("flags", "word"), [("FA", "ended"), ("RA", "reset")])
def test_connection_ends_in_the_message(core: Core, flags: str, word: str) -> None:
    """A connection that ends within a message: incomplete, at once, with the reason."""
    talk = Talk()
    talk.begin()
    talk.send(0, mail(3000)[:1448], "A")
    talk.packet(0, flags=flags)
    found = read_one(talk, core)
    assert (found.sizes, found.complete) == ((1448,), False)
    assert word in found.notes[0]


def test_a_lone_dot_is_an_empty_message(core: Core) -> None:
    """The line break before the payload counts for its terminator (RFC 5321, 4.1.1.4)."""
    talk = Talk()
    talk.begin()
    talk.send(0, b".\r\n")
    talk.finish()
    found = read_one(talk, core)
    assert (found.sizes, found.complete, found.header_end) == ((3,), True, None)


def test_a_terminator_across_segments(core: Core) -> None:
    """However CRLF . CRLF is cut, the message ends with it, and not before."""
    payload = mail(400)[:-5] + b"\r\n.x\r\n..\r\n" + b"\r\n.\r\n"
    for cut in range(1, 6):
        talk = Talk()
        talk.begin()
        talk.send(0, payload[:-cut])
        talk.send(0, payload[-cut:])
        talk.finish()
        assert read_one(talk, core).sizes == (len(payload) - cut, cut)


def test_byte_by_byte(core: Core) -> None:
    """A client that sends each byte alone, commands included."""
    talk = Talk(stamps=False)
    talk.handshake()
    talk.send(1, b"220 mx\r\n")
    for line in (b"HELO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n"):
        for byte in line:
            talk.send(0, bytes([byte]))
        talk.send(1, b"354 Go\r\n" if line == b"DATA\r\n" else b"250 Ok\r\n")
    for byte in mail(100):
        talk.send(0, bytes([byte]))
    assert read_one(talk, core).sizes == (1,) * 100


def test_raw_streams(core: Core) -> None:
    """Another protocol, by option: what the client says, from its first byte."""
    talk = Talk(port=2007)
    talk.handshake()
    talk.send(0, bytes(1440), "A")
    talk.send(1, b"thanks")
    talk.send(0, bytes(300))
    talk.close()
    found = read_one(talk, core, protocol="raw")
    assert (found.sizes, found.complete, found.encrypted) == ((1440, 300), True, False)
    assert found.header_end is None
    assert found.t_ns is not None
    assert found.t_ns[0] - T0_NS > 3 * MS


def test_messages_come_out_as_they_end(core: Core) -> None:
    """For a capture that grows: a message is there with its reply, before all that follows."""
    talk = message((100, 200))
    capture = Capture("live", core=core)
    capture.feed(pcap([]))
    counts = [len(capture.feed(pcap([packet])[24:])) for packet in talk.packets]
    assert counts == [0] * (len(counts) - 6) + [1] + [0] * 5


def test_observations_reads_a_file_and_warns(core: Core) -> None:
    """The stream of a file, gzipped or not, and a note for one that is cut."""
    assert core
    data = pcap(message(SIZES).packets)
    for content in (data, gzip.compress(data), gzip.compress(data[:50]) + gzip.compress(data[50:])):
        assert sniff(content[:512])
        notes: list[str] = []
        (found,) = observations(io.BytesIO(content), "x", warn=notes.append)
        assert (found.sizes, notes) == (SIZES, [])
    list(observations(io.BytesIO(data[:-3]), "x", warn=notes.append))
    assert notes == ["cut: it ends inside a record"]


@pytest.mark.parametrize("data", [b"", b"\x1f", b"hello, world", b"\x1f\x8b" + bytes(30)])
def test_what_is_no_capture(core: Core, data: bytes) -> None:
    """Anything else is refused in one line that names the source."""
    assert not sniff(data)
    with pytest.raises(InputError, match=r"^test\.pcap: "):
        read(data, core)


def test_unknown_links(core: Core) -> None:
    """A link type that cannot be read is an error, if there is no other."""
    with pytest.raises(InputError, match="147"):
        read(pcap([], link=147), core)


def test_the_server_hostnames_do_not_matter(core: Core) -> None:
    """A note says what was skipped, and nothing is said of what was not."""
    found, notes = read_noting(pcap(message((100,)).packets), core)
    assert (len(found), notes) == (1, [])
    assert found[0].server == f"{SERVER}:25"
