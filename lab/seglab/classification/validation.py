"""Whether an answer can be used: types, known words, and offsets inside the message.

``seglab classify`` and ``seglab.classify`` refuse an answer that breaks these rules. The check
``valid_verdicts`` of ``seglab regress`` reports it.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from seglab.classification.answer import Answer, ClassifierFailedError, Raised, raised
from seglab.classification.classifier import Classifier, Verdict
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.core.observation import Observation
from seglab.core.text import safe
from seglab.errors import InputError, nearest

_ID_SHOWN = 80


def normalised(verdict: Verdict) -> Verdict:
    """Return the verdict with all values of the types that they should have: tuples, not lists.

    Raises:
        InputError: a value has another type; says which one.
        TypeError: a value cannot be written as JSON, such as NumPy's.
    """
    return Verdict.from_dict(verdict.to_dict())


def violations(verdict: Verdict, total_bytes: int) -> Iterator[str]:
    """Yield what is wrong with a verdict on a message of ``total_bytes`` bytes, in words."""
    for style in verdict.styles:
        if style not in STYLES:
            yield _unknown("style", style, STYLES)
    if verdict.terminator not in (None, *TERMINATORS):
        yield _unknown("terminator", verdict.terminator, TERMINATORS)
    if verdict.path_condition not in (None, *PATH_CONDITIONS):
        yield _unknown("path condition", verdict.path_condition, PATH_CONDITIONS)
    yield from _offsets(verdict, total_bytes)
    if verdict.buffer is not None and verdict.buffer <= 0:
        yield f"buffer {verdict.buffer}, where bytes are expected"
    if verdict.unfilled_buffer is not None and verdict.unfilled_buffer <= 0:
        yield f"unfilled_buffer {verdict.unfilled_buffer}, where bytes are expected"
    if verdict.confidence is not None and not 0 <= verdict.confidence <= 1:
        yield f"confidence {verdict.confidence:g}, where a probability is expected"
    if any(not 0 <= share <= 1 for share in verdict.boundary_confidence):
        yield "boundary_confidence holds a value that is no probability"
    if verdict.boundary_confidence and len(verdict.boundary_confidence) != len(verdict.boundaries):
        yield (
            f"boundary_confidence has {len(verdict.boundary_confidence)} values for"
            f" {len(verdict.boundaries)} boundaries"
        )


def validating(one: Classifier) -> Classifier:
    """Return the classifier, made to raise an ``InputError`` where it gives no possible answer.

    The error names the message and the reason in one line.
    """

    def classify(observation: Observation) -> Verdict | None:
        return verdict_of(one.name, observation, _answer(one, observation))

    return Classifier(one.name, one.summary, classify)


def verdict_of(name: str, observation: Observation, answer: Answer) -> Verdict | None:
    """Return what the classifier ``name`` answered, if it is a possible answer.

    Raises:
        InputError: the classifier raised, or its answer breaks a rule.
    """
    if isinstance(answer, Raised):
        raise failed(name, observation, answer.reason)
    if answer is not None and (wrong := next(violations(answer, observation.total_bytes), None)):
        raise failed(name, observation, wrong)
    return answer


def failed(name: str, observation: Observation, reason: str) -> InputError:
    """Make the error for a classifier that failed at a message."""
    shown = safe(observation.id[:_ID_SHOWN])
    return InputError(f"classifier {safe(name)}: failed at message {shown}: {safe(reason)}")


def _answer(one: Classifier, observation: Observation) -> Answer:
    try:
        found = one.classify(observation)
        return None if found is None else normalised(found)
    except ClassifierFailedError as error:
        return Raised(error.reason)
    except Exception as error:
        return raised(error)


def _offsets(verdict: Verdict, total_bytes: int) -> Iterator[str]:
    yield from _ends("boundary", verdict.boundaries, total_bytes)
    for before, after in pairwise(verdict.boundaries):
        if after <= before:
            yield f"boundary {after} follows boundary {before}, where offsets rise"
    for start, end in verdict.recut:
        if not 0 <= start < end <= total_bytes:
            yield f"recut {start}:{end} is no range of the message's {total_bytes} bytes"
    yield from _ends("held_back", verdict.held_back, total_bytes)
    for style, ends in verdict.witnesses.items():
        if style not in STYLES:
            yield f"witnesses: {_unknown('style', style, STYLES)}"
        for offset in ends:
            if not 0 <= offset <= total_bytes:
                yield f"witness {offset} lies outside the message's {total_bytes} bytes"


def _ends(what: str, offsets: Sequence[int], total_bytes: int) -> Iterator[str]:
    for offset in offsets:
        if not 0 < offset < total_bytes:
            yield f"{what} {offset} lies outside the message's {total_bytes} bytes"


def _unknown(what: str, word: object, known: Sequence[str]) -> str:
    """Say that a word is not known, with the nearest known one."""
    shown = str(word)[:80]
    return f"unknown {what} {shown!a}; {nearest(shown, known)}"
