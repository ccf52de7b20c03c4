"""The summary of a stored run: its counts, its verdicts, and both in words.

The terminal, ``--json`` and the report print nothing but the summary. It is computed from the run
folder alone, so an old run, or a run from another machine, gives the same summary here.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from seglab.core.lateness import lateness_words
from seglab.core.record import SessionRecord
from seglab.core.text import count
from seglab.core.trace import sizes
from seglab.engine import SIMULATORS, client_tcp
from seglab.engine.record import TIME_LIMIT_REACHED
from seglab.report.scenario_result import (
    JUDGED_COMMAND,
    AnyVerdict,
    ResultRow,
    ScenarioResult,
    outside_sweep,
    result_of,
)
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Counts, Experiment, Manifest

COMPARED_COLUMNS: Final = ("experiment", "published", "the lab", "verdict")
DESCRIBED_COLUMNS: Final = ("scenario", "ran", "complete", "failed", "seen")


@dataclass(frozen=True, slots=True)
class Failure:
    """A session that failed.

    Attributes:
        session_id: its id.
        error: why it failed.
        expected: whether its network says that sessions do not complete, and it ran into its
            time limit.
    """

    session_id: str
    error: str
    expected: bool = False


@dataclass(frozen=True, slots=True)
class RunSummary:
    """All that is known of a stored run.

    Attributes:
        run: the path of the run folder.
        manifest: the manifest of the run.
        results: one result for each scenario, in the manifest's order.
        failures: the sessions that failed.
        figures: the files of the figures, relative to the folder; empty until they are drawn.
    """

    run: str
    manifest: Manifest
    results: tuple[ScenarioResult, ...]
    failures: tuple[Failure, ...]
    figures: tuple[str, ...] = ()

    @property
    def reproduced(self) -> bool | None:
        """Whether every judged scenario is reproduced.

        It is ``None`` if no scenario was judged, or if the machine was too busy to judge some and
        all others are reproduced.
        """
        found = [row.reproduced for row in self.rows if row.reproduced is not None]
        if False in found:
            return False
        return True if found and not self.too_busy else None

    @property
    def too_busy(self) -> tuple[str, ...]:
        """The names of the scenarios that the machine was too busy to judge."""
        return tuple(result.experiment.name for result in self.results if result.too_busy)

    @property
    def rows(self) -> tuple[ResultRow, ...]:
        """The rows of the table ``published | the lab | verdict``."""
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
        if self.reproduced is None and not self.too_busy:
            expected = counts.failed - self.unexpected_failures
            words = f"; {expected} failed, as expected of the network" if expected else ""
            return f"{counts.complete} of {count(counts.planned, 'session')} complete{words}"
        missed = [row.name for row in self.rows if row.reproduced is False]
        busy = [
            f"{result.experiment.name} ({result.late.words()})"
            for result in self.results
            if result.too_busy and result.late is not None
        ]
        if missed or busy:
            parts = [f"not reproduced: {', '.join(missed)}"] if missed else []
            parts += [f"machine too busy to judge: {', '.join(busy)}"] if busy else []
            text = "; ".join(parts)
            return text[0].upper() + text[1:]
        found = [row.name for row in self.rows if row.reproduced]
        if len(found) == 1:
            return f"Reproduced: {found[0]}"
        return f"All {len(found)} experiments reproduced"

    @property
    def unexpected_failures(self) -> int:
        """The number of failed sessions that were expected to complete."""
        return sum(not failure.expected for failure in self.failures)

    @property
    def is_published(self) -> bool:
        """Whether it has a verdict, or the paper prints anything about one of the scenarios."""
        return self.reproduced is not None or any(result.is_published for result in self.results)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The columns and the rows of the table of all scenarios.

        If nothing is published about them, it says what was run and seen instead of comparing.
        """
        if self.is_published:
            return COMPARED_COLUMNS, [
                (row.name, row.published, row.lab, row.verdict) for row in self.rows
            ]
        return DESCRIBED_COLUMNS, [
            (
                result.experiment.name,
                result.what_ran(),
                str(result.counts.complete),
                str(result.counts.failed),
                result.what_was_seen(),
            )
            for result in self.results
        ]

    @property
    def counts(self) -> Counts:
        """The number of sessions, counted in the records.

        The manifest of an interrupted run does not have these numbers yet.
        """
        complete = sum(f.counts.complete for f in self.results)
        failed = sum(f.counts.failed for f in self.results)
        return Counts(max(self.manifest.counts.planned, complete + failed), complete, failed)

    def paragraphs(self) -> tuple[str, ...]:
        """What the layers show, in words: how writes were separated, and the 10 KB block.

        Before that stands who gives verdicts where this run has none, and whose TCP the clients had
        where it was not the engine's own, and at the end which sessions were late, if any were.
        """
        words = list(self.remarks())
        if self.is_published and self.manifest.command != JUDGED_COMMAND:
            words.insert(0, "Not judged: only `seglab reproduce` holds a run to the paper.")
        for result in self.results:
            if result.separation_words:
                words.append(result.separation_words)
            if result.block is not None:
                words += [result.block.paper_text(), result.block.lab_text()]
        if late := lateness_words(self.manifest.late_ms, self.manifest.redone):
            words.append(f"{late[0].upper()}{late[1:]}.")
        return tuple(words)

    def remarks(self) -> tuple[str, ...]:
        """Whose TCP the clients had where it was not the engine's own, in words."""
        return tuple(client_tcp.remarks(self.manifest.networks, self.manifest.engine))

    def engine_words(self, networks: Container[str] | None = None) -> str:
        """What a figure calls the engine: its name, and which clients are unchecked.

        Args:
            networks: those whose sessions the figure shows; ``None`` means all of the run.
        """
        shown = {
            name: network
            for name, network in self.manifest.networks.items()
            if networks is None or name in networks
        }
        return "; ".join([self.manifest.engine, *client_tcp.unchecked(shown)])

    @property
    def simulated(self) -> bool:
        """Whether the sessions ran on a model of TCP, not on the TCP of a kernel."""
        return self.manifest.engine in SIMULATORS

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON data: what ``--json`` prints."""
        return {
            "run": self.run,
            "command": self.manifest.command,
            "engine": self.manifest.engine,
            "status": self.manifest.status,
            "error": self.manifest.error,
            "seed": self.manifest.seed,
            "headline": self.headline(),
            "reproduced": self.reproduced,
            "too_busy": list(self.too_busy),
            "late_ms": self.manifest.late_ms and msgspec.to_builtins(self.manifest.late_ms),
            "redone": self.manifest.redone and msgspec.to_builtins(self.manifest.redone),
            "counts": msgspec.to_builtins(self.counts),
            "scenarios": [_result_dict(result) for result in self.results],
            "paragraphs": list(self.paragraphs()),
            "failures": msgspec.to_builtins(self.failures),
            "figures": list(self.figures),
        }

    def verdict_dicts(self) -> list[dict[str, Any]] | None:
        """The verdicts as ``run.json`` stores them; ``None`` if no scenario was judged."""
        found = [
            verdict_dict(f.verdict) | {"too_busy": f.too_busy}
            for f in self.results
            if f.verdict is not None
        ]
        return found or None


Grouped = dict[str, list[SessionRecord]]


def summarise(folder: RunFolder) -> tuple[RunSummary, Grouped]:
    """Read a run folder and judge it.

    Returns:
        The summary, and the records that it is computed from, by scenario.

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
            Failure(
                record.session_id,
                record.error or "no reason was recorded",
                _is_expected(record, folder.manifest),
            )
            for records in grouped.values()
            for record in records
            if not record.complete
        ),
    )
    return summary, grouped


def _is_expected(record: SessionRecord, manifest: Manifest) -> bool:
    """Whether a session failed as its network says that sessions do."""
    network = manifest.networks.get(record.network)
    never = isinstance(network, dict) and network.get("completes") is False
    return never and (record.error or "").startswith(TIME_LIMIT_REACHED)


def verdict_dict(verdict: AnyVerdict) -> dict[str, Any]:
    """A verdict as JSON data: its numbers, whether it is reproduced, and its criteria in words."""
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
        "too_busy": result.too_busy,
        "late_ms": result.late and msgspec.to_builtins(result.late),
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

    Sessions without loss come first. Among these, it prefers a session whose reads merge segments
    but do not take the whole message at once, then one in which a read holds bytes of two writes,
    then one with the most frequent sequence of read sizes.

    Returns:
        ``None`` if no session is complete.
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
