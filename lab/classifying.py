"""From files to verdicts: what ``seglab classify`` does, for programs.

from lab import classify

for verdict in classify("mail.pcapng"):
    print(verdict.id, verdict.style)
"""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, overload

import msgspec

from lab.classifier import Classifier, Verdict
from lab.classifier_registry import classifier as named
from lab.errors import InputError
from lab.observation import Layer, Observation
from lab.opening import Warn, read, read_stream, safe, sources
from lab.weights import Score, Weights

DEFAULT: Final = "boundaries"
"""The classifier that is used where none is named."""


@overload
def classify(
    source: Observation | Mapping[str, Any],
    *,
    classifier: str | Classifier = ...,
    layer: Layer = ...,
    warn: Warn | None = ...,
) -> Verdict | None: ...


@overload
def classify(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    classifier: str | Classifier = ...,
    layer: Layer = ...,
    warn: Warn | None = ...,
) -> Iterator[Verdict]: ...


def classify(
    source: Observation | Mapping[str, Any] | str | os.PathLike[str] | BinaryIO,
    *,
    classifier: str | Classifier = DEFAULT,
    layer: Layer = "segments",
    warn: Warn | None = None,
) -> Verdict | Iterator[Verdict] | None:
    """Say how a message was written, or all messages of a file or folder.

    Args:
        source: an observation, or a mapping with its keys (``id`` and ``sizes`` at least); or a
            path, or an open binary file.
        classifier: a built-in one by name, one's own as ``package.module:name``, or a
            ``Classifier``.
        layer: which layer of stored sessions is classified.
        warn: takes what is to be said of the source, such as lines that are not understood, a
            line of text each; by default it goes to the logger ``seglab``.

    Returns:
        For one observation, its verdict, or ``None`` where the classifier abstains. For a file or
        folder, an iterator that reads as it is asked; an abstention has the style ``None``.

    Raises:
        InputError: there is no such classifier; or, from the iterator too, the source is
            none that can be read.
    """
    one = named(classifier) if isinstance(classifier, str) else classifier
    if isinstance(source, Mapping):
        source = Observation.from_dict(source)
    if isinstance(source, Observation):
        return one(source)
    return (verdict(one, observation) for observation in _observations(source, layer, warn))


@dataclass(frozen=True, slots=True)
class Judged:
    """A message, and what is said of it.

    Attributes:
        observation: the message.
        verdict: with a style of ``None`` where the classifier abstains.
        score: by the user's weights, where there are any.
    """

    observation: Observation
    verdict: Verdict
    score: Score | None = None

    @property
    def label(self) -> str:
        """Its id without the source, where the id begins with that, as a capture's does."""
        return label(self.observation)

    def to_json(self) -> bytes:
        """A line of JSON: the verdict's keys, where it came from, and the score."""
        observation = self.observation
        values = self.verdict.to_dict() | {
            "layer": observation.layer,
            "source": observation.source,
            "client": observation.client,
            "server": observation.server,
            "complete": observation.complete,
            "notes": observation.notes,
        }
        if self.score is not None:
            values["score"] = self.score.total
            values["score_range"] = (self.score.low, self.score.high)
            values["score_parts"] = self.score.parts
        return msgspec.json.encode(values)


def label(observation: Observation) -> str:
    """An observation's id without its source, where it begins with that."""
    source = observation.source
    return observation.id if source is None else observation.id.removeprefix(f"{source}#")


def judged(
    classifier: Classifier, observation: Observation, weights: Weights | None = None
) -> Judged:
    """An observation with its verdict, and its score if there are weights.

    Raises:
        InputError: the classifier failed; says at which message.
    """
    found = verdict(classifier, observation)
    return Judged(observation, found, None if weights is None else weights.score(found))


def verdict(classifier: Classifier, observation: Observation) -> Verdict:
    """The verdict; one without a style where the classifier abstains.

    Raises:
        InputError: the classifier failed; says at which message.
    """
    try:
        found = classifier(observation)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"classifier {classifier.name}: failed at message {safe(observation.id)}: "
            f"{type(error).__name__}: {safe(str(error))[:200]}"
        ) from error
    return Verdict(id=observation.id, style=None).about(observation) if found is None else found


def _observations(
    source: str | os.PathLike[str] | BinaryIO, layer: Layer, warn: Warn | None
) -> Iterator[Observation]:
    say = logging.getLogger("seglab").warning if warn is None else warn
    if not isinstance(source, str | os.PathLike):
        name = getattr(source, "name", None)
        label = safe(name) if isinstance(name, str) else "stream"
        yield from read_stream(source, label, protocol="smtp", warn=say)
        return
    for found in sources(Path(source), say):
        yield from read(found, layer=layer, protocol="smtp", warn=say)
