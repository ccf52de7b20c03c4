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
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from scapy.utils import RawPcapNgReader

from seglab.experiment import registry
from seglab.frames.headers import IPV4
from seglab.networks.network import Network
from seglab.simulator.segment import TcpSegment
from seglab.validation.recording import Event, Recording, SeenPacket, SeenSession, Written
from seglab.validation.replay import difference

PHASES_NS = tuple(range(0, 4_000_000, 125_000))
QUIT_BYTES = 6
BEFORE_NS = 1000
"""How long before its segment left a write of the dialogue is taken to have been."""


def packets(path: Path) -> Iterator[SeenPacket]:
    """Read a client's capture; its first packet is the client's own."""
    client = None
    for raw, meta in RawPcapNgReader(str(path)):
        source = raw[26:30] if raw[12:14] == IPV4 else raw[22:38]
        client = client or source
        yield SeenPacket((meta.tshigh << 32) | meta.tslow, raw, source == client)


def recorded(path: Path, row: dict) -> Recording:
    """Return what the client's TCP was given in a session, and what it sent."""
    seen = SeenSession(packets(path))
    asked = [(seen.begin_ns + t_ns, event) for t_ns, event in writes(seen, row)]
    return seen.recording(asked)


def writes(seen: SeenSession, row: dict) -> Iterator[tuple[int, Event]]:
    """Yield when the client wrote, and how much: from the record, and around it what left.

    What the send buffer had no room for is offered again after each segment that arrives.
    """
    ranges = [(t_ns, start, end) for t_ns, (start, end, *_) in seen.sent]
    payload = max(end for *_, end in ranges) - QUIT_BYTES - row["payload_bytes"]
    behind = payload + row["payload_bytes"]
    first_ns = min(t_ns for t_ns, start, _ in ranges if start >= payload)
    shift_ns = first_ns - row["segments"][0]["t_sent_ns"]
    for write in row["writes"]:
        yield write["t_ns"] + shift_ns, Written(write["end"] - write["start"])
    left = 0
    for t_ns, start, end in ranges:
        if end > start >= left and not payload <= start < behind:
            yield t_ns - BEFORE_NS, Written(end - start)
        left = max(left, end)
    for t_ns, event in seen.came:
        if isinstance(event, TcpSegment):
            yield t_ns + 1, Written(0)


def main() -> int:
    """Compare the complete sessions of a run, and print how many are equal on each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--session", default="")
    arguments = parser.parse_args()
    networks: dict[str, Network] = {}
    equal: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    differences = []
    for row in pq.read_table(arguments.run / "sessions.parquet").to_pylist():
        if row["status"] != "complete" or arguments.session not in row["session_id"]:
            continue
        name = row["network"]
        if name not in networks:
            networks[name] = registry.network(name)
        found = difference(
            recorded(arguments.run / row["captures"]["client"], row),
            networks[name],
            nodelay=bool(row["nodelay"]),
            unknown_ns=PHASES_NS,
        )
        equal[name][0] += found is None
        equal[name][1] += 1
        if found is not None:
            differences.append("\n  ".join([row["session_id"], *found.lines()]))
    for name, (same, total) in sorted(equal.items()):
        print(f"{name:20} {same} of {total}")
    print("\n".join(differences))
    print(sum(same for same, _ in equal.values()), "of", sum(all_ for _, all_ in equal.values()))
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
