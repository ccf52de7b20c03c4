"""Compares the simulator's TCP on the real wire with this kernel's own client.

    python benchmarks/model_client.py --network gprs --network ethernet --sessions 2

Each session of the matrix is carried out three times by the kernel engine, with the same seeds:
twice with this kernel's own client, and once with the simulator's TCP (``client.tcp``). Compared
are ranges, PSH and what was sent again, in order. A session is equal if it has either of the
kernel's two sequences, and left out if one of the three stayed too late.

The exit code is 1 where a session differs though the kernel repeats itself.
"""

import argparse
import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from seglab.core.record import SessionRecord
from seglab.engine import EngineOptions
from seglab.engine.base import Planned
from seglab.execution.request import RunRequest
from seglab.kernel.engine import KernelEngine


def carried_out(planned: Sequence[Planned], jobs: int) -> dict[str, SessionRecord]:
    """Return the records by session."""
    records: list[SessionRecord] = []
    asyncio.run(KernelEngine(EngineOptions(jobs=jobs)).run(planned, records.append))
    return {record.session_id: record for record in records}


def cut(record: SessionRecord) -> list[tuple[int, int, bool, bool]]:
    """Return how a session was cut into segments."""
    return [(s.start, s.end, s.psh, s.retransmission) for s in record.segments]


def main() -> int:
    """Compare, and print a line for each network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", action="append", required=True)
    parser.add_argument("--sender", action="append", default=[])
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    senders, networks = tuple(given.sender), tuple(given.network)
    planned = RunRequest(("matrix",), senders, networks, given.sessions).specs(2014)
    ours = [(s, replace(n, client=replace(n.client, tcp="simulator"))) for s, n in planned]
    kernel, again, model = (carried_out(run, given.jobs) for run in (planned, planned, ours))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, record in model.items():
        count = counts[record.network]
        three = kernel[name], again[name], record
        if any(one.too_late for one in three):
            count["left out"] += 1
            continue
        repeats = cut(three[0]) == cut(three[1])
        equal = cut(record) in (cut(three[0]), cut(three[1]))
        count["sessions"] += 1
        count["equal"] += equal
        count["the kernel repeats itself"] += repeats
        count["differs alone"] += repeats and not equal
    for network, count in counts.items():
        print(network, ", ".join(f"{what}: {number}" for what, number in count.items()), sep=": ")
    return int(any(count["differs alone"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
