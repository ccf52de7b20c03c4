"""Captures: where messages begin and end, by what both hosts say, when one of them is careless."""

import pytest
from capturing import (
    Talk,
    mail,
    opened,
    pcap,
    read,
    read_noting,
    read_one,
)

from seglab.capture.backend import Core
from seglab.core.observation import Observation

pytest_plugins = ["capture_core"]

SIZES = (1460, 1460, 580)


def transaction(talk: Talk) -> Talk:
    """The envelope without DATA, for BDAT."""
    talk.command(b"MAIL FROM:<a@client.example>", b"250 Ok")
    talk.command(b"RCPT TO:<b@mx.example>", b"250 Ok")
    return talk


def messages(talk: Talk, core: Core) -> list[Observation]:
    """What is read of a connection, in whatever pieces the file comes."""
    data = pcap(talk.packets)
    found = read(data, core)
    assert read(data, core, size=97) == found
    return found


# --- STARTTLS ---------------------------------------------------------------------------------


def test_clear_text_after_starttls(core: Core) -> None:
    """A mirror that decrypts shows STARTTLS and 220, then clear text: the mail is read."""
    talk = opened()
    talk.command(b"STARTTLS", b"220 Ready")
    talk.command(b"EHLO client.example", b"250 mx.example")
    talk.envelope()
    talk.body(mail(3500), SIZES)
    talk.finish()
    (found,) = messages(talk, core)
    assert (found.sizes, found.encrypted, found.complete) == (SIZES, False, True)
    assert any("STARTTLS" in note for note in found.notes)


def test_commands_behind_starttls(core: Core) -> None:
    """What a client sends behind STARTTLS, before its reply, is clear text; then comes TLS."""
    talk = opened()
    talk.send(0, b"STARTTLS\r\nNOOP\r\n")
    talk.send(1, b"220 Ready\r\n250 Ok\r\n")
    talk.send(0, b"\x16\x03\x01\x00\x03abc")
    talk.close()
    (found,) = messages(talk, core)
    assert (found.encrypted, found.sizes) == (True, (8,))


@pytest.mark.parametrize("snaplen", [68, 96, 128])
def test_tls_that_was_cut(core: Core, snaplen: int) -> None:
    """Where the contents were cut, a record's header may be missing: then segments are reported."""
    talk = opened()
    talk.command(b"STARTTLS", b"220 Ready")
    talk.send(0, b"\x16\x03\x01\x00\xfa" + bytes(250))
    talk.send(0, b"\x17\x03\x03\x08\x00" + bytes(1455), "A")
    talk.send(0, bytes(593) + b"\x17\x03\x03\x00\x10" + bytes(16))
    talk.close()
    (found,) = read(pcap(talk.packets, snaplen=snaplen), core)
    assert (found.encrypted, found.sizes) == (True, (255, 1460, 614))
    assert any("records could not be read" in note for note in found.notes)


@pytest.mark.parametrize("piece", [1, 7, 1000, 5000])
def test_records_however_they_are_cut(core: Core, piece: int) -> None:
    """Sizes are those of the records, not of the segments; a record has a header of five bytes."""
    records = [(0x16, 300), (0x14, 1), (0x17, 4000), (0x17, 25)]
    stream = b"".join(bytes([kind, 3, 3, n >> 8, n & 255]) + bytes(n) for kind, n in records)
    talk = opened()
    talk.command(b"STARTTLS", b"220 Ready")
    for at in range(0, len(stream), piece):
        talk.send(0, stream[at : at + piece])
    talk.close()
    (found,) = read(pcap(talk.packets), core)
    assert found.sizes == (305, 6, 4005, 30)
    assert (found.encrypted, found.complete) == (True, True)


def test_a_record_that_is_cut_off(core: Core) -> None:
    """A record whose rest never came has the size of what came, and is not complete."""
    talk = opened()
    talk.command(b"STARTTLS", b"220 Ready")
    talk.send(0, b"\x16\x03\x01\x00\xfa" + bytes(100))
    talk.close()
    (found,) = messages(talk, core)
    assert (found.sizes, found.complete) == ((105,), False)


@pytest.mark.parametrize("port", [25, 443, 465])
def test_tls_that_had_begun(core: Core, port: int) -> None:
    """Of TLS whose beginning was not captured a note says that it is TLS."""
    talk = Talk(port=port)
    for way in (0, 1, 0):
        talk.send(way, b"\x17\x03\x03\x00\x28" + bytes(40))
    found, notes = read_noting(pcap(talk.packets), core)
    assert (found, notes) == (
        [],
        ["0 messages: 1 TCP connection with TLS had begun before the capture"],
    )


HELLO = b"\x16\x03\x01\x00\xfa" + bytes(250)
PROXIES = {
    "http": [(0, b"CONNECT mx.example:%d HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 200 Ok\r\n\r\n")],
    "socks5": [
        (0, b"\x05\x01\0"), (1, b"\x05\0"),
        (0, b"\x05\x01\0\x01\1\2\3\4%s"), (1, b"\x05\0\0\x01" + bytes(6)),
    ],
    "socks4": [(0, b"\x04\x01%s\1\2\3\4me\0"), (1, b"\0\x5a" + bytes(6))],
}  # fmt: skip


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("target", [465, 443])
def test_tls_through_a_proxy(core: Core, proxy: str, target: int) -> None:
    """It is mail where the proxy was asked to connect to port 465 (RFC 8314), and else noted."""
    talk = Talk(port=3128)
    talk.handshake()
    for way, said in PROXIES[proxy]:
        value = target if proxy == "http" else target.to_bytes(2, "big")
        talk.send(way, said % value if b"%" in said else said)
    talk.send(0, HELLO)
    talk.close()
    found, notes = read_noting(pcap(talk.packets), core)
    assert [(o.encrypted, o.sizes) for o in found] == [(True, (255,))] * (target == 465)
    if target != 465:
        assert notes == ["0 messages: 1 TCP connection began with TLS, on no port of mail"]


# --- BDAT -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [b"BDAT 5 X", b"BDAT 86 LASTING", b"BDAT", b"BDAT LAST", b"BDAT -4", b"BDAT 5 LAST X",
     b"BDAT 99999999999999999999 LAST", b"BDAT 4294967296 LAST", b"BDAT 86 LAST"],
)  # fmt: skip
@pytest.mark.parametrize("reply", [b"501 Syntax", b"503 No", b"552 Too much", b"421 Bye"])
def test_a_refused_bdat_takes_no_bytes(core: Core, line: bytes, reply: bytes) -> None:
    """What follows a refused BDAT is a command, and a later message is whole."""
    talk = transaction(opened())
    talk.command(line, reply)
    talk.command(b"RSET", b"250 Ok")
    talk.envelope()
    talk.body(mail(3500), SIZES)
    talk.finish()
    (found,) = messages(talk, core)
    assert (found.sizes, found.complete, found.chunked) == (SIZES, True, False)


@pytest.mark.parametrize("line", [b"BDAT 86 LASTING", b"BDAT 86 LAST", b"BDAT"])
def test_a_refused_bdat_and_quit(core: Core, line: bytes) -> None:
    """After a refusal QUIT is QUIT, and there is no message."""
    talk = transaction(opened())
    talk.command(line, b"501 Syntax")
    talk.command(b"QUIT", b"221 Bye")
    talk.close()
    assert messages(talk, core) == []


@pytest.mark.parametrize(
    "line", [b"VRFY x", b"HELP", b"NOOP hi", b"AUTH PLAIN AGEAYg==", b"XCLIENT a=b", b"expn x"]
)
def test_any_command_after_a_refused_bdat(core: Core, line: bytes) -> None:
    """Whatever word of SMTP follows a refused BDAT, it is no chunk."""
    talk = transaction(opened())
    talk.command(b"BDAT 500 LAST", b"503 No")
    talk.command(line, b"502 No")
    talk.command(b"RSET", b"250 Ok")
    talk.envelope()
    talk.body(mail(3500), SIZES)
    talk.finish()
    (found,) = messages(talk, core)
    assert (found.sizes, found.chunked) == (SIZES, False)


def test_a_refused_chunk_that_is_sent(core: Core) -> None:
    """A client may send the chunk after the refusal: the message then was rejected."""
    talk = transaction(opened())
    talk.command(b"BDAT 600 LAST", b"552 Too much")
    talk.send(0, mail(600))
    talk.command(b"QUIT", b"221 Bye")
    (found,) = messages(talk, core)
    assert (found.sizes, found.complete, found.reply) == ((600,), True, "rejected")


def test_a_malformed_bdat_that_a_server_takes(core: Core) -> None:
    """A lax server that answers 250 has read the chunk."""
    talk = transaction(opened())
    talk.send(0, b"BDAT 86 LASTING\r\n" + mail(86))
    talk.send(1, b"250 Queued\r\n")
    talk.command(b"QUIT", b"221 Bye")
    talk.close()
    (found,) = messages(talk, core)
    assert (found.sizes, found.reply) == ((86,), "accepted")


def test_a_malformed_chunk_that_shares_a_segment(core: Core) -> None:
    """What was held back until the reply is of the same segment, and the same size."""
    talk = transaction(opened())
    talk.send(0, b"BDAT 3\r\nabcBDAT 4 LASTING\r\ndefg")
    talk.send(1, b"250 Ok\r\n250 Queued\r\n")
    talk.close()
    (found,) = messages(talk, core)
    assert (found.sizes, found.complete, found.reply) == ((7,), True, "accepted")


def test_chunks_that_share_a_segment(core: Core) -> None:
    """Two chunks in one segment are one size of the wire."""
    talk = transaction(opened())
    talk.send(0, b"BDAT 3\r\nabcBDAT 2 LAST\r\nde")
    talk.send(1, b"250 Ok\r\n250 Queued\r\n")
    talk.close()
    (found,) = messages(talk, core)
    assert (found.sizes, found.complete, found.chunked) == ((5,), True, True)
    assert (found.reply, found.push) == ("accepted", (True,))


def test_a_chunk_is_refused_while_it_is_sent(core: Core) -> None:
    """A server may answer before the chunk's end; its bytes are on the wire all the same."""
    talk = transaction(opened())
    talk.send(0, b"BDAT 2000 LAST\r\n" + bytes(1000))
    talk.send(1, b"552 Too much\r\n")
    talk.send(0, bytes(1000))
    talk.command(b"QUIT", b"221 Bye")
    (found,) = messages(talk, core)
    assert (found.sizes, found.complete, found.reply) == ((1000, 1000), True, "rejected")


# --- which reply opens a message ---------------------------------------------------------------


@pytest.mark.parametrize("together", [False, True])
def test_a_blob_is_no_message(core: Core, together: bool) -> None:
    """XEXCH50 is answered by 354 as well; its blob is no mail, and the mail after it is one."""
    talk = transaction(opened())
    talk.command(b"XEXCH50 648 2", b"354 Send binary data")
    blob = b"\0DATA\r\n" * 92 + b"QUIT"
    assert len(blob) == 648
    if together:
        talk.send(0, blob + b"DATA\r\n")
        talk.send(1, b"250 Ok\r\n354 Go on\r\n")
    else:
        talk.send(0, blob)
        talk.send(1, b"250 Ok\r\n")
        talk.command(b"DATA", b"354 Go on")
    talk.body(mail(3500), SIZES)
    talk.finish()
    (found,) = messages(talk, core)
    assert (found.sizes, found.header_end) == (SIZES, 82)


def test_a_354_that_nobody_waits_for(core: Core) -> None:
    """What another command's 354 asks for ends with the server's next reply."""
    talk = transaction(opened())
    talk.command(b"XBLOB", b"354 Go on")
    talk.send(0, bytes(400))
    talk.send(1, b"250 Ok\r\n")
    talk.command(b"DATA", b"354 Go on")
    talk.body(mail(400), (400,))
    talk.finish()
    assert read_one(talk, core).sizes == (400,)


@pytest.mark.parametrize("then", [b"RSET", b"QUIT"])
def test_a_354_before_that_of_data(core: Core, then: bytes) -> None:
    """Of commands in one segment, DATA is answered by the last reply, which is no 354."""
    talk = opened()
    talk.send(0, b"VRFY x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    talk.send(1, b"354 Odd\r\n250 Ok\r\n550 No\r\n554 No recipients\r\n")
    talk.command(then, b"221 Bye" if then == b"QUIT" else b"250 Ok")
    assert messages(talk, core) == []


def test_data_with_an_argument(core: Core) -> None:
    """A lax server takes DATA with an argument; another refuses it, and commands follow."""
    talk = transaction(opened())
    talk.command(b"DATA now", b"501 No arguments")
    talk.command(b"DATA now", b"354 Go on")
    talk.body(mail(3500), SIZES)
    talk.finish()
    (found,) = messages(talk, core)
    assert (found.sizes, found.reply) == (SIZES, "accepted")


# --- ends of data that lax servers take ---------------------------------------------------------

LAX = [
    b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\n\0.\n", b"\r\n.\r\r\n", b"\r\n.\r\0\n", b"\r\0\n.\r\0\n",
]  # fmt: skip
SMUGGLED = b"MAIL FROM:<x@y>\r\nRCPT TO:<z@mx.example>\r\nDATA\r\n"


def smuggling(end: bytes) -> tuple[bytes, bytes]:
    """A message with another one inside: what comes before, and what is smuggled."""
    return b"Subject: one\r\n\r\nfirst" + end, SMUGGLED + b"Subject: two\r\n\r\nsecond\r\n.\r\n"


@pytest.mark.parametrize("end", LAX)
@pytest.mark.parametrize("replies", ["together", "apart", "early"])
def test_a_smuggled_message(core: Core, end: bytes, replies: str) -> None:
    """As many messages come out as the server said, and QUIT is in none of them."""
    first, second = smuggling(end)
    talk = opened()
    talk.envelope()
    if replies == "early":
        talk.send(0, first)
        talk.send(1, b"250 Queued\r\n")
        talk.send(0, second)
        talk.send(1, b"250 Ok\r\n250 Ok\r\n354 Go\r\n250 Queued\r\n")
        talk.send(0, b"QUIT\r\n")
    else:
        talk.send(0, first + second)
        said = [b"250 Queued\r\n", b"250 Ok\r\n", b"250 Ok\r\n", b"354 Go\r\n", b"250 Queued\r\n"]
        if replies == "together":
            talk.send(1, b"".join(said))
            talk.send(0, b"QUIT\r\n")
        else:
            talk.send(1, said[0])
            talk.send(0, b"QUIT\r\n")
            for line in said[1:]:
                talk.send(1, line)
    talk.send(1, b"221 Bye\r\n")
    talk.close()
    found = messages(talk, core)
    assert [o.sizes for o in found] == [(len(first),), (len(second) - len(SMUGGLED),)]
    assert [o.reply for o in found] == ["accepted", "accepted"]
    assert [o.complete for o in found] == [True, True]
    assert [o.header_end for o in found] == [14, 14]
    assert "which the server took for the end" in found[0].notes[-1]


@pytest.mark.parametrize("end", LAX)
def test_a_message_that_only_looks_smuggled(core: Core, end: bytes) -> None:
    """A strict server gives one reply: it is one message, with all that is in it."""
    first, second = smuggling(end)
    talk = opened()
    talk.envelope()
    talk.send(0, first + second)
    talk.finish()
    (found,) = messages(talk, core)
    assert found.sizes == (len(first + second),)
    assert (found.reply, found.complete, found.notes) == ("accepted", True, ())


@pytest.mark.parametrize("end", LAX)
@pytest.mark.parametrize("together", [False, True])
def test_an_end_of_data_that_is_lax(core: Core, end: bytes, together: bool) -> None:
    """A client that ends its mail so, before a server that takes it: QUIT is no payload."""
    talk = opened()
    talk.envelope()
    payload = b"Subject: one\r\n\r\nfirst" + end
    talk.send(0, payload + b"QUIT\r\n" * together)
    talk.send(1, b"250 Queued\r\n")
    if not together:
        talk.send(0, b"QUIT\r\n")
    talk.send(1, b"221 Bye\r\n")
    talk.close()
    (found,) = messages(talk, core)
    assert (found.sizes, found.complete, found.reply) == ((len(payload),), True, "accepted")


@pytest.mark.parametrize("end", LAX)
def test_an_end_of_data_in_two_segments(core: Core, end: bytes) -> None:
    """Wherever a segment cuts the end of data, all of it belongs to the first message."""
    first, second = smuggling(end)
    for cut in range(len(first) - len(end) + 1, len(first)):
        talk = opened()
        talk.envelope()
        talk.send(0, first[:cut])
        talk.send(0, first[cut:] + second)
        talk.send(1, b"250 Queued\r\n250 Ok\r\n250 Ok\r\n354 Go\r\n250 Queued\r\n")
        talk.command(b"QUIT", b"221 Bye")
        talk.close()
        found = messages(talk, core)
        assert [o.sizes for o in found] == [
            (cut, len(first) - cut),
            (len(second) - len(SMUGGLED),),
        ]


def test_several_smuggled_messages(core: Core) -> None:
    """Each of three ends that the server takes begins another message."""
    inner = b"".join(b"a" * n + LAX[n] + SMUGGLED for n in (1, 2, 3))
    payload = b"Subject: x\r\n\r\n" + inner + b"last\r\n.\r\n"
    talk = opened()
    talk.envelope()
    talk.send(0, payload)
    talk.send(1, b"250 Queued\r\n" + b"250 Ok\r\n250 Ok\r\n354 Go\r\n250 Queued\r\n" * 3)
    talk.command(b"QUIT", b"221 Bye")
    talk.close()
    found = messages(talk, core)
    assert len(found) == 4
    assert [o.total_bytes for o in found] == [
        14 + 1 + len(LAX[1]), 2 + len(LAX[2]), 3 + len(LAX[3]), len(b"last\r\n.\r\n"),
    ]  # fmt: skip


def test_dots_that_end_nothing(core: Core) -> None:
    """Lines of dots, and a bare line end before a dot, are text as long as nobody replies."""
    text = b"Subject: x\r\n\r\n..\r\n.\nno command\r\n.a\r\n\n.\n\nMAIL is not\r\n...\r\n"
    talk = opened()
    talk.envelope()
    payload = text * 40 + b".\r\n"
    whole, rest = divmod(len(payload), 700)
    talk.body(payload, (700,) * whole + (rest,))
    talk.finish()
    (found,) = messages(talk, core)
    assert (found.total_bytes, found.notes) == (len(payload), ())


# --- replies, NAT and holes ---------------------------------------------------------------------


@pytest.mark.parametrize("code", [b"250 Ok", b"451 Later", b"554 No"])
def test_the_reply_to_a_message(core: Core, code: bytes) -> None:
    """The server's last reply to a message is reported with it."""
    talk = opened()
    talk.envelope()
    talk.body(mail(900), (900,))
    talk.send(1, code + b"\r\n")
    talk.command(b"QUIT", b"221 Bye")
    expected = "accepted" if code.startswith(b"2") else "rejected"
    assert read_one(talk, core).reply == expected
    at = len(talk.packets) - 3
    assert read_one(talk.packets[:at], core).reply == "unknown"


def test_a_reply_for_each_recipient(core: Core) -> None:
    """LMTP answers for each recipient (RFC 2033): accepted if one of them is."""
    talk = Talk(port=24)
    talk.handshake()
    talk.send(1, b"220 mx.example LMTP\r\n")
    talk.command(b"LHLO client.example", b"250 mx.example")
    talk.command(b"MAIL FROM:<a@client.example>", b"250 Ok")
    for reply in (b"250 Ok", b"550 No", b"250 Ok"):
        talk.command(b"RCPT TO:<b@mx.example>", reply)
    talk.command(b"DATA", b"354 Go on")
    talk.body(mail(900), (900,))
    talk.send(1, b"250 Queued\r\n452 Full\r\n")
    talk.envelope()
    talk.body(mail(700), (700,))
    talk.send(1, b"554 No\r\n")
    talk.close()
    found = messages(talk, core)
    assert [(o.sizes, o.reply) for o in found] == [((900,), "accepted"), ((700,), "rejected")]


def test_the_reply_to_quit_alone(core: Core) -> None:
    """221 answers QUIT, and is no acceptance of the message before it."""
    talk = opened()
    talk.envelope()
    talk.body(mail(900), (900,))
    talk.command(b"QUIT", b"221 Bye")
    assert read_one(talk, core).reply == "unknown"


def translated(talk: Talk, old: bytes, new: bytes, delay_ns: int) -> list[tuple[int, bytes]]:
    """The packets once more, with another address in their IP headers."""
    return [(t + delay_ns, p[:12] + p[12:20].replace(old, new) + p[20:]) for t, p in talk.packets]


def test_the_same_mail_before_and_after_nat(core: Core) -> None:
    """A capture on both sides of a translation holds each mail twice: the second one is noted."""
    inside = opened()
    inside.envelope()
    inside.body(mail(3500), SIZES)
    inside.finish()
    outside = translated(inside, bytes([192, 0, 2, 1]), bytes([203, 0, 113, 9]), 40_000)
    both = sorted(inside.packets + outside)
    first, second = read(pcap(both), core)
    assert first.sizes == second.sizes == SIZES
    assert first.notes == ()
    assert "NAT" in second.notes[0]
    later = translated(inside, bytes([192, 0, 2, 1]), bytes([203, 0, 113, 9]), 10**11)
    assert [o.notes for o in read(pcap(inside.packets + later), core)] == [(), ()]


def test_nat_in_the_middle_of_connections(core: Core) -> None:
    """Without the SYNs, or where offload cut one side otherwise, the mail is still the same."""
    inside, merged = opened(), opened()
    for talk, sizes in ((inside, SIZES), (merged, (2920, 580))):
        talk.envelope()
        talk.body(mail(3500), sizes)
        talk.finish()
    outside = translated(merged, bytes([192, 0, 2, 1]), bytes([203, 0, 113, 9]), 40_000)
    for skipped in (0, 3, 5):
        both = sorted(inside.packets[skipped:] + outside[skipped:])
        first, second = read(pcap(both), core)
        assert {first.sizes, second.sizes} == {SIZES, (2920, 580)}
        assert ["NAT" in "".join(o.notes) for o in (first, second)] == [False, True]


def test_a_hole_is_no_segment(core: Core) -> None:
    """A segment that was not captured is a hole of the observation."""
    talk = opened()
    talk.envelope()
    first = len(talk.packets)
    talk.body(mail(3500), SIZES)
    talk.finish()
    del talk.packets[first + 1]
    (found,) = read(pcap(talk.packets), core)
    assert found.holes == ((1460, 2920),)


@pytest.mark.parametrize("end", [b"\r\n.\0\r\n", b"\n.\n", b"\r\n.\n"])
def test_what_is_hidden_after_a_lax_end(core: Core, end: bytes) -> None:
    """Bytes that turn out to belong to no message do not count as hidden ones of it."""
    talk = Talk()
    talk.begin()
    text = mail(90)[:-5] + end
    talk.send(0, text + b"MAIL FROM:<x@y>\r\n")
    whole = pcap(talk.packets)
    before = len(talk.packets)
    talk.send(0, bytes(500))
    cut = pcap(talk.packets[before:], snaplen=60)[24:]  # without the header of the file
    talk.send(1, b"250 Ok\r\n250 Ok\r\n")
    (found,) = read(whole + cut + pcap(talk.packets[before + 1 :])[24:], core)
    assert (found.sizes, found.complete) == ((len(text),), True)
    assert found.hidden_bytes is None
    assert not any("not captured" in note for note in found.notes)
