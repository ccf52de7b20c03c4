"""Simulated sessions a second on one core, each recorded, beside the kernel engine's.

    python benchmarks/simulator.py [--rounds N] [--sessions N] [--kernel N] [--json]

- ethernet, gprs: sessions of ``single_write`` with 25 kB, with the dialogue, the links, the reader,
  the record and its line of the journal, without captures. Over ``gprs`` one frame in a hundred is
  lost. In processor time of one process, so that other work on the machine counts little.
- generated: the same over ``ethernet`` where each session has a message of its own; otherwise ten
  sessions share one, as those of a matrix do. Making 25 kB of text takes longer than sending it.
- kernel: sessions over the same network on the kernel engine, ``--kernel`` of them side by side as
  ``seglab run`` has them, in seconds of waiting.

Rounds take turns, and each ratio is of neighbours.
"""

import argparse
import asyncio
import json
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
from seglab.simulator import worker

PAYLOAD_BYTES = 25_000
SHARING = 10


def planned(network: str, sessions: int, sharing: int) -> list[Planned]:
    """Sessions of the single writer, of which ``sharing`` share a message."""
    specs = RunRequest(("matrix",), ("single_write",), (network,), sessions).specs(2014)
    mail = MessageSpec(payload_bytes=PAYLOAD_BYTES)
    return [
        (replace(spec, message=mail, message_seed=number // sharing), path)
        for number, (spec, path) in enumerate(specs)
    ]


def simulated_a_second(network: str, sessions: int, sharing: int) -> float:
    """Sessions that are recorded in a second of processor time."""
    request = RunRequest(("matrix",), ("single_write",), (network,), sessions)
    manifest = request.manifest("run", 2014, 1, 60.0, "simulator")
    specs = planned(network, sessions, sharing)
    with (
        tempfile.TemporaryDirectory() as name,
        RunFolder.create(Path(name) / "run", manifest) as run,
    ):
        began = time.process_time()
        for one in specs:
            (record,) = worker.carry_out([one], 60.0, None)
            run.append(record)
        return sessions / (time.process_time() - began)


def carried_out_a_second(network: str, sessions: int) -> float:
    """Sessions in a second on the kernel engine."""
    specs = planned(network, sessions, SHARING)
    began = time.monotonic()
    asyncio.run(engine("kernel", EngineOptions(jobs=sessions)).run(specs, lambda _record: None))
    return sessions / (time.monotonic() - began)


def measure(rounds: int, sessions: int, kernel: int) -> dict[str, Any]:
    """All rows, and the ratios to the kernel engine."""
    rows: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, network, sharing in (
            ("ethernet", "ethernet", SHARING),
            ("gprs", "gprs", SHARING),
            ("generated", "ethernet", 1),
        ):
            rows.setdefault(name, []).append(simulated_a_second(network, sessions, sharing))
        for network in ("ethernet", "gprs") if kernel else ():
            rows.setdefault(f"kernel {network}", []).append(carried_out_a_second(network, kernel))
    found: dict[str, Any] = {name: spread(values) for name, values in rows.items()}
    for network in ("ethernet", "gprs") if kernel else ():
        found[f"{network} : kernel"] = paired_ratio(rows[network], rows[f"kernel {network}"])
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=200, help="simulated ones of each kind")
    parser.add_argument("--kernel", type=int, default=40, help="on the kernel engine; 0 for none")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    where = machine()
    found = measure(arguments.rounds, arguments.sessions, arguments.kernel)
    if arguments.json:
        print(json.dumps({"machine": where, "sessions_a_second": found}, indent=2))
        return
    print(machine_line(where))
    for name, values in found.items():
        print(f"{name:20}", "  ".join(f"{key} {value:.4g}" for key, value in values.items()))


if __name__ == "__main__":
    main()
