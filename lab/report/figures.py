"""Which figures a run gets, and what each of them says to someone who cannot see it."""

from dataclasses import dataclass
from functools import partial

from lab.plots.separation import curve
from lab.plots.sequences import frequencies
from lab.plots.style import Drawer
from lab.plots.timeline import timeline
from lab.record import SessionRecord
from lab.report.summary import Grouped, Summary, telling
from lab.trace import sizes
from lab.verdicts import count, spaced


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that can be drawn.

    Attributes:
        name: of its files, without the suffix.
        scenario: that it belongs to.
        caption: how to read it.
        text: what it shows, in words.
        draw: makes it.
        captures: where the packets behind it are, relative to the run folder.
    """

    name: str
    scenario: str
    caption: str
    text: str
    draw: Drawer
    captures: tuple[str, ...] = ()


def drawings(summary: Summary, grouped: Grouped) -> list[Drawing]:
    """The figures of a run, scenario by scenario."""
    found = []
    for finding in summary.findings:
        name = finding.experiment.name
        session = telling(grouped.get(name, []))
        if session is not None:
            found.append(_timeline(session))
            found.append(
                Drawing(
                    f"sequences-{file_name(name)}",
                    name,
                    "How often each sequence of read sizes occurs. Below the dashed line: sequences"
                    " that only the lab saw.",
                    f"{finding.row.published} published; {finding.row.lab} in the lab.",
                    partial(frequencies, name, finding.sequences),
                )
            )
        if finding.separation_words:
            found.append(
                Drawing(
                    f"separation-{file_name(name)}",
                    name,
                    "The share of the sessions in which no segment (on the wire), or no read, holds"
                    " bytes of two writes.",
                    finding.separation_words,
                    partial(curve, name, finding.separation, finding.published_separation),
                )
            )
    return found


def _timeline(session: SessionRecord) -> Drawing:
    captures = (session.captures.client, session.captures.server)
    return Drawing(
        f"timeline-{file_name(session.scenario)}",
        session.scenario,
        "One session. Above, each segment runs from the client, when it was sent, to the server,"
        " when it arrived. Below, the layers over the bytes of the stream, each write in a colour.",
        f"{count(len(session.writes), 'write')} of {spaced(sizes(session.writes))} bytes became"
        f" segments of {spaced(sizes(session.segments))}, read as {spaced(sizes(session.reads))}.",
        partial(timeline, session),
        tuple(path for path in dict.fromkeys(captures) if path and _is_inside(path)),
    )


def file_name(name: str) -> str:
    """A scenario's name as part of a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:80]


def _is_inside(path: str) -> bool:
    """Whether a stored path is a plain one below ``wire/``, fit for a link."""
    first, *rest = path.split("/")
    return first == "wire" and bool(rest) and all(part.strip(".") for part in rest)
