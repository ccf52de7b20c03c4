"""Infers where the writes ended, then names the style: see ``docs/boundaries.md``."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from seglab.classification.classifier import Classifier, Verdict
from seglab.core.labels import STYLES, Style
from seglab.core.observation import Observation
from seglab.inference.evidence import evidence, explained_mtus
from seglab.inference.holes import BY_HEADER, hidden_styles
from seglab.inference.hypothesis import TERMINATORS_BYTES
from seglab.inference.posterior import Explanation, explanations
from seglab.inference.units import Unit, units_of

SIZES_LOOKED_AT = 256
"""How many sizes of a message the inference looks at; of later ones, only the last says much."""

_EQUAL = 0.02
"""A style whose weight is at least this share of the best one's is in the answer, too."""

_SAME_BITS = 1.0
"""Two explanations whose surprises differ by no more than this give the very same segments."""

_HOLES_SHOWN = 4

_UNSEEN = 0.5
"""The most that the confidence is where something was not captured that tells styles apart."""

_TOO_MANY = len(STYLES) - 1
"""An answer of so many styles says nothing."""

_END_SURE = 0.98
"""The probability that a last size of 5, 3 or 2 bytes is an end of data in a write of its own."""

_SURE = 0.8
"""The share of the weight that names a terminator."""

_LIKELY = 0.5
"""The probability from which on a boundary is named."""


def classify(observation: Observation) -> Verdict:
    """The verdict of the posterior; without a style where writes of no known style explain best."""
    if observation.encrypted:
        return _abstained(observation, "encrypted: TLS records hide where the message's writes end")
    if not observation.sizes:
        return _abstained(observation, "no sizes: nothing was seen of the message")
    looked_at = _beginning(observation)
    verdict = _with_end_of_data(observation, _verdict(looked_at))
    if looked_at is not observation:
        words = f"only the first {SIZES_LOOKED_AT} and the last of {len(observation.sizes)} sizes"
        verdict = replace(verdict, evidence=(*verdict.evidence, f"{words} were looked at"))
    return verdict


def _verdict(observation: Observation) -> Verdict:
    """The verdict on sizes all of which are looked at."""
    units = units_of(observation)
    found = explanations(observation, units)
    styles = _styles(found)
    if not styles:
        return _nameless(observation, found)
    best = next(one for one in found if one.writer.style == styles[0])
    chosen = [one for one in found if one.writer.style in styles]
    weight = sum(one.weight for one in chosen)
    likely = _boundaries(observation, chosen, weight)
    terminator = _terminator(observation, chosen, weight)
    held = _held_back(units[-1], best)
    verdict = Verdict(
        id=observation.id,
        style=styles[0] if len(styles) == 1 else styles,
        terminator=terminator,
        path_condition=best.path.condition,
        buffer=best.writer.buffer,
        unfilled_buffer=_unfilled(chosen),
        boundaries=tuple(likely),
        boundary_confidence=tuple(round(p, 3) for p in likely.values()),
        confidence=round(min(weight, 1.0), 3),
        evidence=(
            *evidence(observation, found, styles, likely, terminator, held),
            *_chunked_words(observation),
        ),
        explanations=explained_mtus(observation, best),
        recut=best.explained.resegmented,
        held_back=held,
        witnesses=_witnesses(found, styles),
    )
    return _over_holes(observation, best, _without_header(observation, verdict))


def _unfilled(chosen: Sequence[Explanation]) -> int | None:
    """The bytes from which on a buffer would have held the message, if it may be one write."""
    found = (one.writer.unfilled for one in chosen if one.writer.style == "single_write")
    return next(found, None)


def _without_header(observation: Observation, verdict: Verdict) -> Verdict:
    """The verdict, made wider where the capture does not show the header that decides it.

    Some styles differ only by the header field that their first write ends in. A capture that was
    cut by the snap length does not show it.
    """
    shown = not observation.hidden_bytes or observation.header_end is not None
    if shown or not BY_HEADER & set(verdict.styles):
        return verdict
    why = "the header was not captured: styles that differ by its fields cannot be told apart"
    return _widened(verdict, BY_HEADER, why)


def _over_holes(observation: Observation, best: Explanation, verdict: Verdict) -> Verdict:
    """The verdict, made wider by the styles whose writes may all have ended in holes.

    Where an end of a write was captured, such a style would have to explain it as well; so then
    the set stays as it is. An answer that excludes next to nothing is none.
    """
    terminator = {observation.total_bytes - best.writer.terminator_bytes}
    if {*best.explained.shown} - terminator:
        return verdict
    hidden = hidden_styles(observation)
    if not hidden - set(verdict.styles):
        return verdict
    spans = ", ".join(f"{start}:{end}" for start, end in observation.holes[:_HOLES_SHOWN])
    if len(hidden | set(verdict.styles)) >= _TOO_MANY:
        return replace(
            _abstained(observation, f"what was not captured ({spans}) may hide any style"),
            path_condition=verdict.path_condition,
            explanations=verdict.explanations,
            recut=verdict.recut,
        )
    return _widened(verdict, hidden, f"what was not captured ({spans}) may hide other styles")


def _widened(verdict: Verdict, more: frozenset[Style], why: str) -> Verdict:
    """The verdict with more styles, and with no more confidence than unseen bytes leave."""
    return replace(
        verdict,
        style=(*verdict.styles, *sorted(more - set(verdict.styles))),
        confidence=min(verdict.confidence or 0.0, _UNSEEN),
        evidence=(*verdict.evidence, why),
    )


def _with_end_of_data(observation: Observation, verdict: Verdict) -> Verdict:
    """The verdict, which says so where the last size is an end of data by itself.

    The sizes in between are full segments or have another length, so this holds for every style,
    for writes of no style, and for messages of which only the first sizes are looked at.
    """
    last = observation.sizes[-1]
    end = observation.total_bytes - last
    seen = end and last in TERMINATORS_BYTES and end not in {a for a, _ in observation.holes}
    if not seen or observation.complete is False or observation.chunked or verdict.terminator:
        return verdict
    shares = dict(zip(verdict.boundaries, verdict.boundary_confidence, strict=True))
    shares = {**shares, end: max(shares.get(end, 0.0), _END_SURE)}
    return replace(
        verdict,
        terminator="own_write",
        boundaries=tuple(shares),
        boundary_confidence=tuple(shares.values()),
        evidence=(*verdict.evidence, f"the end of data ({last} bytes) has a write of its own"),
    )


def _beginning(observation: Observation) -> Observation:
    """The first sizes of an observation: later, a full window hides most ends of writes."""
    if len(observation.sizes) <= SIZES_LOOKED_AT:
        return observation
    parts = {
        name: values and values[:SIZES_LOOKED_AT]
        for name in ("sizes", "push", "t_ns", "retransmission")
        for values in [getattr(observation, name)]
    }
    return replace(observation, complete=False, **parts)


def _chunked_words(observation: Observation) -> Iterator[str]:
    if observation.chunked:
        yield "sent by BDAT: its last chunk ends it, which is none of the terminators"


def _abstained(observation: Observation, why: str) -> Verdict:
    return Verdict(id=observation.id, style=None, evidence=(why,))


def _nameless(observation: Observation, found: Sequence[Explanation]) -> Verdict:
    """The verdict without a style. The ends of the writes are named nevertheless."""
    likely = _boundaries(observation, found, 1.0)
    best = found[0]
    why = f"no style explains the sizes: {len(best.writer.ends)} ends of writes that follow no rule"
    return Verdict(
        id=observation.id,
        style=None,
        path_condition=best.path.condition,
        boundaries=tuple(likely),
        boundary_confidence=tuple(round(p, 3) for p in likely.values()),
        evidence=(why,),
        explanations=explained_mtus(observation, best),
        recut=best.explained.resegmented,
    )


def _styles(found: Sequence[Explanation]) -> tuple[str, ...]:
    """The styles that explain best; empty where writes of no style explain better."""
    weights: dict[str | None, float] = defaultdict(float)
    for one in found:
        weights[one.writer.style] += one.weight
    ranked = sorted(weights.items(), key=lambda item: -item[1])
    if not ranked or ranked[0][0] is None:
        return ()
    least = ranked[0][1] * _EQUAL
    best = ranked[0][0]
    whole: set[str | None] = {
        best,
        *(one.writer.style for one in found if not one.explained.unexplained_ends),
    }
    same = _same_segments(found, best)
    return tuple(
        style
        for style, weight in ranked
        if style is not None and style in whole and (weight >= least or style in same)
    )


def _same_segments(found: Sequence[Explanation], style: str | None) -> set[str | None]:
    """The styles by header fields that give the very same segments as one, however rare they are.

    Their writes end where those of the best explanation show, and the others are hidden as well:
    behind the first short segment, Nagle's algorithm hides which field came next.
    """
    best = next(one for one in found if one.writer.style == style)
    enough = best.explained.bits + _SAME_BITS
    return {
        one.writer.style
        for one in found
        if one.writer.style in BY_HEADER
        and one.path == best.path
        and one.explained.shown == best.explained.shown
        and one.explained.bits <= enough
    }


def _boundaries(
    observation: Observation, chosen: Sequence[Explanation], weight: float
) -> dict[int, float]:
    """The offsets at which a write ended more likely than not, each with its probability."""
    shares: dict[int, float] = defaultdict(float)
    for one in chosen:
        for end in {*one.writer.ends, *one.explained.shown}:
            shares[end] += one.weight / weight
    total = observation.total_bytes
    return {
        end: min(share, 1.0)
        for end, share in sorted(shares.items())
        if share >= _LIKELY and 0 < end < total
    }


def _terminator(
    observation: Observation, chosen: Sequence[Explanation], weight: float
) -> str | None:
    """How the end of data was written; ``None`` where that is not sure, or there is none."""
    if observation.complete is False or observation.chunked:
        return None
    own = sum(one.weight for one in chosen if one.writer.terminator_bytes) / weight
    if own >= _SURE:
        return "own_write"
    return "with_body" if own <= 1 - _SURE else None


def _held_back(last: Unit, best: Explanation) -> tuple[int, ...]:
    """Where the last, short segment waited for an acknowledgement (tcp_nagle_check)."""
    waited = last.silence_before and not last.coalesced and last.size < best.path.base
    return (last.start,) if waited and best.explained.shown and best.nagle else ()


def _witnesses(found: Sequence[Explanation], styles: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """For each style of a set, ends of writes that explain the sizes."""
    if len(styles) < 2:
        return {}
    return {
        style: tuple(sorted({*best.writer.ends, *best.explained.shown}))
        for style in styles
        for best in [next(one for one in found if one.writer.style == style)]
    }


CLASSIFIER = Classifier(
    "boundaries",
    "infers where the writes ended from the sizes, then names the style; answers with a set, or "
    "abstains, where the sizes do not tell",
    classify,
)
