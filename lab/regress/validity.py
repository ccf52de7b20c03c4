"""Answers that can be used: given at all, with known words, and offsets inside the message."""

from collections.abc import Iterator
from itertools import pairwise

from lab.classifier import Verdict
from lab.errors import nearest
from lab.regress.judgement import Bench, Judgement, Raised, Side, judged
from lab.sender import PATH_CONDITIONS, STYLES, TERMINATORS


def answers(bench: Bench) -> Iterator[Judgement]:
    """It answers or abstains, and never raises."""
    for case, answer in bench.pairs:
        if isinstance(answer, Raised):
            yield judged(
                case,
                False,
                f"raised {answer.reason}",
                Side.of(case, answer, said="raised"),
            )
        else:
            yield judged(case, passed=True)


def valid_verdicts(bench: Bench) -> Iterator[Judgement]:
    """Styles, terminators and path conditions are known ones; offsets and shares are possible."""
    for case, answer in bench.pairs:
        if isinstance(answer, Raised):
            continue
        wrong = None if answer is None else next(faults(answer, case.observation.total_bytes), None)
        if wrong is None:
            yield judged(case, passed=True)
        else:
            yield judged(
                case,
                False,
                wrong,
                Side.of(case, answer),
            )


def faults(verdict: Verdict, total_bytes: int) -> Iterator[str]:
    """What is wrong with a verdict on a message of so many bytes, in words."""
    for style in verdict.styles:
        if style not in STYLES:
            yield f"unknown style {_quoted(style)}; {nearest(style[:80], STYLES)}"
    if verdict.terminator not in (None, *TERMINATORS):
        yield (
            f"unknown terminator {_quoted(verdict.terminator)};"
            f" {nearest(str(verdict.terminator)[:80], TERMINATORS)}"
        )
    if verdict.path_condition not in (None, *PATH_CONDITIONS):
        yield (
            f"unknown path condition {_quoted(verdict.path_condition)};"
            f" {nearest(str(verdict.path_condition)[:80], PATH_CONDITIONS)}"
        )
    yield from _offsets(verdict, total_bytes)
    if verdict.buffer is not None and verdict.buffer <= 0:
        yield f"buffer {verdict.buffer}, where bytes are expected"
    if verdict.confidence is not None and not 0 <= verdict.confidence <= 1:
        yield f"confidence {verdict.confidence:g}, where a probability is expected"
    if any(not 0 <= share <= 1 for share in verdict.boundary_confidence):
        yield "boundary_confidence holds a value that is no probability"
    if verdict.boundary_confidence and len(verdict.boundary_confidence) != len(verdict.boundaries):
        yield (
            f"boundary_confidence has {len(verdict.boundary_confidence)} values for"
            f" {len(verdict.boundaries)} boundaries"
        )


def _offsets(verdict: Verdict, total_bytes: int) -> Iterator[str]:
    for boundary in verdict.boundaries:
        if not 0 < boundary < total_bytes:
            yield f"boundary {boundary} lies outside the message's {total_bytes} bytes"
    for before, after in pairwise(verdict.boundaries):
        if after <= before:
            yield f"boundary {after} follows boundary {before}, where offsets rise"
    for start, end in verdict.recut:
        if not 0 <= start < end <= total_bytes:
            yield f"recut {start}:{end} is no range of the message's {total_bytes} bytes"
    for offset in verdict.held_back:
        if not 0 < offset < total_bytes:
            yield f"held_back {offset} lies outside the message's {total_bytes} bytes"


def _quoted(text: object) -> str:
    """A word of the classifier's as it may be printed: short, without control characters."""
    return ascii(str(text)[:80])
