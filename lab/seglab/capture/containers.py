"""What a capture may be packed in, and formats that are refused by name.

gzip, xz, lzma, bzip2 and zip are read as far as the standard library reads them. Other formats are
known by their first bytes, and the error says how to convert them.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from seglab.capture.core.blocks import BrokenError
from seglab.errors import InputError

if TYPE_CHECKING:
    from bz2 import BZ2Decompressor
    from lzma import LZMADecompressor

PIECE_BYTES: Final = 1 << 20
"""The longest piece that comes out of a decompressor at once."""

GZIP_BYTES: Final = 1 << 16
BLOCK_BYTES: Final = 1 << 12
"""How much goes into a decompressor at once; for xz and bzip2 counted from the file's beginning, so
that what is lost to a corrupt byte does not depend on how the file was cut into pieces."""

RATIO_MAX: Final = 250
BOMB_BYTES: Final = 1 << 30
"""A file that grows more than ``RATIO_MAX`` times, to more than this, is a bomb."""

XZ_MEMORY_BYTES: Final = 256 << 20
"""How much memory xz may use; its strongest preset takes 65 MiB."""

_PACKED: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"\x5d\0\0", "lzma"),
)
_UNPACK = "decompress it first, by `{}`"
_CONVERT = "convert it first, by `editcap -F pcap IN OUT`"
_REFUSED: Final = (
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd", _UNPACK.format("zstd -d")),
    *(
        (bytes([0x50 + n]) + b"\x2a\x4d\x18", "a file packed by zstd", _UNPACK.format("zstd -d"))
        for n in range(16)
    ),  # a frame to skip, with which parallel compressors begin
    (b"\x04\x22\x4d\x18", "a file packed by lz4", _UNPACK.format("lz4 -d")),
    (b"\x1f\x9d", "a file packed by compress", _UNPACK.format("uncompress")),
    (b"7z\xbc\xaf\x27\x1c", "an archive of 7-Zip", _UNPACK.format("7z x")),
    (b"snoop\0\0\0", "a capture of snoop", _CONVERT),
    (b"RTSS", "a capture of Microsoft Network Monitor 1", _CONVERT),
    (b"GMBU", "a capture of Microsoft Network Monitor 2", _CONVERT),
    (b"\x34\xcd\xb2\xa1", "a modified pcap file", _CONVERT),
    (b"\xa1\xb2\xcd\x34", "a modified pcap file", _CONVERT),
    (b"\xa1\xe2\xcb\x12", "a pcap file of IXIA", _CONVERT),
    (b"iptrace ", "a capture of AIX iptrace", _CONVERT),
    (b"TRSNIFF", "a capture of Sniffer", _CONVERT),
    (b"XCP\0", "a capture of NetXray", _CONVERT),
    (b"btsnoop\0", "a capture of Bluetooth (btsnoop)", "mail is not in it"),
)
_MAGICS = (*_PACKED, *((magic, "") for magic, _, _ in _REFUSED))
_FILE, _SIZES, _SIZES_BYTES = b"PK\x03\x04", b"PK\x07\x08", 16
_NOTHING_DEFLATED = b"\x03\0"
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
_ENCRYPTED, _SIZE_FOLLOWS, _STORED, _DEFLATED = 1, 8, 0, 8


def packing(head: bytes) -> str | None:
    """Return how a file is packed: by ``gzip``, ``xz``, ``lzma``, ``bzip2``, ``zip``, or ``plain``.

    Returns ``None`` where more bytes are needed to say it.

    Args:
        head: its first bytes.

    Raises:
        InputError: it is of a format that cannot be read; the text has the format and a way out.
    """
    for magic, what, way in _REFUSED:
        if head.startswith(magic):
            raise InputError(f"{what} cannot be read; {way}")
    for magic, kind in _PACKED:
        if head.startswith(magic):
            return kind
    if any(magic.startswith(head) for magic, _ in _MAGICS):
        return None
    return "plain"


class Inflater:
    """Unpacks a file piece by piece.

    Args:
        kind: ``gzip``, ``xz``, ``lzma``, ``bzip2`` or ``zip``.

    Attributes:
        more: whether an archive holds more files than the first, which alone is read.
    """

    def __init__(self, kind: str) -> None:
        self.more = False
        self._kind = kind
        self._in = self._out = 0
        self._held = b""
        self._ended = False
        self._stored = -1
        self._zlib = zlib.decompressobj(31) if kind == "gzip" else None
        self._block = None if kind in ("gzip", "zip") else _decompressor(kind)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; yield what comes out of them.

        Raises:
            BrokenError: the file is corrupt, or a bomb, from here on.
            InputError: an archive is packed or encrypted in a way that cannot be read.
        """
        if self._ended:
            self._held = (self._held + data)[:4]
            self.more = self.more or (self._kind == "zip" and self._held == b"PK\x03\x04")
        elif self._block is not None:
            data = self._held + data
            whole = len(data) - len(data) % BLOCK_BYTES
            self._held = data[whole:]
            for at in range(0, whole, BLOCK_BYTES):
                yield from self._decode(data[at : at + BLOCK_BYTES])
        elif self._kind == "zip" and self._zlib is None and self._stored < 0:
            data = self._held + data
            while not self._begun_zip and (begin := self._begin_zip(data)):
                data = data[begin:]
            self._held = b"" if self._begun_zip else data
            if self._begun_zip:
                yield from self.feed(data)
        elif self._zlib is None:
            piece, rest = data[: self._stored], data[self._stored :]
            self._stored -= len(piece)
            yield piece
            if not self._stored:
                self._ended = True
                yield from self.feed(rest)
        else:
            for at in range(0, len(data), GZIP_BYTES):
                yield from self._inflate(data[at : at + GZIP_BYTES])

    def finish(self) -> Iterator[bytes]:
        """Yield what was held back: the file is over."""
        if self._block is not None and self._held and not self._ended:
            held, self._held = self._held, b""
            yield from self._decode(held)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        self._in += len(data)
        while data and not self._ended:
            assert self._zlib is not None
            before = self._zlib.copy()
            try:
                plain = self._zlib.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                yield from _salvaged(before, data)
                raise BrokenError(f"{self._kind}: {error}") from None
            self._count(plain)
            yield plain
            data = self._zlib.unconsumed_tail
            if self._zlib.eof:
                data = self._zlib.unused_data
                if self._kind == "zip":
                    self._ended = True
                    yield from self.feed(data)
                    return
                self._zlib = zlib.decompressobj(31)

    def _decode(self, data: bytes) -> Iterator[bytes]:
        self._in += len(data)
        while not self._ended:
            assert self._block is not None
            try:
                plain = self._block.decompress(data, PIECE_BYTES)
            except (
                Exception
            ) as error:  # of three kinds, one of them from a module that may be missing
                raise BrokenError(f"{self._kind}: {error}") from None
            self._count(plain)
            if plain:
                yield plain
            data = b""
            if self._block.eof:
                data = self._block.unused_data.lstrip(b"\0")  # xz pads its streams
                self._ended = not data
                self._block = _decompressor(self._kind)
            elif self._block.needs_input:
                return

    def _count(self, plain: bytes) -> None:
        self._out += len(plain)
        if self._out > BOMB_BYTES and self._out > RATIO_MAX * self._in:
            raise BrokenError(f"{self._kind}: it is a decompression bomb")

    @property
    def _begun_zip(self) -> bool:
        """Whether the first file of an archive has begun."""
        return self._zlib is not None or self._stored >= 0

    def _begin_zip(self, data: bytes) -> int:
        """Read the header of a folder, or of the first file.

        Returns:
            How many bytes it has; 0 while it is not whole.
        """
        if data[:2] == _NOTHING_DEFLATED:  # what is in a folder
            return len(_NOTHING_DEFLATED)
        if data[:4] == _SIZES:  # of a folder, where they were not known before
            return _SIZES_BYTES if len(data) >= _SIZES_BYTES else 0
        if len(data) >= 4 and data[:4] != _FILE:
            raise InputError("there is no file in the archive")
        if len(data) < _LOCAL_HEADER.size:
            return 0
        _, _, flags, method, _, _, _, packed, _, name, extra = _LOCAL_HEADER.unpack_from(data)
        size: int = _LOCAL_HEADER.size + name + extra
        if len(data) < size:
            return 0
        if data[: _LOCAL_HEADER.size + name].endswith(b"/") and packed <= len(_NOTHING_DEFLATED):
            return size
        if flags & _ENCRYPTED:
            raise InputError("an encrypted archive cannot be read; unpack it first, by `unzip`")
        if method == _DEFLATED:
            self._zlib = zlib.decompressobj(-15)
        elif method == _STORED and not flags & _SIZE_FOLLOWS:
            self._stored = packed
        else:
            raise InputError(
                f"an archive packed by method {method} cannot be read; unpack it first"
            )
        return size


def _decompressor(kind: str) -> "BZ2Decompressor | LZMADecompressor":
    try:
        if kind == "bzip2":
            from bz2 import BZ2Decompressor  # noqa: PLC0415 - rarely needed

            return BZ2Decompressor()
        from lzma import LZMADecompressor  # noqa: PLC0415 - rarely needed

        return LZMADecompressor(memlimit=XZ_MEMORY_BYTES)
    except ImportError:
        way = _UNPACK.format(f"{kind} -d")
        raise InputError(f"this Python was built without {kind}; {way}") from None


def _salvaged(before: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """Yield what comes before the corrupt byte, which zlib does not hand out otherwise."""
    for at in range(len(data)):
        try:
            plain = before.decompress(data[at : at + 1])
        except zlib.error:
            return
        yield plain


def is_tar(plain: bytes) -> bool:
    """Return whether unpacked bytes begin an archive of tar (POSIX ustar, or GNU's)."""
    return plain[257:262] == b"ustar"


def first_bytes(head: bytes, size: int) -> bytes | None:
    """Return the first unpacked bytes of a file that begins so; ``None`` where it does not say.

    Raises:
        InputError: as ``packing``.
    """
    kind = packing(head)
    if kind in (None, "plain"):
        return head[:size]
    inflater, found = Inflater(kind or ""), b""
    try:
        for plain in (*inflater.feed(head), *inflater.finish()):
            found += plain
    except BrokenError:
        return found[:size] or b"?"
    return found[:size] or None
