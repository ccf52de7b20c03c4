"""A drawing of one message: its sizes as bars to scale, with marks where the writes ended.

Each row holds as many sizes as fit. The length of a bar is proportional to its bytes, and a read
that merged segments has a hairline where each of them would end. The lines below the bars are:

1. the size of each bar;
2. the marks: ``▲`` where one write ended and the next began, ``△`` where Nagle's algorithm held
   the following data back, ``◆`` where the header ends;
3. for each mark its offset, and for a boundary its probability;
4. ``└──┘`` below the range of a segment that was cut again when the path's MTU fell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from textwrap import wrap

from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.report.strip import EDGE, FULL, HOLE, MORE, PUSHED, base_of, hole_indexes

_LABEL = 10
_ROOM_LEAST = 20
_FULL_COLUMNS = (24, 18, 14, 10, 8)
_SIZES_MAX = 2000


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark at an offset of the message.

    Attributes:
        offset: the number of bytes before it.
        symbol: the character that marks it.
        text: the words below it.
    """

    offset: int
    symbol: str
    text: str


@dataclass(frozen=True, slots=True)
class _Bar:
    """A size or a hole in a row: columns ``left:left + length`` show the bytes ``start:end``."""

    left: int
    length: int
    start: int
    end: int
    pushed: bool
    hole: bool

    @property
    def label(self) -> str:
        """What stands below it: its bytes."""
        return f"hole:{self.end - self.start}" if self.hole else str(self.end - self.start)

    def blocks(self, base: int) -> str:
        """The characters of the bar, with a hairline where each merged segment would end."""
        if self.hole:
            return HOLE * self.length
        cells = [FULL] * self.length
        size = self.end - self.start
        if self.length * base > 2 * size:
            for edge in range(base, size, base):
                cells[self.column(self.start + edge) - self.left - 1] = EDGE
        return "".join(cells) + (PUSHED if self.pushed else "")

    def column(self, offset: int) -> int:
        """The column of an offset of the message; the end of the bar is the column after it."""
        share = (offset - self.start) / (self.end - self.start)
        return self.left + round(share * self.length)


def drawing(observation: Observation, verdict: Verdict | None, width: int) -> Iterator[str]:
    """The lines of the drawing: none is longer than ``width``, none has a control character."""
    marks = marks_of(observation, verdict)
    ranges = () if verdict is None else verdict.recut
    label = max(_LABEL, len(str(observation.total_bytes)) + 2)
    room = max(width - label, _ROOM_LEAST)
    base = base_of(observation, verdict)
    for row in _rows(observation, base, room):
        start, *others = _drawn(row, base, marks, ranges, room)
        yield f"{row[0].start:>{label - 2}}  {start}"
        yield from (" " * label + text for text in others)
    left_out = len(observation.sizes) - _SIZES_MAX
    if left_out > 0:
        yield f"{'':{label}}{MORE} and {left_out} more sizes"


def marks_of(observation: Observation, verdict: Verdict | None) -> list[Mark]:
    """All marks of a message, sorted by offset."""
    header_end = observation.header_end
    marks = []
    if verdict is not None:
        known = verdict.boundary_confidence
        held = set(verdict.held_back)
        for index, offset in enumerate(verdict.boundaries):
            words = [str(offset)]
            if index < len(known):
                words.append(f"{known[index]:.0%}")
            if offset == header_end:
                words.append("header ends")
            if offset in held:
                words.append("held back")
            marks.append(Mark(offset, "△" if offset in held else "▲", " ".join(words)))
        marks += [
            Mark(offset, "△", f"{offset} held back")
            for offset in sorted(held - set(verdict.boundaries))
        ]
    if header_end is not None and all(mark.offset != header_end for mark in marks):
        marks.append(Mark(header_end, "◆", f"{header_end} header ends"))
    return sorted(marks, key=lambda mark: mark.offset)


def _rows(observation: Observation, base: int, room: int) -> Iterator[list[_Bar]]:
    """The bars of each row. All rows have the same scale."""
    sizes = observation.sizes[:_SIZES_MAX]
    scale = _scale(sizes, base, room)
    holes = hole_indexes(observation)
    row: list[_Bar] = []
    left = 0
    for index, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
        length = min(max(1, round(size / scale)), room - 1)
        pushed = observation.push is not None and bool(observation.push[index])
        bar = _Bar(left, length, end - size, end, pushed, index in holes)
        slot = max(length, len(bar.label)) + 1
        if row and left + slot > room:
            yield row
            row, left = [], 0
        row.append(replace(bar, left=left))
        left += slot
    if row:
        yield row


def _scale(sizes: Sequence[int], base: int, room: int) -> float:
    """The number of bytes in one column.

    The whole message gets one row if a full segment is then still wide enough to be read.
    """
    for columns in _FULL_COLUMNS:
        scale = base / columns
        if sum(max(1, size / scale, len(str(size))) + 1 for size in sizes) <= room:
            return scale
    return base / _FULL_COLUMNS[-1]


def _drawn(
    row: list[_Bar], base: int, marks: Sequence[Mark], ranges: Sequence[tuple[int, int]], room: int
) -> Iterator[str]:
    blocks, numbers = "", ""
    for bar in row:
        blocks = blocks.ljust(bar.left) + bar.blocks(base)
        numbers = numbers.ljust(bar.left) + bar.label
    yield blocks
    yield numbers
    first = row[0].start == 0
    here = [
        (_column(row, mark.offset), mark)
        for mark in marks
        if row[0].start < mark.offset <= row[-1].end or (first and mark.offset == 0)
    ]
    if here:
        line = ""
        for column, mark in here:
            if len(line) <= column:
                line = line.ljust(column) + mark.symbol
        yield line
        yield from _placed([(column, mark.text) for column, mark in here], room)
    brackets = [
        _bracket(row, start, end)
        for start, end in ranges
        if start < row[-1].end and end > row[0].start
    ]
    yield from _placed(brackets, room)


def _bracket(row: Sequence[_Bar], start: int, end: int) -> tuple[int, str]:
    """The first column of a range in this row, and the bracket below it.

    A bracket without a corner continues in the row before or after.
    """
    first = next((bar for bar in row if bar.start <= start < bar.end), row[0])
    left = first.column(max(start, row[0].start))
    right = max(_column(row, min(end, row[-1].end)) - 1, left + 1)
    opening = "└" if start >= row[0].start else "─"
    closing = "┘" if end <= row[-1].end else "─"
    return left, opening + "─" * (right - left - 1) + closing


def _column(row: Sequence[_Bar], offset: int) -> int:
    bar = next((bar for bar in row if bar.start <= offset <= bar.end), row[-1])
    return bar.column(offset)


def _placed(labels: Sequence[tuple[int, str]], room: int) -> list[str]:
    """Texts near their columns, in as many lines as they need to not overlap."""
    lines: list[str] = []
    pieces = [(column, piece) for column, text in labels for piece in wrap(text, room)]
    for column, text in pieces:
        left = max(0, min(column, room - len(text)))
        for index, line in enumerate(lines):
            if len(line) < left:
                lines[index] = line.ljust(left) + text
                break
        else:
            lines.append(" " * left + text)
    return lines
