"""What a check says: of one case, or of one network, and with which example."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from seglab.classification.classifier import Verdict
from seglab.core.labels import STYLES
from seglab.core.observation import Layer, Observation
from seglab.core.text import one_line, safe
from seglab.errors import InputError
from seglab.regress.case import Case

EXAMPLE_SIZES = 400
"""How many sizes of an observation a finding keeps."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The classifier raised instead of answering; ``reason`` is one line."""

    reason: str


def raised(error: BaseException) -> Raised:
    """What a classifier raised and where, in one printable line; ours say all by their words."""
    text = one_line(str(error))
    if isinstance(error, InputError):
        return Raised(text)
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is not None:
        file = place.tb_frame.f_code.co_filename.rpartition("/")[2]
        line = f"{line} ({file}, line {place.tb_lineno})"
    return Raised(safe(line))


Answer = Verdict | Raised | None
"""A verdict, ``None`` for an abstention, or the reason why there is neither."""


class Asker(Protocol):
    """Something that answers, in order."""

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """An answer to each observation."""

    def fresh(self) -> "Asker":
        """The same classifier, started anew where it can be."""


class ClassifierFailedError(Exception):
    """The classifier cannot be asked any further.

    Attributes:
        reason: why, in one line.
        answered: its answers to the first of the observations that it was given.
    """

    def __init__(self, reason: str, answered: Sequence[Answer] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answered = list(answered)


def styles(answer: Answer) -> frozenset[str]:
    """The styles that an answer allows; none where it says nothing.

    An answer that excludes no style says nothing: it is an abstention.
    """
    if not isinstance(answer, Verdict):
        return frozenset()
    found = frozenset(answer.styles)
    return frozenset() if found.issuperset(STYLES) else found


def words(answer: Answer) -> str:
    """An answer in words."""
    if isinstance(answer, Raised):
        return f"raised {answer.reason}"
    return either(styles(answer)) or "abstains"


def either(names: Iterable[str]) -> str:
    """One of several names, in words; they are a classifier's, and may be anything."""
    return " or ".join(safe(name[:80]) for name in sorted(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One half of an example: an observation and what the classifier said of it.

    Attributes:
        session_id: the stored session; ``None`` where the sizes are of none, but drawn.
        network: the network's name.
        mtu: of its path.
        mss: payload bytes of a full segment.
        timestamps: whether TCP timestamps were on.
        layer: the layer of the sizes.
        sizes: of the observation; the first ones, where there are very many.
        answer: in words.
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
        """The side of a case, or of what was made of its observation."""
        observation = case.observation if shown is None else shown
        return cls(
            session_id=case.session_id,
            network=case.network,
            mtu=case.mtu,
            mss=observation.mss,
            timestamps=observation.timestamps,
            layer=observation.layer,
            sizes=observation.sizes[:EXAMPLE_SIZES],
            answer=words(answer) if said is None else said,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a check says of one case.

    Attributes:
        network: where the case, or what is wrong with it, lies.
        mtu: of that network.
        layer: of the observation.
        style: the true style; empty where the check is about a whole network.
        passed: ``None`` where the case is exempt: nothing can be asked of it.
        words: what is wrong, in one line; empty where nothing is.
        writes: the sizes of the sender's writes, for an example.
        sides: the example.
    """

    network: str
    mtu: int
    layer: Layer
    style: str
    passed: bool | None
    words: str = ""
    writes: tuple[int, ...] = ()
    sides: tuple[Side, ...] = ()

    @property
    def weight(self) -> tuple[int, int]:
        """By how much an example is harder to read than another: sizes, then bytes."""
        return (
            sum(len(side.sizes) for side in self.sides),
            sum(sum(side.sizes) for side in self.sides),
        )


def judged(case: Case, passed: bool | None, words: str = "", *sides: Side) -> Judgement:
    """The judgement of a case."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often a classifier was right on one network at one layer.

    Attributes:
        sessions: how many it was asked about.
        right: how many answers held the true style.
        abstained: how many said nothing.
        alone: how many of the right ones named the true style and no other.
    """

    sessions: int = 0
    right: int = 0
    abstained: int = 0
    alone: int = 0

    @property
    def accuracy(self) -> float:
        """The share of sessions whose answer held the truth."""
        return self.right / self.sessions if self.sessions else 0.0

    @property
    def answered(self) -> int:
        """How many answers said something."""
        return self.sessions - self.abstained


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a user sets.

    Attributes:
        seed: of everything that is drawn.
        tolerance: by how much a network's accuracy may fall below the baseline's.
        own_tolerance: by how much it may lie below the mean, where there is no baseline.
        noise_share: the share of meaningless observations that may get one confident style.
        sample: how many sessions of a network each check that asks anew takes.
    """

    seed: int = 2014
    tolerance: float = 0.02
    own_tolerance: float = 0.25
    noise_share: float = 0.05
    sample: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything a check can look at.

    Attributes:
        cases: all of them.
        answers: the classifier's, to each case's observation.
        asker: asks for more.
        settings: the user's.
        baseline: an earlier run's scores by network and layer; ``None`` without one.
        same_sessions: whether the baseline is of the very same sessions.
    """

    cases: Sequence[Case]
    answers: Sequence[Answer]
    asker: Asker
    settings: Settings = field(default_factory=Settings)
    baseline: dict[tuple[str, str], Score] | None = None
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
        summary: one line for people: what holds of a good classifier.
        run: judges cases or networks.
        asks: whether it asks the classifier for more than the answers that are there.
    """

    name: str
    summary: str
    run: Callable[[Bench], Iterator[Judgement]]
    asks: bool = False
