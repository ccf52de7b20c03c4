"""The blocks that pcapng files are made of (draft-ietf-opsawg-pcapng), as bytes.

All are of this machine's byte order, and their times are in nanoseconds.
"""

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

SECTION_HEADER, INTERFACE, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
EPB_FLAGS = 2
INBOUND, OUTBOUND = 1, 2
PACKET_HEADER = struct.Struct("=7I")  # type, length, interface, time, captured and real length
OPTION = struct.Struct("=HH")

_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_LINKTYPE_ETHERNET = 1
_COMMENT = 1
_SHB_HARDWARE, _SHB_OS, _SHB_USERAPPL = 2, 3, 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 2, 3, 9
_LENGTH = struct.Struct("=I")
_TIME = struct.Struct("=II")
_END = OPTION.pack(0, 0)
_HALF = 0xFFFFFFFF
_NANOSECONDS = b"\x09"


class Machine(NamedTuple):
    """The machine that made a capture, as the file says it (SHB options of the draft)."""

    hardware: str
    system: str
    application: str


def section(
    comment: str, machine: Machine, name: str, description: str, packets: Iterable[bytes]
) -> bytes:
    """Return a file of one section.

    Args:
        comment: on the whole file.
        machine: what made it.
        name: of its only interface, an Ethernet one.
        description: of that interface.
        packets: the blocks of the packets, in order.
    """
    return b"".join((_section_header(comment, machine), _interface(name, description), *packets))


@lru_cache(maxsize=16)
def _section_header(comment: str, machine: Machine) -> bytes:
    """Return the block that a file begins with; ``comment`` is on the whole file."""
    return _block(
        SECTION_HEADER,
        struct.pack("=IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1),
        [
            (_COMMENT, comment.encode()),
            (_SHB_HARDWARE, machine.hardware.encode()),
            (_SHB_OS, machine.system.encode()),
            (_SHB_USERAPPL, machine.application.encode()),
        ],
    )


@lru_cache(maxsize=16)
def _interface(name: str, description: str) -> bytes:
    """Return the block of an Ethernet interface."""
    return _block(
        INTERFACE,
        struct.pack("=HHI", _LINKTYPE_ETHERNET, 0, 0),
        [
            (_IF_NAME, name.encode()),
            (_IF_DESCRIPTION, description.encode()),
            (_IF_TSRESOL, _NANOSECONDS),
        ],
    )


def packet(t_ns: int, outbound: bool, raw: bytes, comment: str) -> bytes:
    """Return the enhanced packet block of a frame on the file's first interface.

    Args:
        t_ns: when, in nanoseconds since 1970.
        outbound: whether the host at the interface sent it.
        raw: the bytes of the frame.
        comment: what became of the packet.
    """
    text = comment.encode()
    begin, lengths, between, end = _around(len(raw), len(text), outbound)
    time = _TIME.pack(t_ns >> 32, t_ns & _HALF)
    return b"".join((begin, time, lengths, raw, between, text, end))


@lru_cache(maxsize=4096)
def _around(captured: int, said: int, outbound: bool) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what a packet's block holds beside the packet.

    It depends on few numbers that occur again and again.

    Args:
        captured: the length of the frame in bytes.
        said: the length of the comment in bytes.
        outbound: whether the host at the interface sent it.

    Returns:
        What is before the time, between it and the frame, between the frame and the comment, and
        after the comment.
    """
    between = _padding(captured)
    if said:
        between += OPTION.pack(_COMMENT, said)
    flags = struct.pack("=I", OUTBOUND if outbound else INBOUND)
    end = _padding(said) + _option(EPB_FLAGS, flags) + _END
    size = PACKET_HEADER.size + captured + len(between) + said + len(end) + _LENGTH.size
    header = PACKET_HEADER.pack(ENHANCED_PACKET, size, 0, 0, 0, captured, captured)
    return header[:12], header[20:], between, end + _LENGTH.pack(size)


def _block(kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> bytes:
    """Return a block: its type, length, body and options, and the length again."""
    said = b"".join([_option(code, value) for code, value in options if value])
    size = _LENGTH.pack(len(body) + len(said) + len(_END) + 12)
    return b"".join((_LENGTH.pack(kind), size, body, said, _END, size))


def _option(code: int, value: bytes) -> bytes:
    return OPTION.pack(code, len(value)) + value + _padding(len(value))


def _padding(size: int) -> bytes:
    """Return what fills so many bytes up to a multiple of four."""
    return bytes(-size % 4)
