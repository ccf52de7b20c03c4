"""SVG files of figures (SVG 1.1). Letters are outlines, so that every reader shows the same.

Each letter of a font is defined once in a file, and each text stands in a comment before its
letters. What the heading says is the file's title as well, for programs that read it aloud.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape

from matplotlib.path import Path

from seglab.plots import fonts
from seglab.plots.fonts import Face
from seglab.plots.sheet import Item, Outline, Shape, Sheet, Words
from seglab.plots.style import PAPER

GROUND = "ground"
"""The id of the ground of a figure in its SVG."""

_COMMANDS = {int(Path.MOVETO): "M", int(Path.LINETO): "L", int(Path.CURVE3): "Q"}
"""What begins the points of each code in an outline; fonts in TrueType's format have no others."""


def svg(sheet: Sheet, words: str) -> bytes:
    """Return a figure as an SVG file; the words say what made it."""
    width, height = _number(sheet.width), _number(sheet.height)
    items = sheet.items
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' width="{width}pt" height="{height}pt" viewBox="0 0 {width} {height}"'
        ' xmlns="http://www.w3.org/2000/svg" version="1.1" role="img">\n'
        f"<title>{escape(sheet.title, quote=False)}</title>\n"
        f"<desc>{escape(words, quote=False)}</desc>\n<defs>",
        *_definitions(items),
        f'</defs>\n<g id="{GROUND}"><path d="M0 0h{width}v{height}h-{width}z"'
        f' fill="{PAPER}"/></g>\n',
        *(_words(item) if isinstance(item, Words) else _shape(item) for item in items),
        "</svg>\n",
    ]
    return "".join(parts).encode()


def without_ground(data: bytes) -> bytes:
    """The SVG of a figure that shows the ground of the page behind it."""
    return re.sub(rb'<g id="%s">.*?</g>' % GROUND.encode(), b"", data, count=1, flags=re.DOTALL)


def _number(value: float) -> str:
    return f"{round(value, 2):g}"


def _points(points: Outline) -> str:
    return "L".join([f"{round(x, 2):g} {round(y, 2):g}" for x, y in points])


def _shape(shape: Shape) -> str:
    end = "z" if shape.closed or shape.fill else ""
    path = "".join([f"M{_points(outline)}{end}" for outline in shape.outlines if outline])
    look = [f'fill="{shape.fill or "none"}"']
    if shape.opacity != 1:
        look.append(f'fill-opacity="{shape.opacity:g}"')
    if shape.line is not None:
        look.append(f'stroke="{shape.line}" stroke-width="{_number(shape.width)}"')
        look += ['stroke-linejoin="round"'] * shape.closed
        look += ['stroke-linecap="square"'] * shape.projecting
        if shape.dashes:
            look.append(f'stroke-dasharray="{" ".join(map(_number, shape.dashes))}"')
    return f'<path d="{path}" {" ".join(look)}/>\n' if path else ""


def _words(words: Words) -> str:
    comment = re.sub("-(?=-|$)", "- ", escape(words.text, quote=False))
    scale = words.size / fonts.UNITS
    turn = f" rotate({_number(-words.angle)})" if words.angle else ""
    begins = fonts.places(words.face, words.text)
    letters = "".join(
        [
            f'<use x="{at:g}" xlink:href="#{words.face}-{ord(letter):x}"/>'
            for letter, at in zip(words.text, begins, strict=False)
        ]
    )
    return (
        f'<!-- {comment} -->\n<g fill="{words.colour}" transform="translate('
        f'{_number(words.left)} {_number(words.baseline)}){turn} scale({scale:.6g} -{scale:.6g})">'
        f"{letters}</g>\n"
    )


def _definitions(items: Sequence[Item]) -> Iterator[str]:
    """Yield the outlines of all letters, once each."""
    letters = {(w.face, letter): None for w in items if isinstance(w, Words) for letter in w.text}
    for face, letter in letters:
        yield f'<path id="{face}-{ord(letter):x}" d="{_outline(face, letter)}"/>\n'


@cache
def _outline(face: Face, letter: str) -> str:
    """Return the outline of a letter, in units of its font."""
    vertices, codes, *_ = fonts.glyph(face, letter)
    points = [f"{x:g} {y:g}" for x, y in vertices.tolist()]
    parts, at = [], 0
    while at < len(points):
        code = int(codes[at])
        if code == Path.CLOSEPOLY:
            parts.append("z")
            at += 1
        else:
            end = at + (2 if code == Path.CURVE3 else 1)
            parts.append(_COMMANDS[code] + " ".join(points[at:end]))
            at = end
    return "".join(parts)
