"""Asks classifiers of this process: in order, within a time limit, whatever they raise."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from lab.classifier import Classifier
from lab.observation import Observation
from lab.regress.judgement import Answer, ClassifierFailedError, Raised


class _TooLateError(BaseException):
    """The time limit has passed; no ``except Exception`` of a classifier catches it."""


class LocalAsker:
    """A classifier that is a function of this process."""

    def __init__(self, classifier: Classifier, time_limit_s: float = 10.0) -> None:
        """Take the classifier, and the time for one answer."""
        self._classifier = classifier
        self._time_limit_s = time_limit_s

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """An answer to each observation; what it raises is its answer.

        Raises:
            ClassifierFailedError: it took too long.
        """
        answers: list[Answer] = []
        try:
            with _alarm() as armed:
                for observation in observations:
                    if armed:
                        signal.setitimer(signal.ITIMER_REAL, self._time_limit_s)
                    answers.append(self._answer(observation))
        except _TooLateError:
            raise ClassifierFailedError(
                f"no answer within {self._time_limit_s:g} s to observation {len(answers) + 1}"
                f" ({len(observations[len(answers)].sizes)} sizes)",
                answers,
            ) from None
        return answers

    def fresh(self) -> "LocalAsker":
        """The same: a function cannot be started anew."""
        return self

    def _answer(self, observation: Observation) -> Answer:
        try:
            return self._classifier(observation)
        except Exception as error:
            return Raised(reason(error))


def reason(error: BaseException) -> str:
    """An exception in one printable line."""
    text = " ".join(str(error).split())[:300]
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


@contextlib.contextmanager
def _alarm() -> Iterator[bool]:
    """Whether an alarm can be set here: only the main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TooLateError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
