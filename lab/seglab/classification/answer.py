"""What comes back when a classifier is asked, and what it takes to ask one.

An answer is a verdict, an abstention, or the reason why there is neither. A ``Runner`` is anything
that gives such answers: a function of this process, a process of its own, a program, a cluster.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from seglab.classification.classifier import Verdict
from seglab.core.labels import STYLES
from seglab.core.observation import Observation
from seglab.core.text import one_line, safe
from seglab.errors import InputError

_NAME_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Raised:
    """The classifier raised an exception instead of answering; ``reason`` is one line."""

    reason: str


Answer = Verdict | Raised | None
"""A verdict, ``None`` for an abstention, or the reason why there is neither."""


class Runner(Protocol):
    """Something that runs a classifier, and hands its answers back."""

    @property
    def name(self) -> str:
        """The classifier's name."""

    @property
    def summary(self) -> str:
        """What the classifier is, in one line for people."""

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """Return an answer to each observation, in the same order.

        Raises:
            ClassifierFailedError: the classifier cannot answer all of them; the error has the
                answers that came before.
        """

    def restarted(self) -> "Runner":
        """Return the same classifier, started again; a function of this process stays as it is."""


class ClassifierFailedError(Exception):
    """The classifier cannot be asked any more.

    Attributes:
        reason: why, in one line.
        answered: its answers to the first of the observations that it was given.
    """

    def __init__(self, reason: str, answered: Sequence[Answer] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answered = list(answered)


def raised(error: BaseException) -> Raised:
    """Describe an exception of a classifier in one printable line, with its file and line.

    An ``InputError`` is seglab's own, and its message says everything, so it gets no place.
    """
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


def allowed_styles(answer: Answer) -> frozenset[str]:
    """Return the styles that an answer allows; an empty set where it says nothing.

    An answer that names every style excludes none: it counts as an abstention.
    """
    if not isinstance(answer, Verdict):
        return frozenset()
    found = frozenset(answer.possible_styles)
    return frozenset() if found.issuperset(STYLES) else found


def in_words(answer: Answer) -> str:
    """Describe an answer by its styles, for people."""
    if isinstance(answer, Raised):
        return f"raised {answer.reason}"
    return either(allowed_styles(answer)) or "abstains"


def either(names: Iterable[str]) -> str:
    """Join names by "or"; they come from a classifier, so they may be any text."""
    return " or ".join(safe(name[:_NAME_SHOWN]) for name in sorted(names))
