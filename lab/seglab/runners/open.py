"""Opens a classifier by its reference: the one place where a name becomes something to ask.

Where a classifier runs follows from its kind. One that comes with seglab, and a callable that is
passed in, are called in this process. One of the user's own, ``package.module:name``, gets a
process of its own, where it may print, hang, exit or crash. A program is such a process anyway.

There are two functions, for two needs:

- ``open_classifier`` is for callers that want verdicts: a failure is an ``InputError`` that names
  the message. ``seglab classify`` uses it.
- ``open_runner`` is for callers that judge the classifier: a failure is an answer like any other.
  ``seglab regress`` uses it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeGuard

from seglab.classification.answer import Answer, ClassifierFailedError, Raised, Runner
from seglab.classification.classifier import Classifier, Classify, Verdict
from seglab.classification.reference import BuiltIn, Program, PythonCallable, parse
from seglab.classification.registry import ClassifierLike, classifier
from seglab.classification.validation import failed, validating, verdict_of
from seglab.core.observation import Observation
from seglab.runners.local import LocalRunner
from seglab.runners.pool import POOL_MIN_WORK_S, PooledRunner, WorkerPool
from seglab.runners.program import ProgramRunner
from seglab.runners.worker import WorkerRunner

TIME_LIMIT_S = 10.0
"""How long one answer may take, unless the caller says otherwise."""

_BLOCK = 64


@dataclass(frozen=True, slots=True)
class OpenClassifier:
    """A classifier that is ready, until the block ends that opened it.

    Attributes:
        classifier: the same as a ``Classifier``, for functions that take one.
    """

    classifier: Classifier
    _pool: WorkerPool | None = None

    @property
    def name(self) -> str:
        """The classifier's name."""
        return self.classifier.name

    @property
    def summary(self) -> str:
        """What the classifier is, in one line for people."""
        return self.classifier.summary

    def __call__(self, observation: Observation) -> Verdict | None:
        """Return the verdict on one message, or ``None`` where the classifier abstains.

        Raises:
            InputError: the classifier failed, or its answer is not a possible one; says at which
                message, and why.
        """
        return self.classifier(observation)

    def verdicts(
        self, observations: Iterable[Observation]
    ) -> Iterator[tuple[Observation, Verdict | None]]:
        """Yield each message with the verdict on it, in order, as soon as both are known.

        With several processes, a few blocks of messages are read ahead, however many there are.

        Raises:
            InputError: as for one message; the verdicts before that message have been yielded.
        """
        if self._pool is None:
            yield from ((one, self(one)) for one in observations)
            return
        messages = iter(observations)
        blocks = iter(lambda: [*islice(messages, _BLOCK)], [])
        for block, result in self._pool.answers(blocks):
            for observation, answer in zip(block, result.answers, strict=False):
                yield observation, verdict_of(self.name, observation, answer)
            if result.failed is not None:
                raise failed(self.name, block[len(result.answers)], result.failed)


@contextmanager
def open_classifier(
    reference: ClassifierLike, *, time_limit_s: float = TIME_LIMIT_S, jobs: int = 1
) -> Iterator[OpenClassifier]:
    """Open a classifier, ready to be called while the block lasts.

    Args:
        reference: a built-in classifier's name, ``package.module:name``, ``cmd:PROGRAM ARGS``, or
            a callable.
        time_limit_s: for one answer of a classifier that is not called in this process.
        jobs: how many processes share the messages of ``verdicts``; a program, and a callable
            that is passed in, have one.

    Raises:
        InputError: there is no such classifier, or it cannot be loaded or started.
    """
    if jobs > 1 and _is_for_several(reference):
        limit_s = math.inf if isinstance(parse(reference), BuiltIn) else time_limit_s
        with WorkerPool(reference, jobs, limit_s) as pool:
            first = pool.start()
            one = Classifier(first.name, first.summary, _asking(pool.ask))
            yield OpenClassifier(validating(one), pool)
        return
    with _started(reference, time_limit_s) as runner:
        if isinstance(runner, LocalRunner):
            one = runner.classifier
        else:
            one = Classifier(runner.name, runner.summary, _asking(runner.ask))
        yield OpenClassifier(validating(one))


@contextmanager
def open_runner(
    reference: ClassifierLike,
    *,
    time_limit_s: float = TIME_LIMIT_S,
    stderr: Path | None = None,
    processes: int = 1,
    pool_min_work_s: float = POOL_MIN_WORK_S,
) -> Iterator[Runner]:
    """Start a classifier, ready to be asked while the block lasts.

    Args:
        reference: as for ``open_classifier``.
        time_limit_s: for one answer.
        stderr: a file that gets what a classifier of the user's own prints on standard error.
        processes: how many may share the work of a slow classifier of Python.
        pool_min_work_s: how many seconds of work make it slow.

    Raises:
        InputError: there is no such classifier, or it cannot be loaded or started.
    """
    with ExitStack() as stack:
        runner = stack.enter_context(_started(reference, time_limit_s, stderr))
        if processes > 1 and _is_for_several(reference):
            pooled = PooledRunner(
                runner, reference, processes, time_limit_s, stderr, pool_min_work_s
            )
            yield stack.enter_context(pooled)
        else:
            yield runner


def _started(
    reference: ClassifierLike, time_limit_s: float, stderr: Path | None = None
) -> AbstractContextManager[LocalRunner | ProgramRunner]:
    """Start one classifier where it runs according to its kind."""
    if isinstance(reference, str):
        match parse(reference):
            case Program(command):
                return ProgramRunner(command, time_limit_s, stderr)
            case PythonCallable():
                return WorkerRunner(reference, time_limit_s, stderr)
    return nullcontext(LocalRunner(classifier(reference), time_limit_s))


def _is_for_several(reference: ClassifierLike) -> TypeGuard[str]:
    """Whether several processes can have this classifier: one of Python, found by its name."""
    return isinstance(reference, str) and not isinstance(parse(reference), Program)


def _asking(ask: Callable[[Sequence[Observation]], list[Answer]]) -> Classify:
    def classify(observation: Observation) -> Verdict | None:
        (answer,) = ask([observation])
        if isinstance(answer, Raised):
            raise ClassifierFailedError(answer.reason)
        return answer

    return classify
