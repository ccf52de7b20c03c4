"""Messages between a lab's processes, however the bytes are cut, and when the other side ends."""

import socket
import struct
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.kernel.channel import Channel, ChannelMessage, Outbox

MESSAGES: list[ChannelMessage] = [
    {"ready": True},
    {"frame": bytes(5000)},
    {},
    {"flow": 1, "x": [1, None]},
]


def framed(*messages: object) -> bytes:
    """The messages as they stand on the socket: a length, then MessagePack."""
    encoded = [msgspec.msgpack.encode(message) for message in messages]
    return b"".join(struct.pack("!I", len(data)) + data for data in encoded)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the raw socket at its other end."""
    channel, theirs = Channel.pair()
    with theirs:
        yield channel, theirs
    channel.close()


@given(st.lists(st.integers(0, len(framed(*MESSAGES))), max_size=8))
def test_messages_survive_any_cut(cuts: list[int]) -> None:
    """The same messages come out, in order, wherever the stream is cut into pieces."""
    data = framed(*MESSAGES)
    channel, theirs = Channel.pair()
    received = []
    with theirs:
        edges = [0, *sorted(cuts), len(data)]
        for start, end in pairwise(edges):
            theirs.sendall(data[start:end])
            received += channel.drain()
    channel.close()
    assert received == MESSAGES


def test_one_byte_at_a_time(pair: tuple[Channel, socket.socket]) -> None:
    """Nothing is handed over before it is whole."""
    channel, theirs = pair
    data = framed({"a": 1})
    for byte in data[:-1]:
        theirs.sendall(bytes([byte]))
        assert channel.drain() == []
    theirs.sendall(data[-1:])
    assert channel.drain() == [{"a": 1}]


def test_what_was_sent_before_the_end_is_received(pair: tuple[Channel, socket.socket]) -> None:
    """End-of-file comes after the last whole message; half a message is none."""
    channel, theirs = pair
    theirs.sendall(framed({"last": 1}) + framed({"torn": 1})[:-1])
    theirs.close()
    assert channel.receive() == {"last": 1}
    assert not channel.ended
    assert channel.receive() is None
    assert channel.ended
    assert channel.drain() == []


@pytest.mark.parametrize(
    "rubbish",
    [b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x00", framed([1, 2]), framed("GET / HTTP/1.1")],
    ids=["no MessagePack", "empty", "a list", "text"],
)
def test_a_side_that_sends_rubbish_is_gone(
    pair: tuple[Channel, socket.socket], rubbish: bytes
) -> None:
    """What came before counts; nothing after it does, and nobody is asked to look again."""
    channel, theirs = pair
    theirs.sendall(framed({"good": 1}) + rubbish + framed({"late": 1}))
    assert channel.drain() == [{"good": 1}]
    assert channel.ended
    assert channel.drain() == []
    assert channel.receive() is None


def test_sending_to_a_side_that_is_gone(pair: tuple[Channel, socket.socket]) -> None:
    """The sender hears of it by an OSError."""
    channel, theirs = pair
    theirs.close()
    with pytest.raises(OSError, match="Broken pipe"):
        channel.send({"anybody": "there"})


def test_both_ways(pair: tuple[Channel, socket.socket]) -> None:
    """What a channel sends, a channel on the other end's descriptor receives."""
    channel, theirs = pair
    other = Channel.from_fd(theirs.detach())
    channel.send(MESSAGES[1])
    assert other.receive() == MESSAGES[1]
    other.send(MESSAGES[3])
    assert channel.receive() == MESSAGES[3]
    other.close()


def test_two_sides_that_post_do_not_wait_for_each_other() -> None:
    """Far more than the sockets hold, posted by both before either reads: all of it arrives."""
    ours, theirs = Outbox.pair()
    other = Outbox.from_fd(theirs.detach())
    expected = [{"number": number, "frame": bytes(500)} for number in range(2000)]
    for message in expected:
        ours.post(message)
        other.post(message)
    for sender, reader in ((ours, other), (other, ours)):
        assert sender.kept
        received: list[ChannelMessage] = []
        while len(received) < len(expected):
            sender.push()
            received += reader.drain()
        assert received == expected
        assert not sender.kept
    ours.close()
    other.close()


def test_posting_to_a_side_that_is_gone() -> None:
    """Nothing is kept for it, and flushing does not wait for it."""
    ours, theirs = Outbox.pair()
    ours.post({"frame": bytes(1 << 20)})
    assert ours.kept
    theirs.close()
    ours.flush()
    ours.post({"anybody": "there"})
    assert not ours.kept
    assert ours.receive() is None
    ours.close()
