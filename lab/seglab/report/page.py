"""Writes ``report.html``: one file that a browser opens from disk, without a network."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from seglab.core.text import spaced
from seglab.plots.features import Matrix
from seglab.plots.svg import without_ground
from seglab.report.embedding import Embedded
from seglab.report.figures import Drawing
from seglab.report.summary import RunSummary

_FAILURES_SHOWN = 200
_WIDE_POINTS = 800  # most figures have 680; heat maps of many networks have more


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as the template shows it: a drawing whose ``source`` is a ``data:`` address."""

    name: str
    scenario: str | None
    caption: str
    text: str
    source: str
    captures: tuple[str, ...]
    matrix: Matrix | None
    table: tuple[Sequence[str], Sequence[Sequence[str]]] | None
    wide: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: one row for each name, one column for each place (a host or an interface)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def page(summary: RunSummary, pictures: Sequence[Picture], sessions: Embedded) -> str:
    """The report of a run as HTML.

    Every stored string is escaped. The page's policy (CSP) allows one script, ``report.js``, which
    it names by its hash.
    """
    manifest = summary.manifest
    script = _resource("report.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(_resource("report.html"))
    return template.render(
        css=Markup(_resource("report.css")),  # noqa: S704, it is our own file
        script=Markup(script),  # noqa: S704, it is our own file
        script_hash=_hash(script),
        sessions=sessions,
        session_data=Markup(sessions.text),  # noqa: S704, it holds no markup
        summary=summary,
        manifest=manifest,
        counts=summary.counts,
        started=manifest.started.replace("T", " ").replace("+00:00", " UTC"),
        pictures=pictures,
        reasons=Counter((f.error, f.expected) for f in summary.failures).most_common(),
        failures=summary.failures[:_FAILURES_SHOWN],
        hidden_failures=max(len(summary.failures) - _FAILURES_SHOWN, 0),
        sysctls=grids(manifest.sysctls, "sysctl"),
        offloads=grids(manifest.offloads, "interface"),
        arguments={key: json.dumps(value) for key, value in manifest.arguments.items()},
        spaced=spaced,
    )


def picture(drawing: Drawing, svg: bytes) -> Picture:
    """A drawing and its SVG as the page shows them.

    The SVG becomes an image, not a part of the document, so that its ids cannot collide with the
    ids of another figure. It has no ground of its own: that of the page is behind it.
    """
    width = re.search(rb'<svg [^>]*?\bwidth="([\d.]+)pt"', svg)
    data = base64.b64encode(without_ground(svg)).decode("ascii")
    source = f"data:image/svg+xml;base64,{data}"
    return Picture(
        drawing.name,
        drawing.scenario,
        drawing.caption,
        drawing.text,
        source,
        drawing.captures,
        drawing.matrix,
        drawing.table,
        width is not None and float(width[1]) > _WIDE_POINTS,
    )


def grids(stored: Mapping[str, Any], corner: str) -> list[Grid]:
    """Nested values as tables: one table for each network.

    Sysctls are ``{network: {host: {name: value}}}``, offloads ``{network: {interface: {name:
    value}}}``. Any other value becomes a table of one column, so that the manifest of another
    version is shown and not refused.
    """
    found = []
    for title, places in stored.items():
        if isinstance(places, Mapping) and all(isinstance(v, Mapping) for v in places.values()):
            names = sorted({name for values in places.values() for name in values})
            rows = tuple(
                (name, *(_text(values.get(name)) for values in places.values())) for name in names
            )
            found.append(Grid(title, (corner, *places), rows))
        else:
            items = places.items() if isinstance(places, Mapping) else [("", places)]
            found.append(
                Grid(title, (corner, "value"), tuple((name, _text(v)) for name, v in items))
            )
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _hash(script: str) -> str:
    """The expression by which Content Security Policy 3 allows exactly this inline script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}"


def _resource(name: str) -> str:
    return resources.files("seglab.report").joinpath(name).read_text(encoding="utf-8")
