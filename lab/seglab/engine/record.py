"""From what an engine observed of a session to the session's record.

Every engine observes sessions in its own way, and puts what it observed into an
``ObservedSession``. This module makes the record of that, in the same way for all engines: it knows
which columns the plan fills, when a session counts as complete, and which error it has if not.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from seglab.core.kept import Kept
from seglab.core.record import NO_CAPTURES, Captures, MtuChange, SessionRecord
from seglab.core.trace import HeaderField, Read, Segment, SocketOption, Trace, Write, WriteCall
from seglab.core.written import Structure, labels_of, writes_of
from seglab.engine.again import limit_ns
from seglab.engine.client_tcp import client_tcp
from seglab.experiment.plan import SessionSpec
from seglab.networks.network import Network

_ALWAYS: Final = 2  # net.ipv4.tcp_mtu_probing

Span = Sequence[int]
"""A time in nanoseconds, then a half-open range of bytes: ``t_ns, start, end``."""


class ObservedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine observed of one session.

    All times count in nanoseconds from the beginning of the session, but for ``t0_ns``. All
    ranges count from the first byte of the payload.

    Attributes:
        t0_ns: when the session began, on the engine's clock.
        duration_ns: how long it took.
        payload_bytes: the length of the payload that the sender wrote.
        payload_sha256: the payload's SHA-256 in hexadecimal, as it was written.
        received_sha256: the SHA-256 of each payload that the server received.
        mss: the MSS in force; ``None`` where no connection was made.
        mtu: the path's MTU when the session began; ``None`` takes the planned one, as with the next
            two.
        initcwnd: the client's initial congestion window, in segments.
        congestion_control: the client's congestion control algorithm.
        timestamps: whether the connection used TCP timestamps; ``None`` where none was made.
        writes: the sender's write calls.
        segments: the segments with payload.
        reads: what each ``recv`` of the server returned.
        mtu_changes: how the path's MTU changed meanwhile.
        late_ns: by how much a process of the engine was late at most; ``None`` where the engine
            cannot be late.
        header_end: where the message's last header field ends; ``None`` for raw TCP.
        header_fields: the message's header fields, in order.
        captures: where the session's captures are, as paths in the run folder.
        error: why the session failed, as far as the engine knows; ``None`` where it went well.
        program: what else was seen of a program; ``None`` for an emulated sender.
        offers: the keywords of PIPELINING and CHUNKING as far as a server offered them that
            decides that by itself; ``None`` takes the planned ones.
    """

    t0_ns: int
    duration_ns: int
    payload_bytes: int
    payload_sha256: str
    received_sha256: Collection[str]
    mss: int | None = None
    mtu: int | None = None
    initcwnd: int | None = None
    congestion_control: str | None = None
    timestamps: bool | None = None
    writes: tuple[Write, ...] = ()
    segments: tuple[Segment, ...] = ()
    reads: tuple[Read, ...] = ()
    mtu_changes: tuple[MtuChange, ...] = ()
    late_ns: int | None = None
    header_end: int | None = None
    header_fields: tuple[HeaderField, ...] = ()
    captures: Captures = NO_CAPTURES
    error: str | None = None
    program: "ObservedProgram | None" = None
    offers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProgram:
    """What an engine observed of a program, beside what it observes of every session.

    Attributes:
        calls: the calls by which it wrote the payload.
        options: the options of its mail socket that it set or asked for.
        exit_code: its exit code; below zero, the signal that ended it.
        output: the end of what it printed.
        structure: of its payload; ``None`` where nothing of it is known.
        notes: what was noticed of it, and is no failure.
        dialogue: what it said to the server beside the message.
    """

    calls: tuple[WriteCall, ...] = ()
    options: tuple[SocketOption, ...] = ()
    exit_code: int | None = None
    output: str = ""
    structure: Structure | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    dialogue: tuple[str, ...] = field(default=(), repr=False)


def is_untried(error: str | None) -> bool:
    """Whether a failed session says nothing about its sender and network, by its error.

    A part of the engine was killed, hung or could not start while the session waited or ran. The
    words are those of the kernel engine's lab (``KernelLab._fail``), also of earlier versions.
    """
    return error is not None and _PART_DIED.match(error) is not None


def may_be_load(error: str | None) -> bool:
    """Whether a session may have failed because the machine was busy with other work."""
    return is_untried(error) or (error or "").startswith((TIME_LIMIT_REACHED, WIRE_TOO_SLOW))


TIME_LIMIT_REACHED: Final = "time limit reached"
"""The error of a session that ran into its time limit begins with these words."""

WIRE_TOO_SLOW: Final = "the wire was too slow"
"""The error of a session begins with these words if the wire did not see all of its frames."""

_PART_DIED: Final = re.compile(
    r"(gave up after \d+ labs in a row died: )?"
    r"the (lab|init|wire|server|client) "
    r"(was killed \(SIG|ended\b|failed: |did not answer within |did not start within "
    r"|could not start: |was taken down)"
)


def empty_record(spec: SessionSpec, network: Network, engine: str) -> SessionRecord:
    """Return the record of a session of which nothing but its plan is known."""
    return SessionRecord(**_planned(spec, network, engine), status="failed", payload_bytes=0)


def failed_record(spec: SessionSpec, network: Network, engine: str, reason: str) -> SessionRecord:
    """Return the record of a session that failed before anything was observed of it."""
    columns = _planned(spec, network, engine)
    return SessionRecord(**columns, status="failed", payload_bytes=0, error=reason)


def session_record(
    spec: SessionSpec, network: Network, engine: str, observed: ObservedSession
) -> SessionRecord:
    """Return the record of a session that was observed.

    The record is complete where the engine reports no error, the server received the bytes that
    were written, and the three layers agree with each other. Otherwise it has failed, and its
    ``error`` is the first reason.

    Args:
        spec: what was planned.
        network: the network that the session ran over.
        engine: the name of the engine.
        observed: what the engine observed.
    """
    columns = _planned(spec, network, engine)
    for name, value in (
        ("mtu", observed.mtu),
        ("initcwnd", observed.initcwnd),
        ("congestion_control", observed.congestion_control or None),
        ("timestamps", observed.timestamps),
        ("offers", observed.offers),
    ):
        if value is not None:
            columns[name] = value
    columns["mss"] = _mss(columns["mss"], network, observed)
    if observed.program is not None:
        columns |= _of_program(observed, observed.program)
    error = _error(columns["mss"], observed)
    if error and network.black_hole and any(s.drop_reason == "router" for s in observed.segments):
        error += f"; the router, a black hole, lost each packet above {network.path_mtu} bytes"
    return SessionRecord(
        **columns,
        status="failed" if error else "complete",
        error=error,
        payload_bytes=observed.payload_bytes,
        payload_sha256=observed.payload_sha256,
        writes=observed.writes,
        segments=observed.segments,
        reads=observed.reads,
        t0_ns=observed.t0_ns,
        duration_ns=observed.duration_ns,
        mtu_changes=observed.mtu_changes,
        late_ns=observed.late_ns,
        too_late=None if observed.late_ns is None else observed.late_ns > limit_ns(network),
        header_end=observed.header_end,
        header_fields=observed.header_fields,
        captures=observed.captures,
    )


def _planned(spec: SessionSpec, network: Network, engine: str) -> dict[str, Any]:
    """Return the columns of a record that follow from the plan."""
    reader = spec.reader
    return _of_network(network) | {
        "session_id": spec.session_id,
        "scenario": spec.scenario,
        "variant": spec.variant,
        "sender": spec.sender,
        "style": spec.style,
        "terminator": spec.terminator,
        "network": spec.network,
        "path_condition": spec.path_condition,
        "engine": engine,
        "seed": spec.seed,
        "repeat": spec.repeat,
        "parameters": msgspec.json.encode(spec.parameters).decode(),
        "reader": reader.kind,
        "buffer_bytes": reader.buffer_bytes,
        "nodelay": spec.nodelay,
        "message": spec.message_name,
        "kind": spec.kind,
        "client_tcp": client_tcp(network, engine),
        "offers": spec.offers.keywords if spec.protocol == "smtp" else (),
    }


def _network_columns(network: Network) -> dict[str, Any]:
    client = network.client
    return {
        "mtu": network.path_mtu,
        "mss": network.mss,
        "timestamps": client.timestamps,
        "initcwnd": client.initcwnd,
        "congestion_control": client.congestion_control,
    }


_of_network = Kept(_network_columns)


def within_payload(spans: Iterable[Span], start: int, end: int) -> list[tuple[int, int, int]]:
    """Return the parts of the spans that lie in ``start:end``, counted from ``start``."""
    return [
        (t_ns, a - start if a > start else 0, (b if b < end else end) - start)
        for t_ns, a, b in spans
        if a < end and b > start
    ]


def _of_program(observed: ObservedSession, seen: ObservedProgram) -> dict[str, Any]:
    """Return the columns of a program: how it wrote is known from its writes alone."""
    structure = seen.structure or Structure(payload_bytes=observed.payload_bytes)
    labels = labels_of(writes_of(seen.calls, observed.mss), structure)
    return {
        "calls": seen.calls,
        "options": seen.options,
        "exit_code": seen.exit_code,
        "output": seen.output,
        "notes": seen.notes,
        "dialogue": seen.dialogue,
        "nodelay": _nodelay(seen.options),
        "style": labels.style,
        "terminator": labels.terminator,
    }


def _nodelay(options: Iterable[SocketOption]) -> bool:
    """Return whether TCP_NODELAY was set in the end; a value that is not known counts as 1."""
    values = [o.value for o in options if o.name == "TCP_NODELAY" and o.action == "set"]
    return bool(values) and values[-1] != 0


def _mss(planned: int, network: Network, observed: ObservedSession) -> int:
    """Return the MSS in force; where MTU probing begins below the path's MSS, the path's."""
    if observed.mss is None:
        return planned
    return max(observed.mss, planned) if network.client.mtu_probing == _ALWAYS else observed.mss


def _error(mss: int, observed: ObservedSession) -> str | None:
    """Return why the session does not count as complete; ``None`` where it does."""
    if observed.error is not None:
        return observed.error
    if observed.payload_sha256 not in observed.received_sha256:
        return "the server received other bytes than were written"
    layers = observed.writes, observed.segments, observed.reads
    return next(iter(Trace(observed.payload_bytes, mss, *layers).violations()), None)
