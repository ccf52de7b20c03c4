"""Asks classifiers: those of seglab in this process, others in processes of their own."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from seglab.classification.classifier import Classifier
from seglab.classification.registry import classifier
from seglab.classification.validation import checked
from seglab.core.observation import Observation
from seglab.regress.judgement import Answer, Asker, ClassifierFailedError, raised
from seglab.runners.pool import ParallelAsker
from seglab.runners.program import PREFIX, ForeignAsker
from seglab.runners.worker import WorkerAsker


@contextlib.contextmanager
def open_classifier(
    reference: str,
    time_limit_s: float = 10.0,
    stderr: Path | None = None,
    processes: int = 1,
) -> Iterator[tuple[str, Asker]]:
    """A classifier's name, and the classifier ready to be asked while the block lasts.

    Args:
        reference: a built-in's name, ``package.module:name``, or ``cmd:PROGRAM ARGS``.
        time_limit_s: for one answer.
        stderr: a file that gets what a classifier of one's own says on standard error.
        processes: how many may share the work of a slow classifier of Python.

    Raises:
        InputError: there is no such classifier, or it cannot be started.
    """
    if reference.startswith(PREFIX):
        command = reference.removeprefix(PREFIX)
        with ForeignAsker(command, time_limit_s, stderr) as asker:
            yield reference, asker
        return
    with ExitStack() as stack:
        local: LocalAsker | WorkerAsker
        if ":" in reference:
            local = stack.enter_context(WorkerAsker(reference, time_limit_s, stderr))
            name = local.name
        else:
            found = classifier(reference)
            local, name = LocalAsker(found, time_limit_s), found.name
        if processes < 2:
            yield name, local
        else:
            shared = ParallelAsker(local, reference, processes, time_limit_s, stderr)
            yield name, stack.enter_context(shared)


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
            verdict = self._classifier(observation)
            return None if verdict is None else checked(verdict)
        except (Exception, SystemExit) as error:
            return raised(error)


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
