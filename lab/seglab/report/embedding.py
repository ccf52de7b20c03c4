"""The sessions of a run as the report's page holds them: small, and safe inside a script element.

``report.js`` decodes this format. Each string is stored once in a table, and rows hold its index.
Times are microseconds since the session's first write; each is stored as the difference to the
time before it. A range of bytes is stored as the gap after the range before it (0 in a stream
without gaps) and its length:

    row       id (the text itself), scenario, sender, network, verdict, facts, error, variant
              (indices of strings), mtu, mss, payload bytes, writes, segments, reads, mtu changes,
              captures
    writes    t, gap, bytes for each write; reads have the same form
    segments  t sent, time on the way (-1: never arrived), gap, bytes, flags, for each
              segment
    changes   t, mtu for each change of the path's MTU
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seglab.core.record import SessionRecord
from seglab.core.trace import Read, Segment, Write
from seglab.report.figures import captures_of

BYTES_AT_MOST = 8_000_000
"""The limit of the text's length: 20 000 sessions of ten segments, which load in half a second."""

PSH, RETRANSMISSION, DROPPED, REASON_SHIFT = 1, 2, 4, 3

VerdictOf = Callable[[SessionRecord], str]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The text for the page, and how many sessions it holds.

    Attributes:
        text: JSON in which no HTML parser sees a tag or the end of a script.
        shown: the number of sessions in the text.
        left_out: the number of sessions that did not fit.
    """

    text: str
    shown: int
    left_out: int


@dataclass(slots=True)
class _Strings:
    """A table that holds each string once and returns its index."""

    table: dict[str, int] = field(default_factory=dict)

    def __call__(self, text: str) -> int:
        return self.table.setdefault(text, len(self.table))


def embed(
    grouped: Mapping[str, Sequence[SessionRecord]],
    verdicts: Mapping[str, VerdictOf],
    bytes_at_most: int = BYTES_AT_MOST,
) -> Embedded:
    """As many sessions as fit, as text.

    If not all fit, the first sessions of every group stay. A group is one sender on one network
    of one scenario; its failed and its complete sessions are two groups.

    Args:
        grouped: the sessions by scenario, in the order in which the page lists them.
        verdicts: for each scenario, the function that names a session's verdict.
        bytes_at_most: the limit for all rows together.
    """
    strings = _Strings()
    order = {id(r): i for i, r in enumerate(r for group in grouped.values() for r in group)}
    kept: list[tuple[int, str]] = []
    used = 0
    for record in _in_turn(grouped):
        row = _compact(_row(record, strings, verdicts[record.scenario](record)))
        used += len(row) + 1
        if used > bytes_at_most and kept:
            break
        kept.append((order[id(record)], row))
    rows = ",".join(row for _, row in sorted(kept))
    text = f'{{"strings":{_compact(list(strings.table))},"sessions":[{rows}]}}'
    return Embedded(_without_markup(text), len(kept), len(order) - len(kept))


def _in_turn(grouped: Mapping[str, Sequence[SessionRecord]]) -> Iterable[SessionRecord]:
    """The first session of each group, then the second of each, and so on."""
    turns: dict[tuple[str, ...], int] = defaultdict(int)
    ranked = []
    for records in grouped.values():
        for r in records:
            cell = (r.scenario, r.sender, r.network, r.variant, r.status)
            ranked.append((turns[cell], r))
            turns[cell] += 1
    return (record for _, record in sorted(ranked, key=lambda item: item[0]))


def _row(record: SessionRecord, strings: _Strings, verdict: str) -> list[Any]:
    zero_ns = record.writes[0].t_ns if record.writes else 0
    return [
        record.session_id,
        strings(record.scenario),
        strings(record.sender),
        strings(record.network),
        strings(verdict),
        strings(_facts(record)),
        strings(record.error or ""),
        strings(record.variant),
        record.mtu,
        record.mss,
        record.payload_bytes,
        _calls(record.writes, zero_ns),
        _segments(record.segments, zero_ns, strings),
        _calls(record.reads, zero_ns),
        _changes(record, zero_ns),
        list(captures_of(record)),
    ]


def _facts(record: SessionRecord) -> str:
    """The other conditions of a session, in words."""
    window = "the kernel's" if record.initcwnd is None else str(record.initcwnd)
    words = [
        f"style {record.style}" + (f", end of data {record.terminator}" * bool(record.terminator)),
        f"path {record.path_condition}",
        f"timestamps {'on' if record.timestamps else 'off'}",
        f"Nagle {'off' if record.nodelay else 'on'}",
        f"initial window {window}",
    ]
    if record.congestion_control:
        words.append(record.congestion_control)
    if record.client_tcp not in {"", "kernel"}:
        words.append(f"client's TCP {record.client_tcp}")
    if record.reader:
        words.append(f"{record.reader} reader with {record.buffer_bytes} bytes")
    if record.parameters not in {"", "{}"}:
        words.append(f"parameters {record.parameters}")
    return "; ".join(words)


def _calls(calls: Sequence[Write | Read], zero_ns: int) -> list[int]:
    found, before_us, end = [], 0, 0
    for call in calls:
        t_us = _us(call.t_ns - zero_ns)
        found += [t_us - before_us, call.start - end, call.end - call.start]
        before_us, end = t_us, call.end
    return found


def _segments(segments: Sequence[Segment], zero_ns: int, strings: _Strings) -> list[int]:
    found, before_us, end = [], 0, 0
    for s in segments:
        sent_us = _us(s.t_sent_ns - zero_ns)
        way_us = -1 if s.t_arrived_ns is None else _us(s.t_arrived_ns - zero_ns) - sent_us
        flags = PSH * s.psh | RETRANSMISSION * s.retransmission | DROPPED * s.dropped
        if s.drop_reason:
            flags |= (strings(s.drop_reason) + 1) << REASON_SHIFT
        found += [sent_us - before_us, way_us, s.start - end, s.end - s.start, flags]
        before_us, end = sent_us, s.end
    return found


def _changes(record: SessionRecord, zero_ns: int) -> list[int]:
    return [n for c in record.mtu_changes for n in (_us(c.t_ns - zero_ns), c.mtu)]


def _us(t_ns: int) -> int:
    return round(t_ns / 1000)


_compact = json.JSONEncoder(separators=(",", ":")).encode
"""Writes JSON without spaces, in ASCII."""


def _without_markup(text: str) -> str:
    """JSON in which ``<``, ``>`` and ``&`` are escapes; other than ASCII is escaped already."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
