"""What `seglab try` says of a stored run: network by network, what a program's sessions showed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seglab.classification.api import classify
from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.core.text import one_line
from seglab.core.trace import first_sent, sizes
from seglab.report.console import as_markup, say, stdout
from seglab.runs.folder import RunFolder

_SIZES_SHOWN = 8
_COLUMNS = ("network", "session", "written", "on the wire", "read", "wrote", "looks like")


@dataclass(frozen=True, slots=True)
class TriedSession:
    """One session of a program.

    Attributes:
        record: its row.
        verdict: what the classifier ``boundaries`` says of its segments; ``None`` where it says
            nothing, or the session failed.
    """

    record: SessionRecord
    verdict: Verdict | None

    def to_dict(self) -> dict[str, Any]:
        """The session for ``--json``."""
        record = self.record
        return {
            "session_id": record.session_id,
            "network": record.network,
            "mtu": record.mtu,
            "mss": record.mss,
            "status": record.status,
            "error": record.error,
            "exit_code": record.exit_code,
            "output": record.output,
            "notes": list(record.notes),
            "style": record.style,
            "terminator": record.terminator,
            "payload_bytes": record.payload_bytes,
            "writes": sizes(record.writes),
            "calls": [
                {"name": c.name, "asked_bytes": c.asked_bytes, "result": c.result, "flags": c.flags}
                for c in record.calls
            ],
            "options": [
                {"name": o.name, "action": o.action, "value": o.value} for o in record.options
            ],
            "segments": sizes(first_sent(record.segments)),
            "reads": sizes(record.reads),
            "looks_like": None if self.verdict is None else self.verdict.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Tried:
    """A run of `seglab try`.

    Attributes:
        path: the run folder.
        report: its page.
        program: what the program is called.
        command: the command line, with placeholders.
        sessions: its sessions, network by network.
    """

    path: Path
    report: Path
    program: str
    command: Sequence[str]
    sessions: tuple[TriedSession, ...]

    @property
    def complete(self) -> bool:
        """Whether every session is complete."""
        return all(one.record.complete for one in self.sessions)

    def to_dict(self) -> dict[str, Any]:
        """The result for ``--json``."""
        return {
            "run": str(self.path),
            "program": self.program,
            "command": list(self.command),
            "complete": self.complete,
            "sessions": [one.to_dict() for one in self.sessions],
        }


def tried(folder: RunFolder) -> Tried:
    """Read what a run of `seglab try` showed.

    Raises:
        InputError: a stored file is damaged.
    """
    order = list(folder.manifest.networks)
    records = sorted(
        folder.sessions(), key=lambda record: (order.index(record.network), record.repeat)
    )
    return Tried(
        folder.path,
        folder.report,
        records[0].sender if records else "",
        folder.manifest.arguments.get("command", ()),
        tuple(TriedSession(record, _verdict(record)) for record in records),
    )


def _verdict(record: SessionRecord) -> Verdict | None:
    if not record.complete:
        return None
    return classify(Observation.of_record(record, "segments"))


def show(result: Tried, console: Console | None = None) -> None:
    """Print the table, and a line for each session that failed."""
    console = console or stdout()
    rows = [_row(one) for one in result.sessions]
    if console.is_terminal:
        table = Table(*_COLUMNS, pad_edge=False)
        for cells in rows:
            table.add_row(*map(as_markup, cells))
        console.print(table)
    else:
        for cells in (_COLUMNS, *rows):
            print("\t".join(one_line(cell, None) for cell in cells), file=console.file)
    for one in result.sessions:
        if one.record.error is not None:
            name, reason = one.record.session_id, one_line(one.record.error, None)
            say(console, f"failed: {as_markup(name)}: {as_markup(reason)}")
        for note in one.record.notes:
            say(console, f"note: {as_markup(one.record.session_id)}: {as_markup(note)}")
    say(console, f"run folder: {as_markup(str(result.path))}", above=1)
    say(console, f"report:     {as_markup(str(result.report))}")


def _row(one: TriedSession) -> tuple[str, ...]:
    record = one.record
    if not record.complete:
        return record.network, record.status, *[""] * 5
    style = f"{record.style}, {record.terminator}" if record.terminator else record.style
    return (
        record.network,
        record.status,
        _shown(sizes(record.writes)),
        _shown(sizes(first_sent(record.segments))),
        _shown(sizes(record.reads)),
        style,
        _looks_like(one.verdict),
    )


def _looks_like(verdict: Verdict | None) -> str:
    if verdict is None or verdict.style is None:
        return "nothing"
    styles = [verdict.style] if isinstance(verdict.style, str) else verdict.style
    return " or ".join(styles)


def _shown(found: Sequence[int]) -> str:
    """Return sizes as text; equal ones that follow each other are counted."""
    groups: list[tuple[int, int]] = []
    for size in found:
        if groups and groups[-1][0] == size:
            groups[-1] = size, groups[-1][1] + 1
        else:
            groups.append((size, 1))
    words = [f"{size}x{many}" if many > 1 else str(size) for size, many in groups]
    if len(words) > _SIZES_SHOWN:
        words[_SIZES_SHOWN:] = [f"... ({len(found)} in all)"]
    return " ".join(words)
