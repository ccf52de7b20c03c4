"""From what was seen of a program's session to the reports that an emulated session has: pure.

A session has one connection with one message. A program may do otherwise; then the session failed,
and its error says what the program did.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from seglab.core.text import safe
from seglab.frames import packets
from seglab.frames.headers import parse_tcp
from seglab.frames.packets import Packet
from seglab.kernel import lab_process
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.flow import FRAME
from seglab.kernel.program.dialogue import dialogue, ranges
from seglab.mail.chunked import first_chunk_bytes
from seglab.mail.header_layout import header_layout, structure_of

_SHOWN_BYTES = 200
_COMMAND_MAX_BYTES = 512  # RFC 5321, 4.5.3.1.4


def connection_of_message(connections: Sequence[ChannelMessage]) -> ChannelMessage | None:
    """Return the first connection with a message, or the first one; ``None`` without any."""
    with_message = [c for c in connections if c["payloads"]]
    begun = [c for c in connections if c["unfinished"]]
    return next(iter([*with_message, *begun, *connections]), None)


def frames_of(frames: Iterable[Sequence[Any]], client_port: int) -> list[Sequence[Any]]:
    """Return the frames of one connection, and those that are no TCP."""
    found = []
    for frame in frames:
        tcp = parse_tcp(frame[FRAME])
        if tcp is None or client_port in (tcp.source_port, tcp.destination_port):
            found.append(frame)
    return found


def client_report(
    result: ChannelMessage,
    connections: Sequence[ChannelMessage],
    chosen: ChannelMessage | None,
    frames: Sequence[Sequence[Any]],
) -> ChannelMessage:
    """Return what the emulating client would have reported of this session.

    Args:
        result: what the program's client reports.
        connections: the server's records of all connections of the session.
        chosen: the one that the session's row is about.
        frames: the frames of that connection, as the wire recorded them.
    """
    sent = packets.join_frames(frames)
    handshake = packets.handshake(sent)
    start, end = _payload(chosen)
    payload = sent_bytes(sent, start, end)
    layout = header_layout(payload)
    first_chunk = first_chunk_bytes(sent_bytes(sent, max(0, start - _COMMAND_MAX_BYTES), start))
    seen = None if chosen is None else _recorded(result, chosen)
    calls = [] if seen is None else seen["calls"]
    options = [] if seen is None else seen["options"]
    # A daemon may have connected before it was handed the message.
    t0_ns: int = min([result["t0_ns"], *(call[0] for call in (*calls, *options))])
    return {
        "flow": result["flow"],
        "t0_ns": t0_ns,
        "t_end_ns": result["t_end_ns"],
        "writes": [(t_ns, a, b) for t_ns, _, a, b, *_ in calls if b > a],
        "payload": [start, end],
        "sha256": hashlib.sha256(payload).hexdigest(),
        "mss": 0 if handshake is None else handshake.mss,
        "timestamps": handshake is not None and handshake.timestamps,
        "error": next(_faults(result, connections, chosen, seen), None),
        "header_end": layout.header_end,
        "header_fields": [(field.name, field.start, field.end) for field in layout.fields],
        "program": {
            "calls": list(_payload_calls(calls, start, end, t0_ns)),
            "options": [(t - t0_ns, *rest) for t, *rest in options],
            "exit_code": result["exit_code"],
            "output": result["output"],
            "structure": structure_of(
                payload,
                next((start - a for _, _, a, b, *_ in calls if a <= start < b), 0),
                first_chunk,
            ),
            "notes": result["notes"],
            "dialogue": _dialogue(sent, calls, (start, end), seen, chosen),
        },
    }


def sent_bytes(sent: Iterable[Packet], start: int, end: int) -> bytes:
    """Return the bytes ``start:end`` of the client's stream, as they were on the wire."""
    found = bytearray(end - start)
    for piece in packets.stream_ranges(sent):
        if piece.start < end and piece.end > start and piece.packet.tcp is not None:
            at = piece.packet.tcp.payload_start
            data = piece.packet.frames[0].raw[at : at + piece.end - piece.start]
            low, high = max(piece.start, start), min(piece.end, end)
            found[low - start : high - start] = data[low - piece.start : high - piece.start]
    return bytes(found)


def _dialogue(
    sent: Sequence[Packet],
    calls: Sequence[Sequence[Any]],
    payload: tuple[int, int],
    seen: ChannelMessage | None,
    chosen: ChannelMessage | None,
) -> list[str]:
    """Return what the program said beside the message, with names for the lab's addresses."""
    if seen is None or chosen is None:
        return []
    data = {part: sent_bytes(sent, *part) for part in ranges(payload, seen["written"])}
    return dialogue(calls, payload, data, {chosen["peer"][0]: "CLIENT", chosen["local"][0]: "HOST"})


def _payload(chosen: ChannelMessage | None) -> tuple[int, int]:
    if chosen is None:
        return 0, 0
    spans = [*chosen["payloads"], *filter(None, [chosen["unfinished"]])]
    start, end = spans[0] if spans else (0, 0)
    return start, end


def _payload_calls(
    calls: Iterable[Sequence[Any]], start: int, end: int, t0_ns: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the calls that wrote some of the payload, or failed to, counted as its ranges are."""
    for t_ns, name, a, b, asked, result, flags in calls:
        low, high = max(a, start), min(b, end)
        if low < high or (a == b and start <= a <= end and start < end):
            yield t_ns - t0_ns, name, low - start, high - start, asked, result, flags


def _recorded(result: ChannelMessage, chosen: ChannelMessage) -> ChannelMessage | None:
    """Return what the recorder saw of a connection that the server logged."""
    found: list[ChannelMessage] = result.get("connections", [])
    port = chosen["peer"][1]
    by_port = [one for one in found if one["port"] == port]
    unknown = [one for one in found if not one["port"]]
    return next(iter([*by_port, *unknown]), None)


def _faults(
    result: ChannelMessage,
    connections: Sequence[ChannelMessage],
    chosen: ChannelMessage | None,
    seen: ChannelMessage | None,
) -> Iterator[str]:
    """Yield why the session failed, the most telling reason first; nothing where it did not."""
    how = _how_it_ended(result)
    messages = sum(len(c["payloads"]) for c in connections)
    if result["error"] is not None:
        yield f"{result['error']}{_left(result)}"
    if chosen is None:
        tried = result.get("elsewhere") or []
        instead = f"; it tried {', '.join(dict.fromkeys(tried))}" if tried else ""
        yield f"the program never connected to the server{instead}; {how}"
        return
    if messages > 1:
        yield (
            f"the program sent {messages} messages over {len(connections)} connections; a session "
            "has one"
        )
    if together := _at_once(connections):
        yield f"the program had {together} connections at once; a session has one"
    if not messages:
        begun = "only a part of a message" if chosen["unfinished"] else "no message"
        yield f"{begun} reached the server; {how}"
    if result["left"]:
        yield f"the program left processes behind{_left(result)}"
    if (result["exit_code"] or 0) < 0:
        yield how
    yield from _unrecorded(result, chosen, seen)


def _unrecorded(
    result: ChannelMessage, chosen: ChannelMessage, seen: ChannelMessage | None
) -> Iterator[str]:
    """Yield what the recorder did not see of a connection that the server logged."""
    read = chosen["reads"][-1][2] if chosen["reads"] else 0
    if not result["recorded"]:
        yield "its writes were not recorded"
    elif seen is None:
        yield "the recorder did not see this connection; it was made past it, as by io_uring"
    elif seen["written"] != read:
        yield (
            f"the recorder saw {seen['written']} bytes written, and the server read {read}: others "
            "were written past it, as by io_uring"
        )


def _at_once(connections: Iterable[ChannelMessage]) -> int:
    """Return how many connections stood at one time; 0 where no two did."""
    changes = [(c["t_accept_ns"], 1) for c in connections]
    changes += [(c["t_end_ns"], -1) for c in connections]
    standing = most = 0
    for _, change in sorted(changes):
        standing += change
        most = max(most, standing)
    return most if most > 1 else 0


def _how_it_ended(result: ChannelMessage) -> str:
    code = result["exit_code"]
    if code is None:
        return "the program was still running"
    words = f"the program {lab_process.how_it_ended(code)}"
    last = result["output"].strip().splitlines()[-1:]
    return f"{words} and last printed: {safe(last[0][:_SHOWN_BYTES])}" if last else words


def _left(result: ChannelMessage) -> str:
    names = result["left"]
    return f": {', '.join(names)}" if names and result["exit_code"] is not None else ""
