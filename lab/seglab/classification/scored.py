"""A message with its verdict, and with its score if the user has given weights."""

from dataclasses import dataclass

import msgspec

from seglab.classification.classifier import Verdict
from seglab.classification.weights import WeightedScore, Weights
from seglab.core.observation import Observation


@dataclass(frozen=True, slots=True)
class ClassifiedMessage:
    """A message, and what a classifier says about it.

    Attributes:
        observation: the message.
        verdict: with a style of ``None`` where the classifier abstains.
        score: the sum of the user's weights; ``None`` without weights.
        number: the message's place in the order in which messages were read, from 1 on; ``None``
            where nothing counted them.
    """

    observation: Observation
    verdict: Verdict
    score: WeightedScore | None = None
    number: int | None = None

    @property
    def label(self) -> str:
        """The message's id without its source, see ``label``."""
        return label(self.observation)

    def to_json(self) -> bytes:
        """Return a line of JSON: the verdict's keys, where the message came from, and the score."""
        observation = self.observation
        values = self.verdict.to_dict() | {
            "layer": observation.layer,
            "source": observation.source,
            "client": observation.client,
            "server": observation.server,
            "complete": observation.complete,
            "encrypted": observation.encrypted,
            "chunked": observation.chunked,
            "reply": observation.reply,
            "holes": observation.holes,
            "notes": observation.notes,
        }
        if self.number is not None:
            values["number"] = self.number
        if self.score is not None:
            values["score"] = self.score.total
            values["score_range"] = (self.score.low, self.score.high)
            values["score_parts"] = self.score.parts
        return msgspec.json.encode(values)


def label(observation: Observation) -> str:
    """Return an observation's id without its source; ids in captures begin with the source."""
    source = observation.source
    return observation.id if source is None else observation.id.removeprefix(f"{source}#")


def classified(
    observation: Observation,
    found: Verdict | None,
    weights: Weights | None = None,
    number: int | None = None,
) -> ClassifiedMessage:
    """Put an observation together with its verdict, and with its score if there are weights."""
    verdict = or_abstention(observation, found)
    score = None if weights is None else weights.score(verdict)
    return ClassifiedMessage(observation, verdict, score, number)


def or_abstention(observation: Observation, found: Verdict | None) -> Verdict:
    """Return the verdict, or one without a style where the classifier abstained."""
    return Verdict(id=observation.id, style=None).about(observation) if found is None else found
