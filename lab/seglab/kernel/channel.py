"""Messages between the processes of a lab: MessagePack maps with a length before each.

A channel is one end of a Unix stream socket pair. It crosses network namespaces. When one side
ends, in whatever way, the other side reads end-of-file. A side that sends bytes which are no
message also counts as gone.
"""

import select
import socket
import struct
from typing import Any, Self

import msgspec

_LENGTH = struct.Struct("!I")
_CHUNK_BYTES = 1 << 18

ChannelMessage = dict[str, Any]


class Channel:
    """One end of a message channel between two processes of a lab.

    Attributes:
        ended: whether the other side is gone.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._sock = sock
        self._pending = bytearray()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(ChannelMessage)
        self.ended = False

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """Return the channel on an inherited file descriptor."""
        return cls(socket.socket(fileno=fd))

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """Return a channel, and the socket that the other process is to inherit."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def fileno(self) -> int:
        """Return the descriptor to wait on, as ``select`` and similar calls ask for it."""
        return self._sock.fileno()

    def send(self, message: ChannelMessage) -> None:
        """Send one message; block while the other side is slow to read.

        Raises:
            OSError: the other side is gone.
        """
        data = self._encoder.encode(message)
        self._sock.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> ChannelMessage | None:
        """Wait for one message and return it; return ``None`` once the other side is gone."""
        while not (messages := self._take(1)) and not self.ended:
            self._fill(0)
        return messages[0] if messages else None

    def drain(self) -> list[ChannelMessage]:
        """Return all messages that have arrived, without waiting; end-of-file sets ``ended``."""
        self._fill(socket.MSG_DONTWAIT)
        return self._take()

    def close(self) -> None:
        """Close this end; the other side reads end-of-file."""
        self._sock.close()

    def _fill(self, flags: int) -> None:
        try:
            chunk = self._sock.recv(_CHUNK_BYTES, flags)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.ended = True
        self._pending += chunk

    def _take(self, limit: int | None = None) -> list[ChannelMessage]:
        """Remove the messages that have arrived completely, at most ``limit``, and return them."""
        messages: list[ChannelMessage] = []
        pending, taken = self._pending, 0
        with memoryview(pending) as view:
            while len(pending) - taken >= _LENGTH.size and len(messages) != limit:
                begin = taken + _LENGTH.size
                end = begin + _LENGTH.unpack_from(pending, taken)[0]
                if len(pending) < end:
                    break
                try:
                    messages.append(self._decoder.decode(view[begin:end]))
                except msgspec.DecodeError:
                    self.ended = True
                    taken = len(pending)
                    break
                taken = end
        del pending[:taken]
        return messages


class Outbox(Channel):
    """A channel whose ``post`` never blocks, for a process that must not wait.

    Two processes that ``send`` to each other with full buffers would wait for each other for ever.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._unsent = bytearray()

    def post(self, message: ChannelMessage) -> None:
        """Send as much of a message as the other side takes now, and keep the rest."""
        data = self._encoder.encode(message)
        self._unsent += _LENGTH.pack(len(data)) + data
        self.push()

    def push(self) -> None:
        """Send more of what was kept; drop it if the other side is gone."""
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                del self._unsent[:sent]
        except BlockingIOError:
            return
        except OSError:  # the next read finds that the other side is gone
            self._unsent.clear()

    def flush(self) -> None:
        """Send all that was kept, and wait for the other side as long as it takes."""
        while self._unsent:
            select.select([], [self], [])
            self.push()

    @property
    def kept(self) -> bool:
        """Whether something has been kept that the other side did not take yet."""
        return bool(self._unsent)
