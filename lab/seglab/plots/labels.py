"""Where the texts of a figure go: next to what they name, and never on top of each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise


@dataclass(slots=True)
class Occupied:
    """The rectangles of a figure that are taken.

    Attributes:
        taken: left, bottom, right and top of each.
    """

    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def take(self, x: float, y: float, width: float, height: float) -> bool:
        """Take the rectangle around a point, unless a part of it is taken already.

        Returns:
            Whether it was free.
        """
        left, right = x - width / 2, x + width / 2
        bottom, top = y - height / 2, y + height / 2
        for other in self.taken:
            if left < other[2] and other[0] < right and bottom < other[3] and other[1] < top:
                return False
        self.taken.append((left, bottom, right, top))
        return True


@dataclass(frozen=True, slots=True)
class SharedNumber:
    """A text for neighbouring boxes that have no room for a number each.

    Attributes:
        first: the index of the first box.
        last: the index of the last box.
        texts: the text, and shorter ones for less room.
    """

    first: int
    last: int
    texts: tuple[str, ...]


def shared_numbers(sizes: Sequence[int]) -> Iterator[SharedNumber]:
    """The texts for neighbouring boxes without room: ``1448 x 41`` for many of one size.

    Three or more neighbours of one size share a text. Others share one that counts them and has
    the smallest and the largest size. A single box gets none.

    Args:
        sizes: the size of each box.
    """
    runs = [list(run) for _, run in groupby(range(len(sizes)), key=lambda index: sizes[index])]
    for long, group in groupby(runs, key=lambda run: len(run) > 2):
        if long:
            for run in group:
                size = sizes[run[0]]
                yield SharedNumber(run[0], run[-1], (f"{size} x {len(run)}", str(size)))
        else:
            members = [index for run in group for index in run]
            some = [sizes[index] for index in members]
            if len(members) > 1:
                words = f"{len(some)} of {min(some)} to {max(some)}"
                yield SharedNumber(members[0], members[-1], (f"{words} bytes", words))


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


def left_edges(lengths: Sequence[float]) -> list[float]:
    """The beginning of each length if all of them are laid end to end."""
    places = [0.0]
    for length in lengths:
        places.append(places[-1] + length)
    return [start for start, _ in pairwise(places)]
