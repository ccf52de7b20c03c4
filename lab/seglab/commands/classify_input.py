"""What ``seglab classify`` reads: files one after another, or files that grow."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from seglab.classification.inputs import read, read_stream, sources
from seglab.classification.rotated import oldest_first
from seglab.classification.scored import ClassifiedMessage, classified
from seglab.classification.stream import Stream
from seglab.classification.tail import Pipe, Tail
from seglab.classification.weights import Weights
from seglab.core.observation import Layer, Observation
from seglab.core.text import safe
from seglab.errors import InputError, SeglabError
from seglab.runners.open import OpenClassifier

POLL_S = 0.2
IDLE_POLLS = 5
"""After this many polls without news, a message that waits for the next one is complete."""

_PROGRESS_EVERY_S = 0.5
_STDIN = Path("-")


class Progress:
    """A count on standard error, if that is a terminal and standard output is not."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty() and not sys.stdout.isatty()
        self._next = time.monotonic() + _PROGRESS_EVERY_S
        self._shown = False

    def show(self, messages: int | None) -> None:
        """Show the count, twice a second at most; ``None`` removes it."""
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
    """The messages at the paths of a command line.

    What cannot be read is reported on standard error, and the rest is read.

    Args:
        paths: the user's; ``-`` is standard input.
        layer: which layer of stored sessions is read.
        protocol: what captures are searched for: ``smtp`` or ``raw``.
        follow: whether to wait for more at the end of a file.
        wait: waits for more; it is called between two looks at files that grow.

    Attributes:
        status: the exit code: 2 after something could not be read.
        quiet: functions that are called when nothing new has come.
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

    def classified(
        self, classifier: OpenClassifier, weights: Weights | None
    ) -> Iterator[ClassifiedMessage]:
        """Yield all messages with their verdicts, in the order in which they were read.

        Raises:
            InputError: the classifier failed; its earlier verdicts have been yielded.
        """
        found = classifier.verdicts(self.observations())
        for number, (observation, verdict) in enumerate(found, 1):
            yield classified(observation, verdict, weights, number)

    def observations(self) -> Iterator[Observation]:
        """Yield all messages, in the order in which they are read: a rotated log oldest first."""
        if self.follow:
            yield from self._followed()
            return
        for path in oldest_first(self.paths):
            try:
                yield from self._of(path)
            except InputError as error:
                self._failed(error)

    def progress(self, messages: int | None) -> None:
        """Show on a terminal how many messages there were; ``None`` removes the count."""
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
        """Stop following: the messages under way are yielded, and then there are no more."""
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
        click.echo(safe(text), err=True)


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
        """Take what is new; return whether there was anything."""
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
        """Yield the messages that were completed since the last call."""
        while self._found:
            yield from self._found.popleft()

    def close(self) -> Iterator[Observation]:
        """Stop following, and yield the messages under way."""
        self._tail.close()
        yield from self.take()
        if not self.ended:
            yield from self._closing(self._stream)

    def _closing(self, stream: Stream) -> Iterator[Observation]:
        """Yield the rest of a stream that may have had no line yet, which is no error here."""
        try:
            yield from stream.close()
        except InputError:
            return
