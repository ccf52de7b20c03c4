"""Reads from a Parquet file's footer how large its row groups are, without PyArrow.

PyArrow has these numbers too, but it ends the whole process (``std::terminate``) where a damaged
footer has a column whose statistics contradict each other. So this module decodes the footer
itself. It is one structure of Thrift's compact protocol (FileMetaData in ``parquet.thrift``); only
a few of its fields are wanted.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

MAGIC: Final = b"PAR1"
FOOTER_MAX_BYTES: Final = 32 << 20
"""The largest footer that is read; one row group of a dataset has about 10 kB."""

_DEPTH_MAX = 16
_TAIL_BYTES = 8
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_ROW_GROUPS, _COLUMNS, _META_DATA = 4, 1, 3
_ENCODINGS, _PATH, _NUM_VALUES, _UNCOMPRESSED = 2, 3, 5, 6
_DELTA_BYTE_ARRAY: Final = 7
"""The number of the encoding in which a text holds a part of the one before."""


@dataclass(frozen=True, slots=True)
class ColumnChunk:
    """One column, or one field of a nested column, in a row group.

    Attributes:
        path: its name, with those of the columns around it.
        values: how many values it has; items of lists count each.
        uncompressed_bytes: its size without compression.
        repeating: whether a text may hold a part of the one before (DELTA_BYTE_ARRAY), so that few
            bytes can decode to many.
    """

    path: str
    values: int
    uncompressed_bytes: int
    repeating: bool


def row_groups(file: BinaryIO) -> list[list[ColumnChunk]]:
    """Return the columns of each row group.

    Args:
        file: open for reading, at any place.

    Raises:
        ValueError: it is no Parquet file, or its footer is damaged or too large.
        OSError: it cannot be read.
    """
    size = file.seek(0, 2)
    if size < _TAIL_BYTES:
        raise ValueError("the file is too short")
    file.seek(size - _TAIL_BYTES)
    length, magic = struct.unpack("<I4s", file.read(_TAIL_BYTES))
    if magic != MAGIC:
        raise ValueError("Parquet magic bytes not found in footer")
    if length > min(FOOTER_MAX_BYTES, size - _TAIL_BYTES):
        raise ValueError(f"a footer of {length} bytes")
    file.seek(size - _TAIL_BYTES - length)
    try:
        metadata = _Reader(file.read(length)).struct(0)
        groups = metadata.get(_ROW_GROUPS, [])
        return [[_column(column) for column in group[_COLUMNS]] for group in groups]
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ValueError("the footer is damaged") from error


def _column(column: Mapping[int, Any]) -> ColumnChunk:
    metadata = column[_META_DATA]
    return ColumnChunk(
        path=".".join(name.decode("utf-8", "replace") for name in metadata[_PATH]),
        values=int(metadata[_NUM_VALUES]),
        uncompressed_bytes=int(metadata[_UNCOMPRESSED]),
        repeating=_DELTA_BYTE_ARRAY in metadata[_ENCODINGS],
    )


class _Reader:
    """Decodes Thrift's compact protocol: a structure becomes a dictionary by field numbers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        if depth > _DEPTH_MAX:
            raise ValueError("the footer is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._zigzag()
            fields[number] = kind == _TRUE if kind <= _FALSE else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth + 1)
        if kind in (_BYTE, _TRUE, _FALSE):  # a boolean in a list has a byte of its own
            return self._byte()
        if kind == _DOUBLE:
            return self._take(8)
        raise ValueError(f"the footer has a field of type {kind}")

    def _list(self, depth: int) -> list[Any]:
        if depth > _DEPTH_MAX:
            raise ValueError("the footer is nested too deeply")
        head = self._byte()
        kind, count = head & 15, head >> 4
        if count == 15:
            count = self._varint()
        if count > len(self._data) - self._at:  # each item has a byte at least
            raise ValueError("the footer has a list beyond its end")
        return [self._value(kind, depth) for _ in range(count)]

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ValueError("the footer has a text beyond its end")
        value = self._data[self._at : end]
        self._at = end
        return value

    def _varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("the footer has an impossible number")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
