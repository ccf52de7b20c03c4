"""Captures that seglab writes itself, of packets that a network lost, doubled and let come late.

The way is the lab's: frames on two links, joined to packets, written as two pcapng files, and read
again. Both files show each message with all its bytes, and the segments of the trace join to it.
"""

import json
from random import Random
from typing import Any, Final
from zlib import crc32

from fuzz.captures import possible
from fuzz.dialogues import proper, segments
from fuzz.kind import Kind
from fuzz.mutation import TEXTS
from fuzz.packets import FIN, SYN, Packet, ethernet
from seglab.capture.backend import best
from seglab.capture.reader import Capture
from seglab.frames import packets as lab_packets
from seglab.frames.pcapng import captures

_MS = 1_000_000
_WALL_NS = 1_700_000_000_000_000_000
_DELAYS_NS = (10 * _MS, 60 * _MS)
_ROUTER_NS = 20_000
_TURN_NS = 100 * _MS
"""Longer than the way: a host answers what has reached it."""

_COMMENT_MAX = 1000


def make(random: Random) -> bytes:
    """Return the wire's records of a conversation, and what is in it, as a line of JSON."""
    talk = proper(random)
    sent = _with_retransmissions(random, segments(random, talk, v6=random.random() < 0.2))
    records: list[list[Any]] = []
    t_ns, way = 0, 0
    for number, (packet, fate) in enumerate(sent):
        t_ns += random.choice((1000, _MS)) if packet.way == way else _TURN_NS
        way = packet.way
        records += _records(random, packet, fate, t_ns, number)
    stream = b"".join(data for way, data in talk.turns if way == 0)
    known = {
        "messages": [len(message) for message in talk.messages],
        "start": stream.index(talk.messages[0]),
        "comment": random.choice(TEXTS)[:_COMMENT_MAX],
        "records": records,
    }
    return json.dumps(known).encode()


def _with_retransmissions(random: Random, packets: list[Packet]) -> list[tuple[Packet, str]]:
    """Return the packets with the fate of each, and what was lost once more, some packets later."""
    sent, again = list[tuple[Packet, str]](), list[Packet]()
    # Without a handshake nobody knows that what comes first is not the beginning.
    begun = bool(packets[0].flags & SYN)
    for at, packet in enumerate(packets):
        may_be_lost = begun and packet.payload and not packet.flags & FIN
        fates = ("", "", "", "", "", "", "", "twice", "first", "router", "last")
        fate = random.choice(fates) if may_be_lost else ""
        sent.append((packet, fate))
        if fate in ("first", "router", "last"):
            again.append(packet)
        turns = at + 1 == len(packets) or packets[at + 1].way != packet.way
        if again and (turns or random.random() < 0.3):
            sent += [(one, "") for one in again]
            again.clear()
    return sent


def _records(random: Random, packet: Packet, fate: str, t_ns: int, number: int) -> list[list[Any]]:
    """Return what the wire records of a packet on its two links."""
    ip = bytearray(packet.ip())
    if not packet.v6:
        ip[4:6] = (number & 0xFFFF).to_bytes(2, "big")
    frame = ethernet(bytes(ip))
    ip[7 if packet.v6 else 8] -= 1
    behind = ethernet(bytes(ip))
    first, last = (0, 1) if packet.way == 0 else (1, 0)
    if fate == "first":
        return [[first, packet.way, t_ns, [], "loss", frame.hex()]]
    out_ns = t_ns + _DELAYS_NS[first]
    found: list[list[Any]] = [[first, packet.way, t_ns, [out_ns], None, frame.hex()]]
    if fate == "router":
        return found
    in_ns = out_ns + _ROUTER_NS
    arrivals = [] if fate == "last" else [in_ns + _DELAYS_NS[last]]
    if fate == "twice":
        arrivals.append(arrivals[0] + random.choice((1, 1000)))
    reason = "loss" if fate == "last" else None
    return [*found, [last, packet.way, in_ns, arrivals, reason, behind.hex()]]


def check(data: bytes) -> None:
    """No byte of a message is lost on the way into either file and out of it."""
    known = json.loads(data)
    records = [[*record[:-1], bytes.fromhex(record[-1])] for record in known["records"]]
    packets = lab_packets.join_frames(records)
    size = Random(crc32(data)).choice((700, 100_000))
    for vantage, file in captures(packets, _WALL_NS, known["comment"]).items():
        capture = Capture("x", core=best())
        found = []
        for at in range(0, len(file), size):
            found += capture.feed(file[at : at + size])
        found += capture.close()
        seen = [(one.total_bytes, one.complete) for one in found]
        expected = [(count, True) for count in known["messages"]]
        assert seen == expected, f"{vantage}: {seen}, not {expected}: {capture.notes}"
        for one in found:
            possible(one)
    opened = lab_packets.handshake(packets)
    if opened is None:
        return
    start, count = known["start"], known["messages"][0]
    made = lab_packets.segments(packets, start, start + count, 0)
    at = 0
    for segment in sorted(made, key=lambda one: one.start):
        if segment.t_arrived_ns is not None:
            assert segment.start <= at, f"bytes {at}:{segment.start} are in no segment"
            at = max(at, segment.end)
    assert at == count, f"{at} bytes of {count} are in segments"


OWN: Final = Kind("own", "captures that seglab writes", make, check, lambda data: [data])
