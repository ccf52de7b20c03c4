"""Frames for the tests, built by Scapy: an oracle that shares no code with the lab."""

from itertools import count
from typing import Any

from scapy.all import IP, TCP, Ether, Raw, raw

MS = 1_000_000
CLIENT, SERVER = "10.0.0.1", "10.64.0.1"
CLIENT_ISN, SERVER_ISN = 0xFFFFF000, 7_000_000
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
"""Both addresses: where one is missing, Scapy asks the machine's own network for it."""
_ids = count(1)


def tcp_frame(
    *,
    seq: int,
    payload: bytes = b"",
    flags: str = "A",
    ack: int = 1,
    back: bool = False,
    **more: Any,
) -> bytes:
    """A TCP segment in an Ethernet frame, with right checksums; ``back``: from the server."""
    ends = (SERVER, CLIENT) if back else (CLIENT, SERVER)
    ports = (2007, 40000) if back else (40000, 2007)
    packet = (
        ETHER
        / IP(src=ends[0], dst=ends[1], id=more.get("ip_id", next(_ids) & 0xFFFF), flags="DF")
        / TCP(
            sport=ports[0],
            dport=ports[1],
            seq=seq & 0xFFFFFFFF,
            ack=ack & 0xFFFFFFFF,
            flags=flags,
            options=more.get("options", []),
        )
        / Raw(payload)
    )
    return raw(packet)


def routed(frame: bytes, mss: int | None = None) -> bytes:
    """The same packet after a router: one hop older, other MAC addresses, perhaps a lower MSS."""
    packet = Ether(frame)
    packet.src, packet.dst = "02:00:00:00:00:03", "02:00:00:00:00:04"
    packet[IP].ttl -= 1
    if mss is not None:
        packet[TCP].options = [("MSS", mss)]
    del packet[IP].chksum
    del packet[TCP].chksum
    return raw(packet)


class Recorder:
    """Builds the records that the wire would send about a session over ``access`` and ``core``."""

    ACCESS_NS, CORE_NS = 10 * MS, 60 * MS
    ROUTER_NS = 20_000

    def __init__(self) -> None:
        self.records: list[list[Any]] = []

    def sent(
        self,
        t_ns: int,
        frame: bytes,
        *,
        direction: int = 0,
        lost: str | None = None,
        copies: int = 1,
        mss: int | None = None,
    ) -> None:
        """A packet that a host sent at ``t_ns``; ``lost`` is where: ``access``, ``router``..."""
        first, last = (0, 1) if direction == 0 else (1, 0)
        delays = (self.ACCESS_NS, self.CORE_NS)
        reason, _, place = (lost or "").rpartition(" on ")
        dies_at = {"access": 0, "core": 1}.get(place)
        if dies_at == first:
            self.records.append([first, direction, t_ns, [], reason, frame])
            return
        out_ns = [t_ns + delays[first] + copy * MS for copy in range(copies)]
        self.records.append([first, direction, t_ns, out_ns, None, frame])
        if lost == "router":
            return
        for t_out_ns in out_ns:
            t_in_ns = t_out_ns + self.ROUTER_NS
            outcome = ([], reason) if dies_at == last else ([t_in_ns + delays[last]], None)
            self.records.append([last, direction, t_in_ns, *outcome, routed(frame, mss)])

    def handshake(self, t_ns: int = 0) -> None:
        """SYN, SYN-ACK and ACK, with the options of a client of MTU 1480 without timestamps."""
        syn = tcp_frame(seq=CLIENT_ISN, flags="S", options=[("MSS", 1440)])
        self.sent(t_ns, syn)
        answer = tcp_frame(
            seq=SERVER_ISN,
            flags="SA",
            ack=CLIENT_ISN + 1,
            back=True,
            options=[("MSS", 65495), ("NOP", None), ("NOP", None), ("Timestamp", (1, 2))],
        )
        self.sent(t_ns + 80 * MS, answer, direction=1)

    def data(self, t_ns: int, start: int, end: int, **fate: Any) -> bytes:
        """A data segment with the stream's bytes ``start:end``."""
        frame = tcp_frame(
            seq=CLIENT_ISN + 1 + start,
            payload=bytes(end - start),
            flags=fate.pop("flags", "A"),
            ack=SERVER_ISN + 1,
            **({"ip_id": fate.pop("ip_id")} if "ip_id" in fate else {}),
        )
        self.sent(t_ns, frame, **fate)
        return frame
