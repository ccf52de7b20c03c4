"""Asks a slow classifier in several processes; a fast one has one, or is asked in ours."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Self

from lab.observation import Observation
from lab.regress.judgement import Answer, Asker, ClassifierFailedError
from lab.worker import WorkerAsker

TRIAL: Final = 64
"""How many observations are asked about before it is known how slow a classifier is."""

WORTH_S: Final = 1.0
"""From how many seconds of work on it is shared: starting Python and seglab takes some 0.2."""

BLOCK: Final = 128
"""How many observations a process gets at once, at most."""

_TURNS: Final = 4


class ParallelAsker:
    """A classifier of this process, with others to help it where that pays."""

    def __init__(
        self,
        local: Asker,
        reference: str,
        processes: int,
        time_limit_s: float = 10.0,
        stderr: Path | None = None,
    ) -> None:
        """Take the classifier, how others find it, and how many there may be."""
        self._local = local
        self._reference = reference
        self._processes = processes
        self._time_limit_s = time_limit_s
        self._stderr = stderr
        self._helpers: list[WorkerAsker] = []
        self._stack = ExitStack()

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """An answer to each observation, in order.

        Raises:
            ClassifierFailedError: it took too long, or a process ended.
        """
        if self._helpers:
            return self._shared(observations)
        began = time.monotonic()
        answers = self._local.ask(observations[:TRIAL])
        rest = observations[TRIAL:]
        work_s = (time.monotonic() - began) / TRIAL * len(rest)
        try:
            if work_s < WORTH_S:
                return answers + self._local.ask(rest)
            return answers + self._shared(rest)
        except ClassifierFailedError as error:
            error.answered = answers + error.answered
            raise

    def fresh(self) -> Asker:
        """The same where it is a function of this process; else new processes."""
        local = self._local.fresh()
        if local is self._local:
            return self
        return self._stack.enter_context(
            ParallelAsker(local, self._reference, self._processes, self._time_limit_s, self._stderr)
        )

    def close(self) -> None:
        """End the other processes."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shared(self, observations: Sequence[Observation]) -> list[Answer]:
        while len(self._helpers) < self._processes:
            helper = WorkerAsker(self._reference, self._time_limit_s, self._stderr)
            self._helpers.append(self._stack.enter_context(helper))
        free: SimpleQueue[WorkerAsker] = SimpleQueue()
        for helper in self._helpers:
            free.put(helper)

        def work(block: Sequence[Observation]) -> list[Answer]:
            helper = free.get()
            try:
                return helper.ask(block)
            finally:
                free.put(helper)

        turns = -(-len(observations) // (_TURNS * self._processes))  # so that all end together
        size = max(min(turns, BLOCK), 1)
        blocks = [observations[at : at + size] for at in range(0, len(observations), size)]
        pool = ThreadPoolExecutor(self._processes)
        try:
            return _in_order([pool.submit(work, block) for block in blocks])
        finally:
            pool.shutdown(cancel_futures=True)  # also after Ctrl-C: nothing more is begun


def _in_order(futures: Sequence[Future[list[Answer]]]) -> list[Answer]:
    """All answers, or the error of the first block that has one, with what comes before it."""
    answers: list[Answer] = []
    for future in futures:
        try:
            answers += future.result()
        except ClassifierFailedError as error:
            error.answered = answers + error.answered
            raise
    return answers
