"""The segments of one message as they come in, and the observation that they make."""

import re
from typing import Final

from seglab.core.observation import SIZES_MAX, Observation, Reply

from .header import fields_of
from .smtp_verbs import may_begin_command
from .tls_records import TlsRecords

HEAD_BYTES: Final = 1 << 16
"""How many bytes of a message its header is looked for in."""

ENTRY_BYTES: Final = 96
"""The memory that one size with its flags and time uses, as an estimate."""

GAP: Final = 2
"""Stands for the PSH flag of bytes that were not captured, of whose segments nothing is known."""

NO_TIME: Final = -(1 << 63)
"""Stands for the time of a packet whose record has none."""

_GAP = GAP
_ENTRY_BYTES = ENTRY_BYTES
_HEAD_BYTES = HEAD_BYTES
_SIZES_MAX = SIZES_MAX
_TERMINATOR = b"\r\n.\r\n"
_LISTED = 8
_PUSH = (False, True, None)

_LAX_END = re.compile(rb"(?:\r\0*\n|\r|\n)\0*\.\0*(?:\r[\r\0]*\n|\r|\n)")
_TAIL_BYTES = 8
_OPENING_BYTES = 256
_CR, _LF = 13, 10
_LINE_ENDS = frozenset((b"\r", b"\n", b"\0"))
_NAMES = {0: "NUL", 10: "LF", 13: "CR", 46: "."}


class Ledger:
    """An estimate of the memory that all connections use together, in bytes."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0


class Account:
    """An estimate of the memory that one connection uses, in bytes."""

    __slots__ = ("_ledger", "held")

    def __init__(self, ledger: Ledger) -> None:
        self.held = 0
        self._ledger = ledger

    def take(self, size: int) -> None:
        """Count memory that is used from now on; a negative ``size`` is no longer used."""
        self.held += size
        self._ledger.held += size


class ConnectionFacts:
    """What an observation says of its message's connection."""

    __slots__ = (
        "client",
        "id",
        "mss",
        "notes",
        "rtt_ns",
        "server",
        "source",
        "timestamps",
    )

    def __init__(self) -> None:
        self.id = ""
        self.source: str | None = None
        self.client = ""
        self.server = ""
        self.mss: int | None = None
        self.timestamps: bool | None = None
        self.rtt_ns: int | None = None
        self.notes: list[str] = []


class CapturedMessage:
    """The bytes of one message, by the segments in which each was first seen.

    Args:
        opaque: whether nothing in it is to be understood: TLS records, or a protocol that is not
            SMTP.
        encrypted: whether it consists of TLS records.

    Attributes:
        begins_at: how many bytes of its first segment came before it; -1 where that is not known.
        chunked: whether it was sent by BDAT.
        complete: whether its end was captured; ``None`` before it ended.
        full: whether it has more sizes than are kept.
        head: its first bytes, in which its header is.
        lax_end: the latest end of data in it that only lax servers take.
        notes: what to know of it, for its observation.
        offset: how many bytes it has so far.
        records: the TLS records in it; ``None`` where it is not encrypted.
        replies_due: how many replies to it are still to come.
        reply: the latest reply to it.
        seeking: whether the end of its header has yet to come.
        tail: its last bytes, back to the last one that was not captured.
    """

    __slots__ = (
        "_again",
        "_cut",
        "_gaps",
        "_hidden",
        "_push",
        "_sizes",
        "_times",
        "begins_at",
        "chunked",
        "complete",
        "encrypted",
        "full",
        "head",
        "lax_end",
        "notes",
        "offset",
        "opaque",
        "records",
        "replies_due",
        "reply",
        "seeking",
        "tail",
    )

    def __init__(self, *, opaque: bool = False, encrypted: bool = False) -> None:
        self.opaque = opaque
        self.encrypted = encrypted
        self.records = TlsRecords() if encrypted else None
        self.begins_at = 0 if opaque and not encrypted else -1
        self.chunked = False
        self.complete: bool | None = None
        self.replies_due = 0
        self.reply: Reply = "unknown"
        self.offset = 0
        self.full = False
        self.seeking = not opaque
        self.head = b""
        self.lax_end = b""
        self.tail = b"\r\n"  # the line break before the payload counts for the terminator
        self.notes: list[str] = []
        self._cut = False  # whether the byte before ``tail`` was not captured
        self._sizes: list[int] = []
        self._times: list[int] = []
        self._push: list[int] = []
        self._again: list[bool] = []
        self._gaps: list[tuple[int, int]] = []
        self._hidden: list[int] = []  # of each size, how many bytes the snap length cut

    def may_end_in(self, data: bytes, at: int) -> bool:
        """Return whether ``data`` from ``at`` on may hold an end of data; quick, and rarely true.

        All ends of data have a dot behind CR, LF or NUL.
        """
        dot = data.find(b".", at)  # to look for two bytes at once takes ten times as long
        while dot > at:
            before = data[dot - 1]
            if before in (_CR, _LF, 0):
                return True
            dot = data.find(b".", dot + 1)
        tail = self.tail
        if dot == at or (tail[-1:] in _LINE_ENDS and data[at : at + 1] == b"\0"):
            return True
        return b"." in tail and (b"\n." in tail or b"\r." in tail or b"\0." in tail)

    def end_in(self, data: bytes, at: int) -> int:
        """Return where the terminator ends that is in ``data`` from ``at`` on; -1 for nowhere."""
        tail = self.tail
        found = (tail + data[at : at + 4]).find(_TERMINATOR)
        if found >= 0:
            return at + found + 5 - len(tail)
        found = data.find(_TERMINATOR, at)
        return found + 5 if found >= 0 else -1

    def lax_end_in(self, data: bytes, at: int, stop: int) -> int:
        """Return where an end of data may be that only lax servers take; -1 for nowhere.

        That is a dot between two line ends of which one is not CRLF, perhaps with NUL among them,
        and behind it nothing or what may be a command. Its bytes are then in ``lax_end``.

        Args:
            data: the bytes of a segment.
            at: where in them the message goes on.
            stop: where the message's terminator ends; -1 if it is not in ``data``.
        """
        before = len(self.tail)
        text = self.tail + data[at:]
        limit = len(text) if stop < 0 else stop - at + before - 1
        dot = text.find(b".", 0, limit)
        while dot >= 0:
            start = _line_end_before(text, dot)
            found = None if start < 0 else _LAX_END.match(text, start, limit)
            if found is not None and found.end() > before and found[0] != _TERMINATOR:
                end = found.end()
                if may_begin_command(text[end : end + _OPENING_BYTES]):
                    self.lax_end = found[0]
                    return at + end - before
            dot = text.find(b".", dot + 1, limit)
        return -1

    def add(
        self, t_ns: int, push: int, again: bool, size: int, data: bytes, same: bool = False
    ) -> int:
        """Take the next ``size`` bytes, which one segment brought.

        Args:
            t_ns: when it was seen.
            push: its PSH flag, 0 or 1, or ``GAP``.
            again: whether it filled a hole or came again.
            size: how many bytes there were on the wire.
            data: as many of them as were captured.
            same: whether the bytes before came in the same segment, so that it is one size.

        Returns:
            By how much the memory in use grew.
        """
        start = self.offset
        self.offset = start + size
        grown = 0
        captured = len(data)
        hidden = size - captured if push != _GAP and not self.opaque else 0
        if same:
            self._sizes[-1] += size
            self._hidden[-1] += hidden
        elif len(self._sizes) >= _SIZES_MAX:
            self.full = True
            return 0
        else:
            self._sizes.append(size)
            self._times.append(t_ns)
            self._push.append(push)
            self._again.append(again)
            self._hidden.append(hidden)
            grown = _ENTRY_BYTES
        if push == _GAP:
            self._lost(start)
        if self.opaque:
            if self.records is not None:
                grown += self.records.take(t_ns, push, again, size, data)
            return grown
        if self.seeking:
            grown += captured
            self._look(data)
        if captured < size:
            self._cut = True
            self.seeking = False
            self.tail = b""
        elif captured >= _TAIL_BYTES:
            self._cut = False
            self.tail = data[-_TAIL_BYTES:]
        else:
            self.tail = (self.tail + data)[-_TAIL_BYTES:]
        return grown

    def truncate(self, offset: int) -> None:
        """Give back all bytes from ``offset`` on; they turned out to be no part of it."""
        over = self.offset - offset
        self.offset = offset
        while over > 0 and self._sizes:
            step = min(over, self._sizes[-1])
            over -= step
            self._sizes[-1] -= step
            self._hidden[-1] = max(0, self._hidden[-1] - step)  # a segment is cut at its end
            if not self._sizes[-1]:
                for values in (self._sizes, self._times, self._push, self._again, self._hidden):
                    values.pop()
        self.head = self.head[:offset]
        self._gaps = [(start, min(end, offset)) for start, end in self._gaps if start < offset]
        self.tail = b""

    @property
    def cost(self) -> int:
        """The memory that it uses, as an estimate."""
        return ENTRY_BYTES * len(self._sizes) + len(self.head) + self.records_cost

    @property
    def records_cost(self) -> int:
        """The memory that its TLS records use, as an estimate."""
        return 0 if self.records is None else ENTRY_BYTES * len(self.records.sizes)

    @property
    def may_have_ended(self) -> bool:
        """Whether the terminator may stand at its end, in bytes some of which nobody saw."""
        return self._cut and len(self.tail) < 5 and _TERMINATOR.endswith(self.tail)

    @property
    def gapped(self) -> bool:
        """Whether some of it was not captured at all."""
        return bool(self._gaps)

    def fingerprint(self) -> int:
        """Return a number that is the same for messages of as many bytes, however they were cut."""
        return self.offset

    def began_ns(self) -> int:
        """Return when its first segment was seen."""
        return self._times[0]

    def bears_out(self, full: int) -> bool:
        """Return whether ``full`` bytes may be its limit; offload merges whole multiples."""
        for size, flag in zip(self._sizes, self._push, strict=True):
            if size > full and size % full and flag != GAP:
                return False
        return True

    def observation(self, facts: ConnectionFacts) -> Observation:
        """Return the message as a classifier gets it."""
        header_end, fields = (None, []) if self.opaque else fields_of(self.head)
        sizes, times, push, again = self._sizes, self._times, self._push, self._again
        records = self.records
        if records is not None and records.readable and records.sizes:
            sizes, times, push, again = records.sizes, records.times, records.push, records.again
        return Observation(
            id=facts.id,
            sizes=tuple(sizes),
            layer="segments",
            mss=facts.mss,
            timestamps=facts.timestamps,
            push=tuple([_PUSH[flag] for flag in push]),
            t_ns=None if NO_TIME in times else tuple(times),
            begins_at=None if self.begins_at < 0 else self.begins_at,
            header_end=header_end,
            fields=tuple(fields) if fields or header_end is not None else None,
            retransmission=tuple(again),
            rtt_ns=facts.rtt_ns,
            complete=False if self.full else self.complete,
            encrypted=self.encrypted,
            chunked=self.chunked,
            hidden_bytes=sum(self._hidden) or None,
            reply=None if self.opaque else self.reply,
            source=facts.source,
            client=facts.client,
            server=facts.server,
            notes=(*facts.notes, *self.notes, *self._own_notes(facts.mss)),
        )

    def _look(self, data: bytes) -> None:
        """Gather the header, until it has ended or is too long for one."""
        seen = max(0, len(self.head) - 3)
        self.head += data
        if (
            self.head.find(b"\n\r\n", seen) >= 0
            or self.head.find(b"\n\n", seen) >= 0
            or self.head.startswith((b"\n", b"\r\n"))
            or len(self.head) > _HEAD_BYTES
        ):
            self.seeking = False

    def _lost(self, start: int) -> None:
        if len(self._gaps) <= _LISTED:
            self._gaps.append((start, self.offset))

    def _own_notes(self, mss: int | None) -> list[str]:
        notes = []
        if self.records is not None:
            notes.append(_records_note(self.records))
        if self._gaps:
            spans = ", ".join(f"{start}:{end}" for start, end in self._gaps[:_LISTED])
            more = " and more" if len(self._gaps) > _LISTED else ""
            notes.append(f"bytes {spans}{more} were not captured: a hole is no segment")
        if hidden := sum(self._hidden):
            notes.append(
                f"the contents of {hidden} bytes were not captured (snap length); "
                f"sizes are those in the IP headers"
            )
        if mss is not None and self.records is None and max(self._sizes, default=0) > mss:
            above = [
                size
                for size, flag in zip(self._sizes, self._push, strict=True)
                if size > mss and flag != GAP
            ]
            if above:
                notes.append(
                    f"{len(above)} sizes above the MSS of {mss}, up to {max(above)}: "
                    f"segments that offload (TSO, GSO, GRO, LRO) had merged or not yet cut"
                )
        if self.full:
            notes.append(f"only the first {SIZES_MAX} sizes of {self.offset} bytes are kept")
        return notes


def _line_end_before(text: bytes, dot: int) -> int:
    """Return where the line end begins that stands before a dot, NULs between; -1 for none."""
    at = dot - 1
    while at >= 0 and text[at] == 0:
        at -= 1
    if at < 0 or text[at] not in (_CR, _LF):
        return -1
    start = at
    if text[at] == _LF:
        at -= 1
        while at >= 0 and text[at] == 0:
            at -= 1
        if at >= 0 and text[at] == _CR:
            start = at
    return start


def lax_end_words(end: bytes) -> str:
    """Return the bytes around a lone dot in words: ``LF . CRLF``."""
    words = " ".join(_NAMES.get(byte, "?") for byte in end)
    return words.replace("CR LF", "CRLF")


def _records_note(records: TlsRecords) -> str:
    if records.readable and records.sizes:
        cut = "" if records.whole else "; the last one is cut off"
        return (
            "encrypted: sizes are those of TLS records from the handshake on, headers included, "
            f"and messages cannot be told apart{cut}"
        )
    return (
        "encrypted: sizes are those of segments, since TLS records could not be read, "
        "and messages cannot be told apart"
    )
