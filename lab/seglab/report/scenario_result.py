"""What one scenario of a stored run gave: counts, verdict, and its line of the table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from seglab.core.record import SessionRecord
from seglab.core.text import count, p_value, spaced
from seglab.reproduction.listings import ListingVerdict, judge_listing, listing_sequences
from seglab.reproduction.mtu_table import TableVerdict, judge_table
from seglab.reproduction.paper import (
    Published,
    PublishedListing,
    PublishedScenario,
    PublishedTable,
    Sizes,
    keys,
    paper,
    published,
)
from seglab.reproduction.scenarios import (
    ScenarioVerdict,
    Sequences,
    count_sequences,
    judge_scenario,
)
from seglab.reproduction.separation import (
    Block,
    PublishedSeparation,
    SeparationPoint,
    published_separation,
    separation,
    separation_words,
    single_block,
)
from seglab.runs.manifest import Counts, Experiment, Manifest

JUDGED_COMMAND = "reproduce"
"""The command whose runs get verdicts; others are described only."""

_BLOCK_KEY = "scenarios.2"

AnyVerdict = ScenarioVerdict | ListingVerdict | TableVerdict
"""Each has a ``scenario``, ``criteria``, and whether they make it ``reproduced``."""


@dataclass(frozen=True, slots=True)
class ResultRow:
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
class ScenarioResult:
    """What one scenario of the run gave.

    Attributes:
        experiment: its name and title.
        counts: of its sessions, those of a sweep included.
        sequences: of the read sizes of its plain sessions, those outside a sweep; of a listing,
            of the sizes at its layer.
        verdict: where it was judged.
        seen: what became of a listing or of Table 1, whether it was judged or only run.
        separation: a point a gap, where it has sessions of two writes.
        published_separation: the paper's own points on that curve.
        block: what joined the writes, where the paper remarks on it.
        cells: over how many senders, networks and values of a sweep the sequences are pooled.
    """

    experiment: Experiment
    counts: Counts
    sequences: Sequences
    verdict: AnyVerdict | None = None
    seen: ListingVerdict | TableVerdict | None = None
    separation: tuple[SeparationPoint, ...] = ()
    published_separation: tuple[PublishedSeparation, ...] = ()
    block: Block | None = None
    cells: int = 1

    @property
    def row(self) -> ResultRow:
        """Its line of the table."""
        reproduced = self.verdict.reproduced if self.verdict else None
        return ResultRow(
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
        if self.seen is not None:
            return self.seen.published_words()
        seen = self.sequences
        if not seen.printed:
            return "nothing"
        text = (
            f"{count(seen.published_sessions, 'session')},"
            f" {count(len(seen.printed), 'read sequence')}"
        )
        if (
            isinstance(self.verdict, ScenarioVerdict)
            and self.verdict.read_counts.published_mean is not None
        ):
            text += f", {self.verdict.read_counts.published_mean:.2f} reads each"
        return text

    def _lab(self) -> str:
        if self.seen is not None:
            return self.seen.lab_words()
        seen = self.sequences
        text = count(seen.lab_sessions, "session")
        if seen.printed:
            text += f", {len(seen.printed) - len(seen.missing)} of these sequences"
            if seen.rarest and seen.rarest.lab:
                text += f" (the rarest in {seen.rarest.lab})"
        elif seen.others:
            text += self._most_often(seen)
        if (
            isinstance(self.verdict, ScenarioVerdict)
            and self.verdict.read_counts.lab_mean is not None
        ):
            text += f", {self.verdict.read_counts.lab_mean:.2f} reads each"
            if self.verdict.read_counts.p is not None:
                text += f" ({p_value(self.verdict.read_counts.p)})"
        return text

    def _most_often(self, seen: Sequences) -> str:
        """Of sequences that nothing is printed for, and that are not pooled over cells."""
        if self.cells > 1:
            return f" in {self.cells} cells; see the report"
        first = seen.others[0]
        if first.lab == 1 and len(seen.others) > 1:
            return f", {len(seen.others)} different sequences"
        return f", most often {spaced(first.sizes)} ({first.lab})"

    def _verdict(self) -> str:
        if self.verdict is None:
            return "not judged"
        if self.verdict.reproduced:
            return "reproduced"
        failed = [item.name for item in self.verdict.criteria if not item.passed]
        return f"not reproduced: {', '.join(failed)}"


def result_of(
    experiment: Experiment, records: list[SessionRecord], manifest: Manifest
) -> ScenarioResult:
    """What the run's sessions of one scenario gave."""
    printed = _published(experiment)
    source = printed if isinstance(printed, PublishedScenario) else None
    judged = manifest.command == JUDGED_COMMAND
    subject = outside_sweep(records)
    complete = [record for record in subject if record.complete]
    seen = _seen(experiment, printed, subject)
    verdict: AnyVerdict | None = seen if judged else None
    if source is not None and judged:
        verdict = judge_scenario(experiment.name, source.sessions, subject, seed=manifest.seed)
    statuses = Counter(record.status for record in records)
    return ScenarioResult(
        experiment=experiment,
        counts=Counts(len(records), statuses["complete"], statuses["failed"]),
        sequences=_sequences(experiment, printed, complete),
        verdict=verdict,
        seen=seen,
        separation=separation(records),
        published_separation=_published_points(source),
        block=_block(experiment, source, subject),
        cells=len({(r.sender, r.network, r.variant) for r in complete}),
    )


def _published(experiment: Experiment) -> Published | None:
    if experiment.published is None or experiment.published not in keys():
        return None
    return published(experiment.published)


def _seen(
    experiment: Experiment, printed: Published | None, records: Sequence[SessionRecord]
) -> ListingVerdict | TableVerdict | None:
    name = experiment.name
    if isinstance(printed, PublishedListing):
        return judge_listing(name, str(experiment.published), printed, experiment.layer, records)
    if isinstance(printed, PublishedTable):
        return judge_table(name, printed, records)
    return None


def _sequences(
    experiment: Experiment, printed: Published | None, complete: Sequence[SessionRecord]
) -> Sequences:
    if isinstance(printed, PublishedListing):
        return listing_sequences(str(experiment.published), printed, experiment.layer, complete)
    rows: tuple[Sizes, ...] = printed.sessions if isinstance(printed, PublishedScenario) else ()
    return count_sequences(rows, complete)


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


def outside_sweep(records: Sequence[SessionRecord]) -> list[SessionRecord]:
    """The sessions outside a sweep; all of them where there are no others."""
    return [record for record in records if not record.variant] or list(records)
