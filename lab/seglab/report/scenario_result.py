"""The result of one scenario of a stored run: its counts, its verdict, its row of the table."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from seglab.core.lateness import Lateness, lateness
from seglab.core.record import SessionRecord
from seglab.core.text import count, p_value, spaced
from seglab.engine.record import may_be_load
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
    FAILURES,
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
"""Only runs of this command get verdicts. A run of any other command is described."""

_LATENESS_CHANGES = frozenset({"sequences", "read counts", "sizes", "path"})
"""The criteria that a busy machine can fail. The others hold however late a process is.

That no session fails is also excused, if load may be the reason for each failure.
"""

_BLOCK_KEY = "scenarios.2"

AnyVerdict = ScenarioVerdict | ListingVerdict | TableVerdict
"""Each has a ``scenario``, its ``criteria``, and ``reproduced``: whether all criteria hold."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One line of the table ``published | the lab | verdict``.

    Attributes:
        name: the name of the experiment.
        title: a sentence about the experiment.
        published: what the paper prints, in words.
        lab: what the lab saw, in words.
        verdict: ``reproduced``, ``not reproduced: ...``, ``machine too busy: ...`` or
            ``not judged``.
        reproduced: whether it was reproduced; ``None`` if it was not judged, or if the machine was
            too busy to tell.
    """

    name: str
    title: str
    published: str
    lab: str
    verdict: str
    reproduced: bool | None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The result of one scenario of the run.

    Attributes:
        experiment: its name and title.
        counts: the number of its sessions, those of a sweep included.
        sequences: how often each sequence of sizes occurs in the sessions outside a sweep: read
            sizes, or for a listing the sizes at its layer.
        verdict: the verdict; ``None`` if it was not judged.
        seen: how the sessions compare with a listing or with Table 1, whether or not the run is
            judged.
        separation: one point for each gap, if it has sessions of two writes.
        published_separation: the paper's own points on that curve.
        block: what joined the two writes, for the scenario that the paper remarks on.
        late: how late its sessions were; ``None`` where that was not measured.
        failed_by_load: whether load may be the reason for each failure.
        cells: how many combinations of sender, network and sweep value the sequences pool.
        senders: how many senders its sessions have.
        networks: how many networks its sessions have.
    """

    experiment: Experiment
    counts: Counts
    sequences: Sequences
    verdict: AnyVerdict | None = None
    seen: ListingVerdict | TableVerdict | None = None
    separation: tuple[SeparationPoint, ...] = ()
    published_separation: tuple[PublishedSeparation, ...] = ()
    block: Block | None = None
    late: Lateness | None = None
    failed_by_load: bool = False
    cells: int = 1
    senders: int = 0
    networks: int = 0

    @property
    def too_busy(self) -> bool:
        """Whether it is not reproduced and the reason may be that the machine was too busy."""
        if self.verdict is None or self.late is None or not self.late.too_late:
            return False
        failed = {item.name for item in self.verdict.criteria if not item.passed}
        excused = _LATENESS_CHANGES | ({FAILURES} if self.failed_by_load else set())
        return bool(failed) and failed <= excused

    @property
    def row(self) -> ResultRow:
        """Its line of the table."""
        reproduced = self.verdict.reproduced if self.verdict and not self.too_busy else None
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
        """Its separation curve in words; ``None`` if there are fewer than two gaps."""
        return separation_words(self.separation) if len(self.separation) > 1 else None

    @property
    def is_published(self) -> bool:
        """Whether the paper prints anything about it."""
        return self.seen is not None or bool(self.sequences.printed)

    def what_ran(self) -> str:
        """The senders and networks of its sessions, in words."""
        return f"{count(self.senders, 'sender')} on {count(self.networks, 'network')}"

    def what_was_seen(self) -> str:
        """The sizes that its sessions had, in words, if nothing is published about it."""
        return self._most_often() if self.sequences.others else "no complete session"

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
            text += f" {self._most_often()}" if self.cells > 1 else f", {self._most_often()}"
        if (
            isinstance(self.verdict, ScenarioVerdict)
            and self.verdict.read_counts.lab_mean is not None
        ):
            text += f", {self.verdict.read_counts.lab_mean:.2f} reads each"
            if self.verdict.read_counts.p is not None:
                text += f" ({p_value(self.verdict.read_counts.p)})"
        return text

    def _most_often(self) -> str:
        """The most frequent sequence, in words; if several cells are pooled, their number."""
        if self.cells > 1:
            return f"in {self.cells} cells; see the report"
        others = self.sequences.others
        if others[0].lab == 1 and len(others) > 1:
            return f"{len(others)} different sequences"
        return f"most often {spaced(others[0].sizes)} ({others[0].lab})"

    def _verdict(self) -> str:
        if self.verdict is None:
            return "not judged"
        if self.verdict.reproduced:
            return "reproduced"
        failed = [item.name for item in self.verdict.criteria if not item.passed]
        if self.late is not None and self.too_busy:
            return f"machine too busy: {', '.join(failed)}; {self.late.words()}"
        return f"not reproduced: {', '.join(failed)}"


def result_of(
    experiment: Experiment, records: list[SessionRecord], manifest: Manifest
) -> ScenarioResult:
    """The result of one scenario, from its sessions and the run's manifest."""
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
        separation=separation(_with_varying_gap(records)),
        published_separation=_published_points(source),
        block=_block(experiment, source, subject),
        late=lateness(complete),
        failed_by_load=all(may_be_load(r.error) for r in subject if not r.complete),
        cells=len({(r.sender, r.network, r.variant) for r in complete}),
        senders=len({record.sender for record in records}),
        networks=len({record.network for record in records}),
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


def _with_varying_gap(records: Sequence[SessionRecord]) -> list[SessionRecord]:
    """The sessions of senders that ran with several gaps.

    The gaps of different senders are not compared: these senders differ by more than their gaps.
    """
    gaps: dict[str, set[object]] = defaultdict(set)
    for record in records:
        gaps[record.sender].add(record.parameter("gap_ms"))
    return [record for record in records if len(gaps[record.sender]) > 1]


def outside_sweep(records: Sequence[SessionRecord]) -> list[SessionRecord]:
    """The sessions that are not part of a sweep; all sessions if every one is part of a sweep."""
    return [record for record in records if not record.variant] or list(records)
