"""Asks a classifier of Python in several processes, a block of observations at a time.

Theory of operation
-------------------
``WorkerPool`` has up to N processes with the same classifier, each of them a ``WorkerRunner``. A
thread of this process talks to each, so N threads wait for N processes. Blocks of observations go
in, and a ``BlockResult`` for each comes out, in the order of the blocks.

============ ============================== ==================================================
a process is who changes that               when
============ ============================== ==================================================
not started  ``_taken``                     a block finds no free process: another one starts
busy         ``_taken``, then ``_ask``      from the block's first question to its last answer
free         ``_ask``, at its end           the process waits in ``_free`` for the next block
ended        ``close``                      the block of the ``with`` statement is left
============ ============================== ==================================================

Invariants, which ``_lock`` guards: a process is in ``_all`` from its start on; it is in ``_free``
exactly when no thread talks to it. There are never more processes than threads, so never more
than N.

At most ``_WAITING`` blocks a process are waiting or under way; only then is the next block taken
from the caller's iterator. So a pool can work through a pipe that never ends.

A process that ended, hung or printed nonsense goes back to ``_free`` as well. It answers nothing
any more, and each later block that it gets comes back with the same reason. Nothing is restarted
here: who reads the results stops at the first ``failed``.

``close`` kills the busy processes, so that the threads which wait for them return, waits for the
threads, and then closes all processes. A process that starts meanwhile sees ``_closed`` and is
asked nothing.

``PooledRunner`` decides whether a pool pays. It asks a classifier of this process about the first
``TRIAL`` observations, estimates the time for the rest, and starts a pool only when that is more
than ``POOL_MIN_WORK_S``. Once it has a pool, it uses it for every later question.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from seglab.classification.answer import Answer, ClassifierFailedError, Runner
from seglab.core.observation import Observation
from seglab.runners.blocks import BlockResult, joined
from seglab.runners.worker import WorkerRunner

TRIAL: Final = 64
"""How many observations a classifier answers alone, to find out how slow it is."""

POOL_MIN_WORK_S: Final = 1.0
"""The least work, in seconds, for which a pool is started: a process takes some 0.2 s to start."""

BLOCK: Final = 128
"""How many observations a process gets at once, at most."""

_TURNS: Final = 4
_WAITING: Final = 2

Block = Sequence[Observation]


class WorkerPool:
    """Processes with the same classifier, each of which answers one block at a time.

    A process is started when a block finds none that is free, and stays until ``close``.
    """

    def __init__(
        self,
        reference: str,
        processes: int,
        time_limit_s: float = 10.0,
        stderr: Path | None = None,
    ) -> None:
        """Take the classifier's reference and the limits; no process is started yet.

        Args:
            reference: ``package.module:name``, or a built-in classifier's name.
            processes: how many there may be.
            time_limit_s: for one answer.
            stderr: a file that gets what the classifier prints on standard error.
        """
        self._reference = reference
        self._processes = processes
        self._time_limit_s = time_limit_s
        self._stderr = stderr
        self._lock = threading.Lock()
        self._all: list[WorkerRunner] = []
        self._free: list[WorkerRunner] = []
        self._closed = False
        self._threads = ThreadPoolExecutor(processes)

    def start(self) -> WorkerRunner:
        """Start the first process now, to find out whether there is such a classifier.

        Raises:
            InputError: there is none, or it cannot be loaded.
        """
        one = self._taken()
        self._free.append(one)
        return one

    def answers(self, blocks: Iterable[Block]) -> Iterator[tuple[Block, BlockResult]]:
        """Yield each block with its answers, in order.

        Raises:
            InputError: one more process could not load the classifier.
        """
        waiting: deque[tuple[Block, Future[BlockResult]]] = deque()
        for block in blocks:
            waiting.append((block, self._threads.submit(self._ask, block)))
            while len(waiting) > _WAITING * self._processes:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()

    def ask(self, observations: Block) -> list[Answer]:
        """Return an answer to each observation, all from one process.

        Raises:
            ClassifierFailedError: it took too long, or its process ended.
        """
        return joined(result for _, result in self.answers([observations]))

    def close(self) -> None:
        """End all processes; questions under way get no answer."""
        with self._lock:
            self._closed = True
            for one in self._all:
                if one not in self._free:
                    one.kill()
        self._threads.shutdown(cancel_futures=True)
        for one in self._all:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, block: Block) -> BlockResult:
        one = self._taken()
        try:
            return BlockResult([] if self._closed else one.ask(block))
        except ClassifierFailedError as error:
            return BlockResult(error.answered, error.reason)
        finally:
            with self._lock:
                self._free.append(one)

    def _taken(self) -> WorkerRunner:
        with self._lock:
            if self._free:
                return self._free.pop()
        one = WorkerRunner(self._reference, self._time_limit_s, self._stderr)
        with self._lock:
            self._all.append(one)  # without being in ``_free``: from now on, ``close`` kills it
        return one


class PooledRunner:
    """A classifier of Python that other processes help, where that pays."""

    def __init__(
        self,
        local: Runner,
        reference: str,
        processes: int,
        time_limit_s: float = 10.0,
        stderr: Path | None = None,
        min_work_s: float = POOL_MIN_WORK_S,
    ) -> None:
        """Take the classifier, and what a pool of others needs.

        Args:
            local: answers alone, until it turns out to be slow; its owner ends it.
            reference: by which other processes find the same classifier.
            processes: how many others there may be.
            time_limit_s: for one answer of theirs.
            stderr: a file that gets what they print on standard error.
            min_work_s: the least work, in seconds, for which they are started.
        """
        self._min_work_s = min_work_s
        self._local = local
        self._reference = reference
        self._processes = processes
        self._time_limit_s = time_limit_s
        self._stderr = stderr
        self._pool: WorkerPool | None = None
        self._stack = ExitStack()

    @property
    def name(self) -> str:
        """The classifier's name."""
        return self._local.name

    @property
    def summary(self) -> str:
        """What the classifier is, in one line for people."""
        return self._local.summary

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """Return an answer to each observation, in order.

        Raises:
            ClassifierFailedError: an answer took too long, or a process ended.
        """
        if self._pool is not None:
            return self._shared(self._pool, observations)
        began = time.monotonic()
        answers = self._local.ask(observations[:TRIAL])
        rest = observations[TRIAL:]
        work_s = (time.monotonic() - began) / TRIAL * len(rest)
        try:
            if work_s < self._min_work_s:
                return answers + self._local.ask(rest)
            self._pool = self._stack.enter_context(
                WorkerPool(self._reference, self._processes, self._time_limit_s, self._stderr)
            )
            return answers + self._shared(self._pool, rest)
        except ClassifierFailedError as error:
            error.answered = answers + error.answered
            raise

    def restarted(self) -> Runner:
        """Return this runner where the classifier is a function of this process.

        Otherwise, return one with new processes, which end when this runner is closed.
        """
        local = self._local.restarted()
        if local is self._local:
            return self
        return self._stack.enter_context(
            PooledRunner(
                local,
                self._reference,
                self._processes,
                self._time_limit_s,
                self._stderr,
                self._min_work_s,
            )
        )

    def close(self) -> None:
        """End the other processes."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shared(self, pool: WorkerPool, observations: Sequence[Observation]) -> list[Answer]:
        share = -(-len(observations) // (_TURNS * self._processes))  # so that all end together
        size = max(min(share, BLOCK), 1)
        blocks = [observations[at : at + size] for at in range(0, len(observations), size)]
        return joined(result for _, result in pool.answers(blocks))
