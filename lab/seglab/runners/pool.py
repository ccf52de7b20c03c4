"""Asks a classifier of Python in several processes, a block of observations at a time."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from seglab.core.observation import Observation
from seglab.regress.judgement import Answer, Asker, ClassifierFailedError
from seglab.runners.worker import WorkerAsker

TRIAL: Final = 64
"""How many observations are asked about before it is known how slow a classifier is."""

WORTH_S: Final = 1.0
"""From how many seconds of work on it is shared: starting Python and seglab takes some 0.2."""

BLOCK: Final = 128
"""How many observations a process gets at once, at most."""

_TURNS: Final = 4
_WAITING: Final = 2


@dataclass(frozen=True, slots=True)
class Answered:
    """A block of observations and its answers; ``failed`` says why there is not one to each."""

    block: Sequence[Observation]
    answers: list[Answer]
    failed: str | None = None


class Workers:
    """Processes with the same classifier, each of which is asked about a block at a time.

    They are started when there is a block that none of the others is free for, and stay until
    ``close``.
    """

    def __init__(
        self,
        reference: str,
        processes: int,
        time_limit_s: float = 10.0,
        stderr: Path | None = None,
    ) -> None:
        """Take how the classifier is found, how many processes there may be, and their limits."""
        self._reference = reference
        self._processes = processes
        self._time_limit_s = time_limit_s
        self._stderr = stderr
        self._lock = threading.Lock()
        self._all: list[WorkerAsker] = []
        self._free: list[WorkerAsker] = []
        self._closed = False
        self._pool = ThreadPoolExecutor(processes)

    def start(self) -> WorkerAsker:
        """Start the first one now, to know that there is such a classifier.

        Raises:
            InputError: there is none, or it cannot be loaded.
        """
        one = self._taken()
        self._free.append(one)
        return one

    def answers(self, blocks: Iterable[Sequence[Observation]]) -> Iterator[Answered]:
        """The answers to each block, in order; blocks are taken when they are soon to be asked.

        Raises:
            InputError: one more process could not load the classifier.
        """
        waiting: deque[Future[Answered]] = deque()
        for block in blocks:
            waiting.append(self._pool.submit(self._ask, block))
            while len(waiting) > _WAITING * self._processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """End all processes; what is under way is given up."""
        with self._lock:
            self._closed = True
            for one in self._all:
                if one not in self._free:
                    one.kill()
        self._pool.shutdown(cancel_futures=True)
        for one in self._all:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, block: Sequence[Observation]) -> Answered:
        one = self._taken()
        try:
            return Answered(block, [] if self._closed else one.ask(block))
        except ClassifierFailedError as error:
            return Answered(block, error.answered, error.reason)
        finally:
            with self._lock:
                self._free.append(one)

    def _taken(self) -> WorkerAsker:
        with self._lock:
            if self._free:
                return self._free.pop()
        one = WorkerAsker(self._reference, self._time_limit_s, self._stderr)
        with self._lock:
            self._all.append(one)  # and it is not free: from here on, ``close`` ends what it does
        return one


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
        self._workers: Workers | None = None
        self._stack = ExitStack()

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """An answer to each observation, in order.

        Raises:
            ClassifierFailedError: it took too long, or a process ended.
        """
        if self._workers is not None:
            return self._shared(self._workers, observations)
        began = time.monotonic()
        answers = self._local.ask(observations[:TRIAL])
        rest = observations[TRIAL:]
        work_s = (time.monotonic() - began) / TRIAL * len(rest)
        try:
            if work_s < WORTH_S:
                return answers + self._local.ask(rest)
            self._workers = self._stack.enter_context(
                Workers(self._reference, self._processes, self._time_limit_s, self._stderr)
            )
            return answers + self._shared(self._workers, rest)
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

    def _shared(self, workers: Workers, observations: Sequence[Observation]) -> list[Answer]:
        turns = -(-len(observations) // (_TURNS * self._processes))  # so that all end together
        size = max(min(turns, BLOCK), 1)
        blocks = [observations[at : at + size] for at in range(0, len(observations), size)]
        gathered: list[Answer] = []
        for found in workers.answers(blocks):
            gathered += found.answers
            if found.failed is not None:
                raise ClassifierFailedError(found.failed, gathered)
        return gathered
