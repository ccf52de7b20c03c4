"""Captures, piece by piece: bytes of a file go in, observations come out.

``Capture`` unzips, recognises the format, and cuts the file into whole records, wherever the pieces
were cut. ``core.walk`` reads the records. Of a file that is corrupt or cut, all that can be read is
read, and ``Capture.notes`` says where that ended.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Literal

from seglab.capture.backend import Core, best
from seglab.capture.containers import Inflater, first_bytes, is_tar, packing
from seglab.capture.core.blocks import (
    LINK_NAMES,
    LINKS,
    MAGICS,
    PCAP_HEADER_BYTES,
    SECTION_MAGIC,
    BrokenError,
    Interface,
    pcap_interface,
)
from seglab.capture.core.encapsulation import AGGREGATED_WIFI, ENCRYPTED_WIFI
from seglab.core.observation import Observation
from seglab.core.text import count
from seglab.errors import InputError

CHUNK_BYTES: Final = 1 << 20
_ENCAPSULATIONS: Final = {
    AGGREGATED_WIFI: "802.11 with several packets in a frame (A-MSDU)",
    ENCRYPTED_WIFI: "encrypted 802.11",
    4: "IP in IP",
    41: "IPv6 in IP",
    47: "GRE",
    50: "ESP",
    51: "AH",
    115: "L2TP",
    0x8847: "MPLS",
    0x8848: "MPLS",
    0x88E5: "MACsec",
}
"""What is not looked into and could hold mail, by EtherType, or by IP's number below 256."""

Protocol = Literal["smtp", "raw"]


def sniff(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a capture; 512 bytes are enough.

    So is a capture of a format that cannot be read, since ``Capture`` says what to do with it.
    """
    try:
        first = first_bytes(head, 512)
    except InputError:
        return True
    return first is None or first[:4] in (*MAGICS, SECTION_MAGIC) or is_tar(first)


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
        self._packing: str | None = None
        self._inflater: Inflater | None = None
        self._head = b""
        self._begun = False
        self._parts: list[bytes] = []
        self._waiting = 0
        self._need = 4
        self._pcap: Interface | None = None
        self._broken: str | None = None
        self._messages = 0
        self._closed = False

    def feed(self, data: bytes) -> list[Observation]:
        """Take the next bytes of the capture, and return the messages that end in them.

        Raises:
            InputError: it is no capture, or its link type cannot be read.
        """
        if self._broken is None:
            self._try(lambda: self._take(data))
        return self._fetch()

    def close(self) -> list[Observation]:
        """Take it that the capture is over, and return the messages that did not end.

        Raises:
            InputError: what was fed is no capture, or none of its link types can be read.
        """
        if self._packing is None and self._broken is None:
            self._packing = "plain"
            self._try(lambda: self._plainly(self._head))
        elif self._inflater is not None and self._broken is None:
            rest = self._inflater.finish()
            self._try(lambda: self._unpack(rest))
        if not self._begun:
            raise InputError(f"{self._name}: expected a capture (pcap or pcapng), found its end")
        self._table.close()
        self._closed = True
        self._table.t_ns = 0
        if self._walker.unknown_links == self._walker.packets > 0:
            raise InputError(f"{self._name}: none of its link types can be read")
        return self._fetch()

    def _try(self, step: Callable[[], None]) -> None:
        """Take a step, and note where nothing more can be read."""
        try:
            step()
        except BrokenError as error:
            self._broken = str(error)

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
        if self._inflater is not None and self._inflater.more:
            notes.append("the archive holds more files; only the first was read")
        unread = self._unread()
        if self._closed and not self._messages:
            seen = [*unread, *self._seen_instead()] or [self._seen_at_all()]
            return [*notes, f"0 messages: {'; '.join(seen)}"]
        return notes + unread

    def _seen_instead(self) -> Iterator[str]:
        """Say why there may be no message."""
        walker, table = self._walker, self._table
        if walker.udp_packets:
            yield f"{walker.udp_packets} packets of UDP were not looked into"
        if walker.cut_headers:
            yield f"the headers of {count(walker.cut_headers, 'packet')} were not captured whole"
        if walker.cut_segments:
            yield f"the contents of {walker.cut_segments} TCP segments were not captured"
        if table.one_sided:
            yield f"of {table.one_sided} connections only the server's packets were captured"
        if table.refused:
            connections = count(table.refused, "SMTP connection")
            yield f"in {connections} the server refused what was asked, and no message came"
        if table.wordless:
            yield f"{count(table.wordless, 'SMTP connection')} ended before a message"
        if table.joined:
            connections = count(table.joined, "TCP connection")
            yield f"{connections} with TLS had begun before the capture"
        if table.encrypted:
            yield f"{count(table.encrypted, 'TCP connection')} began with TLS, on no port of mail"

    def _seen_at_all(self) -> str:
        """Say what there was, where nothing of it could have been a message."""
        walker, table = self._walker, self._table
        if not walker.packets:
            return "there are no packets in it"
        if not table.connections:
            return f"no TCP in {count(walker.packets, 'packet')}"
        return f"no SMTP in {count(table.connections, 'TCP connection')}"

    def _unread(self) -> list[str]:
        """Say which packets were not looked into, though mail may be in them."""
        counts: dict[str, int] = {}
        for kind, packets in self._walker.unread_kinds.items():
            if kind in _ENCAPSULATIONS:
                counts[_ENCAPSULATIONS[kind]] = counts.get(_ENCAPSULATIONS[kind], 0) + packets
        return [f"{counts[name]} packets of {name} were not looked into" for name in sorted(counts)]

    def _fetch(self) -> list[Observation]:
        found, self._table.found = self._table.found, []
        self._messages += len(found)
        return found

    def _take(self, data: bytes) -> None:
        if self._packing is None:
            data = self._head + data
            try:
                self._packing = packing(data)
            except InputError as error:
                raise InputError(f"{self._name}: {error}") from None
            self._head = data if self._packing is None else b""
            if self._packing is None:
                return
            if self._packing != "plain":
                self._inflater = Inflater(self._packing)
        if self._inflater is None:
            self._plainly(data)
        else:
            self._unpack(self._inflater.feed(data))

    def _unpack(self, pieces: Iterator[bytes]) -> None:
        try:
            for plain in pieces:
                self._plainly(plain)
        except InputError as error:
            text = str(error)
            raise InputError(
                text if text.startswith(f"{self._name}: ") else f"{self._name}: {text}"
            ) from None

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
                raise InputError(f"{self._name}: {_link_words(self._pcap.link)} cannot be read")
            self._begun = True
            return PCAP_HEADER_BYTES
        if is_tar(data):
            raise InputError(f"{self._name}: an archive of tar; unpack it first, by `tar -xf`")
        raise InputError(
            f"{self._name}: expected a capture (pcap or pcapng, packed or not), "
            f"found bytes that begin with {magic.hex()}"
        )


def _link_words(link: int) -> str:
    name = LINK_NAMES.get(link)
    return f"link type {link} ({name})" if name else f"link type {link}"


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
