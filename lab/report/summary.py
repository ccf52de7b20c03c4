"""What a stored run says: counts, verdicts, and the words for both.

A summary is all that the terminal, ``--json`` and the report print. It is computed from the run
folder alone, so that an old run, or one from another machine, gives the same answer here.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lab.boundary import (
    Block,
    PublishedSeparation,
    SeparationPoint,
    published_separation,
    separation,
    separation_words,
    single_block,
)
from lab.manifest import Counts, Experiment, Manifest
from lab.paper import PublishedScenario, keys, paper, published
from lab.record import SessionRecord
from lab.runfolder import RunFolder
from lab.trace import sizes
from lab.verdicts import (
    Sequences,
    Sizes,
    Verdict,
    count,
    count_sequences,
    judge,
    p_words,
    spaced,
)

JUDGED_COMMAND = "reproduce"
"""The command whose runs get verdicts; others are described only."""

_BLOCK_KEY = "scenarios.2"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table ``published | the lab | verdict``.

    Attributes:
        name: of the experiment.
        title: of it, for people.
        published: what the paper prints, in words.
        lab: what the lab saw, in words.
        verdict: ``reproduced``, ``not reproduced: ...``, or what a run without verdicts has.
        reproduced: ``None`` where nothing was judged.
    """

    name: str
    title: str
    published: str
    lab: str
    verdict: str
    reproduced: bool | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A session that failed, and why."""

    session_id: str
    error: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one scenario of the run gave.

    Attributes:
        experiment: its name and title.
        counts: of its sessions, those of a sweep included.
        sequences: of the read sizes of its plain sessions, those outside a sweep.
        verdict: where it was judged.
        separation: a point a gap, where it has sessions of two writes.
        published_separation: the paper's own points on that curve.
        block: what joined the writes, where the paper remarks on it.
    """

    experiment: Experiment
    counts: Counts
    sequences: Sequences
    verdict: Verdict | None = None
    separation: tuple[SeparationPoint, ...] = ()
    published_separation: tuple[PublishedSeparation, ...] = ()
    block: Block | None = None

    @property
    def row(self) -> Row:
        """Its line of the table."""
        reproduced = self.verdict.reproduced if self.verdict else None
        return Row(
            name=self.experiment.name,
            title=self.experiment.title,
            published=self._published(),
            lab=self._lab(),
            verdict=self._verdict(),
            reproduced=reproduced,
        )

    @property
    def separation_words(self) -> str | None:
        """Its separation curve in words; ``None`` without at least two gaps."""
        return separation_words(self.separation) if len(self.separation) > 1 else None

    def _published(self) -> str:
        seen = self.sequences
        if not seen.printed:
            return "nothing"
        text = (
            f"{count(seen.published_sessions, 'session')},"
            f" {count(len(seen.printed), 'read sequence')}"
        )
        if self.verdict and self.verdict.read_counts.published_mean is not None:
            text += f", {self.verdict.read_counts.published_mean:.2f} reads each"
        return text

    def _lab(self) -> str:
        seen = self.sequences
        text = count(seen.lab_sessions, "session")
        if seen.printed:
            text += f", {len(seen.printed) - len(seen.missing)} of these sequences"
            if seen.rarest and seen.rarest.lab:
                text += f" (the rarest in {seen.rarest.lab})"
        elif seen.others:
            first = seen.others[0]
            text += f", most often {spaced(first.sizes)} ({first.lab})"
        if self.verdict and self.verdict.read_counts.lab_mean is not None:
            text += f", {self.verdict.read_counts.lab_mean:.2f} reads each"
            if self.verdict.read_counts.p is not None:
                text += f" ({p_words(self.verdict.read_counts.p)})"
        return text

    def _verdict(self) -> str:
        if self.verdict is None:
            return "not judged"
        if self.verdict.reproduced:
            return "reproduced"
        failed = [item.name for item in self.verdict.criteria if not item.passed]
        return f"not reproduced: {', '.join(failed)}"


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that a stored run says.

    Attributes:
        run: the folder.
        manifest: of the run.
        findings: one a scenario, in the manifest's order.
        failures: the sessions that failed.
        figures: the files drawn, relative to the folder; empty before they are.
    """

    run: str
    manifest: Manifest
    findings: tuple[Finding, ...]
    failures: tuple[Failure, ...]
    figures: tuple[str, ...] = ()

    @property
    def reproduced(self) -> bool | None:
        """Whether every judged scenario is reproduced; ``None`` when nothing was judged."""
        verdicts = [f.verdict for f in self.findings if f.verdict is not None]
        return all(verdict.reproduced for verdict in verdicts) if verdicts else None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The table ``published | the lab | verdict``."""
        return tuple(finding.row for finding in self.findings)

    def headline(self) -> str:
        """The verdict on the run in one line."""
        counts = self.counts
        if self.manifest.status != "complete":
            ended = counts.complete + counts.failed
            return (
                f"{self.manifest.status.capitalize()}: {ended} of"
                f" {count(counts.planned, 'session')} ended"
            )
        if self.reproduced is None:
            return f"{counts.complete} of {count(counts.planned, 'session')} complete"
        missed = [row.name for row in self.rows if row.reproduced is False]
        if missed:
            return f"Not reproduced: {', '.join(missed)}"
        return f"Reproduced: {', '.join(row.name for row in self.rows if row.reproduced)}"

    @property
    def counts(self) -> Counts:
        """Of all sessions, as recorded: an interrupted run's manifest does not know them yet."""
        complete = sum(f.counts.complete for f in self.findings)
        failed = sum(f.counts.failed for f in self.findings)
        return Counts(max(self.manifest.counts.planned, complete + failed), complete, failed)

    def paragraphs(self) -> tuple[str, ...]:
        """What the layers show, in words: the separation of writes, and the 10 KB block."""
        words = []
        for finding in self.findings:
            if finding.separation_words:
                words.append(finding.separation_words)
            if finding.block is not None:
                words += [finding.block.the_paper(), finding.block.the_lab()]
        return tuple(words)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON data: what ``--json`` prints."""
        return {
            "run": self.run,
            "command": self.manifest.command,
            "status": self.manifest.status,
            "error": self.manifest.error,
            "seed": self.manifest.seed,
            "headline": self.headline(),
            "reproduced": self.reproduced,
            "counts": msgspec.to_builtins(self.counts),
            "scenarios": [_finding_dict(finding) for finding in self.findings],
            "paragraphs": list(self.paragraphs()),
            "failures": msgspec.to_builtins(self.failures),
            "figures": list(self.figures),
        }

    def verdict_dicts(self) -> list[dict[str, Any]] | None:
        """The verdicts as they stand in ``run.json``; ``None`` when nothing was judged."""
        found = [verdict_dict(f.verdict) for f in self.findings if f.verdict is not None]
        return found or None


Grouped = dict[str, list[SessionRecord]]


def summarise(folder: RunFolder) -> tuple[Summary, Grouped]:
    """Read a run folder and judge it.

    Returns:
        The summary, and the records it was made from, by scenario.

    Raises:
        InputError: a stored file is damaged.
    """
    grouped: Grouped = defaultdict(list)
    for record in folder.sessions():
        grouped[record.scenario].append(record)
    named = {experiment.name: experiment for experiment in folder.manifest.scenarios}
    named |= {name: Experiment(name) for name in grouped if name not in named}
    summary = Summary(
        run=str(folder.path),
        manifest=folder.manifest,
        findings=tuple(
            _find(experiment, grouped.get(name, []), folder.manifest)
            for name, experiment in named.items()
        ),
        failures=tuple(
            Failure(record.session_id, record.error or "no reason was recorded")
            for records in grouped.values()
            for record in records
            if not record.complete
        ),
    )
    return summary, grouped


def plain(records: Sequence[SessionRecord]) -> list[SessionRecord]:
    """The sessions outside a sweep; all of them where there are no others."""
    return [record for record in records if not record.variant] or list(records)


def verdict_dict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON data, with its outcome and words beside its numbers."""
    return {
        "scenario": verdict.scenario,
        "reproduced": verdict.reproduced,
        "criteria": msgspec.to_builtins(verdict.criteria),
        **{k: v for k, v in msgspec.to_builtins(verdict).items() if k != "scenario"},
    }


def _find(experiment: Experiment, records: list[SessionRecord], manifest: Manifest) -> Finding:
    source = _published(experiment)
    printed: tuple[Sizes, ...] = source.sessions if source else ()
    subject = plain(records)
    complete = [record for record in subject if record.complete]
    judged = source is not None and manifest.command == JUDGED_COMMAND
    verdict = judge(experiment.name, printed, subject, seed=manifest.seed) if judged else None
    statuses = Counter(record.status for record in records)
    return Finding(
        experiment=experiment,
        counts=Counts(len(records), statuses["complete"], statuses["failed"]),
        sequences=verdict.sequences if verdict else count_sequences(printed, complete),
        verdict=verdict,
        separation=separation(records),
        published_separation=_published_points(source),
        block=_block(experiment, source, subject),
    )


def _published(experiment: Experiment) -> PublishedScenario | None:
    if experiment.published is None or experiment.published not in keys():
        return None
    found = published(experiment.published)
    return found if isinstance(found, PublishedScenario) else None


def _published_points(source: PublishedScenario | None) -> tuple[PublishedSeparation, ...]:
    """The paper's points on the curve of a scenario: all its experiments with the same writes."""
    if source is None:
        return ()
    return tuple(
        published_separation(other.gap_ms, other.writes, other.sessions)
        for other in paper().scenarios.values()
        if other.gap_ms is not None and other.writes == source.writes
    )


def _block(
    experiment: Experiment, source: PublishedScenario | None, records: list[SessionRecord]
) -> Block | None:
    if source is None or experiment.published != _BLOCK_KEY or not records:
        return None
    return single_block(source.writes, records[0].mss, source.sessions, records)


def _finding_dict(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.experiment.name,
        "title": finding.experiment.title,
        **{k: v for k, v in msgspec.to_builtins(finding.row).items() if k not in {"name", "title"}},
        "counts": msgspec.to_builtins(finding.counts),
        "verdict": finding.verdict and verdict_dict(finding.verdict),
        "sequences": msgspec.to_builtins(finding.sequences),
        "separation": [
            msgspec.to_builtins(point)
            | {"reads_interval": point.reads_interval, "wire_interval": point.wire_interval}
            for point in finding.separation
        ],
    }


def telling(records: Sequence[SessionRecord]) -> SessionRecord | None:
    """The session that shows most in one figure.

    One whose reads merge segments without swallowing everything, and if there is such a one,
    across two writes; of these, one with the most frequent sequence. ``None`` without a complete
    session.
    """
    complete = [record for record in plain(records) if record.complete]
    frequency = Counter(tuple(sizes(record.reads)) for record in complete)
    return max(
        complete,
        key=lambda r: (
            r.trace.loss_free,
            1 < len(r.reads) < len(r.segments),
            any(read.start < w.end < read.end for read in r.reads for w in r.writes),
            frequency[tuple(sizes(r.reads))],
        ),
        default=None,
    )
