"""What `seglab try` says of a stored run: network by network, what a program's sessions showed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seglab.classification.api import classify
from seglab.classification.classifier import Verdict
from seglab.core.labels import UNKNOWN_STYLE
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.core.text import one_line
from seglab.core.trace import first_sent, sizes
from seglab.core.written import WrittenLabels
from seglab.errors import InputError
from seglab.frames.lab_capture import UnreadableCaptureError, payload_sent
from seglab.report.console import as_markup, say, stdout
from seglab.runs.folder import RunFolder
from seglab.sender.likeness import Likeness, ProgramWrites, likeness

_SIZES_SHOWN = 8
_COLUMNS = (
    "network", "session", "written", "on the wire", "read", "wrote", "buffer", "writes like",
    "looks like",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TriedSession:
    """One session of a program.

    Attributes:
        record: its row.
        verdict: what the classifier ``boundaries`` says of its segments; ``None`` where it says
            nothing, or the session failed.
        labels: how it wrote, as far as its writes tell; ``None`` where the session failed.
        like: the shipped sender that writes the same; ``None`` where none does, or it is not known.
    """

    record: SessionRecord
    verdict: Verdict | None
    labels: WrittenLabels | None = None
    like: Likeness | None = None

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
            "styles": [] if self.labels is None else list(self.labels.styles),
            "terminators": [] if self.labels is None else list(self.labels.terminators),
            "buffer": None
            if self.labels is None or self.labels.buffer is None
            else {
                "least_bytes": self.labels.buffer.least_bytes,
                "most_bytes": self.labels.buffer.most_bytes,
            },
            "writes_like": None if self.like is None else self.like.to_dict(),
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
        tuple(_tried(folder, record) for record in records),
    )


def _tried(folder: RunFolder, record: SessionRecord) -> TriedSession:
    seen = program_writes(folder, record)
    if seen is None:
        return TriedSession(record, _verdict(record))
    return TriedSession(record, _verdict(record), seen.labels, likeness(seen))


def program_writes(folder: RunFolder, record: SessionRecord) -> ProgramWrites | None:
    """Return what a program of a stored run did to write its message.

    Returns:
        ``None`` where the session is not complete, or its capture is gone.

    Raises:
        InputError: the capture is damaged.
    """
    if not record.complete or not record.calls or record.captures.client is None:
        return None
    path = folder.path / record.captures.client
    try:
        payload = payload_sent(path.read_bytes(), record.payload_bytes, record.payload_sha256 or "")
    except FileNotFoundError:
        return None
    except (OSError, UnreadableCaptureError) as error:
        raise InputError(f"{path}: {error}") from error
    if payload is None:
        raise InputError(f"{path}: has another payload than the session's row; make the run again")
    first = record.calls[0]
    lead_bytes = max(0, first.result - (first.end - first.start))
    return ProgramWrites(payload, record.calls, record.options, record.mss, lead_bytes)


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
        return record.network, record.status, *[""] * (len(_COLUMNS) - 2)
    return (
        record.network,
        record.status,
        _shown(sizes(record.writes)),
        _shown(sizes(first_sent(record.segments))),
        _shown(sizes(record.reads)),
        _wrote(one),
        _buffer(one.labels),
        _writes_like(one.like),
        _looks_like(one.verdict),
    )


def _wrote(one: TriedSession) -> str:
    labels, record = one.labels, one.record
    styles = [record.style] if labels is None else labels.styles or [UNKNOWN_STYLE]
    terminators = [record.terminator or ""] if labels is None else labels.terminators
    return ", ".join(filter(None, (" or ".join(styles), " or ".join(terminators))))


def _buffer(labels: WrittenLabels | None) -> str:
    return "" if labels is None or labels.buffer is None else str(labels.buffer)


def _writes_like(like: Likeness | None) -> str:
    if like is None:
        return "no shipped sender"
    return f"{like}; profiles: {', '.join(like.profiles)}" if like.profiles else str(like)


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
