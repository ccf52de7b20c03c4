"""What `seglab try` says of a stored run: what a program's sessions showed, and what changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglab.classification.api import classify
from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent, sizes
from seglab.core.written import WrittenLabels
from seglab.errors import InputError
from seglab.frames.lab_capture import UnreadableCaptureError, payload_sent
from seglab.mail.chunked import first_chunk_bytes
from seglab.report.program_changes import Change, changes
from seglab.report.summary import RunSummary
from seglab.reproduction.comparison import changed_settings
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest
from seglab.sender.likeness import Likeness, ProgramWrites, likeness


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
class Comparison:
    """What a program does otherwise than in an earlier run.

    Attributes:
        reference: the earlier run's folder.
        command: its command line.
        settings: what differs between the environments of the two runs, in words.
        changes: each aspect, network by network.
        only_before: the networks that only the earlier run has.
        only_now: those that only this run has.
    """

    reference: Path
    command: Sequence[str]
    settings: tuple[str, ...]
    changes: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_now: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether anything differs beyond chance."""
        return any(change.judgement == "differs" for change in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """The comparison for ``--json``."""
        return {
            "reference": str(self.reference),
            "command": list(self.command),
            "differs": self.differs,
            "settings": list(self.settings),
            "only_before": list(self.only_before),
            "only_now": list(self.only_now),
            "aspects": [change.to_dict() for change in self.changes],
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
        expected: the ids of those that failed as their network makes every session fail.
        comparison: with an earlier run; ``None`` where none was asked for.
    """

    path: Path
    report: Path
    program: str
    command: Sequence[str]
    sessions: tuple[TriedSession, ...]
    expected: frozenset[str]
    comparison: Comparison | None = None

    @property
    def complete(self) -> bool:
        """Whether every session is complete."""
        return all(one.record.complete for one in self.sessions)

    @property
    def findings(self) -> bool:
        """Whether a session failed that was not expected to, or the program differs."""
        failed = {one.record.session_id for one in self.sessions if not one.record.complete}
        return bool(failed - self.expected) or (
            self.comparison is not None and self.comparison.differs
        )

    def to_dict(self) -> dict[str, Any]:
        """The result for ``--json``."""
        compared = {} if self.comparison is None else {"comparison": self.comparison.to_dict()}
        return {
            "run": str(self.path),
            "program": self.program,
            "command": list(self.command),
            "complete": self.complete,
            "sessions": [one.to_dict() for one in self.sessions],
            **compared,
        }


def tried(folder: RunFolder, summary: RunSummary, reference: RunFolder | None = None) -> Tried:
    """Read what a run of `seglab try` showed.

    Args:
        folder: the run.
        summary: what its report says.
        reference: an earlier run to compare it with.

    Raises:
        InputError: a stored file is damaged, or the two runs cannot be compared.
    """
    records = _sessions(folder)
    return Tried(
        folder.path,
        folder.report,
        records[0].sender if records else "",
        folder.manifest.arguments.get("command", ()),
        tuple(_tried(folder, record) for record in records),
        frozenset(failure.session_id for failure in summary.failures if failure.expected),
        None if reference is None else _compared(reference, folder.manifest, records),
    )


def _sessions(folder: RunFolder) -> list[SessionRecord]:
    order = {name: place for place, name in enumerate(folder.manifest.networks)}
    return sorted(
        folder.sessions(),
        key=lambda record: (order.get(record.network, len(order)), record.network, record.repeat),
    )


def refuse_incomparable(
    reference: Manifest, path: Path, messages: object, networks: Iterable[str]
) -> None:
    """Refuse an earlier run that another one cannot be compared with.

    Args:
        reference: the earlier run's manifest.
        path: of the earlier run.
        messages: the digests of the other run's messages, by their names.
        networks: the names of the other run's networks.

    Raises:
        InputError: says what to do.
    """
    if reference.command != "try":
        raise InputError(f"{path}: not a run of seglab try, but of seglab {reference.command}")
    if reference.arguments.get("messages") != messages:
        raise InputError(
            f"{path}: its program sent another message; give the same --message, --size and --seed "
            f"({reference.seed} there)"
        )
    if not {*reference.networks} & {*networks}:
        raise InputError(f"{path}: has none of these networks, but {', '.join(reference.networks)}")


def _compared(
    reference: RunFolder, manifest: Manifest, records: Sequence[SessionRecord]
) -> Comparison:
    there = reference.manifest
    earlier = _sessions(reference)
    before = list(dict.fromkeys(record.network for record in earlier))
    return Comparison(
        reference.path,
        there.arguments["command"],
        tuple(setting.words() for setting in changed_settings(there, manifest)),
        tuple(changes(earlier, records)),
        tuple(name for name in before if name not in manifest.networks),
        tuple(name for name in manifest.networks if name not in before),
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
        sent = payload_sent(path.read_bytes(), record.payload_bytes, record.payload_sha256 or "")
    except FileNotFoundError:
        return None
    except (OSError, UnreadableCaptureError) as error:
        raise InputError(f"{path}: {error}") from error
    if sent is None:
        raise InputError(f"{path}: has another payload than the session's row; make the run again")
    first = record.calls[0]
    lead_bytes = max(0, first.result - (first.end - first.start))
    payload, before = sent
    first_chunk = first_chunk_bytes(before)
    return ProgramWrites(payload, record.calls, record.options, record.mss, lead_bytes, first_chunk)


def _verdict(record: SessionRecord) -> Verdict | None:
    if not record.complete:
        return None
    return classify(Observation.of_record(record, "segments"))
