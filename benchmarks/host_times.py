"""Measures how long the programs of the lab's hosts take, for the simulator's readers and writers.

    python benchmarks/host_times.py [--sessions N] [--out lab/seglab/simulator/host_times.json]

The kernel engine carries out sessions one after the other over three networks. From the trace and
the captures of each, this program takes the times that ``seglab.simulator.host_times`` names, and
writes their quantiles with where they come from. A measurement on a busy machine says how late a
busy machine is, so the load is part of the provenance: measure on an idle one.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from scapy.layers.inet import TCP
from scapy.utils import PcapNgReader

from seglab.core.record import SessionRecord
from seglab.core.tcpip import ETHERNET_HEADER_BYTES, headers_bytes
from seglab.engine import EngineOptions, engine
from seglab.experiment import plan, registry
from seglab.simulator.host_times import KINDS

SHARES = 100
"""How many intervals the quantiles make."""

ASLEEP_NS = 2_000_000
"""A reader that has read nothing for so long is asleep."""

TOGETHER_NS = 15_000
"""Frames of one burst come to the wire within so short a time."""

RATE_MBIT, DELAY_NS = 100, 10_000_000
"""Of the fast network: the rate of both links, and the delay of the second."""

LINKS = 2

HEADERS_BYTES = headers_bytes(timestamps=True)

SCENARIO = """
title = "How long programs take"
senders = [{senders}]
networks = ["own", "fast", "unimpaired"]
sessions = {sessions}
reader = {reader}

[message]
payload_bytes = {payload}

[[network]]
name = "own"
title = "segments that arrive apart from each other, 10 ms each way"
like = "ethernet"
[network.links.access]
bw_mbit = 2
[network.links.core]
delay_ms = 10
jitter_ms = 0

[[network]]
name = "fast"
title = "segments that meet no queue, 10 ms each way"
like = "own"
[network.links.access]
bw_mbit = {rate}
[network.links.core]
bw_mbit = {rate}
"""

RUNS = (
    ("event-loop", 65536, 20_000, '"single_write", "relay", "line_by_line"'),
    ("recv-loop", 65536, 20_000, '"single_write", "relay"'),
    ("event-loop", 200, 12_000, '"single_write"'),
    ("recv-loop", 200, 12_000, '"single_write"'),
)
"""By run: the kind of reader, its buffer, the payload, and the senders."""


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=40, help="of each sender on each network")
    parser.add_argument("--out", type=Path, default=Path("lab/seglab/simulator/host_times.json"))
    arguments = parser.parse_args()
    found: dict[str, list[int]] = defaultdict(list)
    load = os.getloadavg()[0]
    count = 0
    for number, run in enumerate(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            for record in carried_out(Path(folder), number, *run, arguments.sessions):
                if record.complete:
                    count += 1
                    for kind, value_ns in times_of(record, Path(folder)):
                        found[kind].append(value_ns)
    content = {
        "provenance": {
            "program": "benchmarks/host_times.py",
            "kernel": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": round(load, 2),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "sessions": count,
            "samples": {kind: len(found[kind]) for kind in KINDS},
        },
        "quantiles_ns": {kind: quantiles(found[kind]) for kind in KINDS},
    }
    arguments.out.write_text(json.dumps(content) + "\n", "utf-8")
    print(f"{'kind':16} {'n':>6} {'5 %':>9} {'50 %':>9} {'95 %':>9}  us")
    for kind, values in content["quantiles_ns"].items():
        shown = (values[at] / 1000 for at in (5, 50, 95))
        print(f"{kind:16} {len(found[kind]):6}", *(f"{value:9.1f}" for value in shown))


def carried_out(
    folder: Path,
    number: int,
    reader: str,
    buffer_bytes: int,
    payload: int,
    senders: str,
    sessions: int,
) -> list[SessionRecord]:
    """Carry out one run on the kernel engine, a session at a time."""
    file = folder / f"times-{number}.toml"
    how = f'{{ kind = "{reader}", buffer_bytes = {buffer_bytes} }}'
    file.write_text(
        SCENARIO.format(
            senders=senders, sessions=sessions, reader=how, payload=payload, rate=RATE_MBIT
        )
    )
    (folder / "wire").mkdir()
    scenario = registry.scenario(file)
    planned = [(spec, scenario.network(spec.network)) for spec in plan.plan(scenario, seed=2014)]
    records: list[SessionRecord] = []
    options = EngineOptions(jobs=1, folder=folder)
    asyncio.run(engine("kernel", options).run(planned, records.append))
    return records


def times_of(record: SessionRecord, folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the times that one session shows, each with its kind."""
    if record.network == "unimpaired":
        first = record.segments[0]
        if first.t_arrived_ns is not None:
            yield "hop", (first.t_arrived_ns - first.t_sent_ns) // 2
        for one, other in pairwise(record.segments):
            if other.t_sent_ns - one.t_sent_ns < TOGETHER_NS and one.t_arrived_ns:
                yield "hop_apart", (other.t_arrived_ns or 0) - one.t_arrived_ns
    elif record.network == "fast":
        yield from forwarding_times(record)
    else:
        yield from reading_times(record)
        yield from answering_times(folder / str(record.captures.client))
    if record.sender != "single_write":
        yield from writing_times(record)


def forwarding_times(record: SessionRecord) -> Iterator[tuple[str, int]]:
    """Yield how much later than its links let it a segment arrived that met no queue."""
    before_ns = 0
    for segment in record.segments:
        frame_bits = 8 * (ETHERNET_HEADER_BYTES + HEADERS_BYTES + segment.end - segment.start)
        due_ns = segment.t_sent_ns + LINKS * (frame_bits * 1000 // RATE_MBIT) + DELAY_NS
        if segment.t_sent_ns > before_ns and segment.t_arrived_ns is not None:
            yield "router", segment.t_arrived_ns - due_ns
        before_ns = max(before_ns, due_ns)


def writing_times(record: SessionRecord) -> Iterator[tuple[str, int]]:
    """Yield the times between two writes, as long as the first window has room for them."""
    first_ns = record.segments[0].t_sent_ns
    behind_ns = max(first_ns - record.writes[0].t_ns, 0)  # from a write to the wire
    for one, other in pairwise(record.writes):
        if one.end > 10 * record.mss:
            return
        left = any(
            one.t_ns < segment.t_sent_ns <= other.t_ns + behind_ns
            and one.start < segment.end <= one.end
            for segment in record.segments
        )
        yield "client_step" if left else "client_quiet_step", other.t_ns - one.t_ns


def reading_times(record: SessionRecord) -> Iterator[tuple[str, int]]:
    """Yield how long readers took to wake up, and from one read to the next."""
    arrivals = [
        (segment.end, segment.t_arrived_ns)
        for segment in record.segments
        if segment.t_arrived_ns is not None
    ]
    before_ns = 0
    for read in record.reads:
        arrived_ns = next(t_ns for end, t_ns in arrivals if end > read.start)
        if arrived_ns - before_ns > ASLEEP_NS:
            yield f"{record.reader}_wake", read.t_ns - arrived_ns
        elif arrived_ns < before_ns:
            yield f"{record.reader}_turn", read.t_ns - before_ns
        before_ns = read.t_ns


def answering_times(capture: Path) -> Iterator[tuple[str, int]]:
    """Yield how long the client took from a reply of the server to its next command."""
    replied_ns = None
    with PcapNgReader(str(capture)) as packets:
        for packet in packets:
            tcp = packet[TCP]
            if not tcp.payload:
                continue
            now_ns = int(packet.time * 10**9)
            if tcp.sport == 25:
                replied_ns = now_ns
            elif replied_ns is not None:
                yield "client_wake", now_ns - replied_ns
                replied_ns = None


def quantiles(values: list[int]) -> list[int]:
    """Return the values at equally spaced shares, from the least to the greatest."""
    ordered = sorted(values)
    return [ordered[round(share * (len(ordered) - 1) / SHARES)] for share in range(SHARES + 1)]


if __name__ == "__main__":
    main()
