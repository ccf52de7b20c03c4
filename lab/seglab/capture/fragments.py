"""IP datagrams that came in fragments, made whole in bounded memory."""

from typing import Final

DATAGRAMS: Final = 256
"""How many datagrams may wait for fragments."""

PIECES: Final = 64
"""How many fragments a datagram may have."""

BYTES: Final = 8 << 20
"""How many bytes of fragments may wait."""

Piece = tuple[int, int, bytes]
"""A fragment: its range of the datagram's payload, and as many bytes of it as were captured."""


class _Datagram:
    __slots__ = ("bytes", "header", "pieces", "size")

    def __init__(self) -> None:
        self.header = b""
        self.pieces: list[Piece] = []
        self.size = -1
        self.bytes = 0


class Fragments:
    """Fragments that wait for others.

    Attributes:
        lost: how many datagrams were given up because a fragment, or room, was missing.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, _Datagram] = {}
        self._bytes = 0
        self.lost = 0

    def ipv4(self, packet: bytes, header: int, total: int) -> tuple[bytes, int] | None:
        """Take a fragment of IPv4.

        Args:
            packet: from the IP header on, as far as it was captured.
            header: length of the header.
            total: length of the packet on the wire.

        Returns:
            If the datagram is now whole, its bytes as far as they were captured, and its length on
            the wire; else ``None``.
        """
        if len(packet) < header:
            return None
        key = packet[4:6] + packet[9:10] + packet[12:20]
        field = (packet[6] & 0x3F) << 8 | packet[7]
        start, more = (field & 0x1FFF) * 8, bool(field & 0x2000)
        end = start + total - header
        found = self._add(key, start, end, more, packet[header:total], packet[:header])
        if found is None:
            return None
        first = found.header  # of the first fragment, without what made it one
        size = len(first) + found.size
        length = size if size <= 0xFFFF else 0
        whole = first[:2] + length.to_bytes(2, "big") + first[4:6] + bytes(2) + first[8:]
        return whole + _joined(found), size

    def ipv6(self, packet: bytes, header: int, size: int) -> tuple[bytes, int] | None:
        """Take a fragment of IPv6; returns as ``ipv4`` does.

        Args:
            packet: from the IP header on, as far as it was captured.
            header: where in it the fragment header is.
            size: length of the packet on the wire.
        """
        key = packet[8:40] + packet[header + 4 : header + 8]
        field = packet[header + 2] << 8 | packet[header + 3]
        start, more = field & 0xFFF8, bool(field & 1)
        body = header + 8
        first = packet[:4] + bytes(2) + packet[header : header + 1] + packet[7:40]
        found = self._add(key, start, start + size - body, more, packet[body:], first)
        if found is None:
            return None
        first = found.header
        length = found.size if found.size <= 0xFFFF else 0
        whole = first[:4] + length.to_bytes(2, "big") + first[6:]
        return whole + _joined(found), len(first) + found.size

    def _add(
        self, key: bytes, start: int, end: int, more: bool, data: bytes, header: bytes
    ) -> _Datagram | None:
        if end <= start or end > 0xFFFF or (more and (end - start) % 8):
            return None
        datagram = self._waiting.get(key)
        if datagram is None:
            datagram = self._waiting[key] = _Datagram()
            self._bound()
        if any(start < high and low < end for low, high, _ in datagram.pieces):
            if (start, end) not in [piece[:2] for piece in datagram.pieces]:
                self._drop(key)  # fragments that overlap are an attack (RFC 5722)
            return None
        if not start:
            datagram.header = header
        datagram.pieces.append((start, end, data))
        datagram.bytes += len(data)
        self._bytes += len(data)
        if not more:
            datagram.size = end
        if len(datagram.pieces) > PIECES:
            self._drop(key)
            return None
        if sum(high - low for low, high, _ in datagram.pieces) != datagram.size:
            return None
        del self._waiting[key]
        self._bytes -= datagram.bytes
        datagram.pieces.sort()
        return datagram

    def _drop(self, key: bytes) -> None:
        self._bytes -= self._waiting.pop(key).bytes
        self.lost += 1

    def _bound(self) -> None:
        while len(self._waiting) > DATAGRAMS or self._bytes > BYTES:
            self._drop(next(iter(self._waiting)))


def _joined(datagram: _Datagram) -> bytes:
    """Return the payload, up to the first byte that was not captured."""
    whole = b""
    for start, end, data in datagram.pieces:
        if len(whole) != start:
            break
        whole += data[: end - start]
    return whole
