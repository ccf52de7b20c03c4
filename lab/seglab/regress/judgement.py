"""What a check gets, and what it says of a case or of a network, with an example."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from seglab.classification.answer import Answer, Runner, in_words
from seglab.core.observation import Layer, Observation
from seglab.regress.case import Case, Pairing

EXAMPLE_SIZES = 400
"""How many sizes of an observation an example keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSide:
    """One half of an example: an observation and what the classifier said of it.

    Attributes:
        session_id: of the stored session; ``None`` where the sizes were drawn at random.
        network: the network's name.
        mtu: of its path.
        mss: payload bytes of a full segment.
        timestamps: whether TCP timestamps were on.
        layer: the layer of the sizes.
        sizes: of the observation; the first ``EXAMPLE_SIZES`` of them.
        answer: the classifier's, in words.
    """

    session_id: str | None
    network: str
    mtu: int
    mss: int | None
    timestamps: bool | None
    layer: Layer
    sizes: tuple[int, ...]
    answer: str

    @classmethod
    def of(
        cls, case: Case, answer: Answer, shown: Observation | None = None, said: str | None = None
    ) -> Self:
        """Make the side of a case, or of another observation that was made of it (``shown``).

        ``said`` replaces the words for the answer.
        """
        observation = case.observation if shown is None else shown
        return cls(
            session_id=case.session_id,
            network=case.network,
            mtu=case.mtu,
            mss=observation.mss,
            timestamps=observation.timestamps,
            layer=observation.layer,
            sizes=observation.sizes[:EXAMPLE_SIZES],
            answer=in_words(answer) if said is None else said,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a check says of one case.

    Attributes:
        network: of the case, or the one that the judgement is about.
        mtu: of that network.
        layer: of the observation.
        style: the true style; empty where the check is about a whole network.
        passed: ``None`` where the case is exempt, since it cannot show whether the check holds.
        words: what is wrong, in one line; empty where nothing is wrong.
        writes: the sizes of the sender's writes, where there is an example.
        sides: the example.
        pairing: by what the case was compared with others; ``None`` where it was not.
    """

    network: str
    mtu: int
    layer: Layer
    style: str
    passed: bool | None
    words: str = ""
    writes: tuple[int, ...] = ()
    sides: tuple[ExampleSide, ...] = ()
    pairing: Pairing | None = None

    @property
    def weight(self) -> tuple[int, int]:
        """How hard the example is to read: its number of sizes, then its number of bytes."""
        return (
            sum(len(side.sizes) for side in self.sides),
            sum(sum(side.sizes) for side in self.sides),
        )


def judged(case: Case, passed: bool | None, words: str = "", *sides: ExampleSide) -> Judgement:
    """Make the judgement of a case."""
    return Judgement(
        network=case.network,
        mtu=case.mtu,
        layer=case.layer,
        style=case.style,
        passed=passed,
        words=words,
        writes=case.writes if sides else (),
        sides=sides,
    )


def compared(case: Case, passed: bool | None, words: str = "", *sides: ExampleSide) -> Judgement:
    """Make the judgement of a case that was compared with sessions over other networks."""
    found = judged(case, passed, words, *sides)
    return found if passed is None else replace(found, pairing=case.pairing)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCounts:
    """How often a classifier was right on one network at one layer.

    Attributes:
        sessions: how many the classifier was asked about.
        right: how many answers held the true style.
        abstained: how many answers were abstentions.
        alone: how many of the right ones named the true style and no other.
    """

    sessions: int = 0
    right: int = 0
    abstained: int = 0
    alone: int = 0

    @property
    def accuracy(self) -> float:
        """The share of sessions whose answer held the true style."""
        return self.right / self.sessions if self.sessions else 0.0

    @property
    def answered(self) -> int:
        """How many answers were no abstentions."""
        return self.sessions - self.abstained


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a user can set.

    Attributes:
        seed: of everything that is drawn.
        tolerance: by how much a network's accuracy may fall below the baseline's.
        own_tolerance: by how much it may lie below the other networks' mean, without a baseline.
        noise_share: the share of random observations that may get one confident style.
        sample: how many sessions of a network a check takes that asks further questions.
    """

    seed: int = 2014
    tolerance: float = 0.02
    own_tolerance: float = 0.25
    noise_share: float = 0.05
    sample: int = 50

    @classmethod
    def of(cls, seed: int, tolerance: float | None = None) -> Self:
        """Return the settings of a user who may have set one tolerance, for both comparisons."""
        if tolerance is None:
            return cls(seed=seed)
        return cls(seed=seed, tolerance=tolerance, own_tolerance=tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """Everything a check can look at.

    Attributes:
        cases: all of them.
        answers: the classifier's, to the observation of each case.
        runner: the classifier, for further questions.
        settings: the user's.
        baseline: an earlier run's scores by network and layer; ``None`` without one.
        same_sessions: whether the baseline was made with the very same sessions.
    """

    cases: Sequence[Case]
    answers: Sequence[Answer]
    runner: Runner
    settings: Settings = field(default_factory=Settings)
    baseline: dict[tuple[str, str], AnswerCounts] | None = None
    same_sessions: bool = False

    @property
    def pairs(self) -> Iterator[tuple[Case, Answer]]:
        """Each case with the answer to it."""
        return zip(self.cases, self.answers, strict=True)


@dataclass(frozen=True, slots=True)
class Check:
    """A named check.

    Attributes:
        name: an identifier.
        summary: what a good classifier does, in one line.
        run: judges the cases or networks.
        asks: whether it asks the classifier further questions.
    """

    name: str
    summary: str
    run: Callable[[CheckContext], Iterator[Judgement]]
    asks: bool = False
