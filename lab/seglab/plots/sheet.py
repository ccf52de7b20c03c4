"""What a figure consists of: outlines, lines and words at places on a sheet.

A figure of the lab says itself where everything goes. So it needs no layout: ``svg`` and ``png``
write what is on its sheet, in the order of its heights (``z``). Matplotlib's figures would make
several objects for each of these things, and measure and place them for each file again.

Places on a sheet are counted from its upper left corner. Where a figure speaks of the sheet it says
inches; widths of lines and sizes of letters are in points, as is all that is stored.
"""

from collections.abc import Callable, Iterable, Sequence
from math import ceil, cos, radians, sin
from typing import Final, Literal, NamedTuple, TypedDict, Unpack

from seglab.core.text import safe, shorten
from seglab.plots import fonts
from seglab.plots.fonts import Face
from seglab.plots.style import INK, MUTED

POINTS_AN_INCH: Final = 72

Point = tuple[float, float]
Outline = Sequence[Point]
Across = Literal["left", "center", "right"]
Along = Literal["top", "center", "capitals", "baseline", "bottom"]
Mark = Literal["circle", "square", "diamond", "cross", "bar"]

_LINE_MAX = 200
_TEXT_MAX = 2000
"""No figure has room for more."""

_CORNER_STEPS: Final = 4
_CIRCLE_STEPS: Final = 32


class Shape(NamedTuple):
    """Outlines or lines of one look.

    Attributes:
        outlines: each a sequence of points.
        fill: the colour inside; ``None`` fills nothing.
        line: the colour of the lines; ``None`` draws none.
        width: of the lines.
        dashes: the lengths of the dashes and of the gaps in turn; empty for whole lines.
        closed: whether lines go back to where they began.
        opacity: from 0 to 1.
        projecting: whether lines begin and end half of their width further out.
    """

    outlines: Sequence[Outline]
    fill: str | None = None
    line: str | None = None
    width: float = 0
    dashes: tuple[float, ...] = ()
    closed: bool = False
    opacity: float = 1
    projecting: bool = False


class Words(NamedTuple):
    """One line of text.

    Attributes:
        left: where its base line begins.
        baseline: how far down that is.
        text: the text.
        size: of its letters.
        face: which of the fonts.
        colour: of its letters.
        angle: by how many degrees it rises.
    """

    left: float
    baseline: float
    text: str
    size: float
    face: Face
    colour: str
    angle: float = 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of a text that does not rise."""
        width = fonts.width(self.face, self.text) / fonts.UNITS * self.size
        top = self.baseline - fonts.ASCENT * self.size
        return self.left, top, self.left + width, self.baseline + fonts.DESCENT * self.size


class Ground(NamedTuple):
    """A box with round corners behind a text.

    Attributes:
        fill: its colour.
        edge: the colour of its edge; ``None`` for none.
        width: of the edge.
        pad: how much wider it is than the text on each side, as a share of the letters' size.
    """

    fill: str
    edge: str | None = None
    width: float = 0
    pad: float = 0.15


class Look(TypedDict, total=False):
    """How a text is written: what ``Sheet.write`` takes."""

    size: float
    colour: str
    face: Face
    across: Across
    along: Along
    ground: Ground | None
    angle: float
    z: float


Item = Shape | Words


class Sheet:
    """A figure.

    Args:
        width: in inches.
        height: in inches.

    Attributes:
        width: in points.
        height: in points.
        areas: the areas of the figure, in the order in which they were made.
        title: what its heading says, for who cannot see it; empty without a heading.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width = width * POINTS_AN_INCH
        self.height = height * POINTS_AN_INCH
        self.areas: list[Area] = []
        self.title = ""
        self._items: list[tuple[float, Item]] = []

    @property
    def items(self) -> list[Item]:
        """All that is drawn, the lowest first."""
        return [item for _, item in sorted(self._items, key=lambda pair: pair[0])]

    def add(self, item: Item, z: float) -> None:
        """Draw something at a height."""
        if isinstance(item, Words) or item.outlines:
            self._items.append((z, item))

    def area(
        self, left: float, top: float, width: float, height: float,
        x: tuple[float, float] = (0, 1), y: tuple[float, float] = (0, 1),
    ) -> "Area":  # fmt: skip
        """Return a part of the sheet with scales of its own.

        Args:
            left: in inches.
            top: in inches.
            width: in inches.
            height: in inches.
            x: what is at its left and at its right edge.
            y: what is at its lower and at its upper edge.
        """
        left, top = left * POINTS_AN_INCH, top * POINTS_AN_INCH
        area = Area(self, left, top, width * POINTS_AN_INCH, height * POINTS_AN_INCH, x, y)
        self.areas.append(area)
        return area

    def heading(self, title: str, subtitle: str) -> None:
        """Write a title that says what is to be seen, and below it in which data."""
        self.title = ". ".join(shown(text) for text in (title, subtitle) if text)
        self.text(0.18, 0.16, title, size=13, face="bold", along="top")
        self.text(0.18, 0.46, subtitle, along="top", colour=MUTED)

    def text(self, left: float, top: float, text: str, **look: Unpack[Look]) -> None:
        """Write at a place in inches; the look is that of ``write``."""
        self.write((left * POINTS_AN_INCH, top * POINTS_AN_INCH), text, **look)

    def write(
        self,
        place: Point,
        text: str,
        *,
        size: float = 9.5,
        colour: str = INK,
        face: Face = "regular",
        across: Across = "left",
        along: Along = "baseline",
        ground: Ground | None = None,
        angle: float = 0,
        z: float = 3,
    ) -> None:
        """Write a line of text. It is made safe and short here, whoever wrote it.

        Args:
            place: in points.
            text: the text.
            size: of its letters.
            colour: of its letters.
            face: which of the fonts.
            across: which part of the line is at the place, from left to right.
            along: which part is at the place, from the top down; ``capitals`` is the middle of
                what lies above the base line.
            ground: what is behind it.
            angle: by how many degrees it rises; it turns about the place.
            z: its height.
        """
        text = shown(text)
        right = -_SHARES_ACROSS[across] * fonts.width(face, text) / fonts.UNITS * size
        down = _SHARES_ALONG[along] * size
        turn = radians(angle)
        left = place[0] + right * cos(turn) + down * sin(turn)
        baseline = place[1] - right * sin(turn) + down * cos(turn)
        words = Words(left, baseline, text, size, face, colour, angle)
        if ground is not None:
            outline = _round(words.box, ground.pad * size)
            self.add(Shape([outline], ground.fill, ground.edge, ground.width, closed=True), z)
        self.add(words, z)


class Area:
    """A part of a sheet with scales of its own; ``Sheet.area`` makes it.

    Attributes:
        left: edge, in points of the sheet.
        top: edge, in points of the sheet.
        width: in points.
        height: in points.
        x: what is at its left and at its right edge.
        y: what is at its lower and at its upper edge.
    """

    def __init__(
        self, sheet: Sheet, left: float, top: float, width: float, height: float,
        x: tuple[float, float], y: tuple[float, float],
    ) -> None:  # fmt: skip
        self.left, self.top, self.width, self.height = left, top, width, height
        self.x, self.y = x, y
        self._sheet = sheet
        self._right = width / (x[1] - x[0])
        self._down = height / (y[0] - y[1])

    def at(self, x: float, y: float) -> Point:
        """Return where on the sheet a place of the area is."""
        return (
            self.left + (x - self.x[0]) * self._right,
            self.top + (y - self.y[1]) * self._down,
        )

    def outlines(
        self, outlines: Iterable[Outline], fill: str, *, opacity: float = 1, z: float = 1
    ) -> None:
        """Fill outlines."""
        at = self.at
        placed = [[at(*point) for point in outline] for outline in outlines]
        self._sheet.add(Shape(placed, fill, opacity=opacity), z)

    def edges(
        self, outlines: Iterable[Outline], colour: str, width: float, *, z: float = 1
    ) -> None:
        """Draw lines around outlines."""
        at = self.at
        placed = [[at(*point) for point in outline] for outline in outlines]
        self._sheet.add(Shape(placed, line=colour, width=width, closed=True), z)

    def lines(
        self,
        lines: Iterable[Outline],
        colour: str,
        width: float,
        *,
        dashes: Sequence[float] = (),
        projecting: bool = False,
        z: float = 2,
    ) -> None:
        """Draw lines, which may have corners.

        Args:
            lines: the points of each.
            colour: of all.
            width: of all.
            dashes: as in ``Shape``, in widths of the line.
            projecting: as in ``Shape``.
            z: their height.
        """
        at = self.at
        placed = [[at(*point) for point in line] for line in lines]
        lengths = tuple(length * width for length in dashes)
        self._sheet.add(
            Shape(placed, line=colour, width=width, dashes=lengths, projecting=projecting), z
        )

    def hatch(
        self, rectangle: Outline, colour: str, width: float, apart: float, *, z: float = 1
    ) -> None:
        """Draw the edge of a rectangle, and rising lines through it so many points apart."""
        self.edges([rectangle], colour, width, z=z)
        (left, bottom), _, (right, top), _ = (self.at(*corner) for corner in rectangle)
        wide, high = right - left, bottom - top
        lines = []
        for n in range(1, ceil((wide + high) / apart)):
            out = n * apart  # a line's way along the left and the upper edge
            begin = (left, top + out) if out < high else (left + out - high, bottom)
            end = (left + out, top) if out < wide else (right, top + out - wide)
            lines.append([begin, end])
        self._sheet.add(Shape(lines, line=colour, width=width), z)

    def ticks(self, places: Iterable[float], length: float, colour: str) -> None:
        """Draw a short line below the area at each place, so many points long."""
        ends = [self.at(place, self.y[0]) for place in places]
        lines = [[(x, y), (x, y + length)] for x, y in ends]
        self._sheet.add(Shape(lines, line=colour, width=0.8), 2)

    def marks(
        self,
        mark: Mark,
        places: Iterable[Point],
        size: float,
        colour: str,
        *,
        edge: str | None = None,
        width: float = 1,
        z: float = 2,
    ) -> None:
        """Draw a mark at each place, so many points wide; a bar is a line of one point."""
        around = [self.at(*place) for place in places]
        if mark == "bar":
            lines = [[(x, y - size / 2), (x, y + size / 2)] for x, y in around]
            self._sheet.add(Shape(lines, line=colour, width=width, projecting=True), z)
            return
        form = [(size * x, size * y) for x, y in _FORMS[mark]]
        outlines = [[(x + dx, y + dy) for dx, dy in form] for x, y in around]
        self._sheet.add(Shape(outlines, colour, edge, width * (edge is not None), closed=True), z)

    def text(
        self, x: float, y: float, text: str, *, dx: float = 0, dy: float = 0, **look: Unpack[Look]
    ) -> None:
        """Write at a place of the area, so many points further right and down.

        The look is that of ``Sheet.write``.
        """
        right, down = self.at(x, y)
        self._sheet.write((right + dx, down + dy), text, **look)


def box(left: float, bottom: float, right: float, top: float) -> Outline:
    """Return the corners of a rectangle."""
    return (left, bottom), (right, bottom), (right, top), (left, top)


def shown(text: str) -> str:
    """Return a text as figures show it: without control characters, and not longer than a line."""
    return safe(shorten(text[:_TEXT_MAX], _LINE_MAX))


def _round(box: tuple[float, float, float, float], pad: float) -> Outline:
    """Return the outline of a box that is so much larger, with corners as round as that."""
    left, top, right, bottom = box
    corners = (right, bottom), (left, bottom), (left, top), (right, top)
    return [
        (x + pad * cos(turn), y + pad * sin(turn))
        for quarter, (x, y) in enumerate(corners)
        for turn in (radians(90 * (quarter + n / _CORNER_STEPS)) for n in range(_CORNER_STEPS + 1))
    ]


def _turned(steps: int, radius: float, of: Callable[[int], float]) -> Outline:
    return [(radius * cos(of(n)), radius * sin(of(n))) for n in range(steps)]


_SHARES_ACROSS: Final[dict[str, float]] = {"left": 0, "center": 0.5, "right": 1}
_SHARES_ALONG: Final[dict[str, float]] = {
    "top": fonts.ASCENT,
    "center": (fonts.ASCENT - fonts.DESCENT) / 2,
    "capitals": fonts.ASCENT / 2,
    "baseline": 0,
    "bottom": -fonts.DESCENT,
}
"""How far below the place the base line is, in sizes of the letters."""

_CROSS: Final = (1, 2), (2, 1), (1, 0), (2, -1), (1, -2), (0, -1)
"""Half of the corners of a thick X, in quarters of its width; the others lie opposite."""

_FORMS: Final[dict[str, Outline]] = {
    "circle": _turned(_CIRCLE_STEPS, 0.5, lambda n: radians(360 * n / _CIRCLE_STEPS)),
    "square": box(-0.5, -0.5, 0.5, 0.5),
    "diamond": _turned(4, 0.5**0.5, lambda n: radians(90 * n)),
    "cross": [(x / 4, y / 4) for x, y in (*_CROSS, *((-x, -y) for x, y in _CROSS))],
}
"""The outline of each mark of width 1; that of the diamond is a turned square."""
