"""A message with its verdict, and with its score where there are weights."""

from dataclasses import dataclass

import msgspec

from seglab.classification.classifier import Verdict
from seglab.classification.weights import WeightedScore, Weights
from seglab.core.observation import Observation


@dataclass(frozen=True, slots=True)
class ClassifiedMessage:
    """A message, and what is said of it.

    Attributes:
        observation: the message.
        verdict: with a style of ``None`` where the classifier abstains.
        score: by the user's weights, where there are any.
    """

    observation: Observation
    verdict: Verdict
    score: WeightedScore | None = None

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


def classified(
    observation: Observation, found: Verdict | None, weights: Weights | None = None
) -> ClassifiedMessage:
    """An observation with what a classifier said of it, and its score if there are weights."""
    verdict = or_abstention(observation, found)
    return ClassifiedMessage(
        observation, verdict, None if weights is None else weights.score(verdict)
    )


def or_abstention(observation: Observation, found: Verdict | None) -> Verdict:
    """The verdict; one without a style where the classifier abstains."""
    return Verdict(id=observation.id, style=None).about(observation) if found is None else found
