"""A result as one HTML file, which needs no other file, no network and no script."""

from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from seglab.core.text import spaced
from seglab.core.version import version
from seglab.regress.result import RegressResult
from seglab.regress.terminal import check_letters, columns, marks_words, rows

EXAMPLES = 5
"""How many findings of a check the page shows in full; the others are rows of a table."""


def page(result: RegressResult) -> bytes:
    """Return the page; every string that comes from a classifier or a session is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["pieces"] = pieces
    template = environment.from_string(_resource("seglab.regress", "regress.html"))
    text = template.render(
        css=Markup(  # noqa: S704, these are our own files
            _resource("seglab.report", "report.css") + _resource("seglab.regress", "regress.css")
        ),
        result=result,
        version=version(),
        mtus=columns(result),
        rows=list(rows(result)),
        letters=check_letters(result),
        marks=marks_words(result),
        examples=EXAMPLES,
        spaced=spaced,
    )
    return text.encode()


def pieces(sizes: tuple[int, ...]) -> list[tuple[int, float]]:
    """Return each size with its width in the drawing: its share of all bytes, in percent."""
    total = sum(sizes) or 1
    return [(size, 100 * size / total) for size in sizes]


def _resource(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
