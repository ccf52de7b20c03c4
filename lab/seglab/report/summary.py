"""What a stored run says: counts, verdicts, and the words for both.

A summary is all that the terminal, ``--json`` and the report print. It is computed from the run
folder alone, so that an old run, or one from another machine, gives the same answer here.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from seglab.core.record import SessionRecord
from seglab.core.text import count
from seglab.core.trace import sizes
from seglab.report.scenario_result import (
    AnyVerdict,
    ResultRow,
    ScenarioResult,
    outside_sweep,
    result_of,
)
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Counts, Experiment, Manifest


@dataclass(frozen=True, slots=True)
class Failure:
    """A session that failed, and why."""

    session_id: str
    error: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Everything that a stored run says.

    Attributes:
        run: the folder.
        manifest: of the run.
        results: one a scenario, in the manifest's order.
        failures: the sessions that failed.
        figures: the files drawn, relative to the folder; empty before they are.
    """

    run: str
    manifest: Manifest
    results: tuple[ScenarioResult, ...]
    failures: tuple[Failure, ...]
    figures: tuple[str, ...] = ()

    @property
    def reproduced(self) -> bool | None:
        """Whether every judged scenario is reproduced; ``None`` when nothing was judged."""
        verdicts = [f.verdict for f in self.results if f.verdict is not None]
        return all(verdict.reproduced for verdict in verdicts) if verdicts else None

    @property
    def rows(self) -> tuple[ResultRow, ...]:
        """The table ``published | the lab | verdict``."""
        return tuple(result.row for result in self.results)

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
        found = [row.name for row in self.rows if row.reproduced]
        if len(found) == 1:
            return f"Reproduced: {found[0]}"
        return f"All {len(found)} experiments reproduced"

    @property
    def counts(self) -> Counts:
        """Of all sessions, as recorded: an interrupted run's manifest does not know them yet."""
        complete = sum(f.counts.complete for f in self.results)
        failed = sum(f.counts.failed for f in self.results)
        return Counts(max(self.manifest.counts.planned, complete + failed), complete, failed)

    def paragraphs(self) -> tuple[str, ...]:
        """What the layers show, in words: the separation of writes, and the 10 KB block."""
        words = []
        for result in self.results:
            if result.separation_words:
                words.append(result.separation_words)
            if result.block is not None:
                words += [result.block.paper_text(), result.block.lab_text()]
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
            "scenarios": [_result_dict(result) for result in self.results],
            "paragraphs": list(self.paragraphs()),
            "failures": msgspec.to_builtins(self.failures),
            "figures": list(self.figures),
        }

    def verdict_dicts(self) -> list[dict[str, Any]] | None:
        """The verdicts as they stand in ``run.json``; ``None`` when nothing was judged."""
        found = [verdict_dict(f.verdict) for f in self.results if f.verdict is not None]
        return found or None


Grouped = dict[str, list[SessionRecord]]


def summarise(folder: RunFolder) -> tuple[RunSummary, Grouped]:
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
    summary = RunSummary(
        run=str(folder.path),
        manifest=folder.manifest,
        results=tuple(
            result_of(experiment, grouped.get(name, []), folder.manifest)
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


def verdict_dict(verdict: AnyVerdict) -> dict[str, Any]:
    """A verdict as JSON data, with its outcome and words beside its numbers."""
    return {
        "scenario": verdict.scenario,
        "reproduced": verdict.reproduced,
        "criteria": msgspec.to_builtins(verdict.criteria),
        **{k: v for k, v in msgspec.to_builtins(verdict).items() if k != "scenario"},
    }


def _result_dict(result: ScenarioResult) -> dict[str, Any]:
    return {
        "name": result.experiment.name,
        "title": result.experiment.title,
        **{k: v for k, v in msgspec.to_builtins(result.row).items() if k not in {"name", "title"}},
        "counts": msgspec.to_builtins(result.counts),
        "verdict": result.verdict and verdict_dict(result.verdict),
        "seen": result.seen and msgspec.to_builtins(result.seen),
        "sequences": msgspec.to_builtins(result.sequences),
        "separation": [
            msgspec.to_builtins(point)
            | {"reads_interval": point.reads_interval, "wire_interval": point.wire_interval}
            for point in result.separation
        ],
    }


def most_informative(records: Sequence[SessionRecord]) -> SessionRecord | None:
    """The session that shows most in one figure.

    One whose reads merge segments without swallowing everything, and if there is such a one,
    across two writes; of these, one with the most frequent sequence. ``None`` without a complete
    session.
    """
    complete = [record for record in outside_sweep(records) if record.complete]
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
