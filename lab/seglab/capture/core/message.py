"""The segments of one message as they come in, and the observation that they make."""

from typing import Final

from seglab.core.observation import SIZES_MAX, Observation

from .header import fields_of

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

    __slots__ = ("client", "id", "mss", "notes", "rtt_ns", "server", "source", "timestamps")

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
    """

    __slots__ = (
        "_again",
        "_gaps",
        "_hidden",
        "_push",
        "_sizes",
        "_times",
        "blind",
        "full",
        "head",
        "notes",
        "offset",
        "opaque",
        "seeking",
        "tail",
    )

    def __init__(self, *, opaque: bool = False) -> None:
        self.opaque = opaque
        self.offset = 0
        self.blind = False  # whether the last bytes of the latest piece were not captured
        self.full = False
        self.seeking = not opaque  # whether the end of the header has yet to come
        self.head = b""
        self.tail = b"\r\n"  # the line break before the payload counts for the terminator
        self.notes: list[str] = []
        self._sizes: list[int] = []
        self._times: list[int] = []
        self._push: list[int] = []
        self._again: list[bool] = []
        self._gaps: list[tuple[int, int]] = []
        self._hidden = 0

    def end_in(self, data: bytes, at: int) -> int:
        """Where the terminator ends that is in ``data`` from ``at`` on; -1 for nowhere."""
        tail = self.tail
        found = (tail + data[at : at + 4]).find(_TERMINATOR)
        if found >= 0:
            return at + found + 5 - len(tail)
        found = data.find(_TERMINATOR, at)
        return found + 5 if found >= 0 else -1

    def add(self, t_ns: int, push: int, again: bool, size: int, data: bytes) -> int:
        """Take the next ``size`` bytes, which one segment brought.

        Args:
            t_ns: when it was seen.
            push: its PSH flag, 0 or 1, or ``GAP``.
            again: whether it filled a hole or came again.
            size: how many bytes there were on the wire.
            data: as many of them as were captured.

        Returns:
            By how much the memory grew.
        """
        start = self.offset
        self.offset = start + size
        if len(self._sizes) >= _SIZES_MAX:
            self.full = True
            return 0
        self._sizes.append(size)
        self._times.append(t_ns)
        self._push.append(push)
        self._again.append(again)
        captured = len(data)
        grown = _ENTRY_BYTES
        if self.opaque:
            if push == _GAP:
                self._lost(start)
            self.blind = captured < size
            return grown
        if self.seeking:
            grown += captured
            self._look(data)
        if captured < size:
            self.blind = True
            self.seeking = False
            self.tail = b""
            if push == _GAP:
                self._lost(start)
            else:
                self._hidden += size - captured
        else:
            self.blind = False
            self.tail = data[-4:] if captured >= 4 else (self.tail + data)[-4:]
        return grown

    @property
    def cost(self) -> int:
        """What it takes in memory."""
        return ENTRY_BYTES * len(self._sizes) + len(self.head)

    @property
    def ends_bare(self) -> bool:
        """Whether it ends as some servers let a message end, and the RFC does not: LF . LF."""
        return self.tail.endswith((b"\n.\n", b"\n.\r\n"))

    @property
    def gapped(self) -> bool:
        """Whether some of it was not captured at all."""
        return bool(self._gaps)

    def observation(
        self, facts: ConnectionFacts, complete: bool | None, encrypted: bool
    ) -> Observation:
        """The message as a classifier gets it."""
        header_end, fields = (None, []) if self.opaque else fields_of(self.head)
        timeless = NO_TIME in self._times
        return Observation(
            id=facts.id,
            sizes=tuple(self._sizes),
            layer="segments",
            mss=facts.mss,
            timestamps=facts.timestamps,
            push=tuple([_PUSH[flag] for flag in self._push]),
            t_ns=None if timeless else tuple(self._times),
            header_end=header_end,
            fields=tuple(fields) if fields else None,
            retransmission=tuple(self._again),
            rtt_ns=facts.rtt_ns,
            complete=False if self.full else complete,
            encrypted=encrypted,
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
        if self._gaps:
            spans = ", ".join(f"{start}:{end}" for start, end in self._gaps[:_LISTED])
            more = " and more" if len(self._gaps) > _LISTED else ""
            notes.append(
                f"bytes {spans}{more} were not captured; their sizes are those of the gaps"
            )
        if self._hidden:
            notes.append(
                f"the contents of {self._hidden} bytes were not captured (snap length); "
                f"sizes are those in the IP headers"
            )
        if mss is not None and max(self._sizes, default=0) > mss:
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
