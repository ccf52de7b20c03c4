"""One message as a check sees it: what a classifier is shown, and what is known of it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from seglab.core.observation import Layer, Observation
from seglab.core.record import SessionRecord
from seglab.core.trace import sizes

Layers = Literal["segments", "reads", "both"]


@dataclass(frozen=True, slots=True)
class Message:
    """What was sent, by whom: everything about a session but the network and chance.

    Attributes:
        sender: the sender's name.
        parameters: the sender's, as JSON text.
        payload_sha256: of the bytes that it sent.
    """

    sender: str
    parameters: str
    payload_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A session at one layer.

    Attributes:
        session_id: of the stored session.
        observation: what the classifier is shown. Its id is a digest: the session's own name
            holds the answer.
        style: who wrote, in the ground truth's words.
        terminator: whether the end of data had a write of its own; ``None`` for raw TCP.
        network: the network's name.
        mtu: of its path.
        message: which message of which sender it was; ``None`` where the bytes are not known.
        writes: the sizes of the sender's writes.
        trace: the boundaries between writes that can be seen at this layer; see ``visible``.
        plain: whether nothing else can be seen: these are segments, each that is not full ends
            with a write, the last one excepted, and none came again.
    """

    session_id: str
    observation: Observation
    style: str
    terminator: str | None
    network: str
    mtu: int
    message: Message | None
    writes: tuple[int, ...]
    trace: frozenset[int]
    plain: bool

    @property
    def layer(self) -> Layer:
        """The layer of the observation."""
        return self.observation.layer

    @property
    def shows(self) -> bool:
        """Whether the layer still says anything of the writes: one of several, or a lone one."""
        return bool(self.trace) or len(self.writes) == 1

    @classmethod
    def of_record(cls, record: SessionRecord, layer: Layer) -> "Case":
        """The case of a complete session."""
        observation = Observation.of_record(record, layer)
        return case(
            observation,
            session_id=record.session_id,
            style=record.style,
            terminator=record.terminator,
            network=record.network,
            mtu=record.mtu,
            message=message_of(record.sender, record.parameters, record.payload_sha256),
            writes=tuple(sizes(record.writes)),
        )


def case(
    observation: Observation,
    *,
    session_id: str,
    style: str,
    terminator: str | None,
    network: str,
    mtu: int,
    message: Message | None,
    writes: tuple[int, ...],
) -> Case:
    """A case whose observation gets an id that says nothing, and whose trace is worked out."""
    trace = visible(writes, observation)
    return Case(
        session_id=session_id,
        observation=replace(observation, id=anonymous(session_id, observation.layer)),
        style=style,
        terminator=terminator,
        network=network,
        mtu=mtu,
        message=message,
        writes=writes,
        trace=trace,
        plain=plain(trace, observation),
    )


def message_of(sender: str, parameters: str, payload_sha256: str | None) -> Message | None:
    """The message of a session; ``None`` where its bytes are not known."""
    return None if payload_sha256 is None else Message(sender, parameters, payload_sha256)


def cases(records: Iterable[SessionRecord], layers: Layers) -> Iterator[Case]:
    """The cases of all complete sessions, in their order."""
    wanted = layers_of(layers)
    for record in records:
        if record.complete and record.payload_bytes:
            for layer in wanted:
                yield Case.of_record(record, layer)


def layers_of(layers: Layers) -> tuple[Layer, ...]:
    """The layers that a choice stands for."""
    return ("segments", "reads") if layers == "both" else (layers,)


def anonymous(*names: str) -> str:
    """An id that is the same for the same names, and tells nothing of them."""
    return hashlib.blake2b("\0".join(names).encode(), digest_size=8).hexdigest()


def visible(writes: Iterable[int], observation: Observation) -> frozenset[int]:
    """The ends of writes, the last one's excepted, at which a size ends that is not full.

    A full segment ends where it is full, whether or not a write ends there too: such a boundary
    has left no trace. Of reads, those count that are no whole number of full segments.
    """
    ends: set[int] = set()
    at = 0
    for size in writes:
        at += size
        ends.add(at)
    ends.discard(at)
    if not ends:
        return frozenset()
    return _short_ends(observation) & ends


def plain(trace: frozenset[int], observation: Observation) -> bool:
    """Whether segments show these boundaries and nothing else.

    Of reads it cannot be seen whether they hold several segments.
    """
    again = observation.retransmission is not None and any(observation.retransmission)
    if again or observation.layer != "segments":
        return False
    return _short_ends(observation) - {observation.total_bytes} == trace


def _short_ends(observation: Observation) -> frozenset[int]:
    """Where sizes end that are not full: all of them, where the MSS is not known."""
    mss = observation.mss
    return frozenset(
        end
        for size, end in zip(observation.sizes, observation.ends, strict=True)
        if mss is None or size % mss
    )
