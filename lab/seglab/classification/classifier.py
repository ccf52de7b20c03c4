"""What a classifier is: a callable that gives a verdict on an observation, or ``None``.

``None`` means that it abstains.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import msgspec

from seglab.core import decoding
from seglab.core.observation import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a classifier says about one observation.

    Attributes:
        id: the observation's.
        style: one of ``seglab.sender.sender.STYLES``; several where they explain the sizes equally
            well; ``None`` where the classifier abstains.
        terminator: ``with_body`` or ``own_write``; ``None`` where the sizes do not tell.
        path_condition: one of ``seglab.sender.sender.PATH_CONDITIONS``; ``None`` where unknown.
        buffer: the sender's buffer in bytes, where it has one.
        unfilled_buffer: where ``single_write`` is among the styles, the bytes from which on a
            buffer would not have been filled either, so that it was written at once; ``None``
            where that is not said.
        boundaries: offsets, inside the message, at which one write ended and the next began.
        boundary_confidence: for each boundary, its probability; empty where none was computed.
        confidence: the probability of the style, or of all styles of a set together; ``None``
            where the classifier gives none.
        evidence: the reasons, in lines for people.
        explanations: pairs (MTU in bytes, timestamps) with which a full segment has the observed
            size.
        recut: ranges of bytes, each of which was one segment before the path's MTU fell.
        held_back: offsets of boundaries behind which Nagle's algorithm held data back.
        witnesses: for each style of a set, where its writes could have ended: offsets inside the
            message with which that style gives the very same sizes.
        sizes: the observation's.
        mss: the observation's.
        timestamps: the observation's.
    """

    id: str
    style: str | tuple[str, ...] | None
    terminator: str | None = None
    path_condition: str | None = None
    buffer: int | None = None
    unfilled_buffer: int | None = None
    boundaries: tuple[int, ...] = ()
    boundary_confidence: tuple[float, ...] = ()
    confidence: float | None = None
    evidence: tuple[str, ...] = ()
    explanations: tuple[tuple[int, bool], ...] = ()
    recut: tuple[tuple[int, int], ...] = ()
    held_back: tuple[int, ...] = ()
    witnesses: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sizes: tuple[int, ...] = ()
    mss: int | None = None
    timestamps: bool | None = None

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles as a tuple: none, one or several."""
        if self.style is None:
            return ()
        return (self.style,) if isinstance(self.style, str) else self.style

    @property
    def possible_styles(self) -> tuple[str, ...]:
        """The styles of all programs that the verdict allows, an unfilled buffer's among them.

        A buffer that the message did not fill is one write. So it is no style of its own in
        ``style``; but where a program with a buffer sent the message, the verdict is right.
        """
        styles = self.styles
        if self.unfilled_buffer is None or "fixed_buffer" in styles:
            return styles
        return (*styles, "fixed_buffer")

    def about(self, observation: Observation) -> Self:
        """Return the verdict with the id, sizes, MSS and timestamps of an observation."""
        return replace(
            self,
            id=observation.id,
            sizes=observation.sizes,
            mss=observation.mss,
            timestamps=observation.timestamps,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, with ``None`` for unknown values."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values

    def to_json(self) -> bytes:
        """Return one line of JSON, without the newline."""
        return msgspec.json.encode(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a verdict of a mapping; unknown keys are ignored.

        Raises:
            InputError: the mapping is no verdict; says at which key.
        """
        return decoding.from_dict(values, cls, "a verdict")

    @classmethod
    def from_json(cls, line: bytes | str) -> Self:
        """Make a verdict of one line of JSON.

        Raises:
            InputError: the line is no verdict; says at which key.
        """
        return decoding.from_json(line, cls, "a verdict")


Classify = Callable[[Observation], Verdict | None]
"""A pure function: it always gives the same verdict on the same observation."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """A classifier and its name.

    Attributes:
        name: an identifier, or the reference by which it was found.
        summary: what it is, in one line for people.
        classify: the function that does the work.
    """

    name: str
    summary: str
    classify: Classify

    def __call__(self, observation: Observation) -> Verdict | None:
        """Return the verdict, with the id, sizes, MSS and timestamps of the observation."""
        verdict = self.classify(observation)
        return None if verdict is None else verdict.about(observation)
