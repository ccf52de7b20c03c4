"""All connections of a capture that are followed, in bounded memory."""

from typing import Final

from seglab.core.observation import Observation

from .connection import Connection
from .message import Ledger
from .stream import IGNORED, Half

HALVES: Final = 1 << 17
"""How many halves are known in each of the two generations."""

HELD_BYTES: Final = 128 << 20
"""How much memory the connections may use before those that were silent longest are given up."""

CONNECTION_BYTES: Final = 1600

_ACK = 16


class Table:
    """Finds the half that a packet belongs to.

    Halves are in two generations. One that is used moves to the young; when the young is full,
    the old, in which nothing was used since, is given up, and the young becomes the old. So what
    was silent longest goes, at little cost for each packet.

    Attributes:
        young: the halves that were used of late, by addresses and ports.
        found: observations not yet fetched.
        ledger: the memory that the connections use.
        epoch: grows when what was not looked at may have to be.
        evicted: how many connections were given up to bound the memory.
        one_sided: of how many connections replies of SMTP were seen, and nothing of the client.
    """

    def __init__(self, name: str, protocol: str) -> None:
        self.name = name
        self.protocol = protocol
        self.young: dict[bytes, Half] = {}
        self.found: list[Observation] = []
        self.ledger = Ledger()
        self.evicted = 0
        self.one_sided = 0
        self.epoch = 1
        self.t_ns = 0
        self._old: dict[bytes, Half] = {}
        self._count = 0

    def find(self, key: bytes) -> Half:
        """The half of a packet that is not among the young; a new one if need be."""
        half = self._old.pop(key, None)
        if half is None:
            half = self._new(key)
        elif half.twin is None:
            self.young[key] = half
        else:
            self._old.pop(half.twin.key, None)
            self.young[key] = half
            self.young[half.twin.key] = half.twin
        if len(self.young) >= HALVES:
            self._age()
        return half

    def syn(
        self,
        half: Half,
        key: bytes,
        t_ns: int,
        seq: int,
        flags: int,
        options: tuple[int, bool, int],
    ) -> None:
        """Take a SYN: of a connection that is known, or of a new one between the same ports."""
        connection = half.connection
        if connection is None:
            self.epoch += 1
        if connection is None or (half.isn >= 0 and half.isn != seq and not flags & _ACK):
            if connection is not None:
                connection.over(t_ns, "a new connection took its place before the message's end")
            elif flags & _ACK:
                return
            half = self._new(key)
            connection = half.connection
            assert connection is not None
        connection.syn(half, t_ns, seq, flags, options)

    def ignore(self, key: bytes, twin_key: bytes) -> None:
        """Look no more at what comes between these two."""
        self._old.pop(key, None)
        self._old.pop(twin_key, None)
        self.young[key] = self.young[twin_key] = IGNORED

    def limit(self) -> None:
        """Give up connections until the memory in use is within its bounds."""
        for _ in range(2):
            if self.ledger.held > HELD_BYTES:
                self._age()

    def close(self) -> None:
        """The capture is over."""
        for generation in (self._old, self.young):
            for half in list(generation.values()):
                if half.connection is not None:
                    half.connection.over(self.t_ns, "the capture ends before the message does")

    def _new(self, key: bytes) -> Half:
        text = key  # compiled, slices of it do not check their bounds
        if len(key) == 12:
            twin_key = text[4:8] + text[:4] + text[10:12] + text[8:10]
        elif len(key) == 36:
            twin_key = text[16:32] + text[:16] + text[34:36] + text[32:34]
        else:
            raise ValueError(key)
        connection = Connection(self._count, key, twin_key, self)
        self._count += 1
        connection.account.take(CONNECTION_BYTES)
        half = connection.first
        self._old.pop(twin_key, None)
        self.young[key] = half
        if twin_key in self.young:
            self.epoch += 1
        if twin_key != key:
            assert half.twin is not None
            self.young[twin_key] = half.twin
        return half

    def _age(self) -> None:
        self.epoch += 1
        old, self._old = self._old, self.young
        self.young = {}
        for half in old.values():
            connection = half.connection
            if connection is not None:
                self.evicted += 1
                connection.over(self.t_ns, "it was given up to bound the memory in use")
        for half in old.values():
            self.young.pop(half.key, None)
