"""All connections of a capture that are followed, in bounded memory."""

from typing import Final

from seglab.core.observation import Observation

from .connection import Connection
from .message import Ledger
from .stream import IGNORED, HalfStream, Options

HALF_STREAMS_MAX: Final = 1 << 17
"""How many half-streams each of the two generations holds."""

HELD_BYTES: Final = 128 << 20
"""The memory that all connections may use before those that were silent longest are given up."""

CONNECTION_BYTES: Final = 1600
"""The memory that a connection uses, without its messages and what waits, as an estimate."""

MAILS_MAX: Final = 1 << 16
"""Of how many messages it is remembered which connection carried them."""

NAT_NS: Final = 1_000_000_000
"""Two packets that are further apart are not the same one before and after NAT."""

_ACK = 16


class Table:
    """Finds the half-stream that a packet belongs to.

    Half-streams are in two generations. One that is used moves to the young generation. When that
    is full, the table gives up the old one, in which nothing was used since, and the young one
    becomes the old. So those that were silent longest go, at little cost for each packet.

    Attributes:
        name: of the capture.
        protocol: ``smtp`` or ``raw``, as for ``Capture``.
        young: the half-streams that were used of late, by addresses and ports.
        found: observations that nobody has fetched yet.
        ledger: the memory that the connections use.
        epoch: grows when a key that was remembered may belong to another half-stream now.
        evicted: how many connections were given up to bound the memory.
        one_sided: of how many connections replies of SMTP were seen, and nothing of the client.
        refused: how many SMTP connections had no message, and a refusal.
        wordless: how many SMTP connections had no message, and no refusal.
        encrypted: how many connections began with TLS, and not on a port where that is mail.
        joined: of how many connections with TLS the beginning was not captured.
        smtp: how many connections were SMTP.
        connections: how many there were.
        t_ns: the time of the packet that is looked at.
    """

    def __init__(self, name: str, protocol: str) -> None:
        self.name = name
        self.protocol = protocol
        self.young: dict[bytes, HalfStream] = {}
        self.found: list[Observation] = []
        self.ledger = Ledger()
        self.evicted = 0
        self.one_sided = 0
        self.refused = 0
        self.wordless = 0
        self.encrypted = 0
        self.joined = 0
        self.smtp = 0
        self.epoch = 1
        self.t_ns = 0
        self._mails: dict[tuple[int, int, int, int], tuple[int, bytes, int]] = {}
        self._old: dict[bytes, HalfStream] = {}
        self.connections = 0

    def find(self, key: bytes) -> HalfStream:
        """Return the half-stream of a key that is not among the young, a new one if need be."""
        half = self._old.pop(key, None)
        if half is None:
            half = self._new(key)
        elif half.peer is None:
            self.young[key] = half
        else:
            self._old.pop(half.peer.key, None)
            self.young[key] = half
            self.young[half.peer.key] = half.peer
        if len(self.young) >= HALF_STREAMS_MAX:
            self._age()
        return half

    def syn(
        self,
        half: HalfStream,
        key: bytes,
        t_ns: int,
        seq: int,
        flags: int,
        options: Options,
    ) -> None:
        """Take a SYN: of a connection that is known, or of a new one between the same ports."""
        owner = half.owner
        if owner is None:
            self.epoch += 1
        if owner is None or (half.isn >= 0 and half.isn != seq and not flags & _ACK):
            if owner is not None:
                owner.over(t_ns, "a new connection took its place before the message's end")
            elif flags & _ACK:
                return
            half = self._new(key)
            owner = half.owner
            assert owner is not None
        owner.on_syn(half, t_ns, seq, flags, options)

    def ignore(self, key: bytes, peer_key: bytes) -> None:
        """Look no more at what comes between these two."""
        self._old.pop(key, None)
        self._old.pop(peer_key, None)
        self.young[key] = self.young[peer_key] = IGNORED

    def same_mail(
        self, numbers: tuple[int, int, int, int], number: int, hosts: bytes, t_ns: int
    ) -> int:
        """Return the connection of other hosts that carried the same mail; -1 for none.

        NAT changes addresses and ports, and leaves sequence numbers; and both packets are seen
        within moments.

        Args:
            numbers: the initial sequence numbers, which message it is, and what is in it.
            number: of the connection.
            hosts: the addresses of both hosts.
            t_ns: when the message began.
        """
        if len(self._mails) >= MAILS_MAX:
            self._mails.clear()
        first, others, begun_ns = self._mails.setdefault(numbers, (number, hosts, t_ns))
        alike = first != number and others != hosts and abs(t_ns - begun_ns) < NAT_NS
        return first if alike else -1

    def limit(self) -> None:
        """Give up connections until the memory in use is within its bounds."""
        for _ in range(2):
            if self.ledger.held > HELD_BYTES:
                self._age()

    def close(self) -> None:
        """Hand out what the connections still hold, since the capture is over."""
        for generation in (self._old, self.young):
            for half in list(generation.values()):
                if half.owner is not None:
                    half.owner.over(self.t_ns, "the capture ends before the message does")

    def _new(self, key: bytes) -> HalfStream:
        text = key  # compiled, slices of it do not check their bounds
        if len(key) == 12:
            peer_key = text[4:8] + text[:4] + text[10:12] + text[8:10]
        elif len(key) == 36:
            peer_key = text[16:32] + text[:16] + text[34:36] + text[32:34]
        else:
            raise ValueError(key)
        connection = Connection(self.connections, key, peer_key, self)
        self.connections += 1
        connection.account.take(CONNECTION_BYTES)
        half = connection.first
        self._old.pop(peer_key, None)
        self.young[key] = half
        if peer_key in self.young:
            self.epoch += 1
        if peer_key != key:
            assert half.peer is not None
            self.young[peer_key] = half.peer
        return half

    def _age(self) -> None:
        self.epoch += 1
        old, self._old = self._old, self.young
        self.young = {}
        for half in old.values():
            owner = half.owner
            if owner is not None:
                self.evicted += 1
                owner.over(self.t_ns, "it was given up to bound the memory in use")
        for half in old.values():
            self.young.pop(half.key, None)
