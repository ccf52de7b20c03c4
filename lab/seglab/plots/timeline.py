"""The figure of one session: its writes, segments and reads over time, and over the stream.

The upper part has a time axis: each segment is a line from the client, at the time when it was
sent, to the server, at the time when it arrived. The lower part shows the same three layers over
the bytes of the stream. There one sees which boundary of a layer is also a boundary of the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final, Self, TypeVar

from seglab.core.record import MtuChange, SessionRecord
from seglab.core.text import count
from seglab.core.trace import Read, Segment, Span, Write
from seglab.plots.clock import Clock, clock
from seglab.plots.labels import Occupied, spread
from seglab.plots.scale import draw_lanes, draw_scale
from seglab.plots.sheet import Area, Ground, Outline, Sheet, box
from seglab.plots.stream import WriteColours, draw_stream
from seglab.plots.style import (
    GREEN,
    INK,
    MUTED,
    PAPER,
    RULE,
    VERMILLION,
    readable_on,
)

_DRAWN_AT_MOST: Final = 400
"""The most segments that are drawn over time. If there are more, every n-th is drawn."""

_LABELS_AT_MOST = 24
_BOXES_AT_MOST = 14
_BUNDLE_APART = 0.02
_CHANGE_WIDTH = 0.085
_CHARACTER_WIDTH, _LABEL_MARGIN = 0.0086, 0.0116
_LABEL_HEIGHT = 0.115
_HEIGHTS = [step / 40 for step in range(36, 4, -1)]
_CROSS_WIDTH, _CROSS_HEIGHT = 0.018, 0.12
_BOX_WIDTH = 0.066
_BOX_HEIGHT = 0.2
_CLIENT_Y, _SERVER_Y = 1.0, 0.0
_WRITES_Y, _READS_Y = 1.3, -0.34
_CHANGES_Y = _READS_Y - _BOX_HEIGHT * 1.15
_LOST_Y = 0.5
_TOP_Y = 1.62
_WIDTH_INCHES, _HEIGHT_INCHES = 9.4, 6.9
_LEFT_INCHES, _AREA_INCHES = 0.987, 8.084

_Item = TypeVar("_Item")


def timeline(record: SessionRecord) -> Sheet:
    """The figure of a complete session."""
    sheet = Sheet(_WIDTH_INCHES, _HEIGHT_INCHES)
    sheet.heading(_title(record), _subtitle(record))
    _draw_time(sheet, record)
    draw_stream(sheet, record, _LEFT_INCHES, 4.761, _AREA_INCHES, 1.5525)
    return sheet


def _title(record: SessionRecord) -> str:
    return (
        f"{count(len(record.writes), 'write')}, {count(len(record.segments), 'segment')},"
        f" {count(len(record.reads), 'read')}"
    )


def _subtitle(record: SessionRecord) -> str:
    reader = f", {record.reader}" if record.reader else ""
    return f"{record.session_id}: {record.network}, MTU {record.mtu}, MSS {record.mss}{reader}"


def _draw_time(sheet: Sheet, record: SessionRecord) -> None:
    events = [
        *(write.t_ns for write in record.writes),
        *(segment.t_sent_ns for segment in record.segments),
        *(s.t_arrived_ns for s in record.segments if s.t_arrived_ns is not None),
        *(read.t_ns for read in record.reads),
    ]
    zero_ns = record.writes[0].t_ns if record.writes else 0
    changes = visible_changes(record.mtu_changes, events)
    time = clock([*events, *(at_ns for at_ns, _ in changes)])
    lowest = _CHANGES_Y - _BOX_HEIGHT * 0.35 if changes else _READS_Y - _BOX_HEIGHT
    area = sheet.area(_LEFT_INCHES, 0.828, _AREA_INCHES, 3.174, y=(lowest, _TOP_Y))
    _draw_breaks(area, time)
    area.lines([[(0, y), (1, y)] for y in (_CLIENT_Y, _SERVER_Y)], INK, 1.1)
    if changes:
        _draw_changes(area, time, changes, zero_ns)
    colours = WriteColours(record.writes)
    _draw_segments(area, time, record, colours)
    _draw_calls(area, time, record.writes, colours, above=True)
    _draw_calls(area, time, record.reads, colours, above=False)
    draw_lanes(area, {_WRITES_Y: "writes", (_CLIENT_Y + _SERVER_Y) / 2: "wire", _READS_Y: "reads"})
    for y, end in ((_CLIENT_Y, "client"), (_SERVER_Y, "server")):
        area.text(-0.008, y, end, across="right", along="center", size=8.5, colour=MUTED)
    instants = _ticks([(t0 - zero_ns, t1 - zero_ns) for t0, t1 in time.active_spans_ns])
    places, labels = [time(t + zero_ns) for t in instants], [f"{t / 1e6:g}" for t in instants]
    draw_scale(area, places, labels, _reading(record, time), marks=True)


def visible_changes(
    changes: Sequence[MtuChange], events_ns: Sequence[int]
) -> list[tuple[int, MtuChange]]:
    """The changes of the path's MTU that the figure shows, each with the time of its mark.

    These are the changes between the first event and the last, marked when they happened, and the
    last change before the first event, marked at that event.
    """
    if not events_ns:
        return []
    first, last = min(events_ns), max(events_ns)
    before = [change for change in changes if change.t_ns <= first]
    within = [(change.t_ns, change) for change in changes if first < change.t_ns <= last]
    return [*((first, change) for change in before[-1:]), *within]


def _reading(record: SessionRecord, time: Clock) -> str:
    words = ["time since the first write (ms)"]
    if time.breaks:
        words.append("idle spans are shortened")
    if any(segment.retransmission for segment in record.segments):
        words.append("dashed: sent again")
    if any(segment.t_arrived_ns is None for segment in record.segments):
        words.append("X: lost")
    if len(record.segments) > _DRAWN_AT_MOST:
        drawn = len(_some(record.segments))
        words.append(f"{drawn} of {len(record.segments)} segments are drawn")
    return "; ".join(words)


def _draw_changes(
    area: Area, time: Clock, changes: Sequence[tuple[int, MtuChange]], zero_ns: int
) -> None:
    """Draw a vertical mark where the path's MTU changed, with the new MTU if there is room."""
    free = -1.0
    places = [time(at_ns) for at_ns, _ in changes]
    for (at_ns, change), at, following in zip(changes, places, [*places[1:], 1.0], strict=True):
        line = [(at, _CHANGES_Y), (at, _TOP_Y - 0.14)]
        area.lines([line], GREEN, 1.3, dashes=(1, 1.2), z=1)
        if at >= free:
            earlier = at_ns != change.t_ns and following - at >= _CHANGE_WIDTH * 2.4
            since = f"since {(change.t_ns - zero_ns) / 1e9:.2g} s " if earlier else ""
            text = f" MTU {change.mtu} {since}"
            area.text(
                at, _CHANGES_Y, text, across="left" if at < 0.9 else "right", along="center",
                size=8, colour=GREEN, face="bold",
            )  # fmt: skip
            free = at + _CHANGE_WIDTH * (2.4 if earlier else 1)


def _draw_breaks(area: Area, time: Clock) -> None:
    spans = [box(pause.left, area.y[0], pause.right, _TOP_Y) for pause in time.breaks]
    area.outlines(spans, RULE, opacity=0.35, z=0)
    for pause in time.breaks:
        words = f"{pause.lasts_ns / 1e6:.1f} ms"
        middle = (pause.left + pause.right) / 2
        area.text(
            middle, _TOP_Y - 0.04, words, across="center", along="top", size=8.5, colour=MUTED
        )


def _draw_segments(area: Area, time: Clock, record: SessionRecord, colours: WriteColours) -> None:
    """Draw a line for each segment, and a label with its size where there is room.

    Labels of neighbours of one size share a text if there are many segments.
    """
    lines = [_Line.of(segment, time, colours) for segment in _some(record.segments)]
    looks: dict[tuple[bool, str], list[Outline]] = {}
    for line in lines:
        ends = (line.x, _CLIENT_Y), (line.to_x, line.to_y)
        looks.setdefault((line.again, line.colour), []).append(ends)
    for (again, colour), some in looks.items():
        area.lines(some, colour, 1.7, dashes=(4, 2) if again else (), z=3)
    occupied = Occupied()
    lost = [line for line in lines if line.lost]
    places = [(line.to_x, line.to_y) for line in lost]
    area.marks("cross", places, 9, VERMILLION, edge=PAPER, z=9)
    for line in lost:
        occupied.take(line.to_x, line.to_y, _CROSS_WIDTH, _CROSS_HEIGHT)
    bundles = _bundles(lines) if len(lines) > _LABELS_AT_MOST else [[line] for line in lines]
    heights = _staggered(len(bundles))
    counted = len(lines) == len(record.segments)
    for bundle, height in list(zip(bundles, heights, strict=True))[:_LABELS_AT_MOST]:
        times = f" x {len(bundle)}" if counted and len(bundle) > 1 else ""
        line = bundle[len(bundle) // 2]
        _draw_label(area, line, f"{line.size}{times}", height, occupied)


@dataclass(frozen=True, slots=True)
class _Line:
    """A segment of the figure: a line from ``x`` at the client to ``to_x`` and ``to_y``."""

    x: float
    to_x: float
    to_y: float
    size: int
    colour: str
    again: bool
    lost: bool

    @classmethod
    def of(cls, segment: Segment, time: Clock, colours: WriteColours) -> Self:
        """The line of a segment; that of a lost one ends half-way."""
        x, arrived = time(segment.t_sent_ns), segment.t_arrived_ns
        return cls(
            x=x,
            to_x=x + 0.06 if arrived is None else time(arrived),
            to_y=_LOST_Y if arrived is None else _SERVER_Y,
            size=segment.end - segment.start,
            colour=colours.at(segment.start),
            again=segment.retransmission,
            lost=arrived is None,
        )

    def at(self, y: float) -> float:
        """Where the line is at a height."""
        return self.x + (self.to_x - self.x) * (_CLIENT_Y - y) / (_CLIENT_Y - self.to_y)


def _bundles(lines: Sequence[_Line]) -> list[list[_Line]]:
    """Neighbouring lines that look alike and begin close to each other."""
    found: list[list[_Line]] = []
    for line in lines:
        before = found[-1][-1] if found else None
        if (
            before is not None
            and line.x - before.x < _BUNDLE_APART
            and (line.size, line.colour, line.again, line.lost)
            == (before.size, before.colour, before.again, before.lost)
        ):
            found[-1].append(line)
        else:
            found.append([line])
    return found


def _draw_label(area: Area, line: _Line, text: str, height: float, occupied: Occupied) -> None:
    """Draw a label on a line, at the free height that is nearest; none if no height is free."""
    width = _CHARACTER_WIDTH * len(text) + _LABEL_MARGIN
    lowest = line.to_y + _LABEL_HEIGHT
    heights = [y for y in _HEIGHTS if y >= lowest]
    for y in sorted(heights, key=lambda other: abs(other - height)):
        if occupied.take(line.at(y), y, width, _LABEL_HEIGHT):
            ground = Ground(PAPER, line.colour, 0.9, pad=0.18)
            area.text(
                line.at(y), y, text, across="center", along="center", size=8.5, ground=ground, z=6
            )
            return


def _staggered(number: int) -> list[float]:
    """The height of each label, so that the labels of neighbours do not overlap."""
    rows = min(max(number, 2), 9)
    return [0.9 - 0.8 * (index % rows) / (rows - 1) for index in range(number)]


def _some(items: Sequence[_Item]) -> Sequence[_Item]:
    """The items that are drawn: all of them, or every n-th."""
    return items[:: ceil(len(items) / _DRAWN_AT_MOST)] if items else items


def _draw_calls(
    area: Area,
    time: Clock,
    calls: Sequence[Write | Read],
    colours: WriteColours,
    *,
    above: bool,
) -> None:
    """Draw a box with its size for each write or read, and a line from it to its instant.

    If there are more than ``_BOXES_AT_MOST``, there are only lines.
    """
    line_y, box_y = (_CLIENT_Y, _WRITES_Y) if above else (_SERVER_Y, _READS_Y)
    near_y = box_y - _BOX_HEIGHT / 2 if above else box_y + _BOX_HEIGHT / 2
    if len(calls) > _BOXES_AT_MOST:
        instants = sorted({round(time(call.t_ns), 3) for call in calls})
        area.lines([[(at, line_y), (at, near_y)] for at in instants], INK, 1, z=4)
        return
    instants = [time(call.t_ns) for call in calls]
    apart = min(_BOX_WIDTH * 1.1, 1 / max(len(calls), 1))
    width = apart / 1.1
    boxes_x = spread(instants, apart)
    lines = [[(at, line_y), (x, near_y)] for at, x in zip(instants, boxes_x, strict=True)]
    area.lines(lines, MUTED, 0.9, projecting=True)
    area.marks("circle", [(at, line_y) for at in instants], 4.6, INK, z=7)
    bottom = box_y - _BOX_HEIGHT / 2
    boxes = [
        _Box(x - width / 2, bottom, width, call) for x, call in zip(boxes_x, calls, strict=True)
    ]
    _draw_boxes(area, boxes, colours)


@dataclass(frozen=True, slots=True)
class _Box:
    """The box of a write or a read."""

    left: float
    bottom: float
    width: float
    span: Span

    def corners(self, start: float, end: float) -> Outline:
        """The corners of the part with some of its bytes."""
        scale = self.width / max(self.span.end - self.span.start, 1)
        left = self.left + (start - self.span.start) * scale
        right = self.left + (end - self.span.start) * scale
        return box(left, self.bottom, right, self.bottom + _BOX_HEIGHT)


def _draw_boxes(area: Area, boxes: Sequence[_Box], colours: WriteColours) -> None:
    """Draw boxes in the colours of the writes whose bytes they hold, in proportion."""
    parts = [colours.parts(one.span.start, one.span.end) for one in boxes]
    faces: dict[str, list[Outline]] = {}
    for one, of_box in zip(boxes, parts, strict=True):
        for start, end, colour in of_box:
            faces.setdefault(colour, []).append(one.corners(start, end))
    for colour, outlines in faces.items():
        area.outlines(outlines, colour, z=4)
    edges = [one.corners(one.span.start, one.span.end) for one in boxes]
    area.edges(edges, PAPER, 1.4, z=5)
    for one, of_box in zip(boxes, parts, strict=True):
        only = of_box[0][2] if len(of_box) == 1 else None
        area.text(
            one.left + one.width / 2, one.bottom + _BOX_HEIGHT / 2,
            str(one.span.end - one.span.start),
            across="center", along="center", face="bold", z=6,
            colour=readable_on(only) if only else INK, ground=None if only else Ground(PAPER),
        )  # fmt: skip


def _ticks(spans_ns: Sequence[tuple[int, int]]) -> list[float]:
    """Round instants for the axis, at least one in every active span."""
    shown_ns = sum(t1 - t0 for t0, t1 in spans_ns)
    step = _round_step(shown_ns / 7)
    ticks = []
    for t0, t1 in spans_ns:
        fine, found = step, _multiples(t0, t1, step)
        while not found:
            fine /= 10
            found = _multiples(t0, t1, fine)[:1]
        ticks += found
    return ticks


def _multiples(t0: float, t1: float, step: float) -> list[float]:
    first = ceil(max(t0, 0) / step)
    return [step * n for n in range(first, ceil(t1 / step))]


def _round_step(least_ns: float) -> float:
    power = 10.0 ** floor(log10(max(least_ns, 1.0)))
    return float(next(power * m for m in (1, 2, 5, 10) if power * m >= least_ns))
