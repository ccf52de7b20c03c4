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


@dataclass(frozen=True, slots=True)
class AskedMessage:
    """Which message which program was asked to send.

    A program's writes are its own affair: it may ask the kernel for its MSS before it writes, and
    its message may have a date or a queue's number in it. So its sessions are the same where the
    program and the message are, and where it wrote in the same style.

    Attributes:
        program: the program's name.
        parameters: its version and settings, as JSON text.
        scenario: where it was asked to.
        variant: which of the scenario's variants.
        message: the message's name.
        repeat: the repetition, which has a message of its own.
        style: how it wrote in this session.
        terminator: whether the end of data had a write of its own there.
    """

    program: str
    parameters: str
    scenario: str
    variant: str
    message: str
    repeat: int
    style: str
    terminator: str | None


Pairing = Literal["writes", "program"]
"""By what a session is compared with those over other networks: by equal bytes and writes, or, of a
program, by the program and the message."""


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
        message: which message of which sender or program it was; ``None`` where the bytes are not
            known.
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
    message: SentMessage | AskedMessage | None
    writes: tuple[int, ...]
    visible_boundaries: frozenset[int]
    only_boundaries_visible: bool

    @property
    def layer(self) -> Layer:
        """The layer of the observation."""
        return self.observation.layer

    @property
    def pairing(self) -> Pairing:
        """By what it is compared with sessions over other networks."""
        return "program" if isinstance(self.message, AskedMessage) else "writes"

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
            message=message_of(record),
            writes=tuple(sizes(record.writes)),
            visible_boundaries=visible,
            only_boundaries_visible=_nothing_else(visible, observation),
        )


def message_of(record: SessionRecord) -> SentMessage | AskedMessage | None:
    """Return the message of a session, or ``None`` where its bytes are not known."""
    if record.payload_sha256 is None:
        return None
    if record.kind == "program":
        return AskedMessage(
            program=record.sender,
            parameters=record.parameters,
            scenario=record.scenario,
            variant=record.variant,
            message=record.message,
            repeat=record.repeat,
            style=record.style,
            terminator=record.terminator,
        )
    return SentMessage(record.sender, record.parameters, record.payload_sha256)


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
