"""The lower part of a session's figure: its three layers over the bytes of the stream.

However many writes, segments and reads a session has, the number of things that are drawn is
bounded. Neighbours that are too narrow to be seen become one box. Where boxes have no room for
their numbers, neighbours share one text.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from seglab.core.record import SessionRecord
from seglab.core.trace import Span, Write, first_arrived
from seglab.plots.labels import shared_numbers
from seglab.plots.scale import draw_lanes, draw_scale
from seglab.plots.sheet import Area, Ground, Outline, Sheet
from seglab.plots.sheet import box as rectangle
from seglab.plots.style import BLUE, INK, MUTED, PAPER, WRITES, readable_on

COLOURED_WRITES_MAX = 4 * len(WRITES)
"""A session with more writes than this has one colour for all of them."""

_NARROW_SHARE = 0.003
_AXIS_INCHES = 8.08
_NUMBER_SIZES = (9.5, 8, 7, 6)
_CHARACTER_EM = 0.64
_LABELS_APART, _DIGIT = 0.055, 0.009  # shares of the stream

Part = tuple[float, float, str]
"""A part of a box: where it begins and ends, and its colour."""


class WriteColours:
    """The colour of every byte of a session, by the write that it belongs to."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = writes
        self._starts = [write.start for write in writes]
        self._single = len(writes) > COLOURED_WRITES_MAX

    def at(self, offset: int) -> str:
        """The colour of the byte at an offset."""
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or offset >= self._writes[index].end:
            return MUTED
        return self._colour(index)

    def parts(self, start: int, end: int) -> list[Part]:
        """The parts of a range of bytes that belong to one write each."""
        if self._single:
            return [(start, end, BLUE)]
        first = max(bisect_right(self._starts, start) - 1, 0)
        found: list[Part] = []
        for index in range(first, len(self._writes)):
            write = self._writes[index]
            if write.start >= end:
                break
            left, right = max(start, write.start), min(end, write.end)
            if left < right:
                found.append((left, right, self._colour(index)))
        return found or [(start, end, MUTED)]

    def _colour(self, index: int) -> str:
        return BLUE if self._single else WRITES[index % len(WRITES)]


@dataclass(frozen=True, slots=True)
class Bundle:
    """Neighbouring spans that are drawn as one box.

    Attributes:
        start: the offset of their first byte.
        end: the offset after their last byte.
        spans: how many there are.
        smallest: the size of the smallest.
        largest: the size of the largest.
    """

    start: int
    end: int
    spans: int
    smallest: int
    largest: int


def bundled(spans: Sequence[Span], narrow_bytes: float) -> list[Bundle]:
    """One box for each span, and one for all neighbours that are narrower than ``narrow_bytes``."""
    found: list[Bundle] = []
    for narrow, members in groupby(spans, key=lambda span: span.end - span.start < narrow_bytes):
        group = list(members)
        for part in [group] if narrow else [[span] for span in group]:
            sizes = [span.end - span.start for span in part]
            found.append(Bundle(part[0].start, part[-1].end, len(part), min(sizes), max(sizes)))
    return found


def draw_stream(
    sheet: Sheet, record: SessionRecord, left: float, top: float, width: float, height: float
) -> None:
    """Draw the writes, the segments that brought new bytes, and the reads of a session.

    Args:
        sheet: the figure.
        record: the session.
        left: of the area, in inches.
        top: of the area, in inches.
        width: of the area, in inches.
        height: of the area, in inches.
    """
    total = max(record.payload_bytes, 1)
    colours = WriteColours(record.writes)
    rows: dict[str, Sequence[Span]] = {
        "written": record.writes,
        "carried": first_arrived(record.segments),
        "read": record.reads,
    }
    across = -total * 0.002, total * 1.002
    area = sheet.area(left, top, width, height, across, (-0.12, len(rows)))
    ends = sorted({0, *(bundle.end for bundle in bundled(rows["carried"], total * _NARROW_SHARE))})
    lines = [[(end, -0.12), (end, len(rows))] for end in ends]
    area.lines(lines, MUTED, 0.8, dashes=(2, 2), z=1)
    for row, spans in enumerate(reversed(rows.values())):
        _draw_row(area, row, bundled(spans, total * _NARROW_SHARE), colours, total)
    draw_lanes(area, {row + 0.42: words for row, words in enumerate(reversed(rows))})
    shown = _thinned(ends, total)
    words = "byte of the stream; dashed: where a segment ends"
    draw_scale(area, shown, [*map(str, shown)], words)
    title = "The same, over the bytes of the stream"
    area.text(across[0], len(rows), title, dy=-8, size=10.5, face="bold")


def _draw_row(
    area: Area, row: int, boxes: Sequence[Bundle], colours: WriteColours, total: int
) -> None:
    bottom, top = row + 0.06, row + 0.78
    faces: dict[str, list[Outline]] = {}
    for box in boxes:
        for start, end, colour in colours.parts(box.start, box.end):
            faces.setdefault(colour, []).append(rectangle(start, bottom, end, top))
    for colour, outlines in faces.items():
        area.outlines(outlines, colour, z=4)
    inches = [(box.end - box.start) / total * _AXIS_INCHES for box in boxes]
    between: dict[float, list[Outline]] = {}
    for box, pair in zip(boxes[1:], pairwise(inches), strict=True):
        width = min(1.4, 14 * min(pair))
        between.setdefault(width, []).append([(box.start, bottom), (box.start, top)])
    for width, lines in between.items():
        area.lines(lines, PAPER, width, z=5)
    for text, start, end, size in _numbers(boxes, inches):
        parts = colours.parts(start, end)
        plain = len(parts) == 1 and " " not in text
        area.text(
            (start + end) / 2, (bottom + top) / 2, text, across="center", along="center",
            size=size, face="bold", colour=readable_on(parts[0][2]) if plain else INK,
            ground=None if plain else Ground(PAPER), z=6,
        )  # fmt: skip


def _numbers(
    boxes: Sequence[Bundle], inches: Sequence[float]
) -> Iterator[tuple[str, int, int, float]]:
    """Each text with the bytes that it is about, and the size of its letters."""
    own = [_points(_text([box]), room) for box, room in zip(boxes, inches, strict=True)]
    for box, points in zip(boxes, own, strict=True):
        if points is not None:
            yield _text([box]), box.start, box.end, points
    for first, last, texts in _shared(boxes, own):
        room = sum(inches[first : last + 1])
        for text in texts:
            points = _points(text, room)
            if points is not None:
                yield text, boxes[first].start, boxes[last].end, points
                break


def _shared(
    boxes: Sequence[Bundle], own: Sequence[float | None]
) -> Iterator[tuple[int, int, Sequence[str]]]:
    """The texts of neighbours without room for their own: first and last box, and the texts."""
    for narrow, indices in groupby(range(len(boxes)), key=lambda index: own[index] is None):
        group = list(indices)
        members = [boxes[index] for index in group]
        if not narrow or len(group) == 1:
            continue
        if any(box.spans > 1 for box in members):
            text = _text(members)
            yield group[0], group[-1], (text, text.removesuffix(" bytes"))
        else:
            for one in shared_numbers([box.end - box.start for box in members]):
                yield group[0] + one.first, group[0] + one.last, one.texts


def _text(boxes: Sequence[Bundle]) -> str:
    spans = sum(box.spans for box in boxes)
    smallest, largest = min(b.smallest for b in boxes), max(b.largest for b in boxes)
    if smallest == largest:
        return f"{smallest} x {spans}" if spans > 1 else str(smallest)
    return f"{spans} of {smallest} to {largest} bytes"


def _points(text: str, room_inches: float) -> float | None:
    """The size of letters at which a text fits, in points; ``None`` if it is too long."""
    for points in _NUMBER_SIZES:
        if (len(text) * _CHARACTER_EM + 0.5) * points / 72 <= room_inches:
            return points
    return None


def _thinned(ends: Sequence[int], total: int) -> list[int]:
    apart = total * max(_LABELS_APART, _DIGIT * (len(str(total)) + 1))
    kept = [ends[0]]
    for end in ends[1:]:
        if end - kept[-1] >= apart:
            kept.append(end)
    return kept
