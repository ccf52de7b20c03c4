"""Messages between the processes of a lab: MessagePack maps with a length before each.

A channel is one end of a Unix stream socket pair. It crosses network namespaces, and its
end-of-file tells either side that the other is gone, however it ended. A side that does not speak
this language counts as gone, too.
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
    """One end of a message channel between two processes of a lab."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._sock = sock
        self._pending = bytearray()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(ChannelMessage)
        self.ended = False

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """The channel on an inherited file descriptor."""
        return cls(socket.socket(fileno=fd))

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """A channel, and the socket that the other process is to inherit."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def fileno(self) -> int:
        """The descriptor to wait on, for ``select`` and its kin."""
        return self._sock.fileno()

    def send(self, message: ChannelMessage) -> None:
        """Send one message; blocks while the other side is slow.

        Raises:
            OSError: the other side is gone.
        """
        data = self._encoder.encode(message)
        self._sock.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> ChannelMessage | None:
        """Wait for one message; ``None`` once the other side is gone."""
        while not (messages := self._take(1)) and not self.ended:
            self._fill(0)
        return messages[0] if messages else None

    def drain(self) -> list[ChannelMessage]:
        """All messages that have arrived, without waiting; see ``ended`` for end-of-file."""
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
        """The messages that are here as a whole, ``limit`` at most."""
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
    """A channel whose ``post`` never blocks, for a side that has other things to do meanwhile.

    Two sides that both ``send`` could wait for each other for good, each with a full buffer.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._unsent = bytearray()

    def post(self, message: ChannelMessage) -> None:
        """Send a message, or as much of it as the other side takes, and keep the rest."""
        data = self._encoder.encode(message)
        self._unsent += _LENGTH.pack(len(data)) + data
        self.push()

    def push(self) -> None:
        """Send on what was kept; what is for a side that is gone is dropped."""
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                del self._unsent[:sent]
        except BlockingIOError:
            return
        except OSError:  # reading tells that it is gone
            self._unsent.clear()

    def flush(self) -> None:
        """Send all that was kept, however long the other side takes."""
        while self._unsent:
            select.select([], [self], [])
            self.push()

    @property
    def kept(self) -> bool:
        """Whether something waits for the other side."""
        return bool(self._unsent)
