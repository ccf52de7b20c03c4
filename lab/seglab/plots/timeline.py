"""The figure of one session: its writes, segments and reads over time, and over the stream.

The upper part has a time axis: each segment is a line from the client, at the time when it was
sent, to the server, at the time when it arrived. The lower part shows the same three layers over
the bytes of the stream. There one sees which boundary of a layer is also a boundary of the next.
"""

from collections.abc import Sequence
from math import ceil, floor, log10

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from seglab.core.record import MtuChange, SessionRecord
from seglab.core.trace import Segment, Span, Write, first_arrived
from seglab.plots.clock import Clock, clock
from seglab.plots.style import (
    GREEN,
    INK,
    MUTED,
    PAPER,
    RULE,
    VERMILLION,
    WRITES,
    bare,
    heading,
    readable_on,
)

_LABELS_AT_MOST = 24
_BOXES_AT_MOST = 14
_LABEL_WIDTH = 0.085
_BOX_WIDTH = 0.066
_BOX_HEIGHT = 0.2
_CLIENT_Y, _SERVER_Y = 1.0, 0.0
_WRITES_Y, _READS_Y = 1.3, -0.34
_LOST_Y = 0.5
_TOP_Y = 1.62
_WIDTH_INCHES = 9.4


def timeline(record: SessionRecord) -> Figure:
    """The figure of a complete session."""
    figure = Figure(figsize=(_WIDTH_INCHES, 6.9))
    heading(figure, _title(record), _subtitle(record))
    over_time = figure.add_axes((0.105, 0.42, 0.86, 0.46))
    over_stream = figure.add_axes((0.105, 0.085, 0.86, 0.225))
    _draw_time(over_time, record)
    _draw_stream(over_stream, record)
    return figure


def _title(record: SessionRecord) -> str:
    return (
        f"{_count(len(record.writes), 'write')}, {_count(len(record.segments), 'segment')},"
        f" {_count(len(record.reads), 'read')}"
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
    axes.set(xlim=(0, 1), ylim=(_READS_Y - _BOX_HEIGHT, _TOP_Y))
    bare(axes)
    _draw_breaks(axes, time)
    for y in (_CLIENT_Y, _SERVER_Y):
        axes.axhline(y, color=INK, linewidth=1.1, zorder=2)
    if changes:
        _draw_changes(axes, time, changes, zero_ns)
    _draw_segments(axes, time, record)
    _draw_calls(axes, time, record, record.writes, above=True)
    _draw_calls(axes, time, record, record.reads, above=False)
    lanes = {_WRITES_Y: "writes", (_CLIENT_Y + _SERVER_Y) / 2: "wire", _READS_Y: "reads"}
    axes.set_yticks(list(lanes), list(lanes.values()))
    axes.tick_params(axis="y", labelsize=10.5, labelcolor=INK, pad=6)
    for y, end in ((_CLIENT_Y, "client"), (_SERVER_Y, "server")):
        axes.text(-0.008, y, end, ha="right", va="center", size=8.5, color=MUTED)
    instants = _ticks([(t0 - zero_ns, t1 - zero_ns) for t0, t1 in time.active_spans_ns])
    axes.set_xticks([time(t + zero_ns) for t in instants], [f"{t / 1e6:g}" for t in instants])
    axes.tick_params(axis="x", length=3, color=MUTED)
    axes.set_xlabel(_reading(record, time), labelpad=4)


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
            earlier = at_ns != change.t_ns and following - at >= _LABEL_WIDTH * 2.4
            since = f"since {(change.t_ns - zero_ns) / 1e9:.2g} s " if earlier else ""
            text = f" MTU {change.mtu} {since}"
            side = "left" if at < 0.9 else "right"
            axes.text(at, label_y, text, ha=side, va="center", size=8, color=GREEN, weight="bold")
            free = at + _LABEL_WIDTH * (2.4 if earlier else 1)


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


def _draw_segments(axes: Axes, time: Clock, record: SessionRecord) -> None:
    labelled = len(record.segments) <= _LABELS_AT_MOST
    heights = _staggered(record.segments)
    for segment, height in zip(record.segments, heights, strict=True):
        colour = _colour_at(segment.start, record.writes)
        sent, label_y = (time(segment.t_sent_ns), _CLIENT_Y), height
        if segment.t_arrived_ns is None:
            end = sent[0] + 0.06, _LOST_Y
            label_y = _LOST_Y - 0.13
            axes.plot(*end, "X", color=VERMILLION, markersize=9, markeredgecolor=PAPER, zorder=9)
        else:
            end = time(segment.t_arrived_ns), _SERVER_Y
        style = (0, (4, 2)) if segment.retransmission else "-"
        axes.plot(*zip(sent, end, strict=True), color=colour, lw=1.7, linestyle=style, zorder=3)
        if labelled:
            share = (label_y - end[1]) / (sent[1] - end[1])
            axes.text(
                end[0] + (sent[0] - end[0]) * share,
                label_y,
                str(segment.end - segment.start),
                ha="center",
                va="center",
                size=8.5,
                color=INK,
                zorder=8 if segment.t_arrived_ns is None else 6,
                bbox={"boxstyle": "round,pad=0.18", "fc": PAPER, "ec": colour, "lw": 0.9},
            )


def _staggered(segments: Sequence[Segment]) -> list[float]:
    """The height of each segment's label, so that the labels of neighbours do not overlap."""
    rows = min(max(len(segments), 2), 9)
    return [0.9 - 0.8 * (index % rows) / (rows - 1) for index in range(len(segments))]


def _draw_calls(
    axes: Axes, time: Clock, record: SessionRecord, calls: Sequence[Span], *, above: bool
) -> None:
    """Draw a box with its size for each write or read, and a line from it to its instant."""
    line_y, box_y = (_CLIENT_Y, _WRITES_Y) if above else (_SERVER_Y, _READS_Y)
    near_y = box_y - _BOX_HEIGHT / 2 if above else box_y + _BOX_HEIGHT / 2
    instants = [time(call.t_ns) for call in calls]  # type: ignore[attr-defined]
    if len(calls) > _BOXES_AT_MOST:
        axes.vlines(instants, line_y, near_y, color=INK, linewidth=1, zorder=4)
        return
    apart = min(_BOX_WIDTH * 1.1, 1 / max(len(calls), 1))
    width = apart / 1.1
    for call, at, box_x in zip(calls, instants, spread(instants, apart), strict=True):
        axes.plot([at, box_x], [line_y, near_y], color=MUTED, linewidth=0.9, zorder=2)
        axes.plot(at, line_y, "o", color=INK, markersize=3.6, zorder=7)
        left, bottom = box_x - width / 2, box_y - _BOX_HEIGHT / 2
        _draw_box(axes, (left, bottom, width, _BOX_HEIGHT), call, record.writes, size=9.5)


def _draw_box(
    axes: Axes,
    box: tuple[float, float, float, float],
    span: Span,
    writes: Sequence[Write],
    *,
    size: float,
) -> None:
    """Draw a box in the colours of the writes whose bytes it holds, in proportion."""
    left, bottom, width, height = box
    for start, end, colour in _shares(span, writes):
        scale = width / (span.end - span.start)
        axes.add_artist(
            Rectangle(
                (left + (start - span.start) * scale, bottom),
                (end - start) * scale,
                height,
                facecolor=colour,
                linewidth=0,
                zorder=4,
            )
        )
    axes.add_artist(
        Rectangle((left, bottom), width, height, fill=False, ec=PAPER, linewidth=1.4, zorder=5)
    )
    shares = _shares(span, writes)
    middle = shares[0][2] if len(shares) == 1 else None
    axes.text(
        left + width / 2,
        bottom + height / 2,
        str(span.end - span.start),
        ha="center",
        va="center",
        size=size,
        weight="bold",
        color=readable_on(middle) if middle else INK,
        zorder=6,
        bbox=None if middle else {"boxstyle": "round,pad=0.15", "fc": PAPER, "ec": "none"},
    )


def _draw_stream(axes: Axes, record: SessionRecord) -> None:
    total = max(record.payload_bytes, 1)
    rows = (
        ("written", record.writes),
        ("carried", first_arrived(record.segments)),
        ("read", record.reads),
    )
    axes.set(xlim=(-total * 0.002, total * 1.002), ylim=(-0.12, len(rows)))
    bare(axes)
    ends = sorted({0, *(segment.end for segment in record.segments)})
    for end in ends:
        axes.axvline(end, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    for row, (_, spans) in enumerate(reversed(rows)):
        for span in spans:
            share = (span.end - span.start) / total
            size = min(9.5, share * _WIDTH_INCHES * 0.86 * 72 / 3.4)
            _draw_strip(axes, row, span, record.writes, size if size >= 5 else 0)
    axes.set_yticks([row + 0.4 for row in range(len(rows))], [name for name, _ in reversed(rows)])
    axes.tick_params(axis="y", labelsize=10.5, labelcolor=INK, pad=6)
    axes.set_xticks(_thinned(ends, total))
    axes.set_xlabel("byte of the stream; dashed: where a segment ends", labelpad=4)
    axes.set_title("The same, over the bytes of the stream", size=10.5, pad=8)


def _draw_strip(axes: Axes, row: int, span: Span, writes: Sequence[Write], size: float) -> None:
    box = (float(span.start), row + 0.06, float(span.end - span.start), 0.72)
    if size:
        _draw_box(axes, box, span, writes, size=size)
        return
    for start, end, colour in _shares(span, writes):
        axes.add_artist(
            Rectangle((start, box[1]), end - start, box[3], fc=colour, ec=PAPER, lw=0.6, zorder=4)
        )


def _shares(span: Span, writes: Sequence[Write]) -> list[tuple[int, int, str]]:
    """The parts of a span that belong to one write each, as start, end and colour."""
    parts = [
        (max(span.start, write.start), min(span.end, write.end), WRITES[i % len(WRITES)])
        for i, write in enumerate(writes)
    ]
    return [part for part in parts if part[0] < part[1]] or [(span.start, span.end, MUTED)]


def _colour_at(offset: int, writes: Sequence[Write]) -> str:
    return next(
        (WRITES[i % len(WRITES)] for i, w in enumerate(writes) if w.start <= offset < w.end), MUTED
    )


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Places near the given rising ones, from 0 to 1, and at least ``apart`` from each other.

    This is the least squares solution (pool adjacent violators): a run of places that collide is
    centred on the mean of the places.
    """
    runs: list[list[float]] = []
    for index, place in enumerate(places):
        runs.append([place - index * apart, 1.0])
        while len(runs) > 1 and runs[-2][0] > runs[-1][0]:
            mean, weight = runs.pop()
            runs[-1] = [
                (runs[-1][0] * runs[-1][1] + mean * weight) / (runs[-1][1] + weight),
                runs[-1][1] + weight,
            ]
    low, high = apart / 2, 1 - apart / 2 - (len(places) - 1) * apart
    bases = [base for base, weight in runs for _ in range(int(weight))]
    return [min(max(b, low), max(high, low)) + i * apart for i, b in enumerate(bases)]


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


def _thinned(ends: Sequence[int], total: int) -> list[int]:
    kept = [ends[0]]
    for end in ends[1:]:
        if end - kept[-1] >= total * 0.055:
            kept.append(end)
    return kept


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
