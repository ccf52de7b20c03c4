"""What ``seglab classify`` reads: files one after another, or files that grow."""

import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import click

from lab.classifier import Classifier, Verdict
from lab.classifier_registry import classifier as named
from lab.errors import InputError, SeglabError
from lab.following import Pipe, Tail
from lab.foreign import PREFIX, ForeignAsker
from lab.judged import Judged, judged
from lab.observation import Layer, Observation
from lab.opening import Stream, read, read_stream, sources
from lab.printable import safe
from lab.regress.judgement import ClassifierFailedError, Raised
from lab.weights import Weights

POLL_S = 0.2
IDLE_POLLS = 5
"""After so many polls without anything new, what waits for its successor is given."""

_CHUNK_MESSAGES = 64
_PROGRESS_EVERY_S = 0.5
_STDIN = Path("-")


class Progress:
    """A count on standard error, where that is a terminal and the table is not on it."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty() and not sys.stdout.isatty()
        self._next = time.monotonic() + _PROGRESS_EVERY_S
        self._shown = False

    def show(self, messages: int | None) -> None:
        """Show the count from time to time; ``None`` takes it away."""
        if not self._on:
            return
        if messages is None:
            if self._shown:
                sys.stderr.write("\r\x1b[K")
                self._shown = False
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _PROGRESS_EVERY_S
            sys.stderr.write(f"\r{messages} messages")
            sys.stderr.flush()
            self._shown = True


class Input:
    """The paths of a command line, and what became of them.

    Args:
        paths: what was asked for; ``-`` is standard input.
        layer: of stored sessions.
        protocol: that captures are searched for.
        follow: whether to wait for more.
        wait: waits for more; called between two looks at files that grow.

    Attributes:
        status: the exit code: 2 once something could not be read.
        quiet: called when nothing new comes for now.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        layer: Layer = "segments",
        protocol: str = "smtp",
        *,
        follow: bool = False,
        wait: Callable[[], object] | None = None,
    ) -> None:
        self.paths = paths
        self.follow = follow
        self.status = 0
        self.quiet: list[Callable[[], object]] = []
        self._layer = layer
        self._protocol = protocol
        self._wait = wait or partial(time.sleep, POLL_S)
        self._stopped = False
        self._progress = Progress()

    @property
    def several(self) -> bool:
        """Whether the messages may come from more than one source."""
        first = self.paths[0]
        return len(self.paths) > 1 or (first.is_dir() and not (first / "run.json").exists())

    def judged(
        self, reference: str, classifier: Classifier, weights: Weights | None, jobs: int
    ) -> Iterator[Judged]:
        """All messages with their verdicts, in the order in which they were read."""
        if jobs > 1:
            return _in_processes(self.observations(), reference, weights, jobs)
        return (judged(classifier, one, weights) for one in self.observations())

    def observations(self) -> Iterator[Observation]:
        """All messages; what cannot be read is told, and the rest is read."""
        if self.follow:
            yield from self._followed()
            return
        for path in self.paths:
            try:
                yield from self._of(path)
            except InputError as error:
                self._failed(error)

    def progress(self, messages: int | None) -> None:
        """Tell how many messages there were, if somebody may be waiting; ``None``: no more."""
        self._progress.show(messages)

    def _of(self, path: Path) -> Iterator[Observation]:
        if path == _STDIN:
            yield from read_stream(
                sys.stdin.buffer, "stdin", protocol=self._protocol, warn=self._warn
            )
            return
        for source in sources(path, self._warn):
            try:
                yield from read(source, layer=self._layer, protocol=self._protocol, warn=self._warn)
            except InputError as error:
                self._failed(error)

    def stop(self) -> None:
        """Follow no longer; what is under way is given, and then the messages end."""
        self._stopped = True

    def _followed(self) -> Iterator[Observation]:
        followed = [self._opened(path) for path in self.paths]
        while followed and not self._stopped:
            moved = False
            for one in [*followed]:
                try:
                    moved |= one.look()
                    yield from one.take()
                except InputError as error:
                    self._failed(error)
                    one.ended = True
                if one.ended:
                    followed.remove(one)
            if followed and not moved and not self._stopped:
                for hook in self.quiet:
                    hook()
                self._wait()
        for one in followed:
            yield from one.close()

    def _opened(self, path: Path) -> "_Followed":
        if path == _STDIN:
            return _Followed(Pipe(sys.stdin.fileno()), "stdin", self._protocol, self._warn)
        if path.is_dir():
            raise InputError(f"{safe(str(path))}: a folder cannot be followed; name its files")
        return _Followed(Tail(path), safe(str(path)), self._protocol, self._warn)

    def _failed(self, error: SeglabError) -> None:
        self._warn(f"seglab: {error}")
        self.status = error.exit_code

    def _warn(self, text: str) -> None:
        self._progress.show(None)
        click.echo(text, err=True)


class _Followed:
    """A file that grows, and what reads it."""

    def __init__(
        self, tail: Tail | Pipe, name: str, protocol: str, warn: Callable[[str], object]
    ) -> None:
        self._tail = tail
        self._new = partial(Stream, name, protocol=protocol, warn=warn)
        self._stream = self._new()
        self._found: deque[Iterator[Observation]] = deque()
        self._still = 0
        self.ended = False

    def look(self) -> bool:
        """See what is new, and whether anything is."""
        restarted, data = self._tail.poll()
        if restarted:
            self._found.append(self._closing(self._stream))
            self._stream = self._new()
        if data:
            self._found.append(self._stream.feed(data))
            self._still = 0
        elif self._tail.ended:
            self._found.append(self._stream.close())
            self.ended = True
        else:
            self._still += 1
            if self._still == IDLE_POLLS:
                self._found.append(self._stream.idle())
        return bool(data) or restarted

    def take(self) -> Iterator[Observation]:
        """The messages that are known since."""
        while self._found:
            yield from self._found.popleft()

    def close(self) -> Iterator[Observation]:
        """No more is wanted; the messages under way."""
        self._tail.close()
        yield from self.take()
        if not self.ended:
            yield from self._closing(self._stream)

    def _closing(self, stream: Stream) -> Iterator[Observation]:
        """An emptied or abandoned log may have had no line yet; that is no fault here."""
        try:
            yield from stream.close()
        except InputError:
            return


@contextmanager
def opened(reference: str) -> Iterator[Classifier]:
    """The classifier of that name, ready while the block lasts; also ``cmd:PROGRAM ARGS``.

    Raises:
        InputError: there is none, or the program cannot be started.
    """
    if not reference.startswith(PREFIX):
        yield named(reference)
        return
    with ForeignAsker(reference.removeprefix(PREFIX)) as asker:
        yield Classifier(reference, "a program", partial(_answer, asker, reference))


def _answer(asker: ForeignAsker, reference: str, observation: Observation) -> Verdict | None:
    where = f"classifier {safe(reference)}: failed at message {safe(observation.id)}"
    try:
        (answer,) = asker.ask([observation])
    except ClassifierFailedError as error:
        raise InputError(f"{where}: {safe(error.reason)}") from error
    if isinstance(answer, Raised):
        raise InputError(f"{where}: {safe(answer.reason)}")
    return answer


def _in_processes(
    observations: Iterator[Observation], reference: str, weights: Weights | None, jobs: int
) -> Iterator[Judged]:
    """In chunks, of which only a few wait at a time, however many there are."""
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    with pool:
        waiting: deque[Future[list[Judged]]] = deque()
        try:
            while chunk := [*islice(observations, _CHUNK_MESSAGES)]:
                waiting.append(pool.submit(_judge_all, reference, weights, chunk))
                while len(waiting) > 2 * jobs:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _judge_all(
    reference: str, weights: Weights | None, observations: list[Observation]
) -> list[Judged]:
    classifier = named(reference)
    return [judged(classifier, one, weights) for one in observations]
