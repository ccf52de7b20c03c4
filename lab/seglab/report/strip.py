"""The sizes of a message as one line for a terminal: a strip of blocks, and the run-length.

A column of full height is one full segment. A lower column is the remainder of a size::

    █ █ █▅       1440 x2 2240           three segments of 1440 and one of 800, in three reads
    █ █ █ ▅▏     1440 x3 800            the same as segments; the last one had PSH

So a read that merges segments shows them side by side, and a blank follows where a size ends.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final

from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.core.tcpip import full_segment

EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
FULL: Final = EIGHTHS[-1]
EDGE: Final = "▉"
PUSHED: Final = "▏"
MORE: Final = "…"
HOLE: Final = "░"

_MSS_DEFAULT = 1460
_MSS_LEAST = 512
_COLUMNS_OF_A_SIZE_MAX = 12
_SIZES_MAX = 2000
_ASCII = str.maketrans(
    {**dict.fromkeys("▁▂▃", "."), **dict.fromkeys("▄▅▆", "o"), "▇": "0", "█": "#", "▉": "#",
     "▏": "|", "░": "?",
     "…": "~", "▲": "^", "△": "^", "◆": "H", "└": "+", "┘": "+", "─": "-", "·": ".",
     "╌": "~", "┆": ":"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StripCell:
    """A character of a strip, and its kind.

    Attributes:
        text: the character.
        kind: ``full``, ``short``, ``push``, ``gap``, ``hole`` or ``more``.
    """

    text: str
    kind: str


def in_ascii(text: str) -> str:
    """The text for a terminal without Unicode: every block and mark becomes an ASCII character."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def base_of(observation: Observation, verdict: Verdict | None = None) -> int:
    """The number of bytes that are drawn as one full segment: the MSS, or the best guess at it."""
    if observation.mss is not None:
        return observation.mss
    if verdict is not None and verdict.explanations:
        mtu, timestamps = verdict.explanations[0]
        ipv6 = observation.client is not None and observation.client.startswith("[")
        guess = full_segment(mtu, ip_version=6 if ipv6 else 4, timestamps=timestamps)
        if guess > 0:
            return guess
    likely = [size for size in observation.sizes if _MSS_LEAST <= size <= _MSS_DEFAULT]
    return max(likely, default=_MSS_DEFAULT)


def hole_indexes(observation: Observation) -> frozenset[int]:
    """The indexes of the sizes that are holes: bytes that were not captured, and no segments."""
    starts = {start for start, _ in observation.holes}
    ends = zip(observation.ends, observation.sizes, strict=True)
    return frozenset(index for index, (end, size) in enumerate(ends) if end - size in starts)


def strip(
    sizes: Sequence[int],
    base: int,
    push: Sequence[bool | None] | None,
    width: int,
    holes: Collection[int] = (),
) -> list[StripCell]:
    """The strip in at most ``width`` columns; the sizes with the indexes ``holes`` are holes.

    If it is too long, equal sizes in a row are drawn once with their number; if it is still too
    long, it is cut and ends with ``MORE``.
    """
    pushed = push or (None,) * len(sizes)
    marked = (None if index in holes else size for index, size in enumerate(sizes))
    pairs = list(islice(zip(marked, pushed, strict=True), _SIZES_MAX))
    cells = _cells([(size, push, 1) for size, push in pairs], base)
    if len(cells) > width:
        runs = [(*pair, sum(1 for _ in equal)) for pair, equal in groupby(pairs)]
        cells = _cells(runs, base)
    if len(cells) <= width and len(pairs) == len(sizes):
        return cells
    return [*cells[: width - 1], StripCell(MORE, "more")] if width > 0 else []


def _cells(runs: Sequence[tuple[int | None, bool | None, int]], base: int) -> list[StripCell]:
    cells: list[StripCell] = []
    for size, pushed, count in runs:
        if cells and cells[-1].kind != "push":
            cells.append(StripCell(" ", "gap"))
        if size is None:
            cells.append(StripCell(HOLE, "hole"))
            continue
        cells += _columns(size, base)
        if count > 1:
            cells += [StripCell(digit, "more") for digit in f"x{count}"]
        if pushed:
            cells.append(StripCell(PUSHED, "push"))
    return cells


def _columns(size: int, base: int) -> Iterator[StripCell]:
    whole, rest = divmod(size, base)
    if whole > _COLUMNS_OF_A_SIZE_MAX:
        yield from (StripCell(FULL, "full"),) * (_COLUMNS_OF_A_SIZE_MAX // 2)
        yield StripCell("╌", "more")
        whole = _COLUMNS_OF_A_SIZE_MAX // 2
    for _ in range(whole):
        yield StripCell(FULL, "full")
    if rest:
        yield StripCell(EIGHTHS[max(1, min(7, round(rest * 8 / base)))], "short")


def run_length(sizes: Sequence[int], width: int | None = None, holes: Collection[int] = ()) -> str:
    """The sizes as a listing prints them: ``1440 x3 800``; a hole as ``hole:1440``.

    If the text is longer than ``width``, it is cut between two sizes and ends with ``MORE``.
    """
    groups: list[str] = []
    length = 0
    shown = (f"hole:{size}" if index in holes else f"{size}" for index, size in enumerate(sizes))
    for size, equal in groupby(shown):
        count = sum(1 for _ in equal)
        text = f"{size} x{count}" if count > 1 else size
        length += len(text) + 1
        if width is not None and length - 1 > width:
            return _shortened(groups, width)
        groups.append(text)
    return " ".join(groups)


def _shortened(groups: list[str], width: int) -> str:
    while groups and len(" ".join(groups)) + 2 > width:
        groups.pop()
    return " ".join((*groups, MORE)) if width > 0 else ""
