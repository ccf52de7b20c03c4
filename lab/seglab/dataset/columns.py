"""What each column of a dataset means, and whether every build has the same values in it.

Two builds with the same specification, seed and version of seglab have the same rows in the same
order. Columns that follow from the seed are equal in both: who wrote what, where the writes end,
every label. Columns that the kernel and the machine decide differ: when things happened, and what
depends on it, such as which segments were lost or sent again, and how reads merged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Origin = Literal["seed", "kernel"]
"""Whether a column follows from the seed, or from the timing of the kernel."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or a field of a nested one (``writes.start``).

    Attributes:
        origin: ``seed`` where every build has the same values.
        kind: ``text``, ``integer``, ``boolean``, ``texts`` or ``integers`` for a list of these, or
            ``list`` and ``struct`` for what has fields.
        meaning: one line for people.
    """

    origin: Origin
    kind: Literal["text", "texts", "integer", "integers", "boolean", "list", "struct"]
    meaning: str


def _table(*rows: tuple[str, Origin, str, str]) -> Mapping[str, Column]:
    columns = {name: Column(origin, kind, meaning) for name, origin, kind, meaning in rows}  # type: ignore[arg-type]
    return MappingProxyType(columns)


COLUMNS: Final = _table(
    ("session_id", "seed", "text", "unique in the dataset"),
    ("scenario", "seed", "text", "the dataset's name and the message template's"),
    ("sender", "seed", "text", "the sending program"),
    ("style", "seed", "text", "label: how the sender cuts a message into writes"),
    ("terminator", "seed", "text", "label: whether the end of data has a write of its own"),
    ("network", "seed", "text", "the path"),
    ("path_condition", "seed", "text", "label: what lay between sender and server"),
    ("engine", "seed", "text", "what carried the session out"),
    ("seed", "seed", "integer", "of the session's link: its loss and jitter are drawn from it"),
    ("repeat", "seed", "integer", "which repetition of the same sender, message and network"),
    ("mtu", "seed", "integer", "of the path when the session began, in bytes"),
    ("mss", "seed", "integer", "payload bytes of a full segment"),
    ("timestamps", "seed", "boolean", "whether TCP timestamps were on"),
    ("status", "seed", "text", "complete, in every row"),
    ("error", "seed", "text", "null, in every row"),
    ("payload_bytes", "seed", "integer", "length of the stream that the ranges count"),
    ("payload_sha256", "seed", "text", "of that stream"),
    ("writes", "seed", "list", "the sender's write calls"),
    ("writes.t_ns", "kernel", "integer", "when it was called, from the session's zero"),
    ("writes.start", "seed", "integer", "its first byte"),
    ("writes.end", "seed", "integer", "the byte after its last"),
    ("segments", "kernel", "list", "the TCP segments with payload, in the order of sending"),
    ("segments.t_sent_ns", "kernel", "integer", "when it entered the first link"),
    ("segments.t_arrived_ns", "kernel", "integer", "when it left the last; null if it never did"),
    ("segments.start", "kernel", "integer", "its first byte"),
    ("segments.end", "kernel", "integer", "the byte after its last"),
    ("segments.psh", "kernel", "boolean", "whether its PSH flag was set"),
    ("segments.retransmission", "kernel", "boolean", "whether all its bytes had been sent before"),
    ("segments.dropped", "kernel", "boolean", "whether the path lost it"),
    ("segments.drop_reason", "kernel", "text", "who lost it, and why; null where it arrived"),
    ("reads", "kernel", "list", "what each recv of the server returned"),
    ("reads.t_ns", "kernel", "integer", "when it returned, from the session's zero"),
    ("reads.start", "kernel", "integer", "its first byte"),
    ("reads.end", "kernel", "integer", "the byte after its last"),
    ("variant", "seed", "text", "which of a sender's parameter sets, and which reader"),
    ("parameters", "seed", "text", "all of the sender's parameters, as JSON"),
    ("t0_ns", "kernel", "integer", "the session's zero on the machine's monotonic clock"),
    ("duration_ns", "kernel", "integer", "from then until the client's socket was closed"),
    ("reader", "seed", "text", "the server's way of reading"),
    ("buffer_bytes", "seed", "integer", "of each recv"),
    ("initcwnd", "seed", "integer", "the client's initial congestion window, in segments"),
    ("nodelay", "seed", "boolean", "whether the client had TCP_NODELAY set"),
    ("congestion_control", "seed", "text", "the client's algorithm"),
    ("client_tcp", "seed", "text", "whose TCP the client had, and whether that is unchecked"),
    ("message", "seed", "text", "a kind of generated mail, the name of an own one, or raw"),
    ("captures", "seed", "struct", "where the packets are: an archive, and the file in it"),
    ("captures.client", "seed", "text", "the capture on the client's own link"),
    ("captures.server", "seed", "text", "the capture on the server's own link"),
    ("mtu_changes", "kernel", "list", "how the path's MTU changed while the session ran"),
    ("mtu_changes.t_ns", "kernel", "integer", "when the router changed it"),
    ("mtu_changes.mtu", "kernel", "integer", "what it carried from then on, in bytes"),
    ("late_ns", "kernel", "integer", "by how much a process of the lab was late at most"),
    ("too_late", "kernel", "boolean", "whether that is more than a session may be late"),
    ("discarded_late_ns", "kernel", "integers", "how late each try was that was discarded for it"),
    ("header_end", "seed", "integer", "the offset where the last header field ends; null if raw"),
    ("header_fields", "seed", "list", "the message's header fields"),
    ("header_fields.name", "seed", "text", "its name"),
    ("header_fields.start", "seed", "integer", "its first byte"),
    ("header_fields.end", "seed", "integer", "the byte after its last CRLF"),
    ("kind", "seed", "text", "emulated: the lab played the sender"),
    ("calls", "kernel", "list", "the calls by which a program wrote; empty for an emulated sender"),
    ("calls.t_ns", "kernel", "integer", "when the call began, from the session's zero"),
    ("calls.name", "kernel", "text", "the system call"),
    ("calls.start", "kernel", "integer", "the first byte that it wrote"),
    ("calls.end", "kernel", "integer", "the byte after the last one"),
    ("calls.asked_bytes", "kernel", "integer", "how many bytes it asked the kernel to take"),
    (
        "calls.result",
        "kernel",
        "integer",
        "how many it took, or minus an error's number",
    ),
    ("calls.flags", "kernel", "integer", "its flags; null for a call without any"),
    ("options", "kernel", "list", "the TCP options that a program set or asked for"),
    ("options.t_ns", "kernel", "integer", "when the call began, from the session's zero"),
    ("options.name", "kernel", "text", "the option"),
    ("options.action", "kernel", "text", "set or get"),
    ("options.value", "kernel", "integer", "what it was set to; null where that is not known"),
    ("exit_code", "kernel", "integer", "a program's; null for an emulated sender"),
    ("output", "kernel", "text", "the end of what a program printed"),
    ("notes", "kernel", "texts", "what was noticed of a program, and is no failure"),
    ("dialogue", "kernel", "texts", "what a program wrote beside the payload, a text a write"),
    ("offers", "seed", "texts", "PIPELINING and CHUNKING, as far as the server offered them"),
    ("schema_version", "seed", "integer", "of the row"),
    ("number", "seed", "integer", "the session's number in the plan, from 0"),
    ("template", "seed", "text", "which of the specification's messages, or raw"),
    ("message_id", "seed", "text", "the same for all sessions that carry one message"),
    ("split", "seed", "text", "train, validation or test, drawn for the message"),
    ("split_network", "seed", "text", "the part by held-out networks; null if in none"),
    ("split_template", "seed", "text", "the part by held-out messages; null without any"),
    ("segment_sizes", "kernel", "integers", "of the segments in which each byte arrived first"),
    ("read_sizes", "kernel", "integers", "of the reads"),
)
"""All columns and their fields, by name, in the order of the schema."""

SPLITS: Final = ("split", "split_network", "split_template")
"""The columns that have a part of the dataset in them."""

LABELS: Final = ("style", "terminator", "path_condition", "network", "sender", "template")
"""The columns by which the balance of a dataset is judged."""


def fields_of(column: str) -> dict[str, Column]:
    """The fields of a nested column, by their names without the column's."""
    prefix = f"{column}."
    return {
        name.removeprefix(prefix): value
        for name, value in COLUMNS.items()
        if name.startswith(prefix)
    }
