"""Packet sockets (``packet(7)``), which read and write whole Ethernet frames at an interface."""

import socket
import struct

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_IGNORE_OUTGOING = 23
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_STATISTICS = struct.Struct("=II")  # struct tpacket_stats: packets, drops
_RECEIVE_BUFFER_BYTES = 16 << 20
_SEND_BUFFER_BYTES = 4 << 20


def bound_to(interface: str) -> socket.socket:
    """Return a socket that reads every frame which comes in at an interface, and never blocks.

    A frame that is sent through the socket leaves at the interface, and is not read back.

    Raises:
        OSError: there is no such interface, or packet sockets are not allowed.
    """
    # With protocol 0 until it is bound, the socket gets no frame of another interface.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    _set_buffer(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    _set_buffer(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    sock.bind((interface, _ETH_P_ALL))
    return sock


def drops(sock: socket.socket) -> int:
    """Return how many frames a full receive buffer has lost since the last call."""
    statistics = sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
    dropped: int = _STATISTICS.unpack(statistics)[1]  # reading it resets it
    return dropped


def _set_buffer(sock: socket.socket, forced: int, plain: int, size_bytes: int) -> None:
    """Set a buffer's size, beyond the machine's limit (``net.core.rmem_max``) where allowed.

    Without root the limit holds, in a user namespace as well; then the buffer is as large as that.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size_bytes)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, plain, size_bytes)
