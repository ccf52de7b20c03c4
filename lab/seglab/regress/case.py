"""One message as a check sees it: what a classifier is shown, and what is known of it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from seglab.core.boundaries import short_ends, visible_boundaries
from seglab.core.observation import Layer, Observation
from seglab.core.record import SessionRecord
from seglab.core.trace import sizes

LayerChoice = Literal["segments", "reads", "both"]
"""Which layers of a session a classifier is shown."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """Which bytes which sender sent: all of a session that neither network nor chance decides.

    Attributes:
        sender: the sender's name.
        parameters: those of the sender, as JSON text.
        payload_sha256: of the bytes that were sent.
    """

    sender: str
    parameters: str
    payload_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A session at one layer.

    Attributes:
        session_id: of the stored session.
        observation: what the classifier is shown. Its id is a digest, since the session's own
            name holds the answer.
        style: the true style.
        terminator: whether the end of data had a write of its own; ``None`` for raw TCP.
        network: the network's name.
        mtu: of the network's path.
        message: which message of which sender it was; ``None`` where the bytes are not known.
        writes: the sizes of the sender's writes.
        visible_boundaries: the boundaries between writes that this layer shows, as
            ``seglab.core.boundaries`` defines them.
        only_boundaries_visible: whether the layer shows nothing else: it is that of segments,
            every short segment but the last one ends with a write, and none was sent again.
    """

    session_id: str
    observation: Observation
    style: str
    terminator: str | None
    network: str
    mtu: int
    message: SentMessage | None
    writes: tuple[int, ...]
    visible_boundaries: frozenset[int]
    only_boundaries_visible: bool

    @property
    def layer(self) -> Layer:
        """The layer of the observation."""
        return self.observation.layer

    @property
    def has_evidence(self) -> bool:
        """Whether the layer says anything about the writes: shows a boundary, or there is none."""
        return bool(self.visible_boundaries) or len(self.writes) == 1

    @classmethod
    def of_record(cls, record: SessionRecord, layer: Layer) -> "Case":
        """Make the case of a complete session."""
        observation = Observation.of_record(record, layer)
        visible = visible_boundaries(record, observation.ends)
        return cls(
            session_id=record.session_id,
            observation=replace(observation, id=anonymous_id(record.session_id, layer)),
            style=record.style,
            terminator=record.terminator,
            network=record.network,
            mtu=record.mtu,
            message=message_of(record.sender, record.parameters, record.payload_sha256),
            writes=tuple(sizes(record.writes)),
            visible_boundaries=visible,
            only_boundaries_visible=_nothing_else(visible, observation),
        )


def message_of(sender: str, parameters: str, payload_sha256: str | None) -> SentMessage | None:
    """Return the message of a session, or ``None`` where its bytes are not known."""
    return None if payload_sha256 is None else SentMessage(sender, parameters, payload_sha256)


def cases(records: Iterable[SessionRecord], layers: LayerChoice) -> Iterator[Case]:
    """Yield the cases of all complete sessions whose style is known, in their order."""
    wanted = layers_of(layers)
    for record in records:
        if record.complete and record.labelled and record.payload_bytes:
            for layer in wanted:
                yield Case.of_record(record, layer)


def layers_of(layers: LayerChoice) -> tuple[Layer, ...]:
    """Return the layers that a choice stands for."""
    return ("segments", "reads") if layers == "both" else (layers,)


def anonymous_id(*names: str) -> str:
    """Return an id that is the same for the same names, but does not show them."""
    return hashlib.blake2b("\0".join(names).encode(), digest_size=8).hexdigest()


def _nothing_else(visible: frozenset[int], observation: Observation) -> bool:
    """Return whether segments show these boundaries and nothing else.

    Reads do not show whether they hold several segments.
    """
    again = observation.retransmission is not None and any(observation.retransmission)
    if again or observation.layer != "segments":
        return False
    return short_ends(observation.sizes, observation.mss) - {observation.total_bytes} == visible
