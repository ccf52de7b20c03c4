"""Runs a classifier that is a function of this process."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from seglab.classification.answer import Answer, ClassifierFailedError, raised
from seglab.classification.classifier import Classifier
from seglab.classification.validation import normalised
from seglab.core.observation import Observation


class LocalRunner:
    """A classifier that is called here.

    Attributes:
        classifier: what is called.
    """

    def __init__(self, classifier: Classifier, time_limit_s: float = 10.0) -> None:
        """Take the classifier, and the time for one answer.

        The limit holds in the main thread only, since no other thread gets signals.
        """
        self.classifier = classifier
        self._time_limit_s = time_limit_s

    @property
    def name(self) -> str:
        """The classifier's name."""
        return self.classifier.name

    @property
    def summary(self) -> str:
        """What the classifier is, in one line for people."""
        return self.classifier.summary

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """Return an answer to each observation; an exception is the answer ``Raised``.

        Raises:
            ClassifierFailedError: an answer took longer than the time limit.
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

    def restarted(self) -> "LocalRunner":
        """Return the same runner, since a function cannot be started again."""
        return self

    def _answer(self, observation: Observation) -> Answer:
        try:
            verdict = self.classifier(observation)
            return None if verdict is None else normalised(verdict)
        except (Exception, SystemExit) as error:
            return raised(error)


class _TooLateError(BaseException):
    """The time limit has passed; no ``except Exception`` of a classifier catches it."""


@contextlib.contextmanager
def _alarm() -> Iterator[bool]:
    """Yield whether an alarm can be set here, which needs the main thread."""
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
