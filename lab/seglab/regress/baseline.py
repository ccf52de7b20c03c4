"""The accuracy of an earlier run, which a later run has to reach."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

import msgspec

from seglab.core import decoding
from seglab.errors import InputError
from seglab.regress.case import Case
from seglab.regress.judgement import AnswerCounts
from seglab.regress.result import RegressResult
from seglab.regress.scores import Place

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkScore:
    """How often a classifier was right on one network, at one layer."""

    network: str
    layer: str
    score: AnswerCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a run leaves for later ones.

    Attributes:
        classifier: the classifier's name.
        sessions: the ``fingerprint`` of the sessions.
        scores: by network and layer.
        baseline_version: of this format.
    """

    classifier: str
    sessions: str
    scores: list[NetworkScore] = field(default_factory=list)
    baseline_version: int = VERSION

    @property
    def by_place(self) -> dict[Place, AnswerCounts]:
        """The scores, by network and layer."""
        return {(one.network, one.layer): one.score for one in self.scores}

    def to_json(self) -> bytes:
        """Return JSON that people and version control can read: indented, with a final newline."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, text: bytes, where: str) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            InputError: the text is no baseline, or a later version's.
        """
        try:
            found = decoding.from_json(text, cls, "a baseline")
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if found.baseline_version > VERSION:
            raise InputError(
                f"{where}: has baseline_version {found.baseline_version}, this seglab reads up to"
                f" {VERSION}; make a new one with --update-baseline"
            )
        return found

    @classmethod
    def of(cls, result: RegressResult, cases: Iterable[Case]) -> Self:
        """Make a baseline of a run."""
        scores = [
            NetworkScore(network=network, layer=layer, score=score)
            for (network, layer), score in result.scores.items()
        ]
        return cls(classifier=result.classifier, sessions=fingerprint(cases), scores=scores)


def fingerprint(cases: Iterable[Case]) -> str:
    """Return a digest of the observations and their true styles, whatever their order."""
    lines = sorted(
        f"{case.observation.id} {case.style} {case.observation.mss} {case.observation.sizes}"
        for case in cases
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
