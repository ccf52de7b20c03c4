"""Feeds the acknowledgements of recorded kernel sessions to the simulator's sending TCP.

    python benchmarks/tcp_replay.py RUN_FOLDER [--session PART_OF_ITS_NAME]

The kernel engine has recorded what the client wrote, and in its capture what came in: segments of
the server, and ICMP messages. A simulated endpoint gets exactly these, at these times. What it
sends is compared with what the client's kernel sent: range, PSH, FIN, order, and what was sent
again.

So the path, the server and the programs are no part of the comparison, and what differs is TCP's.
What remains uncertain is where a jiffy of 4 ms begins: a session counts as equal if it is so with
one of 32 beginnings. Where a write and an acknowledgement came within microseconds, the capture
does not say which was first, so sessions over a path without delay may differ for that alone.
Writes of the dialogue are taken to be what leaves at once.

The exit code is 1 where sessions differ.
"""

import argparse
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from scapy.utils import RawPcapNgReader

from seglab.experiment import registry
from seglab.networks.network import Network
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.segment import TcpSegment
from seglab.simulator.session import client_settings

PHASES_NS = tuple(range(0, 4_000_000, 125_000))
TAIL_NS = 400_000_000
"""How long timers still run after the last frame of a capture."""

QUIT_BYTES = 6
SYN, FIN, PSH, ACK = 2, 1, 8, 16

Sent = tuple[int, int, bool, bool]
"""A segment that left: its range, PSH, FIN."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A TCP segment of a capture, in sequence numbers, or an ICMP message."""

    t_ns: int
    source: bytes
    seq: int
    ack: int
    flags: int
    window: int
    size: int
    options: dict[int, bytes]
    mtu: int = 0  # of an ICMP message, whose ``seq`` is that of the quoted segment


def packets(path: Path) -> Iterator[Packet]:
    """Read the TCP segments and "fragmentation needed" messages of a capture."""
    for raw, meta in RawPcapNgReader(str(path)):
        t_ns = (meta.tshigh << 32) | meta.tslow
        if raw[12:14] == b"\x08\x00":
            tcp, end = 14 + 4 * (raw[14] & 15), 14 + int.from_bytes(raw[16:18], "big")
            protocol, source = raw[23], raw[26:30]
        else:
            tcp, end = 54, 54 + int.from_bytes(raw[18:20], "big")
            protocol, source = raw[20], raw[22:38]
        if protocol == 6:
            yield _segment(t_ns, source, raw[tcp:end])
        elif protocol == 1 and raw[tcp] == 3:
            quoted = tcp + 8 + 4 * (raw[tcp + 8] & 15)
            yield _report(t_ns, source, raw[tcp + 6 : tcp + 8], raw[quoted + 4 : quoted + 8])
        elif protocol == 58 and raw[tcp] == 2:
            yield _report(t_ns, source, raw[tcp + 4 : tcp + 8], raw[tcp + 52 : tcp + 56])


def _report(t_ns: int, source: bytes, mtu: bytes, seq: bytes) -> Packet:
    quoted = int.from_bytes(seq, "big")
    return Packet(t_ns, source, quoted, 0, 0, 0, 0, {}, int.from_bytes(mtu, "big"))


def _segment(t_ns: int, source: bytes, tcp: bytes) -> Packet:
    ports, seq, ack, flags, window = struct.unpack("!4sIIHH", tcp[:16])
    header = 4 * (flags >> 12)
    options, at = {}, 20
    while at < header and tcp[at]:
        if tcp[at] == 1:
            at += 1
            continue
        options[tcp[at]] = tcp[at + 2 : at + tcp[at + 1]]
        at += tcp[at + 1]
    size = len(tcp) - header
    return Packet(t_ns, source + ports[:2], seq, ack, flags & 63, window, size, options)


class Recorded:
    """A session's capture in offsets, as the client's TCP saw it."""

    def __init__(self, path: Path, row: dict) -> None:
        found = list(packets(path))
        syn = next(one for one in found if one.flags & (SYN | ACK) == SYN)
        answer = next(one for one in found if one.flags & (SYN | ACK) == SYN | ACK)
        self.begin_ns, self.me, self.isn, self.peer_isn = syn.t_ns, syn.source, syn.seq, answer.seq
        self.clock_ms = struct.unpack("!I", syn.options[8][:4])[0] if 8 in syn.options else 0
        self.scale = answer.options[3][0] if 3 in answer.options else 0
        mine = [one for one in found if one.source == self.me and not one.flags & SYN]
        self.sent = [
            (one.t_ns - self.begin_ns, self._own(one.seq), self._own(one.seq) + one.size, one.flags)
            for one in mine
            if one.size or one.flags & FIN
        ]
        self.came = [one for one in found if one.source != self.me]
        self.writes = self._writes(row)

    def _own(self, seq: int) -> int:
        return (seq - self.isn - 1) & 0xFFFFFFFF

    def _peers(self, seq: int) -> int:
        return (seq - self.peer_isn - 1) & 0xFFFFFFFF

    def _writes(self, row: dict) -> list[tuple[int, int]]:
        """When the client wrote, and how many bytes; from the record, and around it what left."""
        end = max(one[2] for one in self.sent)
        payload = end - QUIT_BYTES - row["payload_bytes"]
        behind = payload + row["payload_bytes"]
        first_ns = min(one[0] for one in self.sent if one[1] >= payload)
        shift_ns = first_ns - row["segments"][0]["t_sent_ns"]
        writes = [(w["t_ns"] + shift_ns, w["end"] - w["start"]) for w in row["writes"]]
        seen = 0
        for t_ns, low, high, _ in self.sent:
            if high > low >= seen and not payload <= low < behind:
                writes.append((t_ns - 1000, high - low))
            seen = max(seen, high)
        return sorted(writes)

    def incoming(self, packet: Packet) -> TcpSegment:
        """Return a segment of the server in offsets."""
        options, syn = packet.options, bool(packet.flags & SYN)
        start = 0 if syn else self._peers(packet.seq)
        times = struct.unpack("!II", options[8]) if 8 in options else (None, None)
        blocks = options.get(5, b"")
        return TcpSegment(
            start,
            start + packet.size,
            self._own(packet.ack),
            packet.window if syn else packet.window << self.scale,
            syn=syn,
            fin=bool(packet.flags & FIN),
            psh=bool(packet.flags & PSH),
            ts_val=times[0],
            ts_ecr=times[1],
            sack=tuple(
                (self._own(low), self._own(high)) for low, high in struct.iter_unpack("!II", blocks)
            ),
            mss_option=int.from_bytes(options[2], "big") if 2 in options else None,
            wscale_option=options[3][0] if 3 in options else None,
            sack_option=4 in options,
        )


def replay(recorded: Recorded, network: Network, row: dict, phase_ns: int) -> list[Sent]:
    """Return what the simulator's TCP sends when it gets what the kernel got."""
    settings = client_settings(network, phase_ns, recorded.clock_ms, nodelay=bool(row["nodelay"]))
    endpoint = TcpEndpoint(settings)
    events = [(t_ns, 0, size) for t_ns, size in recorded.writes]
    events += [(one.t_ns - recorded.begin_ns, 1, one) for one in recorded.came]
    events += [(t_ns - 1, 2, 0) for t_ns, _, _, flags in recorded.sent if flags & FIN][:1]
    sent: list[TcpSegment] = []
    waiting: list[int] = []
    endpoint.connect(0)
    for t_ns, kind, what in sorted(events, key=lambda event: event[:2]):
        while endpoint.wake_ns is not None and endpoint.wake_ns <= t_ns:
            sent += endpoint.on_timer(endpoint.wake_ns)
        if kind == 0:
            waiting.append(what)
        elif kind == 2:
            sent += endpoint.close(t_ns)
        elif what.mtu:
            sent += endpoint.on_path_mtu(t_ns, what.mtu, recorded._own(what.seq))
        else:
            sent += endpoint.on_segment(t_ns, recorded.incoming(what))
            sent += endpoint.read(t_ns, 1 << 16)[1]
        while waiting and endpoint.writable:
            taken, segments = endpoint.write(t_ns, waiting[0])
            sent += segments
            waiting[:1] = [waiting[0] - taken] if taken < waiting[0] else []
    until_ns = recorded.sent[-1][0] + TAIL_NS
    while endpoint.wake_ns is not None and endpoint.wake_ns <= until_ns:
        sent += endpoint.on_timer(endpoint.wake_ns)
    return [(one.start, one.end, one.psh, one.fin) for one in sent if one.size or one.fin]


def difference(row: dict, run: Path, networks: dict[str, Network]) -> str | None:
    """Return where a session first differs; ``None`` where it is equal."""
    recorded = Recorded(run / row["captures"]["client"], row)
    kernel = [(low, high, bool(f & PSH), bool(f & FIN)) for _, low, high, f in recorded.sent]
    for phase_ns in PHASES_NS:
        simulator = replay(recorded, networks[row["network"]], row, phase_ns)
        if simulator == kernel:
            return None
    pairs = zip(kernel, simulator, strict=False)
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), len(kernel))
    shown = [" ".join(map(_shown, some[max(at - 3, 0) : at + 4])) for some in (kernel, simulator)]
    return f"{row['session_id']}, segment {at}\n  kernel     {shown[0]}\n  simulator  {shown[1]}"


def _shown(one: Sent) -> str:
    return f"{one[0]}:{one[1]}{'P' * one[2]}{'F' * one[3]}"


def main() -> int:
    """Compare the complete sessions of a run, and print how many are equal on each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--session", default="")
    arguments = parser.parse_args()
    rows = pq.read_table(arguments.run / "sessions.parquet").to_pylist()
    networks: dict[str, Network] = {}
    equal: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    differences = []
    for row in rows:
        if row["status"] != "complete" or arguments.session not in row["session_id"]:
            continue
        name = row["network"]
        if name not in networks:
            networks[name] = registry.network(name)
        found = difference(row, arguments.run, networks)
        equal[name][0] += found is None
        equal[name][1] += 1
        differences += [found] if found else []
    for name, (same, total) in sorted(equal.items()):
        print(f"{name:20} {same} of {total}")
    print("\n".join(differences))
    print(sum(same for same, _ in equal.values()), "of", sum(all_ for _, all_ in equal.values()))
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
