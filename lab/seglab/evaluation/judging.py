"""Whether an answer is right: one style must be the truth, a set must hold nothing impossible.

A set of styles counts as right when the truth is in it, and each of its other members could have
produced the very same sizes over the same path. To show that, a member needs a *witness*: where
its writes would have ended. A witness holds when

1. it is an instance of the style's grammar for this very message (``seglab.evaluation.grammar``),
and
2. Linux could have cut such writes into exactly the segments that were first sent in the session
   (``seglab.tcp.admissible``), or into segments of which the session's reads are unions.

The path then does to these segments what it did to the session's own: it cannot tell them apart.
The classifier may name a witness; where it has none, or one that does not hold, some are tried.
A member without a witness makes the whole answer wrong.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from seglab.classification.classifier import Verdict
from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.core.trace import boundaries, first_sent, sizes
from seglab.evaluation.grammar import Shape, candidates, is_instance
from seglab.evaluation.sender_tcp import sender_tcp_of
from seglab.tcp.admissible import could_give

LineEnds = Callable[[SessionRecord], Sequence[int] | None]
"""Finds where the lines of a session's message end; ``None`` where the text is not at hand."""


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """What an answer is worth.

    Attributes:
        styles: the answer: none, one or several.
        credited: the one style that it counts as: the truth if the answer is right, otherwise a
            style that it should not have named; ``None`` for an abstention.
        impossible: members of a set for which no witness holds.
        unknown: impossible members that the lines of the message would settle, which are not at
            hand.
    """

    styles: tuple[str, ...]
    credited: str | None
    impossible: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def judge(
    record: SessionRecord, layer: Layer, verdict: Verdict | None, line_ends: LineEnds | None = None
) -> JudgedAnswer:
    """Hold an answer against the truth.

    Args:
        record: the session.
        layer: what the classifier saw of it.
        verdict: its answer; ``None`` where it abstained.
        line_ends: for members that write by lines.
    """
    styles = () if verdict is None else tuple(dict.fromkeys(verdict.possible_styles))
    truth = record.style
    if verdict is None or not styles:
        return JudgedAnswer((), None)
    if truth not in styles:
        return JudgedAnswer(styles, styles[0])
    others = [style for style in styles if style != truth]
    if not others:
        return JudgedAnswer(styles, truth)
    session = _Session(record, layer, line_ends)
    impossible = tuple(
        style for style in others if session.witness(style, verdict.witnesses.get(style)) is None
    )
    unknown = tuple(style for style in impossible if style in session.unknown)
    return JudgedAnswer(styles, impossible[0] if impossible else truth, impossible, unknown)


def find_witness(
    record: SessionRecord, layer: Layer, style: str, line_ends: LineEnds | None = None
) -> frozenset[int] | None:
    """Where the writes of another style could have ended, with the very same sizes.

    Returns:
        Offsets inside the message; ``None`` where no way of writing was found.
    """
    return _Session(record, layer, line_ends).witness(style, None)


class _Session:
    """One session, against which several styles are tried."""

    def __init__(self, record: SessionRecord, layer: Layer, line_ends: LineEnds | None) -> None:
        self.record = record
        self.merged = layer == "reads"
        self.tcp = sender_tcp_of(record)
        segments = first_sent(record.segments)
        self.sizes = sizes(segments)
        self.unexplained: tuple[int, ...] = ()
        if self.merged:
            ends = boundaries(segments)
            self.unexplained = tuple(read.end for read in record.reads if read.end not in ends)
            self.sizes = sizes(record.reads)
        self.line_ends = line_ends
        self.shape = Shape.of(record)
        self.unknown: set[str] = set()

    def witness(self, style: str, named: Sequence[int] | None) -> frozenset[int] | None:
        """A way of writing by that style that gives the sizes; the named one is tried first."""
        if style == "line_by_line" and self.shape.line_ends is None:
            found = None if self.line_ends is None else self.line_ends(self.record)
            if found is None:
                self.unknown.add(style)
                return None
            self.shape = Shape.of(self.record, found)
        ways = self._ways(style, named)
        return next((e for e in ways if is_instance(style, e, self.shape) and self._gives(e)), None)

    def _ways(self, style: str, named: Sequence[int] | None) -> Iterator[frozenset[int]]:
        if named is not None:
            yield frozenset(named)
        tried = set()
        for ends in candidates(style, self._short_ends(), self.shape):
            if ends not in tried:
                tried.add(ends)
                yield ends

    def _short_ends(self) -> list[int]:
        """Where a segment shorter than the MSS ends, or a read that no full segment ends."""
        full = self.record.mss
        if not self.merged:
            pairs = zip(self.sizes, accumulate(self.sizes), strict=True)
            return [end for size, end in pairs if size < full]
        return [end for size, end in zip(self.sizes, accumulate(self.sizes), strict=True)
                if size % full]  # fmt: skip

    def _gives(self, ends: frozenset[int]) -> bool:
        return could_give(
            ends,
            self.sizes,
            self.tcp,
            merged=self.merged,
            unexplained=self.unexplained,
        )
