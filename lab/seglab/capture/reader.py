"""Captures, piece by piece: bytes of a file go in, observations come out.

``Capture`` unzips, recognises the format, and cuts the file into whole records, wherever the pieces
were cut. ``core.walk`` reads the records. Of a file that is corrupt or cut, all that can be read is
read, and ``Capture.notes`` says where that ended.
"""

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
"""A gzip file that grows more than ``RATIO_MAX`` times, to more than this, is a bomb."""

_GZIP = b"\x1f\x8b"
_WBITS_GZIP = 31

_ENCAPSULATIONS: Final = {
    4: "IP in IP",
    41: "IPv6 in IP",
    47: "GRE",
    50: "ESP",
    115: "L2TP",
    0x8847: "MPLS",
    0x8848: "MPLS",
    0x88E5: "MACsec",
}
"""What is not looked into and could hold mail, by EtherType, or by IP's number below 256."""

Protocol = Literal["smtp", "raw"]


def sniff(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a capture; 512 bytes are enough."""
    if head[:2] == _GZIP:
        try:
            head = zlib.decompressobj(_WBITS_GZIP).decompress(head[:4096], 64)
        except zlib.error:
            return False
    return head[:4] in MAGICS or head[:4] == SECTION_MAGIC


class Capture:
    """Reads a capture as its bytes come in.

    ``feed`` and ``close`` return the observations that are new. How the bytes are cut into calls
    makes no difference.

    Args:
        name: of its source, for the observations.
        protocol: ``smtp`` for the messages of SMTP; ``raw`` for all that the client of each TCP
            connection says, as one observation.
        core: the inner loop to use; the fastest one if ``None``.
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
        """Take the next bytes of the capture, and return the messages that end in them.

        Raises:
            InputError: it is no capture, or its link type cannot be read.
        """
        if self._broken is None:
            try:
                self._take(data)
            except BrokenError as error:
                self._broken = str(error)
        return self._fetch()

    def close(self) -> list[Observation]:
        """Take it that the capture is over, and return the messages that did not end.

        Raises:
            InputError: what was fed is no capture, or none of its link types can be read.
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
        """What to know of the whole: where it broke off, and what was not read."""
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
        unread = self._unread()
        if self._closed and not self._messages:
            if walker.udp_packets:
                unread.append(f"{walker.udp_packets} packets of UDP were not looked into")
            if walker.cut_segments:
                unread.append(
                    f"the contents of {walker.cut_segments} TCP segments were not captured"
                )
            if table.one_sided:
                unread.append(
                    f"of {table.one_sided} connections only the server's packets were captured"
                )
            if unread:
                return [*notes, f"0 messages: {'; '.join(unread)}"]
        return notes + unread

    def _unread(self) -> list[str]:
        """Say which packets were not looked into, though mail may be in them."""
        counts: dict[str, int] = {}
        for kind, count in self._walker.unread_kinds.items():
            if kind in _ENCAPSULATIONS:
                counts[_ENCAPSULATIONS[kind]] = counts.get(_ENCAPSULATIONS[kind], 0) + count
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
        """Take compressed bytes in small pieces, so that a corrupt one costs little."""
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
        """Take what comes before the corrupt byte, which zlib does not hand out otherwise."""
        for at in range(len(data)):
            try:
                plain = before.decompress(data[at : at + 1])
            except zlib.error:
                return
            self._plainly(plain)

    def _plainly(self, data: bytes) -> None:
        """Take bytes that are not compressed.

        A record that lies across two pieces is joined by itself, so that the pieces, which are
        large, need not be copied.
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
        """Take all whole records from ``at`` on, and return where the rest begins."""
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
        """Read the file's header, and return its length; 0 while it is not all there."""
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
    """Yield the messages of a capture, each as soon as it is complete.

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
