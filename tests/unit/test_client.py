"""The lab's client: real sockets over loopback, a channel whose other end is the test."""

import hashlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from seglab.errors import InputError
from seglab.kernel import client, client_session
from seglab.kernel.channel import Channel, ChannelMessage
from seglab.sender.script import ScriptError

HERE = Path(__file__).parent
PATIENCE_S = 20.0
FLOWS = count(1)  # a number is never used again, as in a lab


class Lone:
    """A client of its own process, and a listening socket for it to speak to."""

    def __init__(self, channel: Channel, listener: socket.socket) -> None:
        self.channel = channel
        self.listener = listener
        self.flow = 0
        self.peers = ExitStack()

    def send(self, *script: tuple[Any, ...], **job: Any) -> socket.socket:
        """Start a session with these steps; its connection, as its server sees it."""
        self.order(*script, **job)
        peer, _ = self.listener.accept()
        peer.settimeout(PATIENCE_S)
        return self.peers.enter_context(peer)

    def order(self, *script: tuple[Any, ...], **job: Any) -> None:
        """Ask for a session with these steps."""
        self.flow = next(FLOWS)
        host, port = self.listener.getsockname()
        usual = {
            "sender": "scripted",
            "parameters": {},
            "nodelay": True,
            "time_limit_s": PATIENCE_S,
            "round_trip_s": 0.0,
            "bw_mbit": None,
        }
        addresses = {"client": "127.0.0.1", "server": host, "port": port}
        self.channel.send({"job": usual | addresses | job | {"flow": self.flow, "script": script}})

    def result(self) -> ChannelMessage:
        """How the next session to end did so."""
        message = self.channel.receive()
        assert message is not None, "the client has ended"
        result: ChannelMessage = message["result"]
        return result


@pytest.fixture(scope="module")
def process() -> Iterator[Channel]:
    """One client for all tests, as in a lab: what one session does must not touch the next."""
    channel, theirs = Channel.pair()
    with theirs:
        started = subprocess.Popen(
            [sys.executable, str(HERE / "lone_client.py"), str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        )
    yield channel
    channel.close()
    assert started.wait(PATIENCE_S) == 0


@pytest.fixture
def lone(process: Channel) -> Iterator[Lone]:
    """The client, and a listener that waits only so long."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        made = Lone(process, listener)
        with made.peers:
            yield made


def read_all(peer: socket.socket) -> bytes:
    """What comes until the client has said all."""
    data = bytearray()
    while chunk := peer.recv(1 << 20):
        data += chunk
    return bytes(data)


def test_writes_are_recorded_at_the_call(lone: Lone) -> None:
    """Each with its range in the connection's stream; the payload has a range and a digest."""
    peer = lone.send(("write", b"DATA\r\n", False), ("write", b"one"), ("write", b"three"))
    assert read_all(peer) == b"DATA\r\nonethree"
    peer.close()
    result = lone.result()
    assert result["error"] is None
    assert [write[1:] for write in result["writes"]] == [[0, 6], [6, 9], [9, 14]]
    times = [result["t0_ns"], *(write[0] for write in result["writes"]), result["t_end_ns"]]
    assert times == sorted(times)
    assert result["payload"] == [6, 14]
    assert result["sha256"] == hashlib.sha256(b"onethree").hexdigest()


def test_a_write_that_the_buffer_cannot_take_stays_one_write(lone: Lone) -> None:
    """As a blocking write: the rest follows before the next step does, in order, as one record."""
    lone.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    large = random.Random(1).randbytes(12 << 20)  # more than both socket buffers can grow to
    peer = lone.send(("write", large), ("write", b"the end"))
    assert peer.recv(1, socket.MSG_PEEK)
    other = lone.send(("write", b"meanwhile"))
    assert read_all(other) == b"meanwhile"  # the full buffer holds up nobody else
    other.close()
    assert lone.result()["flow"] == lone.flow
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # the rest may come at once
    assert read_all(peer) == large + b"the end"
    peer.close()
    result = lone.result()
    assert result["error"] is None
    assert [write[1:] for write in result["writes"]] == [
        [0, len(large)],
        [len(large), len(large) + 7],
    ]
    assert result["sha256"] == hashlib.sha256(large + b"the end").hexdigest()


def test_a_wait_is_kept(lone: Lone) -> None:
    """The next write comes so much later, and not at once."""
    peer = lone.send(("write", b"a"), ("wait", 0.05), ("write", b"b"))
    assert read_all(peer) == b"ab"
    peer.close()
    first, second = lone.result()["writes"]
    assert second[0] - first[0] >= 50_000_000


def test_a_reply_may_have_many_lines_and_come_in_pieces(lone: Lone) -> None:
    """The next step waits for the last line of it (RFC 5321, 4.2.1)."""
    peer = lone.send(("expect", 250), ("write", b"next"), ("expect", 354), ("write", b"last"))
    for piece in (b"250-si", b"ze\r\n250-8BITMIME\r\n2", b"50 HELP\r", b"\n354 go", b" on\r\n"):
        peer.sendall(piece)
    assert read_all(peer) == b"nextlast"
    peer.close()
    assert lone.result()["error"] is None


def test_replies_may_come_before_they_are_awaited(lone: Lone) -> None:
    """What is already here is not waited for."""
    peer = lone.send(("wait", 0.05), ("expect", 220), ("expect", 250), ("write", b"x"))
    peer.sendall(b"220 a\r\n250 b\r\n")
    assert read_all(peer) == b"x"
    peer.close()
    assert lone.result()["error"] is None


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"554 no\r\n", "the server replied b'554 no' where 250 was expected"),
        (b"250-a\r\n554 no\r\n", "the server replied b'554 no' where 250 was expected"),
        (b"\xff\xfe\r\n", "the server replied b'\\xff\\xfe' where 250 was expected"),
        (b"\r\n", "the server replied b'' where 250 was expected"),
        (bytes(70_000), "the server's reply is longer than 65536 bytes"),
    ],
)
def test_a_wrong_reply_ends_the_session(lone: Lone, reply: bytes, error: str) -> None:
    """The reason has what was said and what was expected; the connection is reset."""
    peer = lone.send(("expect", 250), ("write", b"never"))
    peer.sendall(reply)
    result = lone.result()
    assert (result["error"], result["writes"]) == (error, [])
    with pytest.raises(ConnectionResetError):
        peer.recv(1)
    peer.close()


def test_a_server_that_closes_early(lone: Lone) -> None:
    """While the sender still pauses: failed at once, with what had been written."""
    peer = lone.send(("write", b"a"), ("wait", PATIENCE_S), ("write", b"b"))
    assert peer.recv(1) == b"a"
    peer.close()
    result = lone.result()
    assert result["error"] == "the server closed the connection early"
    assert [write[1:] for write in result["writes"]] == [[0, 1]]


def test_a_server_that_resets(lone: Lone) -> None:
    """In the middle of a large write."""
    peer = lone.send(("write", bytes(12 << 20)))
    peer.recv(1)
    peer.close()  # with data unread: RST
    assert lone.result()["error"] in ("socket: Connection reset by peer", "socket: Broken pipe")


def test_nobody_listens(lone: Lone) -> None:
    """A connection that is refused is one session's failure."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    lone.order(("write", b"x"), port=port)
    assert lone.result()["error"] == "connect: Connection refused"


def test_the_time_limit(lone: Lone) -> None:
    """A session that waits for ever for a reply ends at its limit, and not before."""
    peer = lone.send(("expect", 220), time_limit_s=0.2)
    result = lone.result()
    assert result["error"] == "time limit reached"
    assert result["t_end_ns"] - result["t0_ns"] >= 200_000_000
    peer.close()


def test_the_time_limit_leaves_out_what_the_session_needs(lone: Lone) -> None:
    """The sender's own pauses do not use it up."""
    peer = lone.send(("wait", 0.3), ("write", b"x"), time_limit_s=0.1)
    assert read_all(peer) == b"x"
    peer.close()
    assert lone.result()["error"] is None


def test_the_pause_of_a_dead_session_wakes_no_other(lone: Lone) -> None:
    """The next session has the same descriptor; the first one's pause must not drive it."""
    peer = lone.send(("write", b"a"), ("wait", 0.4), ("write", b"b"))
    assert peer.recv(1) == b"a"
    peer.close()
    assert lone.result()["error"] == "the server closed the connection early"
    heir = lone.send(("expect", 220), ("write", b"too early"))
    later = lone.send(("wait", 0.5))
    assert read_all(later) == b""  # by now the dead session's pause is over
    later.close()
    assert lone.result()["flow"] == lone.flow
    heir.setblocking(False)
    with pytest.raises(BlockingIOError):
        heir.recv(100)
    heir.settimeout(PATIENCE_S)
    heir.sendall(b"220 now\r\n")
    assert read_all(heir) == b"too early"
    heir.close()
    assert lone.result()["error"] is None


def test_a_sign_of_life(lone: Lone) -> None:
    """The lab asks whether the client still listens."""
    lone.channel.send({"ping": 7})
    assert lone.channel.receive() == {"pong": 7}


# What a sender may do wrong --------------------------------------------------------------

JOB: ChannelMessage = {
    "sender": "odd",
    "parameters": {},
    "message": {},
    "message_seed": 1,
}


def test_a_sender_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry's own words."""

    def unknown(name: str) -> None:
        raise InputError(f"unknown sender {name!r}")

    monkeypatch.setattr(client, "sender_named", unknown)
    with pytest.raises(ScriptError, match=r"^unknown sender 'odd'$"):
        client.steps_of(JOB)


def test_the_client_speaks_only_to_the_labs_server() -> None:
    """Whatever address a job has."""
    for address in ("127.0.0.1", "192.0.2.1", "10.0.0.1", "::1"):
        with pytest.raises(client_session.SessionError, match="not an address of the lab's server"):
            client_session.check_peer(address)
    client_session.check_peer("10.64.0.1")
