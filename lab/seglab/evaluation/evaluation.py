"""An evaluation: the answers of a classifier on recorded sessions, counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from seglab.classification.classifier import Classifier
from seglab.core.boundaries import visible_boundaries, write_boundaries
from seglab.core.observation import Layer, Observation
from seglab.core.record import SessionRecord
from seglab.evaluation.invariance import (
    Invariance,
    LabelledSession,
    MessageKey,
    invariance,
    key_of,
)
from seglab.evaluation.judging import LineEnds, judge
from seglab.evaluation.metrics import BoundaryCounts, Confusion

MISTAKES_KEPT = 1000


@dataclass(slots=True)
class Part:
    """The answers on some sessions: those of one network, of one path condition, or all.

    Attributes:
        style: by truth and credited answer: a right set counts as the truth.
        path_condition: by truth and answer.
        terminator: by truth and answer; raw TCP has none, and is left out.
        boundaries: how often boundaries were found.
        set_sizes: how many styles an answer had, and how often; 0 is an abstention.
        sets: answers of several styles.
        sets_right: how many of them are right.
        sets_impossible: how many of them hold the truth, and a member without a witness.
        sets_unknown: how many of them could only be settled by the lines of the message.
    """

    style: Confusion = field(default_factory=Confusion)
    path_condition: Confusion = field(default_factory=Confusion)
    terminator: Confusion = field(default_factory=Confusion)
    boundaries: BoundaryCounts = field(default_factory=BoundaryCounts)
    set_sizes: Counter[int] = field(default_factory=Counter)
    sets: int = 0
    sets_right: int = 0
    sets_impossible: int = 0
    sets_unknown: int = 0

    @property
    def mean_set_size(self) -> float | None:
        """The mean number of styles in an answer; abstentions are left out."""
        sizes = [size for size in self.set_sizes.elements() if size]
        return fmean(sizes) if sizes else None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "style": self.style.to_dict(),
            "path_condition": self.path_condition.to_dict(),
            "terminator": self.terminator.to_dict(),
            "boundaries": self.boundaries.to_dict(),
            "sets": {
                "mean_size": self.mean_set_size,
                "sizes": {str(size): n for size, n in sorted(self.set_sizes.items())},
                "several": self.sets,
                "right": self.sets_right,
                "impossible_member": self.sets_impossible,
                "unverified": self.sets_unknown,
            },
        }


@dataclass(frozen=True, slots=True)
class Mistake:
    """A session that was not recognised: the answer was wrong, or there was none.

    Attributes:
        session_id: the session.
        truth: its style.
        answer: the styles named.
        impossible: members of the set that could not have produced the sizes.
        sizes: what the classifier saw.
        mss: of the session.
        writes: the sizes of the writes.
    """

    session_id: str
    truth: str
    answer: tuple[str, ...]
    impossible: tuple[str, ...]
    sizes: tuple[int, ...]
    mss: int
    writes: tuple[int, ...]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {name: getattr(self, name) for name in Mistake.__slots__}


@dataclass(frozen=True, slots=True)
class LayerEvaluation:
    """The answers at one layer.

    Attributes:
        layer: what the classifier saw.
        whole: all sessions.
        networks: by network.
        conditions: by the truth of the path condition.
        mtus: of each network's path.
        invariance: whether labels stayed the same over other MTUs.
        mistakes: the first of the wrong answers.
    """

    layer: Layer
    whole: Part
    networks: dict[str, Part]
    conditions: dict[str, Part]
    mtus: dict[str, int]
    invariance: Invariance
    mistakes: tuple[Mistake, ...]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "layer": self.layer,
            "all": self.whole.to_dict(),
            "networks": {
                name: {"mtu": self.mtus[name]} | part.to_dict()
                for name, part in sorted(self.networks.items())
            },
            "conditions": {name: part.to_dict() for name, part in sorted(self.conditions.items())},
            "constancy": self.invariance.to_dict(),
            "mistakes": [mistake.to_dict() for mistake in self.mistakes],
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A classifier's answers on recorded sessions.

    Attributes:
        classifier: its name.
        sessions: how many complete sessions it was asked about.
        left_out: how many sessions failed, or have no payload.
        layers: one evaluation each.
    """

    classifier: str
    sessions: int
    left_out: int
    layers: tuple[LayerEvaluation, ...]

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "classifier": self.classifier,
            "sessions": self.sessions,
            "left_out": self.left_out,
            "layers": [layer.to_dict() for layer in self.layers],
        }


class _LayerCounts:
    """The counts of one layer, to which sessions are added one by one."""

    def __init__(self, layer: Layer, line_ends: LineEnds | None) -> None:
        self.layer = layer
        self.line_ends = line_ends
        self.whole = Part()
        self.networks: dict[str, Part] = defaultdict(Part)
        self.conditions: dict[str, Part] = defaultdict(Part)
        self.mtus: dict[str, int] = {}
        self.labelled: list[tuple[MessageKey, LabelledSession]] = []
        self.mistakes: list[Mistake] = []

    def add(self, record: SessionRecord, classifier: Classifier) -> None:
        """Ask the classifier about a session, and count its answer."""
        observation = Observation.of_record(record, self.layer)
        verdict = classifier(observation)
        judgement = judge(record, self.layer, verdict, self.line_ends)
        ends, visible = write_boundaries(record), visible_boundaries(record, observation.ends)
        named = frozenset() if verdict is None else frozenset(verdict.boundaries)
        self.mtus[record.network] = record.mtu
        for part in (
            self.whole,
            self.networks[record.network],
            self.conditions[record.path_condition],
        ):
            part.style.add(record.style, judgement.credited)
            condition = None if verdict is None else verdict.path_condition
            part.path_condition.add(record.path_condition, condition)
            if record.terminator is not None:
                terminator = None if verdict is None else verdict.terminator
                part.terminator.add(record.terminator, terminator)
            part.boundaries.add(ends, visible, named)
            part.set_sizes[len(judgement.styles)] += 1
            if len(judgement.styles) > 1:
                part.sets += 1
                part.sets_right += judgement.credited == record.style
                part.sets_impossible += bool(judgement.impossible)
                part.sets_unknown += bool(judgement.unknown)
        styles = frozenset(judgement.styles)
        self.labelled.append((key_of(record), LabelledSession(record.mtu, visible, styles)))
        if judgement.credited != record.style and len(self.mistakes) < MISTAKES_KEPT:
            self.mistakes.append(
                Mistake(
                    record.session_id,
                    record.style,
                    judgement.styles,
                    judgement.impossible,
                    observation.sizes,
                    record.mss,
                    tuple(write.end - write.start for write in record.writes),
                )
            )

    def result(self) -> LayerEvaluation:
        """The evaluation of the sessions that were added."""
        return LayerEvaluation(
            self.layer,
            self.whole,
            dict(self.networks),
            dict(self.conditions),
            self.mtus,
            invariance(self.labelled),
            tuple(self.mistakes),
        )


def evaluate(
    classifier: Classifier,
    records: Iterable[SessionRecord],
    *,
    layers: Sequence[Layer] = ("segments", "reads"),
    line_ends: LineEnds | None = None,
) -> Evaluation:
    """Ask a classifier about recorded sessions, and hold its answers against the truth.

    Args:
        classifier: is asked about each session. It sees observations and nothing else.
        records: the sessions; those that failed are left out.
        layers: what the classifier sees of each session.
        line_ends: finds where the lines of a session's message end, for sets with a member that
            writes by lines.
    """
    parts = [_LayerCounts(layer, line_ends) for layer in layers]
    sessions = left_out = 0
    for record in records:
        if not (
            record.complete
            and record.labelled
            and record.segments
            and record.reads
            and record.mss > 0
        ):
            left_out += 1
            continue
        sessions += 1
        for part in parts:
            part.add(record, classifier)
    return Evaluation(classifier.name, sessions, left_out, tuple(part.result() for part in parts))
