"""One TCP connection: its two half-streams, its handshake, and the dialogue over it.

A connection owns its half-streams and is owned by the table. It reaches the table only through the
protocol ``Directory``, and the half-streams reach it only through ``stream.StreamOwner``, so that
the modules of this package import each other in one direction: table, connection, stream, dialogue,
message.
"""

from _socket import AF_INET, AF_INET6, inet_ntop  # all of `socket` takes long to import
from typing import Final, Protocol

from seglab.core.observation import Observation
from seglab.core.tcpip import (
    MSS_DEFAULT_BYTES,
    MSS_DEFAULT_IPV6_BYTES,
    full_segment_of_mss,
)

from .dialogue import TLS_PORT, Dialogue
from .message import NO_TIME, Account, CapturedMessage, ConnectionFacts, Ledger
from .smtp_verbs import begins_command, begins_reply, may_be_smtp
from .stream import HalfStream, Options
from .tls_records import begins_record

MAIL_PORTS: Final = frozenset((25, 465, 587, 2525))
_ACK = 16
_TLS_HANDSHAKE = 0x16
_TRIES = 8
_MASK = (1 << 32) - 1
_V4_KEY_BYTES = 12
_NOT_SEEN = "the connection's beginning was not captured"


class Directory(Protocol):
    """What a connection asks of the table that it is in.

    Attributes:
        name: of the capture.
        protocol: ``smtp`` or ``raw``, as for ``Capture``.
        ledger: the memory that all connections use.
        found: where finished observations go.
        one_sided: of how many connections nothing of the client was captured.
        refused: how many SMTP connections had no message, and a refusal.
        wordless: how many SMTP connections had no message, and no refusal.
        encrypted: how many connections began with TLS, and not on a port where that is mail.
        joined: of how many connections with TLS the beginning was not captured.
        smtp: how many connections were SMTP.
    """

    name: str
    protocol: str
    ledger: Ledger
    found: list[Observation]
    one_sided: int
    refused: int
    wordless: int
    encrypted: int
    joined: int
    smtp: int

    def ignore(self, key: bytes, peer_key: bytes) -> None:
        """Look no more at what comes between these two."""

    def same_mail(
        self, numbers: tuple[int, int, int, int], number: int, hosts: bytes, t_ns: int
    ) -> int:
        """Return the connection of other hosts that carried the same mail; -1 for none."""


class Connection:
    """Two half-streams that belong together.

    Attributes:
        account: the memory that it uses.
        client: the half-stream of the client; ``None`` while nobody knows who that is.
        dialogue: what is said; ``None`` before it is known that it is worth following.
        first: the half-stream that was seen first.
        notes: what to know of all its messages.
        number: counts the connections of a capture from 0, as Wireshark's ``tcp.stream`` does.
        rtt_ns: from the SYN to the handshake's last ACK; ``None`` where that is not known.
        stamped: whether its segments have timestamps, where no handshake said it; else ``None``.
        table: the table that it is in.
    """

    __slots__ = (
        "_client_ended",
        "_messages",
        "_probes",
        "_t_syn",
        "_tries",
        "account",
        "client",
        "dialogue",
        "first",
        "notes",
        "number",
        "rtt_ns",
        "stamped",
        "table",
    )

    def __init__(self, number: int, key: bytes, peer_key: bytes, table: Directory) -> None:
        self.number = number
        self.table = table
        self.account = account = Account(table.ledger)
        self.first = first = HalfStream(key, self, account)
        first.peer = HalfStream(peer_key, self, account)
        first.peer.peer = first
        self.client: HalfStream | None = None
        self.dialogue: Dialogue | None = None
        self.rtt_ns: int | None = None
        self.stamped: bool | None = None
        self.notes: list[str] = []
        self._t_syn: int | None = None
        self._tries = 0
        self._messages = 0
        self._probes = 0
        self._client_ended = False

    # --- beginning ------------------------------------------------------------------------

    def on_syn(self, half: HalfStream, t_ns: int, seq: int, flags: int, options: Options) -> None:
        """Take a SYN or SYN-ACK.

        Args:
            half: of the host that sent it.
            t_ns: when it was seen.
            seq: its sequence number.
            flags: of its TCP header.
            options: of its TCP header.
        """
        if half.isn >= 0:  # it came again: which of them was answered is not known
            self._t_syn = None
            return
        half.isn = seq
        half.mss, half.stamps, half.shift, half.told = options
        if not half.synchronised:
            half.synchronise(seq + 1)
        if not flags & _ACK:
            self._t_syn = t_ns
        elif half.peer is not None and half.peer.isn >= 0:
            half.peer.awaits_handshake_ack = True
        if self.client is None:
            self.client = half.peer if flags & _ACK else half

    def on_handshake_ack(self, half: HalfStream, t_ns: int, ack: int) -> None:
        """Take the client's first segment after the SYN-ACK: the handshake's last."""
        half.awaits_handshake_ack = False
        if self._t_syn is None or NO_TIME in (self._t_syn, t_ns):
            return
        if half.peer is not None and self._t_syn is not None and ack == (half.peer.isn + 1) & _MASK:
            rtt_ns = t_ns - self._t_syn
            self.rtt_ns = rtt_ns if rtt_ns >= 0 else None

    def identify_protocol(
        self, half: HalfStream, seq: int, ack: int, flags: int, size: int, data: bytes
    ) -> bool:
        """See from its first bytes whether a connection is one to follow; whether to go on."""
        if not size:
            return False
        peer = half.peer
        assert peer is not None
        if self.client is not None:
            if half.synchronised and seq == (half.isn + 1) & _MASK and self._foreign(half, data):
                self.drop()
                return False
            self._settle(self.client, False)
            return True
        if self.table.protocol == "raw":
            half.synchronise(seq)
            self.notes.append(_NOT_SEEN)
            self._settle(peer if _port(half.key) < _port(peer.key) else half, True)
            return True
        by_client, by_server = begins_command(data), begins_reply(data)
        if not by_client and not by_server:
            self._tries += 1
            tls = begins_record(data)
            self.table.joined += tls
            mail_port = MAIL_PORTS & {_port(half.key), _port(peer.key)}
            if tls or (self._tries >= _TRIES and not mail_port):
                self.drop()
            return False
        half.synchronise(seq)
        if flags & _ACK:
            peer.synchronise(ack)
        self.notes.append(_NOT_SEEN)
        self._settle(half if by_client else peer, not data.startswith(b"220"))
        return True

    def _foreign(self, half: HalfStream, data: bytes) -> bool:
        """Return whether the first bytes that one of the two says are certainly not SMTP."""
        if self.table.protocol == "raw" or not data or half.peer is None:
            return False
        first = data[0]
        if half is not self.client:
            return first not in b"2345H\x05\0"  # or a proxy's answer, of HTTP or SOCKS
        port = _port(half.peer.key)
        if first == _TLS_HANDSHAKE:
            self.table.encrypted += port != TLS_PORT
            return port != TLS_PORT
        return not may_be_smtp(data, port in MAIL_PORTS)

    def _settle(self, client: HalfStream, greeted: bool) -> None:
        server = client.peer
        assert server is not None
        self.client = client
        port = _port(server.key)
        self.dialogue = dialogue = Dialogue(
            self, self.account, port in MAIL_PORTS, port == TLS_PORT, greeted, server.isn >= 0
        )
        client.dialogue = server.dialogue = dialogue
        client.settled = server.settled = client.of_client = True
        if self.table.protocol == "raw":
            dialogue.follow_raw()

    def on_zero_window_probe(self, half: HalfStream) -> None:
        """Count a byte that came while the other host's window was closed (RFC 9293, 3.8.6.1)."""
        if half is self.client:
            self._probes += 1

    # --- the end --------------------------------------------------------------------------

    def on_half_closed(self, half: HalfStream, t_ns: int) -> None:
        """Take it that one host has said all."""
        peer = half.peer
        assert peer is not None
        if half is self.client:
            self._client_ended = True
            if self.dialogue is not None and self.dialogue.awaits_reply() and not peer.finished:
                half.dialogue = None  # what comes after a FIN belongs to nothing
                return
            self._close("the connection ended before the message did")
        if peer.finished:
            self.over(t_ns, "the connection ended before the message did")

    def over(self, t_ns: int, reason: str) -> None:
        """Take it that nothing more comes: hand out what there is, and forget the connection."""
        peer = self.first.peer
        assert peer is not None
        for half in (self.client or self.first, peer):
            half.flush(t_ns)
        if self.first.peer is not None:
            dialogue = self.dialogue
            self._close(reason)
            client = self.client
            if (
                dialogue is not None
                and dialogue.greeted
                and client is not None
                and (client.isn >= 0 or client.window >= 0)
            ):
                self._count(dialogue)
            self.drop()

    def _count(self, dialogue: Dialogue) -> None:
        """Count a connection of SMTP, so that it can be said why there was no message."""
        self.table.smtp += 1
        if not self._messages:
            self.table.refused += dialogue.refusals > 0
            self.table.wordless += not dialogue.refusals

    def _close(self, reason: str) -> None:
        if self.dialogue is not None:
            client = self.client
            if client is not None and client.isn < 0 and client.window < 0:
                self.table.one_sided += self.dialogue.greeted
            self.dialogue.close(reason, self._client_ended)

    def count_tls(self) -> None:
        """Count a connection that is TLS, and nothing says that it is mail."""
        self.table.encrypted += 1

    def drop(self) -> None:
        """Look at nothing more of this connection."""
        peer = self.first.peer
        if peer is None:
            return
        self.table.ignore(self.first.key, peer.key)
        self.dialogue = None
        self.account.take(-self.account.held)
        self.first.forget()
        peer.forget()

    # --- what comes out -------------------------------------------------------------------

    def finish(self, message: CapturedMessage) -> None:
        """Hand out a message."""
        self._messages += 1
        self.table.found.append(message.observation(self._facts(message)))

    def _facts(self, message: CapturedMessage) -> ConnectionFacts:
        client = self.client
        assert client is not None
        server = client.peer
        assert server is not None
        facts = ConnectionFacts()
        facts.id = f"{self.table.name}#{self.number}.{self._messages}"
        facts.source = self.table.name
        facts.client, facts.server = _text(client.key), _text(server.key)
        facts.timestamps = self._timestamps(client, server)
        facts.rtt_ns = self.rtt_ns
        facts.notes = list(self.notes)
        facts.mss = self._full_segment(client, server, message, facts.notes)
        numbers = (client.numbered(), server.numbered(), self._messages, message.fingerprint())
        if numbers[0] >= 0 and numbers[1] >= 0:
            hosts = client.key[: (len(client.key) - 4)]
            other = self.table.same_mail(numbers, self.number, hosts, message.began_ns())
            if other >= 0:
                facts.notes.append(
                    f"connection {other} has the same mail, with the same sequence numbers: it was "
                    "seen before and after its addresses were translated (NAT)"
                )
        if self._probes:
            facts.notes.append(f"{self._probes} bytes came alone, as probes of a closed window")
        return facts

    def _timestamps(self, client: HalfStream, server: HalfStream) -> bool | None:
        if client.told and server.told:
            return client.stamps and server.stamps
        for half in (client, server):
            if half.told and not half.stamps:  # both have to ask for them (RFC 7323, 3.2)
                return False
        return self.stamped

    def _full_segment(
        self, client: HalfStream, server: HalfStream, message: CapturedMessage, notes: list[str]
    ) -> int | None:
        """Return what a full segment holds; ``None`` where that is not known.

        A host without the MSS option stands for the default MSS (RFC 9293, 3.7.1). Middleboxes take
        the option away, so the default counts only as long as the segments bear it out.
        """
        if client.isn < 0 or server.isn < 0:
            return None
        for half in (client, server):
            if not half.told and not half.mss:  # it may be among the options that were cut
                return None
        timestamps = self._timestamps(client, server)
        if timestamps is None:
            return None
        stamps = bool(timestamps)
        ipv4 = len(client.key) <= _V4_KEY_BYTES
        default = MSS_DEFAULT_BYTES if ipv4 else MSS_DEFAULT_IPV6_BYTES
        announced = min(client.mss or default, server.mss or default)
        full = full_segment_of_mss(announced, timestamps=stamps)
        if not (client.mss and server.mss) and full > 0 and not message.bears_out(full):
            notes.append(
                f"the MSS option is missing, and there are segments above the default of {default}"
            )
            full = full_segment_of_mss(client.mss or server.mss, timestamps=stamps)
            if full > 0 and not message.bears_out(full):
                return None
        return full if full > 0 else None


def _port(key: bytes) -> int:
    size = len(key)
    return key[size - 4] << 8 | key[size - 3]


def _text(key: bytes) -> str:
    """Return address and port of the host that a half-stream's key begins with."""
    if len(key) == _V4_KEY_BYTES:
        return f"{inet_ntop(AF_INET, key[:4])}:{_port(key)}"
    return f"[{inet_ntop(AF_INET6, key[:16])}]:{_port(key)}"
