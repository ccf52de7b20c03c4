"""Captures: conversations whose packets, headers, blocks or bytes are changed.

Whatever comes in, both forms of the inner loop give the same, in one piece and in many. Where the
network did no more than repeat segments, every message has all its bytes.
"""

import json
import struct
from random import Random
from typing import Final
from zlib import crc32

from fuzz.dialogues import careless, proper, segments
from fuzz.kind import Kind, Refusal, outcome
from fuzz.mutation import EDGES, around, changed_bytes
from fuzz.packets import (
    ACK,
    FIN,
    LINKS,
    PACKINGS,
    RST,
    SYN,
    TUNNELS,
    Frame,
    Packet,
    block,
    pcap,
    pcapng,
)
from seglab.capture.backend import Core, compiled, pure
from seglab.capture.reader import Capture
from seglab.core.observation import SIZE_MAX, Observation

_Read = tuple[list[Observation], list[str]]
_JUNK_OPTIONS = (
    *(b"\2\4\0\0", b"\2\3\5", b"\2\0", b"\3\3\xff", b"\x08\x0a", b"\xff\xff", b"\0", b"\1" * 40),
    *(b"\2\4\xff\xff", b"\x08\2", b"\5\x0a" + bytes(8)),
)


# --- changes of packets -----------------------------------------------------------------------


def changed_packets(random: Random, packets: list[Packet]) -> list[Packet]:
    """Return packets after what networks, hosts and liars do to them."""
    packets = list(packets)
    for _ in range(random.randint(0, 8)):
        if not packets:
            return packets
        at = random.randrange(len(packets))
        how = random.randrange(12)
        if how == 0:
            del packets[at : at + random.choice((1, 1, 2, 10))]
        elif how == 1:
            packets.insert(random.randrange(len(packets) + 1), packets[at])
        elif how == 2:
            other = min(len(packets) - 1, at + random.randint(1, 4))
            packets[at], packets[other] = packets[other], packets[at]
        elif how == 3:
            packets.insert(at + 1, _again(random, packets[at]))
        elif how == 4:
            packets.insert(at, _control(random, packets[at]))
        elif how == 5:
            packets[at] = _lying(random, packets[at])
        elif how == 6:
            _cut_from(random, packets, at)
        elif how == 7:
            _merge(packets, at)
        else:
            packets[at] = _renumbered(random, packets[at])
    return packets


def _copy(packet: Packet, **changes: object) -> Packet:
    values = {name: getattr(packet, name) for name in Packet.__slots__} | changes
    return Packet(**values)  # type: ignore[arg-type]


def _again(random: Random, packet: Packet) -> Packet:
    """Return a retransmission that begins and ends elsewhere, perhaps with other bytes."""
    low = random.randint(-30, 30)
    payload = packet.payload[max(0, low) :][: random.randint(0, 3000)]
    if random.random() < 0.2:
        payload = random.randbytes(len(payload))
    return _copy(packet, seq=packet.seq + low, payload=payload, t_ns=packet.t_ns + 1000)


def _control(random: Random, packet: Packet) -> Packet:
    flags = random.choice((SYN, SYN | ACK, RST, RST | ACK, FIN, FIN | ACK, 0, 0xFF, ACK, SYN | FIN))
    seq = packet.seq + random.choice((0, -1, 1, 1000, -1000, 1 << 31))
    way = random.randrange(2)
    payload = random.choice((b"", b"", b"x", packet.payload))
    return _copy(packet, flags=flags, seq=seq, way=way, payload=payload)


def _lying(random: Random, packet: Packet) -> Packet:
    name = random.choice(("total", "ihl", "version", "fragment", "protocol", "offset"))
    edge = random.choice(EDGES)
    value = random.choice((edge, random.randint(0, 80), len(packet.payload) + 40))
    if name == "protocol":
        value = random.choice((4, 6, 17, 41, 43, 44, 47, 50, 51, 60, 132, 0))
    return _copy(packet, lies=packet.lies | {name: value})


def _cut_from(random: Random, packets: list[Packet], at: int) -> None:
    """Keep fewer bytes of some packets, as a snap length does."""
    kept = random.choice((0, 14, 34, 54, 66, 68, 80, 96, 128, random.randint(0, 1500)))
    for index in range(at, min(len(packets), at + random.choice((1, 5, 1000)))):
        packets[index] = _copy(packets[index], kept=kept)


def _merge(packets: list[Packet], at: int) -> None:
    """Join a packet with the next ones of its host, as offload does."""
    while at + 1 < len(packets) and packets[at].way == packets[at + 1].way:
        first, second = packets[at], packets.pop(at + 1)
        payload = first.payload + second.payload
        if len(payload) > 60_000:
            return
        packets[at] = _copy(first, payload=payload, flags=first.flags | second.flags)


def _renumbered(random: Random, packet: Packet) -> Packet:
    name = random.choice(("seq", "ack", "window", "flags", "options", "t_ns", "ports", "payload"))
    if name == "options":
        options = random.choice(_JUNK_OPTIONS) + random.choice((b"", packet.options))
        return _copy(packet, options=options[:40])
    if name == "ports":
        return _copy(packet, ports=random.choice(((packet.ports[0], 587), packet.ports[::-1])))
    if name == "payload":
        return _copy(packet, payload=changed_bytes(random, packet.payload, 2))
    if name == "t_ns":
        return _copy(
            packet, t_ns=max(0, packet.t_ns + random.choice((-(10**9), 10**12, -(10**18))))
        )
    return _copy(packet, **{name: around(random, getattr(packet, name))})


# --- captures -------------------------------------------------------------------------------


def _frames(random: Random, packets: list[Packet], link: int, tunnels: list[str]) -> list[Frame]:
    frames = []
    for packet in packets:
        data = packet.ip()
        for tunnel in tunnels:
            data = TUNNELS[tunnel](data)
        frame = LINKS[link](random, data)
        if random.random() < 0.01:
            frame = changed_bytes(random, frame[:120], 2) + frame[120:]
        kept = len(frame) if packet.kept is None else min(packet.kept, len(frame))
        frames.append(Frame(packet.t_ns, frame, kept))
    return frames


def make(random: Random) -> bytes:
    """Return a capture of one conversation or some, changed on every layer."""
    packets: list[Packet] = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        talk = careless(random)
        port = random.choice((25, 25, 587, 2525, 3128, 1080, 465))
        one = segments(random, talk, port=port, v6=random.random() < 0.2)
        packets += changed_packets(random, one)
    if random.random() < 0.3:
        packets.sort(key=lambda packet: packet.t_ns)
    link = random.choice((1, 1, 101, *LINKS))
    tunnels = random.choices(list(TUNNELS), k=random.choice((0, 0, 0, 1, 1, 2, 9)))
    data = _container(random, _frames(random, packets, link, tunnels), link)
    if random.random() < 0.15:
        data = PACKINGS[random.choice(list(PACKINGS))](data)
        if random.random() < 0.5:
            data = changed_bytes(random, data, 2)
    elif random.random() < 0.1:
        data = changed_bytes(random, data)
    return data


def _container(random: Random, frames: list[Frame], link: int) -> bytes:
    order = random.choice("<<>")
    if random.random() < 0.5:
        nanoseconds = random.random() < 0.7
        data = bytearray(pcap(frames, link, order=order, nanoseconds=nanoseconds))
        if random.random() < 0.1 and frames:  # the length of a record lies
            at = 24
            for frame in frames[: random.randrange(len(frames))]:
                at += 16 + frame.kept
            lie = random.choice((0, 1, frames[0].kept + 1, 1 << 20, (1 << 32) - 1, 200_000))
            struct.pack_into(order + "I", data, at + random.choice((8, 12)), lie)
        return bytes(data)
    blocks = pcapng(random, frames, link, order)
    for _ in range(random.choice((0, 0, 1, 2))):
        at = random.randrange(len(blocks))
        how = random.randrange(5)
        if how == 0:
            del blocks[at]
        elif how == 1:
            blocks.insert(random.randrange(len(blocks) + 1), blocks[at])
        elif how == 2:
            kind = random.choice((1, 2, 3, 4, 5, 6, 0x0A0D0D0A, 0xFFFFFFFF))
            body = random.randbytes(random.choice((0, 4, 16, 24, 60)))
            size = random.choice((None, None, 0, 12, 13, 1 << 22, (1 << 22) + 4, (1 << 32) - 4))
            blocks.insert(at, block(kind, body, order, size))
        elif how == 3:
            blocks[at] = (
                blocks[at][:8] + changed_bytes(random, blocks[at][8:28], 2) + blocks[at][28:]
            )
        else:
            blocks[0:0] = blocks[:1]
        if not blocks:
            return b""
    return b"".join(blocks)


def _read(data: bytes, core: Core, size: int, protocol: str) -> _Read | Refusal:
    capture = Capture("x", core=core, protocol=protocol)  # type: ignore[arg-type]

    def read() -> _Read:
        found = []
        for at in range(0, len(data), size):
            found += capture.feed(data[at : at + size])
        return found + capture.close(), capture.notes

    return outcome(read)


def check(data: bytes) -> None:
    """The reader ends well, in the same way however it reads, and what it returns can be."""
    random = Random(crc32(data))
    protocol = random.choice(("smtp", "smtp", "smtp", "raw"))
    size = random.choice(
        (1 if len(data) < 3000 else 100, 7 if len(data) < 9000 else 500, 1000, 4096)
    )
    whole = _read(data, pure(), max(1, len(data)), protocol)
    other = compiled() or pure()
    for found in (
        _read(data, other, max(1, len(data)), protocol),
        _read(data, other, size, protocol),
        _read(data, pure(), size, protocol),
    ):
        assert found == whole, f"in pieces of {size}: {_difference(found, whole)}"
    if isinstance(whole, Refusal):
        assert whole.text.isprintable()
        return
    found, notes = whole
    assert len({one.id for one in found}) == len(found), "two messages with one id"
    assert all(note.isprintable() for note in notes)
    for one in found:
        possible(one)


def possible(one: Observation) -> None:
    """What is said of a message does not contradict itself, and can be stored."""
    assert one.sizes, "a message of no bytes"
    assert one.total_bytes <= SIZE_MAX
    assert one.header_end is None or one.header_end <= one.total_bytes
    at = 0
    for place in one.fields or ():
        assert at <= place.start < place.end <= one.total_bytes
        at = place.start
    assert one.mss is None or one.mss > 0
    assert one.hidden_bytes is None or 0 < one.hidden_bytes <= one.total_bytes
    assert all(note.isprintable() for note in one.notes)
    again = Observation.from_json(one.to_json())
    assert again.sizes == one.sizes
    assert again.t_ns == one.t_ns


def _difference(found: _Read | Refusal, whole: _Read | Refusal) -> str:
    if isinstance(found, Refusal) or isinstance(whole, Refusal):
        return f"{str(found)[:500]} / {str(whole)[:500]}"
    for one, other in zip(found[0], whole[0], strict=False):
        if one != other:
            return f"{one!r:.2000} / {other!r:.2000}"
    return f"{len(found[0])} / {len(whole[0])} messages, {found[1]} / {whole[1]}"


def units(data: bytes) -> list[bytes]:
    """Cut a pcap or pcapng file into its header and records; else into pieces."""
    order = (
        "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a") else ">"
    )
    is_ng = data[:4] == b"\x0a\x0d\x0d\x0a"
    if is_ng and data[8:12] == b"\x1a\x2b\x3c\x4d":
        order = ">"
    at = 0 if is_ng else 24
    parts = [] if is_ng else [data[:24]]
    while at < len(data):
        if is_ng:
            size = int.from_bytes(data[at + 4 : at + 8], "big" if order == ">" else "little")
        else:
            size = 16 + int.from_bytes(data[at + 8 : at + 12], "big" if order == ">" else "little")
        size = size if 12 <= size <= len(data) - at else len(data) - at
        parts.append(data[at : at + size])
        at += size
    return parts


# --- messages that are known --------------------------------------------------------------------


def make_known(random: Random) -> bytes:
    """Return a capture of a proper conversation with repeated segments, and what is in it."""
    talk = proper(random)
    packets = segments(random, talk, v6=random.random() < 0.2)
    for _ in range(random.randint(0, 6)):
        at = random.randrange(len(packets))
        again = packets[at]
        if again.payload:
            packets.insert(random.randint(at + 1, min(len(packets), at + 5)), again)
    link = random.choice(list(LINKS))
    tunnels = random.choices(list(TUNNELS), k=random.choice((0, 0, 1, 2)))
    frames = []
    for packet in packets:
        data = packet.ip()
        for tunnel in tunnels:
            data = TUNNELS[tunnel](data)
        frame = LINKS[link](random, data)
        frames.append(Frame(packet.t_ns, frame, len(frame)))
    # NFLOG's attributes are in the byte order of the capture; all the others know only one.
    order = "<" if link == 239 else random.choice("<>")
    if random.random() < 0.5:
        capture = pcap(frames, link, order=order)
    else:
        capture = b"".join(pcapng(random, frames, link, order))
    packing = random.choice((None, None, *PACKINGS))
    capture = PACKINGS[packing](capture) if packing else capture
    known = [len(message) for message in talk.messages]
    return json.dumps({"messages": known}).encode() + b"\n" + capture


def check_known(data: bytes) -> None:
    """Each message is there, complete, and has all its bytes and no others."""
    head, _, capture = data.partition(b"\n")
    expected = json.loads(head)["messages"]
    size = Random(crc32(data)).choice((500, 5000, len(capture)))
    for core in {pure(), compiled() or pure()}:
        found = _read(capture, core, size, "smtp")
        assert not isinstance(found, Refusal), found.text
        seen = [(one.total_bytes, one.complete) for one in found[0]]
        assert seen == [(count, True) for count in expected], f"{seen}, not {expected}: {found[1]}"
        for one in found[0]:
            possible(one)


CAPTURES: Final = Kind("captures", "captures that are changed on every layer", make, check, units)
KNOWN: Final = Kind(
    "messages", "captures whose messages are known", make_known, check_known, lambda data: [data]
)
