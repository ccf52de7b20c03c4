"""One session of a run as it is stored: who sent what over which path, and its three layers.

A record is a value of its own rather than a reference to a plan, so that a stored run can be
read, judged and drawn years later by a program that no longer has the sender or the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Self

import msgspec

from seglab.core import decoding
from seglab.core.labels import UNKNOWN_STYLE
from seglab.core.trace import (
    HeaderField,
    Nanoseconds,
    Offset,
    Read,
    Segment,
    SocketOption,
    Span,
    Trace,
    Write,
    WriteCall,
)
from seglab.errors import InputError

SCHEMA_VERSION = 2
"""Raised when a column is renamed or changes its meaning; columns may be added without.

In version 1 each row was of an emulated sender, and its style and terminator were known before it
ran. From version 2 on, ``kind`` says of what a row is.
"""

Kind = Literal["emulated", "program"]

Status = Literal["complete", "failed"]


class Captures(msgspec.Struct, frozen=True, gc=False):
    """Where the session's packets are, as paths relative to the run folder.

    Attributes:
        client: the capture on the client's own link; ``None`` when none was written.
        server: the capture on the server's own link.
    """

    client: str | None = None
    server: str | None = None


NO_CAPTURES: Final = Captures()
"""A session without captures."""


class MtuChange(msgspec.Struct, frozen=True, gc=False):
    """The router was told at ``t_ns`` to carry ``mtu`` bytes; no packet met that MTU before."""

    t_ns: Nanoseconds
    mtu: Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session: one connection of one sender, over one network, to the server.

    Attributes:
        session_id: unique in its run, and the same when the run is repeated.
        scenario: the scenario's name.
        variant: which point of the scenario's sweep; empty outside a sweep.
        sender: the sender's name, or the program's.
        style: who wrote, in the ground truth's words (``single_write``, ``relay``...); of a
            program, how it wrote in this session, which may be ``unknown``.
        terminator: ``with_body`` or ``own_write``; ``None`` for raw TCP, and for a message that was
            sent in chunks (BDAT).
        network: the network's name.
        path_condition: ``steady``, ``small_mss``, ``fluctuating`` or ``pmtu_fall``.
        engine: the name of the engine that carried it out, such as ``kernel``.
        seed: the session's own seed, 64 bits without a sign.
        repeat: which repetition of its scenario, sender and network, from 0.
        mtu: of the path, in bytes.
        mss: payload bytes that fit one segment at that MTU.
        timestamps: whether TCP timestamps were on (they take 12 bytes of each segment).
        status: ``complete`` when all three layers are known, else ``failed``.
        error: why it failed, in one line.
        payload_bytes: length of the stream that the ranges count.
        payload_sha256: of that stream as it was on the wire, in hexadecimal.
        writes: the sender's write calls.
        segments: the TCP segments with payload, as the wire saw them.
        reads: what each ``recv`` of the server returned.
        parameters: the sender's parameters, as JSON text.
        t0_ns: when the session began, on the machine's monotonic clock.
        duration_ns: from then until the connection's end.
        reader: the server's way of reading: ``recv-loop`` or ``event-loop``.
        buffer_bytes: the size of the reader's buffer.
        initcwnd: the initial congestion window in segments; ``None`` is the kernel's own.
        nodelay: whether the client had TCP_NODELAY set.
        congestion_control: the client's congestion control algorithm.
        client_tcp: whose TCP the client's was: ``kernel``, or ``simulator`` with its personality,
            such as ``simulator: windows, unchecked``; empty in records of earlier versions.
        message: what was sent: a kind of generated mail, or the name of the user's own.
        captures: where its packets are.
        mtu_changes: how the path's MTU changed while it ran.
        late_ns: by how much a process of the engine was late at most while the session ran, since
            the machine was busy; ``None`` where it was not measured.
        too_late: whether ``late_ns`` is more than the session could bear, also in its last try;
            ``None`` where it was not measured.
        discarded_late_ns: how late each earlier try of the session was, which was discarded because
            it was too late.
        header_end: where the last header field of the message ends; ``None`` for raw TCP.
        header_fields: the message's header fields, in order.
        kind: ``emulated`` for a sender that the lab plays, ``program`` for a program that it ran.
        calls: the calls by which a program wrote the payload, with those that wrote nothing; empty
            for an emulated sender.
        options: the TCP options of its mail socket that a program set, or asked for.
        exit_code: of a program; below zero, the signal that ended it; ``None`` where it was still
            running when its session was over, and for an emulated sender.
        output: the end of what a program printed, on standard output and standard error together.
        notes: what was noticed of a program, and is no failure.
        offers: the keywords of PIPELINING and CHUNKING as far as the server offered them; empty for
            raw TCP, and in records of earlier versions.
        dialogue: what a program said to the server beside the payload, a text for each write;
            ``CLIENT`` and ``HOST`` stand for the addresses of the two.
        schema_version: of this row.
    """

    session_id: str
    scenario: str
    sender: str
    style: str
    terminator: str | None
    network: str
    path_condition: str
    engine: str
    seed: int
    repeat: Offset
    mtu: Offset
    mss: Offset
    timestamps: bool
    status: Status
    error: str | None = None
    payload_bytes: Offset
    payload_sha256: str | None = None
    writes: tuple[Write, ...] = ()
    segments: tuple[Segment, ...] = ()
    reads: tuple[Read, ...] = ()
    variant: str = ""
    parameters: str = "{}"
    t0_ns: int = 0
    duration_ns: Nanoseconds = 0
    reader: str = ""
    buffer_bytes: Offset = 0
    initcwnd: Offset | None = None
    nodelay: bool = False
    congestion_control: str = ""
    client_tcp: str = ""
    message: str = ""
    captures: Captures = NO_CAPTURES
    mtu_changes: tuple[MtuChange, ...] = ()
    late_ns: Offset | None = None
    too_late: bool | None = None
    discarded_late_ns: tuple[Offset, ...] = ()
    header_end: Offset | None = None
    header_fields: tuple[HeaderField, ...] = ()
    kind: Kind = "emulated"
    calls: tuple[WriteCall, ...] = ()
    options: tuple[SocketOption, ...] = ()
    exit_code: int | None = None
    output: str = ""
    notes: tuple[str, ...] = ()
    dialogue: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def trace(self) -> Trace:
        """The three layers as the value that checks itself."""
        return Trace(self.payload_bytes, self.mss, self.writes, self.segments, self.reads)

    @property
    def complete(self) -> bool:
        """Whether the session was carried out and all of its layers are known."""
        return self.status == "complete"

    @property
    def labelled(self) -> bool:
        """Whether the style is known that a classifier is to find."""
        return self.style != UNKNOWN_STYLE

    def parameter(self, name: str) -> Any:
        """One of the sender's parameters; ``None`` when it has none of that name."""
        try:
            values = msgspec.json.decode(self.parameters)
        except decoding.UNREADABLE:
            return None
        return values.get(name) if isinstance(values, dict) else None

    def to_json(self) -> bytes:
        """The record as one line of JSON, without the newline."""
        return _ENCODER.encode(self)

    @classmethod
    def from_json(cls, line: bytes) -> Self:
        """Read the record that ``to_json`` wrote.

        Raises:
            InputError: the line is not a record, or a value is impossible; says at which field.
        """
        record = decoding.from_json(line, cls, "a session record")
        record._refuse_impossible()
        return record

    def to_row(self) -> dict[str, Any]:
        """The record as plain dictionaries and lists, for a columnar file."""
        row: dict[str, Any] = msgspec.to_builtins(self)
        return row

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Read the record that ``to_row`` wrote; other columns are ignored.

        Raises:
            InputError: a column is missing, has the wrong type, or a value is impossible; says
                which.
        """
        record = decoding.from_dict(row, cls, "a session record")
        record._refuse_impossible()
        return record

    def _refuse_impossible(self) -> None:
        """Refuse values that no session can have, which a hostile file may hold.

        The types have the range of each number. Here is what depends on several values. Layers that
        contradict each other are not refused: ``Trace.violations`` has them.

        Raises:
            InputError: names the field.
        """
        if self.complete and not self.mss:
            raise InputError("not a session record: mss is 0 - at `$.mss`")
        # A session that failed early has fewer bytes than its message's headers.
        if self.complete and (self.header_end or 0) > self.payload_bytes:
            raise InputError("not a session record: beyond the payload - at `$.header_end`")
        layers: tuple[tuple[str, Sequence[Span]], ...] = (
            ("writes", self.writes),
            ("segments", self.segments),
            ("reads", self.reads),
            ("header_fields", self.header_fields),
        )
        for name, spans in layers:
            for number, span in enumerate(spans):
                if span.end <= span.start:
                    raise InputError(
                        f"not a session record: {span.start}:{span.end} is no range of bytes - "
                        f"at `$.{name}[{number}]`"
                    )


class RecordLine(NamedTuple):
    """A record as the line that stores it, with what is asked of it before it is read again.

    Attributes:
        session_id: the session's id.
        status: how it ended.
        error: why it failed.
        line: what ``SessionRecord.to_json`` made.
    """

    session_id: str
    status: Status
    error: str | None
    line: bytes

    @classmethod
    def of(cls, record: SessionRecord) -> Self:
        """Return the line of a record."""
        return cls(record.session_id, record.status, record.error, record.to_json())

    @property
    def complete(self) -> bool:
        """Whether the session was carried out and all of its layers are known."""
        return self.status == "complete"


_ENCODER = msgspec.json.Encoder()
