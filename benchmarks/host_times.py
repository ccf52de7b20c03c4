"""Measures how long the programs of the lab's hosts take, for the simulator's readers and writers.

    python benchmarks/host_times.py [--sessions N] [--out lab/seglab/simulator/host_times.json]

The kernel engine carries out sessions one after the other over three networks, and then the matrix
of all senders over all networks side by side. From the trace and the captures of each, this program
takes the times that ``seglab.simulator.host_times`` names, and writes their quantiles with where
they come from. A measurement on a busy machine says how late a busy machine is, so the load is part
of the provenance: measure on an idle one.

How readers and the wire keep their times is measured with one session at a time. How soon the
client's program goes on, and when a wire without links that take time gets a processor, depends on
whether another processor is free. That is measured side by side, as a run carries out its sessions.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from scapy.layers.inet import TCP
from scapy.utils import PcapNgReader

from seglab.core.record import SessionRecord
from seglab.core.tcpip import ETHERNET_HEADER_BYTES, headers_bytes
from seglab.engine import EngineOptions, engine
from seglab.engine.base import Planned
from seglab.experiment import plan, registry
from seglab.experiment.scenario import Scenario
from seglab.networks.network import Network
from seglab.simulator.host_times import KINDS, SEQUENCES

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

FEWER: Final = 10
"""Of each sender on a network of the matrix with links that take time: by how much fewer."""

LONGEST: Final = "line_by_line"
"""The sender whose program runs for long enough to tell whether the wire waits for its end."""

SEED: Final = 1

OFTEN: Final = ("fixed_buffer", "line_by_line")
"""The senders that write often enough for a sequence of steps."""


SIDE_BY_SIDE: Final = ("wire_wake", *SEQUENCES)
"""What is measured with sessions side by side; all else is measured with one at a time."""

MEASURED: Final = {
    "apart": tuple(kind for kind in KINDS if kind not in SIDE_BY_SIDE),
    "side by side": SIDE_BY_SIDE,
}


def main() -> None:
    """Measure, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=40, help="of each sender on each network")
    parser.add_argument("--out", type=Path, default=Path("lab/seglab/simulator/host_times.json"))
    parser.add_argument(
        "--only", choices=MEASURED, help="measure this half, and leave the other as it is"
    )
    arguments = parser.parse_args()
    content = json.loads(arguments.out.read_text("utf-8")) if arguments.only else None
    content = content or {"provenance": {}, "quantiles_ns": {}, "sequences_ns": {}}
    print(f"{'kind':17} {'n':>6} {'5 %':>9} {'50 %':>9} {'95 %':>9}  us")
    for half in [arguments.only] if arguments.only else MEASURED:
        load = os.getloadavg()[0]
        measure = measured_apart if half == "apart" else measured_side_by_side
        count, rows = measure(arguments.sessions)
        values = {kind: [one for row in rows[kind] for one in row] for kind in MEASURED[half]}
        content["provenance"][half] = {
            "program": "benchmarks/host_times.py",
            "kernel": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": round(load, 2),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "sessions": count,
            "samples": {kind: len(values[kind]) for kind in values},
        }
        for kind, found in values.items():
            if kind in SEQUENCES:
                content["sequences_ns"][kind] = rows[kind]
            else:
                content["quantiles_ns"][kind] = quantiles(found)
            parts = (quantiles(found)[at] / 1000 for at in (5, 50, 95))
            print(f"{kind:17} {len(found):6}", *(f"{value:9.1f}" for value in parts))
    arguments.out.write_text(json.dumps(content) + "\n", "utf-8")


Rows = dict[str, list[list[int]]]
"""By kind, what was measured: a row for what followed upon each other."""


def measured_apart(sessions: int) -> tuple[int, Rows]:
    """Return of how many sessions, one at a time, these are the times."""
    rows: Rows = defaultdict(list)
    count = 0
    for number, run in enumerate(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            planned = apart(Path(folder), number, *run, sessions)
            for record in carried_out(planned, EngineOptions(jobs=1, folder=Path(folder))):
                count += 1
                for kind, value_ns in times_of(record, Path(folder)):
                    rows[kind].append([value_ns])
    return count, rows


def measured_side_by_side(sessions: int) -> tuple[int, Rows]:
    """Return of how many sessions of the matrix, side by side, these are the times."""
    rows: Rows = defaultdict(list)
    planned = matrix(sessions)
    is_bare = {network.name: bare(network) for _, network in planned}
    records = carried_out(planned, EngineOptions())
    for record in records:
        if not is_bare[record.network]:
            rows["wire_wake"].append([record.segments[0].t_sent_ns - record.writes[0].t_ns])
        for kind, row_ns in sequences_of(record, bare=is_bare[record.network]):
            rows[kind].append(row_ns)
    return len(records), rows


def apart(
    folder: Path,
    number: int,
    reader: str,
    buffer_bytes: int,
    payload: int,
    senders: str,
    sessions: int,
) -> list[Planned]:
    """Return one run whose sessions are carried out one at a time."""
    file = folder / f"times-{number}.toml"
    how = f'{{ kind = "{reader}", buffer_bytes = {buffer_bytes} }}'
    file.write_text(
        SCENARIO.format(
            senders=senders, sessions=sessions, reader=how, payload=payload, rate=RATE_MBIT
        )
    )
    (folder / "wire").mkdir()
    return planned_of(registry.scenario(file))


def matrix(sessions: int) -> list[Planned]:
    """Return the sessions that are carried out side by side; none of which the MTU changes."""
    scenario = replace(registry.scenario("matrix"), sessions=sessions)
    return [
        (spec, network)
        for spec, network in planned_of(scenario)
        if bare(network) or (spec.repeat < -(-sessions // FEWER) and not network.router.schedule)
    ]


def planned_of(scenario: Scenario) -> list[Planned]:
    """Return all sessions of a scenario."""
    return [(spec, scenario.network(spec.network)) for spec in plan.plan(scenario, seed=SEED)]


def bare(network: Network) -> bool:
    """Whether no link does anything to a frame."""
    links = network.access, network.core
    return all(way.transparent for link in links for way in (link.up, link.down))


def carried_out(planned: Sequence[Planned], options: EngineOptions) -> list[SessionRecord]:
    """Carry out sessions on the kernel engine, and return those that were complete."""
    records: list[SessionRecord] = []
    asyncio.run(engine("kernel", options).run(planned, records.append))
    return [record for record in records if record.complete]


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
    if record.sender == LONGEST:
        for took_ns, left in writing_times(record):
            if not left:
                yield "client_quiet_step", took_ns


def sequences_of(record: SessionRecord, *, bare: bool) -> Iterator[tuple[str, list[int]]]:
    """Yield the times that followed upon each other in a session, each row with its kind."""
    if record.sender in OFTEN:
        steps: dict[str, list[int]] = defaultdict(list)
        for took_ns, left in writing_times(record):
            if left:
                how = "client_step" if left == 1 else "client_burst_step"
                steps["client_bare_step" if bare else how].append(took_ns)
        yield from steps.items()
    if bare and record.sender == LONGEST:
        yield "bare_wire_wake", list(waking_times(record))


def waking_times(record: SessionRecord) -> Iterator[int]:
    """Yield how long the wire took to read a frame that a write made leave while it was asleep.

    Below 0, the wire was not awake before the client's last write, and the rest is how much later.
    A segment that an acknowledgement let out is left out: its last byte had been written before the
    frames passed that made it leave.
    """
    passed_ns = 0
    slept_ns = record.writes[-1].t_ns
    for segment in record.segments:
        if segment.retransmission:
            return
        wrote_ns = next(write.t_ns for write in record.writes if write.end >= segment.end)
        if passed_ns < wrote_ns < segment.t_sent_ns:
            woke_ns = segment.t_sent_ns
            yield slept_ns - woke_ns if woke_ns > slept_ns else woke_ns - wrote_ns
        passed_ns = max(passed_ns, segment.t_sent_ns, segment.t_arrived_ns or 0)


def forwarding_times(record: SessionRecord) -> Iterator[tuple[str, int]]:
    """Yield how much later than its links let it a segment arrived that met no queue."""
    before_ns = 0
    for segment in record.segments:
        frame_bits = 8 * (ETHERNET_HEADER_BYTES + HEADERS_BYTES + segment.end - segment.start)
        due_ns = segment.t_sent_ns + LINKS * (frame_bits * 1000 // RATE_MBIT) + DELAY_NS
        if segment.t_sent_ns > before_ns and segment.t_arrived_ns is not None:
            yield "router", segment.t_arrived_ns - due_ns
        before_ns = max(before_ns, due_ns)


def writing_times(record: SessionRecord) -> Iterator[tuple[int, int]]:
    """Yield the times between two writes, and how many segments left by the first.

    Only as long as the first window has room for them.
    """
    first_ns = record.segments[0].t_sent_ns
    behind_ns = max(first_ns - record.writes[0].t_ns, 0)  # from a write to the wire
    for one, other in pairwise(record.writes):
        if one.end > 10 * record.mss:
            return
        left = sum(
            one.t_ns < segment.t_sent_ns <= other.t_ns + behind_ns
            and one.start < segment.end <= one.end
            for segment in record.segments
        )
        yield other.t_ns - one.t_ns, left


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
