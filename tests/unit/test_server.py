"""The server over loopback: real sockets, both readers, limits and faults."""

import contextlib
import hashlib
import os
import re
import smtplib
import socket
import threading
import time
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from serving import PATIENCE_S, read_all, read_lines, reset, running

from seglab.experiment.reader import KINDS, Reader
from seglab.server import loop
from seglab.server.connection import ConnectionLog
from seglab.server.limits import Limits
from seglab.server.listening import Listener, listen
from seglab.server.loop import Server
from seglab.server.process import raise_descriptor_limit

HELLO = b"EHLO c\r\n"
ENVELOPE = HELLO + b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"
MESSAGE = ENVELOPE + b"DATA\r\nx\r\n.\r\n"


@pytest.mark.parametrize("kind", KINDS)
def test_smtplib_is_content(kind: str) -> None:
    """Python's own client finds the extensions and delivers two messages in a connection."""
    with running(reader=Reader(kind)) as server:
        with smtplib.SMTP(*server.address, timeout=PATIENCE_S) as client:
            client.ehlo()
            assert client.esmtp_features["size"] == str(32 << 20)
            assert {"pipelining", "8bitmime"} <= set(client.esmtp_features)
            assert client.sendmail("a@b.c", ["d@e.f", "g@h.i"], "Subject: x\n\n.dot\n") == {}
            assert client.sendmail("a@b.c", "d@e.f", "x" * 100_000) == {}
            assert client.verify("someone")[0] == 252
            assert client.docmd("BDAT", "0 LAST")[0] == 502
        log = server.log()
    first = b"Subject: x\r\n\r\n..dot\r\n.\r\n"
    second = b"x" * 100_000 + b"\r\n.\r\n"
    assert [m.sha256 for m in log.messages] == [
        hashlib.sha256(wire).hexdigest() for wire in (first, second)
    ]
    assert log.messages[0].recipients == ("d@e.f", "g@h.i")
    assert log.ended == "quit"
    assert log.refused is None


@pytest.mark.parametrize("kind", KINDS)
def test_raw_reads_cover_the_stream(kind: str) -> None:
    """Every recv is logged in order without a gap, none above the buffer; half-close ends it."""
    payload = os.urandom(50_000)
    with running("raw", Reader(kind, buffer_bytes=999)) as server:
        with server.connect() as client:
            client.sendall(payload)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""  # the server closes in turn
            address = client.getsockname()
        log = server.log()
    ends = [end for _, _, end in log.reads]
    assert [start for _, start, _ in log.reads] == [0, *ends[:-1]]
    assert max(end - start for _, start, end in log.reads) <= 999
    times = [t_ns for t_ns, _, _ in log.reads]
    assert times == sorted(times)
    assert log.t_accept_ns <= times[0]
    assert times[-1] <= log.t_end_ns
    assert log.payloads == [(0, len(payload))]
    assert log.messages[0].sha256 == hashlib.sha256(payload).hexdigest()
    assert (log.peer, log.local, log.ended) == (address, server.address, "eof")


def test_replies_do_not_wait_for_nagle() -> None:
    """Accepted sockets have TCP_NODELAY from their listening socket."""
    with (
        listen(Listener(port=0)) as listening,
        socket.create_connection(listening.getsockname()[:2]),
    ):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_pipelining(kind: str) -> None:
    """A whole session in one write is answered in order, with DATA's reply in its place."""
    with running(reader=Reader(kind)) as server, server.connect() as client:
        client.sendall(ENVELOPE + b"DATA\r\n")
        assert read_lines(client, 9)[-1][:3] == b"354"
        client.sendall(b"x\r\n.\r\nRSET\r\nQUIT\r\n")
        assert [line[:3] for line in read_all(client).splitlines()] == [b"250", b"250", b"221"]
        assert server.log().ended == "quit"


@pytest.mark.parametrize("kind", KINDS)
def test_slow_sender(kind: str) -> None:
    """A session that comes a byte at a time is a session like any other."""
    with running(reader=Reader(kind)) as server, server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in ENVELOPE + b"DATA\r\n.a\r\n.\r\nQUIT\r\n":
            client.send(bytes((byte,)))
        assert read_all(client).endswith(b"closing\r\n")
        log = server.log()
    assert [m.sha256 for m in log.messages] == [hashlib.sha256(b".a\r\n.\r\n").hexdigest()]


def test_thousand_connections_at_once() -> None:
    """A thousand clients are open at the same time, and each gets its own message logged."""
    count = 1000
    raise_descriptor_limit(2 * count + 100)
    with running(limits=Limits(connections=count)) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(count)]
        for client in clients:
            assert read_lines(client, 1)[0].startswith(b"220")
        with server.connect() as one_more:
            assert read_all(one_more).startswith(b"421")
        assert server.log().ended == "limit connections"
        for number, client in enumerate(clients):
            client.sendall(ENVELOPE + b"DATA\r\n%d\r\n.\r\nQUIT\r\n" % number)
        for client in clients:
            assert b"\r\n354 " in read_all(client)
        logs = [server.log() for _ in clients]
    expected = {hashlib.sha256(b"%d\r\n.\r\n" % n).hexdigest() for n in range(count)}
    assert {log.messages[0].sha256 for log in logs} == expected
    assert {log.ended for log in logs} == {"quit"}


def test_two_hundred_threads() -> None:
    """The recv loop serves many connections at once too, and refuses one above its limit."""
    count = 200
    limits = Limits(connections=count)
    with running("smtp", Reader("recv-loop"), limits) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(count)]
        for client in clients:
            assert read_lines(client, 1)[0].startswith(b"220")
        with server.connect() as one_more:
            assert read_all(one_more).startswith(b"421")
        for client in clients:
            client.sendall(b"QUIT\r\n")
        assert sorted(server.log().ended for _ in range(count + 1)) == [
            "limit connections",
            *["quit"] * count,
        ]


# Reading ---------------------------------------------------------------------------------


def test_event_loop_reads_on_while_the_buffer_is_full() -> None:
    """As uv__read does: full buffers until one is not filled, all from one wait."""
    with running("raw", Reader(buffer_bytes=1000)) as server, server.connect() as client:
        client.sendall(b"x" * 3500)
        client.shutdown(socket.SHUT_WR)
        log = server.log()
    assert [end - start for _, start, end in log.reads] == [1000, 1000, 1000, 500]


def test_event_loop_serves_ready_sockets_in_turn() -> None:
    """At most 32 reads a turn, as uv__read has it, and then the next socket's."""
    logs: list[ConnectionLog] = []

    def on_end(log: ConnectionLog) -> None:
        logs.append(log)
        if len(logs) == 2:
            server.stop()

    reader = Reader(buffer_bytes=100)
    server = Server([Listener(port=0, protocol="raw", reader=reader)], Limits(), on_end)
    for _ in range(2):
        with socket.create_connection(server.addresses[0]) as client:
            client.sendall(b"x" * 4000)
    server.run()
    order = sorted((t_ns, log.number) for log in logs for t_ns, _, _ in log.reads)
    turns = [len(list(group)) for _, group in groupby(order, key=itemgetter(1))]
    assert turns == [32, 32, 8, 8]


def test_a_turn_merges_what_arrives_meanwhile() -> None:
    """A busy callback holds its own connection back, and nobody else's."""
    turn_us = 300_000
    with running("smtp", Reader(turn_us=turn_us)) as server, server.connect() as busy:
        busy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_lines(busy, 1)
        busy.sendall(b"NOOP\r\n")
        read_lines(busy, 1)  # so the first read is over, and its turn has begun
        busy.sendall(b"NOOP\r\n")
        busy.sendall(b"NOOP\r\n")
        with server.connect() as other:
            other.sendall(b"QUIT\r\n")
            read_all(other)
        others = server.log()
        read_lines(busy, 2)
        busy.sendall(b"QUIT\r\n")
        read_all(busy)
        log = server.log()
    assert [end - start for _, start, end in log.reads] == [6, 12, 6]
    first_ns, second_ns, _ = (t_ns for t_ns, _, _ in log.reads)
    assert second_ns - first_ns >= turn_us * 1000
    assert others.reads[0][0] < second_ns


def test_a_loop_that_comes_late_reads_what_arrived_meanwhile_at_once() -> None:
    """With ``wake_us`` each read waits for its time, and holds all that came within it."""
    wake_us = 200_000
    with running("raw", Reader(wake_us=wake_us)) as server, server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun_ns = time.monotonic_ns()
        client.sendall(b"a" * 700)
        client.sendall(b"b" * 300)
        client.shutdown(socket.SHUT_WR)
        read_all(client)
        log = server.log()
    assert [end - start for _, start, end in log.reads] == [1000]
    assert log.reads[0][0] - begun_ns >= wake_us * 1000


# Limits and faults -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("limits", "sent", "ended"),
    [
        (Limits(idle_s=0.05), b"NOOP\r\n", "idle"),
        (Limits(session_s=0.05), b"NOOP\r\n", "limit session_s"),
        (Limits(errors=2), b"\xff\xfe\x00\r\n\x1b[2J\r\n", "limit errors"),
        (Limits(log_bytes=1024), MESSAGE * 3, "limit log_bytes"),
    ],
)
def test_refused_clients_get_421(kind: str, limits: Limits, sent: bytes, ended: str) -> None:
    """Who is refused hears 421 before the connection closes, and the log says why."""
    with running(reader=Reader(kind), limits=limits) as server, server.connect() as client:
        client.sendall(sent)
        replies = read_all(client).splitlines()
        assert replies[-1].startswith(b"421 ")
        client.close()
        assert server.log().ended == ended


@pytest.mark.parametrize("kind", KINDS)
def test_idle_raw_connection_is_closed(kind: str) -> None:
    """Raw TCP has no reply, so an idle client only sees the end."""
    limits = Limits(idle_s=0.05)
    with running("raw", Reader(kind), limits) as server, server.connect() as client:
        client.sendall(b"abc")
        assert read_all(client) == b""
        client.close()
        log = server.log()
    assert log.ended == "idle"
    assert not log.messages
    assert log.unfinished == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_endless_line(kind: str) -> None:
    """An endless line is refused at once, and the session can go on after it."""
    with running(reader=Reader(kind)) as server, server.connect() as client:
        read_lines(client, 1)
        client.sendall(b"A" * 2_000_000)
        assert read_lines(client, 1) == [b"500 Line too long"]
        client.sendall(b"\r\nQUIT\r\n")
        assert read_all(client).startswith(b"221")
        log = server.log()
    assert log.reads[-1][2] == 2_000_008


@pytest.mark.parametrize("kind", KINDS)
def test_vanishing_client(kind: str) -> None:
    """A reset in mid-message is logged as such, with what had come."""
    with running(reader=Reader(kind)) as server:
        client = server.connect()
        client.sendall(ENVELOPE + b"DATA\r\n")
        read_lines(client, 9)
        client.sendall(b"half a")
        client.sendall(b"\r\n.")
        reset(client)
        log = server.log()
    assert log.ended == "reset"
    assert log.messages == []
    assert log.refused is None


@pytest.mark.parametrize("kind", KINDS)
def test_client_that_never_reads(kind: str) -> None:
    """Replies that nobody takes stop the reading, so memory stays bounded; then time is up."""
    limits = Limits(idle_s=0.3)
    with running(reader=Reader(kind), limits=limits) as server, server.connect() as client:
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 -- until it is
            while True:
                client.sendall(HELLO * 10_000)
        log = server.log()
    assert log.ended == "idle"


@pytest.mark.parametrize("kind", KINDS)
def test_client_that_reads_late(kind: str) -> None:
    """Replies that had to wait all arrive, in order, once the client reads."""
    count = 120_000  # 10 MB of replies: more than the socket buffers hold
    with running(reader=Reader(kind, buffer_bytes=1000)) as server, server.connect() as client:
        commands = b"HELP\r\n" * count + b"QUIT\r\n"
        sender = threading.Thread(target=client.sendall, args=(commands,))
        sender.start()
        sender.join(0.1)  # a head start, so that replies pile up
        codes = [line[:3] for line in read_all(client).splitlines()]
        sender.join(PATIENCE_S)
        log = server.log()
    assert codes == [b"220", *[b"214"] * count, b"221"]
    assert (log.ended, log.reads[-1][2]) == ("quit", len(commands))


def test_rubbish() -> None:
    """Binary rubbish ends with the limit of errors, and with printable replies."""
    rubbish = os.urandom(500_000)
    with running() as server, server.connect() as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(rubbish)
        assert re.fullmatch(rb"(?:[245][0-9]{2}[ -][ -~]*\r\n)+", read_all(client))
        client.close()
        assert server.log().ended == "limit errors"


def test_out_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no descriptor is left, waiting clients are closed, and the server goes on."""
    dropped = []

    class Exhausted(loop.SpareDescriptor):
        def drop_one(self, listening: socket.socket) -> bool:
            dropped.append(listening)
            return super().drop_one(listening)

    accept = socket.socket.accept

    def failing(sock: socket.socket) -> tuple[socket.socket, Any]:
        if not dropped:
            raise OSError(24, "Too many open files")
        return accept(sock)

    monkeypatch.setattr(loop, "SpareDescriptor", Exhausted)
    with running() as server:
        monkeypatch.setattr(socket.socket, "accept", failing)
        with server.connect() as client:
            assert read_all(client) == b""
        with server.connect() as client:
            assert read_lines(client, 1)[0].startswith(b"220")
        assert len(dropped) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_shutdown_logs_open_connections(kind: str) -> None:
    """A server that stops tells its clients, and logs what they sent."""
    with running(reader=Reader(kind)) as server, server.connect() as client:
        client.sendall(b"NOOP\r\n")
        read_lines(client, 2)
        server.stop()
        assert read_all(client).startswith(b"421")
        log = server.log()
    assert log.ended == "shutdown"
    assert len(log.reads) == 1


def test_failing_log_stops_the_server() -> None:
    """A log that cannot be written is an error of the server, not a lost line."""

    def full(_log: ConnectionLog) -> None:
        raise OSError(28, "No space left on device")

    server = Server([Listener(port=0)], Limits(), full)
    with socket.create_connection(server.addresses[0]) as client:
        client.sendall(b"QUIT\r\n")
        with pytest.raises(OSError, match="No space left"):
            server.run()
