"""The figure of one session: its writes, segments and reads over time, and over the stream.

The upper part has a time axis: each segment is a line from the client, at the time when it was
sent, to the server, at the time when it arrived. The lower part shows the same three layers over
the bytes of the stream. There one sees which boundary of a layer is also a boundary of the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final, Self, TypeVar

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from seglab.core.record import MtuChange, SessionRecord
from seglab.core.text import count
from seglab.core.trace import Read, Segment, Span, Write
from seglab.plots.clock import Clock, clock
from seglab.plots.labels import Occupied, spread
from seglab.plots.scale import draw_lanes, draw_scale, without_scales
from seglab.plots.stream import WriteColours, draw_stream
from seglab.plots.style import (
    GREEN,
    INK,
    MUTED,
    PAPER,
    RULE,
    VERMILLION,
    heading,
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
_HEIGHTS = [step / 20 for step in range(18, 1, -1)]
_CROSS_WIDTH, _CROSS_HEIGHT = 0.018, 0.12
_BOX_WIDTH = 0.066
_BOX_HEIGHT = 0.2
_CLIENT_Y, _SERVER_Y = 1.0, 0.0
_WRITES_Y, _READS_Y = 1.3, -0.34
_LOST_Y = 0.5
_TOP_Y = 1.62
_WIDTH_INCHES = 9.4

_Item = TypeVar("_Item")


def timeline(record: SessionRecord) -> Figure:
    """The figure of a complete session."""
    figure = Figure(figsize=(_WIDTH_INCHES, 6.9))
    heading(figure, _title(record), _subtitle(record))
    over_time = figure.add_axes((0.105, 0.42, 0.86, 0.46))
    over_stream = figure.add_axes((0.105, 0.085, 0.86, 0.225))
    _draw_time(over_time, record)
    draw_stream(over_stream, record)
    return figure


def _title(record: SessionRecord) -> str:
    return (
        f"{count(len(record.writes), 'write')}, {count(len(record.segments), 'segment')},"
        f" {count(len(record.reads), 'read')}"
    )


def _subtitle(record: SessionRecord) -> str:
    reader = f", {record.reader}" if record.reader else ""
    return f"{record.session_id}: {record.network}, MTU {record.mtu}, MSS {record.mss}{reader}"


def _draw_time(axes: Axes, record: SessionRecord) -> None:
    events = [
        *(write.t_ns for write in record.writes),
        *(segment.t_sent_ns for segment in record.segments),
        *(s.t_arrived_ns for s in record.segments if s.t_arrived_ns is not None),
        *(read.t_ns for read in record.reads),
    ]
    zero_ns = record.writes[0].t_ns if record.writes else 0
    changes = visible_changes(record.mtu_changes, events)
    time = clock([*events, *(at_ns for at_ns, _ in changes)])
    without_scales(axes)
    axes.set(xlim=(0, 1), ylim=(_READS_Y - _BOX_HEIGHT, _TOP_Y))
    _draw_breaks(axes, time)
    for y in (_CLIENT_Y, _SERVER_Y):
        axes.axhline(y, color=INK, linewidth=1.1, zorder=2)
    if changes:
        _draw_changes(axes, time, changes, zero_ns)
    colours = WriteColours(record.writes)
    _draw_segments(axes, time, record, colours)
    _draw_calls(axes, time, record.writes, colours, above=True)
    _draw_calls(axes, time, record.reads, colours, above=False)
    draw_lanes(axes, {_WRITES_Y: "writes", (_CLIENT_Y + _SERVER_Y) / 2: "wire", _READS_Y: "reads"})
    for y, end in ((_CLIENT_Y, "client"), (_SERVER_Y, "server")):
        axes.text(-0.008, y, end, ha="right", va="center", size=8.5, color=MUTED)
    instants = _ticks([(t0 - zero_ns, t1 - zero_ns) for t0, t1 in time.active_spans_ns])
    places, labels = [time(t + zero_ns) for t in instants], [f"{t / 1e6:g}" for t in instants]
    draw_scale(axes, places, labels, _reading(record, time), marks=True)


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
    axes: Axes, time: Clock, changes: Sequence[tuple[int, MtuChange]], zero_ns: int
) -> None:
    """Draw a vertical mark where the path's MTU changed, with the new MTU if there is room."""
    label_y = _READS_Y - _BOX_HEIGHT * 1.15
    axes.set_ylim(bottom=label_y - _BOX_HEIGHT * 0.35)
    free = -1.0
    places = [time(at_ns) for at_ns, _ in changes]
    for (at_ns, change), at, following in zip(changes, places, [*places[1:], 1.0], strict=True):
        axes.vlines(at, label_y, _TOP_Y - 0.14, color=GREEN, lw=1.3, ls=(0, (1, 1.2)), zorder=1)
        if at >= free:
            earlier = at_ns != change.t_ns and following - at >= _CHANGE_WIDTH * 2.4
            since = f"since {(change.t_ns - zero_ns) / 1e9:.2g} s " if earlier else ""
            text = f" MTU {change.mtu} {since}"
            side = "left" if at < 0.9 else "right"
            axes.text(at, label_y, text, ha=side, va="center", size=8, color=GREEN, weight="bold")
            free = at + _CHANGE_WIDTH * (2.4 if earlier else 1)


def _draw_breaks(axes: Axes, time: Clock) -> None:
    for pause in time.breaks:
        axes.axvspan(pause.left, pause.right, color=RULE, alpha=0.35, linewidth=0, zorder=0)
        axes.text(
            (pause.left + pause.right) / 2,
            _TOP_Y - 0.04,
            f"{pause.lasts_ns / 1e6:.1f} ms",
            ha="center",
            va="top",
            size=8.5,
            color=MUTED,
        )


def _draw_segments(axes: Axes, time: Clock, record: SessionRecord, colours: WriteColours) -> None:
    """Draw a line for each segment, and a label with its size where there is room.

    Labels of neighbours of one size share a text if there are many segments.
    """
    lines = [_Line.of(segment, time, colours) for segment in _some(record.segments)]
    for dashed in (False, True):
        some = [line for line in lines if line.again is dashed]
        axes.add_collection(
            LineCollection(
                [[(line.x, _CLIENT_Y), (line.to_x, line.to_y)] for line in some],
                colors=[line.colour for line in some], lw=1.7, zorder=3,
                ls=(0, (4, 2)) if dashed else "-",
            ),
            autolim=False,
        )  # fmt: skip
    occupied = Occupied()
    lost = [line for line in lines if line.lost]
    axes.plot(
        [line.to_x for line in lost], [line.to_y for line in lost], "X",
        color=VERMILLION, markersize=9, markeredgecolor=PAPER, zorder=9,
    )  # fmt: skip
    for line in lost:
        occupied.take(line.to_x, line.to_y, _CROSS_WIDTH, _CROSS_HEIGHT)
    bundles = _bundles(lines) if len(lines) > _LABELS_AT_MOST else [[line] for line in lines]
    heights = _staggered(len(bundles))
    counted = len(lines) == len(record.segments)
    for bundle, height in list(zip(bundles, heights, strict=True))[:_LABELS_AT_MOST]:
        times = f" x {len(bundle)}" if counted and len(bundle) > 1 else ""
        line = bundle[len(bundle) // 2]
        _draw_label(axes, line, f"{line.size}{times}", height, occupied)


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


def _draw_label(axes: Axes, line: _Line, text: str, height: float, occupied: Occupied) -> None:
    """Draw a label on a line, at the free height that is nearest; none if no height is free."""
    width = _CHARACTER_WIDTH * len(text) + _LABEL_MARGIN
    lowest = line.to_y + _LABEL_HEIGHT
    heights = [y for y in _HEIGHTS if y >= lowest]
    for y in sorted(heights, key=lambda other: abs(other - height)):
        if occupied.take(line.at(y), y, width, _LABEL_HEIGHT):
            axes.text(
                line.at(y), y, text, ha="center", va="center", size=8.5, color=INK, zorder=6,
                bbox={"boxstyle": "round,pad=0.18", "fc": PAPER, "ec": line.colour, "lw": 0.9},
            )  # fmt: skip
            return


def _staggered(number: int) -> list[float]:
    """The height of each label, so that the labels of neighbours do not overlap."""
    rows = min(max(number, 2), 9)
    return [0.9 - 0.8 * (index % rows) / (rows - 1) for index in range(number)]


def _some(items: Sequence[_Item]) -> Sequence[_Item]:
    """The items that are drawn: all of them, or every n-th."""
    return items[:: ceil(len(items) / _DRAWN_AT_MOST)] if items else items


def _draw_calls(
    axes: Axes,
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
        axes.vlines(instants, line_y, near_y, color=INK, linewidth=1, zorder=4)
        return
    instants = [time(call.t_ns) for call in calls]
    apart = min(_BOX_WIDTH * 1.1, 1 / max(len(calls), 1))
    width = apart / 1.1
    boxes_x = spread(instants, apart)
    axes.add_collection(
        LineCollection(
            [[(at, line_y), (x, near_y)] for at, x in zip(instants, boxes_x, strict=True)],
            colors=MUTED, lw=0.9, zorder=2, capstyle="projecting",
        ),
        autolim=False,
    )  # fmt: skip
    axes.plot(instants, [line_y] * len(instants), "o", color=INK, markersize=3.6, zorder=7)
    bottom = box_y - _BOX_HEIGHT / 2
    boxes = [
        _Box(x - width / 2, bottom, width, call) for x, call in zip(boxes_x, calls, strict=True)
    ]
    _draw_boxes(axes, boxes, colours)


@dataclass(frozen=True, slots=True)
class _Box:
    """The box of a write or a read."""

    left: float
    bottom: float
    width: float
    span: Span

    def corners(self, start: float, end: float) -> list[tuple[float, float]]:
        """The corners of the part with some of its bytes."""
        scale = self.width / max(self.span.end - self.span.start, 1)
        left = self.left + (start - self.span.start) * scale
        right = self.left + (end - self.span.start) * scale
        top = self.bottom + _BOX_HEIGHT
        return [(left, self.bottom), (right, self.bottom), (right, top), (left, top)]


def _draw_boxes(axes: Axes, boxes: Sequence[_Box], colours: WriteColours) -> None:
    """Draw boxes in the colours of the writes whose bytes they hold, in proportion."""
    parts = [colours.parts(box.span.start, box.span.end) for box in boxes]
    faces = [
        box.corners(start, end)
        for box, of_box in zip(boxes, parts, strict=True)
        for start, end, _ in of_box
    ]
    axes.add_collection(
        PolyCollection(
            faces, facecolors=[colour for of_box in parts for *_, colour in of_box], lw=0, zorder=4
        ),
        autolim=False,
    )  # fmt: skip
    axes.add_collection(
        PolyCollection(
            [box.corners(box.span.start, box.span.end) for box in boxes],
            facecolors="none", edgecolors=PAPER, lw=1.4, zorder=5,
        ),
        autolim=False,
    )  # fmt: skip
    for box, of_box in zip(boxes, parts, strict=True):
        only = of_box[0][2] if len(of_box) == 1 else None
        axes.text(
            box.left + box.width / 2, box.bottom + _BOX_HEIGHT / 2,
            str(box.span.end - box.span.start),
            ha="center", va="center", size=9.5, weight="bold", zorder=6,
            color=readable_on(only) if only else INK,
            bbox=None if only else {"boxstyle": "round,pad=0.15", "fc": PAPER, "ec": "none"},
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
