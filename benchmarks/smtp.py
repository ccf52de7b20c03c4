"""SMTP sessions a second, every one of them fully recorded, beside Postfix's own load generator.

    python benchmarks/smtp.py [--rounds N] [--sessions N] [--json] [--postfix DIR]

- lab: ``single_write`` over the network ``unimpaired``, as ``seglab run`` does it: three layers,
  two captures a session on disk, and a line of the journal. From the first session's start to the
  last one's line.
- wire: ``smtp-source`` to ``smtp-sink`` (C, from Postfix) in the very same lab, their frames
  through the same wire, which records them in its memory as it does ours; nothing is stored.
- veth: the same two over three like namespaces without a wire: the kernel only, nothing recorded.

One message a connection, the same number of sessions, as many of them side by side. The three take
turns, and each ratio is of neighbours.

Postfix's programs are found on the path, below ``/usr/sbin``, or below ``--postfix DIR``. To have
them without a mail system on the machine:

    apt-get download postfix && dpkg -x postfix_*.deb DIR
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from common import (
    ROOT,
    environment,
    machine,
    machine_line,
    paired_ratio,
    processor_s,
    spread,
    unshared,
)

sys.path.insert(0, str(ROOT))

from seglab.core.record import SessionRecord
from seglab.engine import EngineOptions
from seglab.experiment import plan, registry
from seglab.experiment.reader import Reader
from seglab.frames.addresses import IPV4
from seglab.kernel.engine import KernelEngine
from seglab.kernel.lab import KernelLab
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest

NETWORK = "unimpaired"
SIZES = 3000, 6000
SINK_PORT = 2525
SCENARIO = """
title = "Benchmark"
networks = ["{network}"]
sessions = {sessions}
senders = [{{ name = "single_write" }}]
message = {{ payload_bytes = {size} }}
"""
VETH = """
set -eu
mount -t tmpfs tmpfs /run
for host in c r s; do ip netns add $host; ip -n $host link set lo up; done
ip link add c0 netns c type veth peer name r0 netns r
ip link add s0 netns s type veth peer name r1 netns r
ip -n c address add 10.0.0.1/24 dev c0; ip -n r address add 10.0.0.2/24 dev r0
ip -n s address add 10.0.1.1/24 dev s0; ip -n r address add 10.0.1.2/24 dev r1
for end in c:c0 r:r0 r:r1 s:s0; do ip -n ${end%:*} link set ${end#*:} up; done
ip netns exec r sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip -n c route add default via 10.0.0.2
ip -n s route add default via 10.0.1.2
"""
SINK = "{sink} -u root 0.0.0.0:{port} 1000 >/dev/null 2>&1 </dev/null &"
SOURCE = """
until {source} -m 1 {server}:{port} 2>/dev/null; do sleep 0.05; done
began=$(date +%s%N)
{source} -s {jobs} -m {sessions} -l {size} {server}:{port}
echo $(( $(date +%s%N) - began ))
"""


class Rate(NamedTuple):
    """Sessions a second, and the milliseconds of processor time that one takes."""

    per_s: float
    processor_ms: float


class Postfix:
    """Postfix's two test programs, installed or merely unpacked."""

    def __init__(self, folder: Path | None) -> None:
        self._library = folder / "usr" / "lib" / "postfix" if folder else None
        path = str(folder / "usr" / "sbin") if folder else environment()["PATH"]
        self._found = {name: shutil.which(name, path=path) for name in ("smtp-source", "smtp-sink")}
        if missing := [name for name, where in self._found.items() if where is None]:
            sys.exit(f"{' and '.join(missing)} not found; {__doc__[__doc__.index('To have') :]}")

    def _command(self, name: str) -> str:
        library = f"LD_LIBRARY_PATH={self._library} " if self._library else ""
        return f"env {library}{self._found[name]}"

    @property
    def sink(self) -> str:
        """The script that starts the server."""
        return SINK.format(sink=self._command("smtp-sink"), port=SINK_PORT)

    def source(self, server: str, size: int, sessions: int, jobs: int) -> str:
        """The script that runs the client, and prints how many nanoseconds that took."""
        return SOURCE.format(
            source=self._command("smtp-source"),
            server=server,
            port=SINK_PORT,
            jobs=jobs,
            sessions=sessions,
            size=size,
        )


def lab_rate(out: Path, size: int, sessions: int, jobs: int) -> Rate:
    """The lab, into a new folder; all sessions must be complete."""
    out.mkdir()
    file = out / "benchmark.toml"
    file.write_text(SCENARIO.format(network=NETWORK, sessions=sessions, size=size))
    scenario = registry.scenario(file)
    network = scenario.network(NETWORK)
    specs = [(spec, network) for spec in plan.plan(scenario, seed=1)]
    records: list[SessionRecord] = []
    ended_ns = 0
    processor = [0.0, 0.0]
    with RunFolder.create(out / "run", Manifest(command="bench")) as folder:

        def on_record(record: SessionRecord) -> None:
            nonlocal ended_ns
            folder.append(record)
            records.append(record)
            if len(records) in (1, sessions):
                processor[len(records) > 1] = processor_s()
            ended_ns = time.monotonic_ns()

        engine = KernelEngine(EngineOptions(jobs=jobs, folder=folder.path))
        asyncio.run(engine.run(specs, on_record))
        captures = sum(1 for _ in folder.wire.iterdir())
    complete = [record for record in records if record.complete]
    if len(complete) != sessions or captures != 2 * sessions:
        sys.exit(f"{len(complete)} of {sessions} sessions are complete, {captures} captures")
    seconds = (ended_ns - min(record.t0_ns for record in records)) / 1e9
    return Rate(sessions / seconds, (processor[1] - processor[0]) * 1e3 / (sessions - 1))


async def wire_rate(postfix: Postfix, size: int, sessions: int, jobs: int) -> Rate:
    """Postfix's programs through a lab, recorded as one flow."""
    async with KernelLab(registry.network(NETWORK), Reader()) as lab:
        pair = {"client": IPV4.client(1), "server": IPV4.server(1)}
        await lab.execute("server", postfix.sink)
        # a source address of the flow's, to which the server has a route
        route = f"{IPV4.servers} via {IPV4.router_access_link} dev c-eth0 onlink src"
        await lab.execute("client", f"ip route change {route} {pair['client']}")
        order = {"open": {"flow": 1, "seed": 1, "acknowledge": False, **pair}}
        lab._send("wire", order)
        source = postfix.source(pair["server"], size, sessions, jobs)
        before_s = processor_s()
        printed = await lab.execute("client", source)
        taken_s = processor_s() - before_s
        ended = await lab._ask("wire", {"close": 1}, "flow", 1, 20)
    if len(ended["frames"]) < sessions or ended["kernel_drops"]:
        sys.exit(f"the wire saw {len(ended['frames'])} frames of {sessions} sessions")
    return Rate(sessions / (int(printed) / 1e9), taken_s * 1e3 / sessions)


def veth_rate(postfix: Postfix, size: int, sessions: int, jobs: int) -> float:
    """Sessions a second of Postfix's programs over the kernel alone."""
    source = postfix.source("10.0.1.1", size, sessions, jobs)
    script = (
        f"{VETH}\nip netns exec s {postfix.sink}\nip netns exec c sh -eu <<'SOURCE'\n{source}SOURCE"
    )
    result = subprocess.run(
        [*unshared(), "sh", "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if result.returncode:
        sys.exit(f"smtp-source over veth: {result.stderr.strip()}")
    return sessions / (int(result.stdout) / 1e9)


def measure(
    postfix: Postfix, scratch: Path, rounds: int, sessions: int, jobs: int
) -> dict[str, Any]:
    """All rows. What is recorded stays in ``scratch``: ext4 is slow to reuse deleted files."""
    where = machine()
    rows = []
    for size in SIZES:
        lab, wire, veth_per_s = [], [], []
        for turn in range(rounds):
            lab.append(lab_rate(scratch / f"{size}-{turn}", size, sessions, jobs))
            wire.append(asyncio.run(wire_rate(postfix, size, sessions, jobs)))
            veth_per_s.append(veth_rate(postfix, size, sessions, jobs))
        lab_per_s, wire_per_s = ([rate.per_s for rate in rates] for rates in (lab, wire))
        rows.append(
            {
                "payload_bytes": size,
                "lab_per_s": spread(lab_per_s),
                "wire_per_s": spread(wire_per_s),
                "veth_per_s": spread(veth_per_s),
                "lab_processor_ms": spread([rate.processor_ms for rate in lab]),
                "wire_processor_ms": spread([rate.processor_ms for rate in wire]),
                "lab_to_wire": paired_ratio(lab_per_s, wire_per_s),
                "lab_to_veth": paired_ratio(lab_per_s, veth_per_s),
            }
        )
    return {
        "machine": where,
        "rounds": rounds,
        "sessions": sessions,
        "side_by_side": jobs,
        "rows": rows,
    }


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=20, help="sessions side by side")
    parser.add_argument("--postfix", type=Path, help="where Postfix's package is unpacked")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    postfix = Postfix(arguments.postfix)
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(
            postfix, Path(scratch), arguments.rounds, arguments.sessions, arguments.jobs
        )
    if arguments.json:
        print(json.dumps(result))
        return
    print(machine_line(result["machine"]))
    print(
        f"{result['rounds']} rounds of {result['sessions']} sessions, "
        f"{result['side_by_side']} side by side; median (min to max)\n"
    )
    print("payload    lab /s             wire /s            veth /s          lab/wire  lab/veth")
    for row in result["rows"]:
        cells = [
            f"{row[key]['median']:6.0f} ({row[key]['min']:.0f} to {row[key]['max']:.0f})".ljust(19)
            for key in ("lab_per_s", "wire_per_s", "veth_per_s")
        ]
        print(
            f"{row['payload_bytes']:5} B {''.join(cells)}"
            f"{row['lab_to_wire']['median']:8.2f}{row['lab_to_veth']['median']:10.2f}"
        )
    print("\nprocessor time a session:")
    for row in result["rows"]:
        lab, wire = row["lab_processor_ms"]["median"], row["wire_processor_ms"]["median"]
        print(f"{row['payload_bytes']:5} B   lab {lab:5.2f} ms   wire {wire:5.2f} ms")


if __name__ == "__main__":
    main()
