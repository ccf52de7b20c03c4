"""Simulated sessions a second on one core, each recorded, beside the kernel engine's.

    python benchmarks/simulator.py [--rounds N] [--sessions N] [--kernel N] [--ns3 PROGRAM] [--json]

- ethernet, gprs: sessions of ``single_write`` with 25 kB, with the dialogue, the links, the reader,
  the record and its line of the journal, without captures. Over ``gprs`` one frame in a hundred is
  lost. In processor time of one process, so that other work on the machine counts little.
- generated: the same over ``ethernet`` where each session has a message of its own; otherwise ten
  sessions share one, as those of a matrix do. Making 25 kB of text takes longer than sending it.
- 250 kB, 2.5 MB: larger messages over ``ethernet``.
- plain: the same with the model as Python, where there is a compiled form.
- segments: each packet that a host sends, in a second.
- events: all that happens in a session, in a second: arrivals, timers, and the turns of both
  programs.
- linear: the time of a segment in sessions of 2.5 MB, with that in sessions of 250 kB as 1.
- memory: how far the resident memory of a process grows over the sessions of a round.
- kernel: sessions over the same network on the kernel engine, ``--kernel`` of them side by side as
  ``seglab run`` has them, in seconds of waiting.
- ns3: bare bulk transfers of the same size by ns-3, if ``--ns3`` names the program that
  ``ns3_bulk.cc`` becomes; as many as the sessions of a kind, in processor time too.

Rounds take turns, and each ratio is of neighbours.
"""

import argparse
import asyncio
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import ROOT, machine, machine_line, paired_ratio, spread

sys.path.insert(0, str(ROOT))

from seglab.engine import EngineOptions, engine
from seglab.engine.base import Planned
from seglab.execution.request import RunRequest
from seglab.mail.message import MessageSpec
from seglab.runs.folder import RunFolder
from seglab.simulator import backend, worker

PAYLOAD_BYTES = 25_000
SHARING = 10


KINDS = {
    # name: network, bytes of the payload, sessions that share a message, share of the sessions
    "ethernet": ("ethernet", PAYLOAD_BYTES, SHARING, 1.0),
    "gprs": ("gprs", PAYLOAD_BYTES, SHARING, 1.0),
    "generated": ("ethernet", PAYLOAD_BYTES, 1, 1.0),
    "250 kB": ("ethernet", 10 * PAYLOAD_BYTES, SHARING, 0.1),
    "2.5 MB": ("ethernet", 100 * PAYLOAD_BYTES, SHARING, 0.01),
}


def planned(
    network: str, sessions: int, sharing: int, payload_bytes: int = PAYLOAD_BYTES
) -> list[Planned]:
    """Sessions of the single writer, of which ``sharing`` share a message."""
    specs = RunRequest(("matrix",), ("single_write",), (network,), sessions).specs(2014)
    mail = MessageSpec(payload_bytes=payload_bytes)
    return [
        (replace(spec, message=mail, message_seed=number // sharing), path)
        for number, (spec, path) in enumerate(specs)
    ]


def simulated(
    network: str, payload_bytes: int, sharing: int, sessions: int, form: type
) -> dict[str, float]:
    """Sessions, segments and events in a second of processor time, and memory's growth in MB."""
    packets = events = 0

    class Counted:
        """A session of that form, whose packets are counted."""

        def __new__(cls, *arguments: Any) -> Any:
            made = form(*arguments)
            under_way.append(made)
            return made

    under_way: list[Any] = []
    request = RunRequest(("matrix",), ("single_write",), (network,), sessions)
    manifest = request.manifest("run", 2014, 1, 60.0, "simulator")
    specs = planned(network, sessions, sharing, payload_bytes)
    chosen, backend.simulation = backend.simulation, lambda: Counted
    try:
        with (
            tempfile.TemporaryDirectory() as name,
            RunFolder.create(Path(name) / "run", manifest) as run,
        ):
            worker.carry_out(specs[:1], 60.0, None)
            under_way.clear()  # the first session reads files and makes tables
            memory = resident_mb()
            began = time.process_time()
            for one in specs:
                (record,) = worker.carry_out([one], 60.0, None)
                run.append(record)
                ended = under_way.pop()
                packets += len(ended.packets)
                events += ended.events
            took_s = time.process_time() - began
    finally:
        backend.simulation = chosen
    return {
        "sessions": sessions / took_s,
        "segments": packets / took_s,
        "events": events / took_s,
        "memory": resident_mb() - memory,
    }


def resident_mb() -> float:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def carried_out_a_second(network: str, sessions: int) -> float:
    """Sessions in a second on the kernel engine."""
    specs = planned(network, sessions, SHARING)
    began = time.monotonic()
    asyncio.run(engine("kernel", EngineOptions(jobs=sessions)).run(specs, lambda _record: None))
    return sessions / (time.monotonic() - began)


def by_ns3(program: Path, sessions: int) -> dict[str, float]:
    """Sessions and events in a second of ns-3's processor time."""
    command = [program, str(sessions), "100Mbps", "10ms"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found, events = re.findall(r"([\d.]+) (?:sessions|events) a second", printed)
    return {"ns3": float(found), "ns3 events": float(events)}


def measure(rounds: int, sessions: int, kernel: int, ns3: Path | None) -> dict[str, Any]:
    """All rows, and the ratios between neighbours."""
    forms = {"": backend.simulation()}
    plain = backend.form(compiled=False)
    if forms[""] is not plain:
        forms[" plain"] = plain
    rows: dict[str, list[float]] = {}
    for _ in range(rounds):
        for row, value in () if ns3 is None else by_ns3(ns3, sessions).items():
            rows.setdefault(row, []).append(value)
        for name, (network, size, sharing, share) in KINDS.items():
            for words, form in forms.items():
                count = max(1, int(sessions * share))
                for key, value in simulated(network, size, sharing, count, form).items():
                    row = f"{name}{words}" if key == "sessions" else f"{name}{words} {key}"
                    rows.setdefault(row, []).append(value)
        for network in ("ethernet", "gprs") if kernel else ():
            rows.setdefault(f"kernel {network}", []).append(carried_out_a_second(network, kernel))
    found: dict[str, Any] = {name: spread(values) for name, values in rows.items()}
    for words in forms:
        found[f"linear{words}"] = paired_ratio(
            rows[f"250 kB{words} segments"], rows[f"2.5 MB{words} segments"]
        )
    for name in KINDS if " plain" in forms else ():
        found[f"{name} : plain"] = paired_ratio(rows[name], rows[f"{name} plain"])
    for words in () if ns3 is None else forms:
        found[f"ethernet{words} : ns3"] = paired_ratio(rows[f"ethernet{words}"], rows["ns3"])
    for network in ("ethernet", "gprs") if kernel else ():
        found[f"{network} : kernel"] = paired_ratio(rows[network], rows[f"kernel {network}"])
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=200, help="simulated ones of each kind")
    parser.add_argument("--kernel", type=int, default=40, help="on the kernel engine; 0 for none")
    parser.add_argument("--ns3", type=Path, metavar="PROGRAM", help="ns3_bulk.cc, compiled")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    where = machine()
    found = measure(arguments.rounds, arguments.sessions, arguments.kernel, arguments.ns3)
    if arguments.json:
        print(json.dumps({"machine": where, "rows": found}, indent=2))
        return
    print(machine_line(where))
    for name, values in found.items():
        print(f"{name:26}", "  ".join(f"{key} {value:.4g}" for key, value in values.items()))


if __name__ == "__main__":
    main()
