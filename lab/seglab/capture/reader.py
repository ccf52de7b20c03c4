"""Captures, piece by piece: what is fed comes out as observations."""

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Literal

from seglab.capture.backend import Core, best
from seglab.capture.blocks import (
    LINKS,
    MAGICS,
    PCAP_HEADER_BYTES,
    SECTION_MAGIC,
    BrokenError,
    Interface,
    pcap_interface,
)
from seglab.core.observation import Observation
from seglab.errors import InputError

CHUNK_BYTES: Final = 1 << 20
GZIP_BYTES: Final = 1 << 16
RATIO_MAX: Final = 250
BOMB_BYTES: Final = 1 << 30
"""No capture is compressed better than this ratio for longer than that."""

_GZIP = b"\x1f\x8b"
_WBITS_GZIP = 31

_PASSED: Final = {
    4: "IP in IP",
    41: "IPv6 in IP",
    47: "GRE",
    50: "ESP",
    115: "L2TP",
    0x8847: "MPLS",
    0x8848: "MPLS",
    0x88E5: "MACsec",
}
"""Of what is not looked into, that which could have mail in it."""

Protocol = Literal["smtp", "raw"]


def sniff(head: bytes) -> bool:
    """Whether these first bytes of a file begin a capture, gzipped or not; 512 are enough."""
    if head[:2] == _GZIP:
        try:
            head = zlib.decompressobj(_WBITS_GZIP).decompress(head[:4096], 64)
        except zlib.error:
            return False
    return head[:4] in MAGICS or head[:4] == SECTION_MAGIC


class Capture:
    """Reads a capture as it comes in, from wherever.

    Args:
        name: of its source, for the observations.
        protocol: ``smtp`` for the messages of SMTP; ``raw`` for all that the client of each TCP
            connection says, as one observation.
        core: the inner loop to use, if not the best there is.

    ``feed`` and ``close`` return what was found so far. How the bytes are cut into calls makes no
    difference.
    """

    def __init__(self, name: str, *, protocol: Protocol = "smtp", core: Core | None = None) -> None:
        core = core or best()
        self._name = name
        self._table = core.table(name, protocol)
        self._walker = core.walker(self._table)
        self._gzip: zlib._Decompress | None = None
        self._begun = False
        self._parts: list[bytes] = []
        self._waiting = 0
        self._need = 2
        self._pcap: Interface | None = None
        self._plain = False
        self._in = self._out = 0
        self._broken: str | None = None
        self._messages = 0
        self._closed = False

    def feed(self, data: bytes) -> list[Observation]:
        """Take the next bytes of the capture.

        Raises:
            InputError: it is no capture, or one of links that cannot be read.
        """
        if self._broken is None:
            try:
                self._take(data)
            except BrokenError as error:
                self._broken = str(error)
        return self._fetch()

    def close(self) -> list[Observation]:
        """The capture is over.

        Raises:
            InputError: what was fed is no capture.
        """
        if not self._begun:
            raise InputError(f"{self._name}: expected a capture (pcap or pcapng), found its end")
        self._table.close()
        self._closed = True
        self._table.t_ns = 0
        if self._walker.unknown_links == self._walker.packets > 0:
            raise InputError(f"{self._name}: none of its link types can be read")
        return self._fetch()

    @property
    def notes(self) -> list[str]:
        """What to know of the whole: where it broke off, what was passed over."""
        walker, table = self._walker, self._table
        notes = []
        if self._broken is not None:
            notes.append(f"corrupt: {self._broken}; nothing after that was read")
        elif self._waiting or walker.skip:
            notes.append("cut: it ends inside a record")
        if walker.unknown_links:
            notes.append(f"{walker.unknown_links} packets of link types that cannot be read")
        if walker.malformed:
            notes.append(f"{walker.malformed} packets whose lengths contradict each other")
        if table.evicted:
            notes.append(f"{table.evicted} connections given up to bound the memory in use")
        if walker.fragments.lost:
            notes.append(f"{walker.fragments.lost} IP datagrams lacked a fragment")
        passed = self._passed()
        if self._closed and not self._messages:
            if walker.udp:
                passed.append(f"{walker.udp} packets of UDP were not looked into")
            if walker.hidden:
                passed.append(f"the contents of {walker.hidden} TCP segments were not captured")
            if table.one_sided:
                passed.append(
                    f"of {table.one_sided} connections only the server's packets were captured"
                )
            if passed:
                return [*notes, f"0 messages: {'; '.join(passed)}"]
        return notes + passed

    def _passed(self) -> list[str]:
        """What was not looked into, and may have had mail in it."""
        counts: dict[str, int] = {}
        for kind, count in self._walker.passed.items():
            if kind in _PASSED:
                counts[_PASSED[kind]] = counts.get(_PASSED[kind], 0) + count
        return [f"{counts[name]} packets of {name} were not looked into" for name in sorted(counts)]

    def _fetch(self) -> list[Observation]:
        found, self._table.found = self._table.found, []
        self._messages += len(found)
        return found

    def _take(self, data: bytes) -> None:
        if not self._plain and self._gzip is None:
            if self._waiting:
                data = b"".join([*self._parts, data])
            if len(data) < 2:
                self._parts, self._waiting = [data], len(data)
                return
            self._parts, self._waiting = [], 0
            if data[:2] == _GZIP:
                self._gzip = zlib.decompressobj(_WBITS_GZIP)
            else:
                self._plain = True
        if self._gzip is None:
            self._plainly(data)
        else:
            self._unzip(data)

    def _unzip(self, data: bytes) -> None:
        """Take compressed bytes, in small pieces, so that little is undone where one is corrupt."""
        for at in range(0, len(data), GZIP_BYTES):
            self._unzip_some(data[at : at + GZIP_BYTES])

    def _unzip_some(self, data: bytes) -> None:
        self._in += len(data)
        while data:
            assert self._gzip is not None
            before = self._gzip.copy()
            try:
                plain = self._gzip.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                self._salvage(before, data)
                raise BrokenError(f"gzip: {error}") from None
            self._out += len(plain)
            if self._out > BOMB_BYTES and self._out > RATIO_MAX * self._in:
                raise BrokenError("gzip: it is a decompression bomb")
            self._plainly(plain)
            data = self._gzip.unconsumed_tail
            if self._gzip.eof:
                data = self._gzip.unused_data
                self._gzip = zlib.decompressobj(_WBITS_GZIP)

    def _salvage(self, before: "zlib._Decompress", data: bytes) -> None:
        """Take what comes before the corrupt byte: zlib keeps it to itself otherwise."""
        for at in range(len(data)):
            try:
                plain = before.decompress(data[at : at + 1])
            except zlib.error:
                return
            self._plainly(plain)

    def _plainly(self, data: bytes) -> None:
        """Take bytes that are not compressed.

        A record that lies across two pieces is put together for itself, so that the pieces, which
        are large, need not be copied.
        """
        at = min(self._walker.skip, len(data))
        self._walker.skip -= at
        while at < len(data):
            if not self._waiting:
                end = self._walk(data, at)
                self._keep(data[end:])
                return
            missing = self._need - self._waiting
            self._parts.append(data[at : at + missing])
            self._waiting += len(self._parts[-1])
            at += missing
            if self._waiting < self._need:
                return
            record = b"".join(self._parts)
            self._keep(record[self._walk(record, 0) :])
            skipped = min(self._walker.skip, max(0, len(data) - at))
            self._walker.skip -= skipped
            at += skipped

    def _keep(self, rest: bytes) -> None:
        self._parts, self._waiting = [rest] if rest else [], len(rest)

    def _walk(self, data: bytes, at: int) -> int:
        """Take all that is whole from ``at`` on; where the rest begins."""
        if not self._begun:
            at = self._begin(data)
            if not self._begun:
                return 0
        walker = self._walker
        if self._pcap is not None:
            end = walker.pcap(data, at, self._pcap)
        else:
            end = walker.pcapng(data, at)
        self._need = walker.need
        return end

    def _begin(self, data: bytes) -> int:
        """Read the header of the file; how long it is."""
        magic = data[:4]
        if len(magic) < 4:
            self._need = 4
            return 0
        if magic == SECTION_MAGIC:
            self._need = 12
            self._begun = len(data) >= 12
            return 0
        if magic in MAGICS:
            self._need = PCAP_HEADER_BYTES
            if len(data) < PCAP_HEADER_BYTES:
                return 0
            self._walker.big, self._pcap = pcap_interface(data[:PCAP_HEADER_BYTES])
            if self._pcap.link not in LINKS:
                raise InputError(f"{self._name}: link type {self._pcap.link} cannot be read")
            self._begun = True
            return PCAP_HEADER_BYTES
        raise InputError(
            f"{self._name}: expected a capture (pcap or pcapng, gzipped or not), "
            f"found bytes that begin with {magic.hex()}"
        )


def observations(
    file: BinaryIO,
    name: str,
    *,
    protocol: Protocol = "smtp",
    warn: Callable[[str], None] | None = None,
) -> Iterator[Observation]:
    """The messages of a capture, each as soon as it is complete.

    Args:
        file: where to read it from; it may be a pipe.
        name: of the source, for the observations and in errors.
        protocol: as for ``Capture``.
        warn: called at the end with each note about the whole capture.

    Raises:
        InputError: it is no capture.
    """
    capture = Capture(name, protocol=protocol)
    read = getattr(file, "read1", file.read)
    while data := read(CHUNK_BYTES):
        yield from capture.feed(data)
    yield from capture.close()
    for note in capture.notes:
        if warn is not None:
            warn(note)
