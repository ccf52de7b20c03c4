"""A message drawn at length: its sizes as bars to scale, and under them where the writes ended.

Each row holds as many sizes as fit; a bar's length is its bytes, and a read that merged segments
has a hairline where each of them would end. Under a bar stands its number,
under that ``▲`` where one write ended and the next began, with the offset and its probability,
``△`` where Nagle's algorithm held data back behind it, ``◆`` where the header ends, and
``└──┘`` below what was one segment until the path's MTU fell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.report.strip import EDGE, FULL, MORE, PUSHED, base_of

_LABEL = 10
_ROOM_LEAST = 20
_FULL_COLUMNS = (24, 18, 14, 10, 8)
_SIZES_MAX = 2000


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at an offset of the message.

    Attributes:
        offset: in bytes from the message's first.
        symbol: one character.
        text: beside it.
    """

    offset: int
    symbol: str
    text: str


@dataclass(frozen=True, slots=True)
class _Bar:
    """A size in a row: the columns ``left:left + length`` stand for the bytes ``start:end``."""

    left: int
    length: int
    start: int
    end: int
    pushed: bool

    def blocks(self, base: int) -> str:
        """The bar itself; a read that merges segments has a hairline where each would end."""
        cells = [FULL] * self.length
        size = self.end - self.start
        if self.length * base > 2 * size:
            for edge in range(base, size, base):
                cells[self.column(self.start + edge) - self.left - 1] = EDGE
        return "".join(cells) + (PUSHED if self.pushed else "")

    def column(self, offset: int) -> int:
        """Where an offset of the message stands; its end is the column behind it."""
        share = (offset - self.start) / (self.end - self.start)
        return self.left + round(share * self.length)


def drawing(observation: Observation, verdict: Verdict | None, width: int) -> Iterator[str]:
    """The lines of the drawing, none longer than ``width``, without any control character."""
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
    """What is to be marked, in the order of the offsets."""
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
    """The bars of each row, at one scale for all of them."""
    sizes = observation.sizes[:_SIZES_MAX]
    scale = _scale(sizes, base, room)
    row: list[_Bar] = []
    left = 0
    for index, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True)):
        length = min(max(1, round(size / scale)), room - 1)
        slot = max(length, len(str(size))) + 1
        if row and left + slot > room:
            yield row
            row, left = [], 0
        pushed = observation.push is not None and bool(observation.push[index])
        row.append(_Bar(left, length, end - size, end, pushed))
        left += slot
    if row:
        yield row


def _scale(sizes: Sequence[int], base: int, room: int) -> float:
    """Bytes of a column: the message in one row if that leaves a full segment wide enough."""
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
        numbers = numbers.ljust(bar.left) + str(bar.end - bar.start)
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
    """Where a range begins in the row, and what is drawn below it; an open end goes on."""
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
    """Texts as near to their columns as there is room, in as many lines as it takes."""
    lines: list[str] = []
    for column, text in labels:
        left = max(0, min(column, room - len(text)))
        for index, line in enumerate(lines):
            if len(line) < left:
                lines[index] = line.ljust(left) + text
                break
        else:
            lines.append(" " * left + text)
    return lines
