"""How real mail servers read, and whether the named readers read as they do.

Usage: python benchmarks/readers.py [SERVER...] [--sessions N] [--jobs N] [--out DIR] [--store]

The same senders send the same mails, with the same dice, over the same networks to each real server
(`servers/NAME.toml`, which must be installed), and to its named reader on both engines; each twice.
The real servers and their readers take turns in the same run, so that both have the same machine.

It prints how each server calls the kernel, which parameters of a reader follow from that, and how
the reads compare. For each network and size of mail the permutation test of `seglab validate` says
whether the four results of each session (twice the server's, twice the reader's) can be told apart.
Where the server's two results are always the same, it says in how many sessions the reader's are
these as well. And it says how long the server and the lab's own take from an arrival to the read,
and from a read to the next one where something was ready all the time. --store writes what was
derived into the readers' files. --turn-us N lets the reader be busy for N microseconds after each
read.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from platform import release
from typing import Any

import msgspec
from common import machine, machine_line

from seglab.core import plugins
from seglab.core.reading import ServerReading
from seglab.core.record import SessionRecord
from seglab.engine import engine
from seglab.engine.base import EngineOptions, Planned
from seglab.experiment import registry
from seglab.experiment.plan import plan
from seglab.experiment.reader import Reader
from seglab.experiment.readers import NamedReader
from seglab.experiment.scenario import Scenario, SenderVariant
from seglab.experiment.serving import ServerProgram, served_by
from seglab.mail.message import MessageSpec
from seglab.software.available import available
from seglab.software.program import server
from seglab.software.store import Store
from seglab.validation.permutation import Bag, distance, p_value, reads
from seglab.validation.reading import derive, pace

SIZES = (2_000, 6_000, 25_000, 120_000)
NETWORKS = ("dsl", "vb2014", "ethernet")
SENDERS = (
    ("single_write", {}),
    ("fixed_buffer", {"buffer_bytes": 1024, "nodelay": True}),
    ("headers_then_body", {}),
)
LEAST = 8
ASKED_SHOWN = 3

Sessions = dict[str, SessionRecord]


@dataclass(frozen=True)
class Cell:
    """A server and its reader over one network, with mails of one size.

    ``server`` and ``reader`` are the mean distances of two results of one session; ``kernel`` and
    ``simulator`` those between the server and its reader on each engine, with p of the test.
    ``steady`` sessions have the same reads in both runs of the server, and so many of them also in
    the first of its reader on each engine.
    """

    network: str
    size_bytes: int
    sessions: int
    server: float
    reader: float
    kernel: float
    kernel_p: float | None
    simulator: float
    simulator_p: float | None
    steady: int
    kernel_equal: int
    simulator_equal: int


def planned(reader: Reader | ServerProgram, sessions: int, seed: int) -> list[Planned]:
    """Return the sessions, the same for each reader."""
    found: list[Planned] = []
    for size in SIZES:
        scenario = Scenario(
            name=f"readers-{size}",
            title="",
            source="",
            senders=tuple(
                SenderVariant(one, one.resolve(dict(given)))
                for one, given in ((registry.sender(name), given) for name, given in SENDERS)
            ),
            networks=tuple(map(registry.network, NETWORKS)),
            reader=reader,
            sessions=sessions,
            message=MessageSpec(payload_bytes=size),
        )
        found += [(spec, scenario.network(spec.network)) for spec in plan(scenario, seed)]
    return found


def carried_out(
    name: str, specs: Iterable[Planned], jobs: int, folder: Path | None, repetition: int
) -> list[tuple[Reader | ServerProgram, SessionRecord]]:
    """Carry out sessions; return their records with what read them."""
    readers: dict[str, Reader | ServerProgram] = {}
    tagged = []
    for number, (spec, network) in enumerate(specs):
        unique = f"{spec.session_id}.{number:06}"
        readers[unique] = spec.reader
        tagged.append((replace(spec, session_id=unique), network))
    found: list[SessionRecord] = []
    log = None if folder is None else (folder / "log.txt").open("ab")
    options = EngineOptions(
        jobs=jobs, time_limit_s=60, folder=folder, log=log, repetition=repetition
    )
    asyncio.run(engine(name, options).run(tagged, found.append))
    if log is not None:
        log.close()
    return [(readers[record.session_id], record) for record in found]


def by_reader(
    found: Iterable[tuple[Reader | ServerProgram, SessionRecord]],
) -> dict[Reader | ServerProgram, Sessions]:
    """Sort complete records by what read them and by what they are."""
    sorted_: dict[Reader | ServerProgram, Sessions] = defaultdict(dict)
    for reader, record in found:
        if record.status == "complete":
            sorted_[reader][record.session_id.rpartition(".")[0]] = record
        else:
            print(f"failed: {record.session_id}: {record.error}", file=sys.stderr)
    return sorted_


def compared(runs: Sequence[Sessions], seed: int) -> list[Cell]:
    """Compare: the server twice, its reader twice on the kernel, and twice on the simulator."""
    cells: dict[tuple[int, str], list[list[Bag]]] = defaultdict(list)
    for key in sorted(set.intersection(*map(set, runs))):
        records = [run[key] for run in runs]
        size = int(records[0].scenario.rpartition("-")[2])
        cells[size, records[0].network].append([reads(record) for record in records])
    found = []
    for (size, network), six in sorted(cells.items()):
        steady = [bags for bags in six if bags[0] == bags[1]]
        tested = len(six) >= LEAST
        found.append(
            Cell(
                network=network,
                size_bytes=size,
                sessions=len(six),
                server=_mean(distance(bags[0], bags[1]) for bags in six),
                reader=_mean(distance(bags[2], bags[3]) for bags in six),
                kernel=_mean(distance(bags[0], bags[2]) for bags in six),
                kernel_p=p_value([bags[:4] for bags in six], seed) if tested else None,
                simulator=_mean(distance(bags[0], bags[4]) for bags in six),
                simulator_p=p_value([bags[:2] + bags[4:] for bags in six], seed)
                if tested
                else None,
                steady=len(steady),
                kernel_equal=sum(bags[2] == bags[0] for bags in steady),
                simulator_equal=sum(bags[4] == bags[0] for bags in steady),
            )
        )
    return found


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return round(sum(found) / len(found), 3) if found else 0.0


def store(reader: NamedReader, found: dict[str, Any]) -> None:
    """Write what was derived into a named reader's file; refuse another way of reading."""
    path = plugins.shipped("servers") / "readers" / f"{reader.name}.toml"
    derived = found["derived"]
    if (derived["kind"], derived["buffer_bytes"]) != (
        reader.reader.kind,
        reader.reader.buffer_bytes,
    ):
        print(f"{path}: says {reader.reader}, and {derived} was measured", file=sys.stderr)
        return
    asked = [f"{name} {size}" for name, size, _ in derived["asked"]][:ASKED_SHOWN]
    networks = list(dict.fromkeys(cell["network"] for cell in found["cells"]))
    head = path.read_text().partition("\n[measured]")[0].rstrip("\n")
    lines = [
        "",
        "[measured]",
        f"calls = {json.dumps([*derived['waits'], *asked])}",
        f"sessions = {derived['sessions']}",
        f"networks = {json.dumps(sorted(networks))}",
        f'system = "{found["system"]}"',
    ]
    path.write_text("\n".join([head, *lines]) + "\n")


def measure(reader: NamedReader, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one server and compare it with its reader."""
    program = served_by(available(server(reader.server), Store.usual()))
    real = planned(program, arguments.sessions, arguments.seed)
    if arguments.turn_us is not None:
        reader = replace(reader, reader=replace(reader.reader, turn_us=arguments.turn_us))
    named = planned(reader.reader, arguments.sessions, arguments.seed)
    both = [one for pair in zip(real, named, strict=True) for one in pair]
    runs: dict[str, list[Sessions]] = {"server": [], "reader": [], "simulator": []}
    readings: list[ServerReading] = []
    for repetition in range(2):
        with tempfile.TemporaryDirectory() as place:
            found = by_reader(carried_out("kernel", both, arguments.jobs, Path(place), repetition))
            readings += [
                msgspec.json.decode(path.read_bytes(), type=ServerReading)
                for path in sorted(Path(place).glob("reading/*.json"))
            ]
        runs["server"].append(found[program])
        runs["reader"].append(found[reader.reader])
        simulated = by_reader(carried_out("simulator", named, arguments.jobs, None, repetition))
        runs["simulator"].append(simulated[reader.reader])
    derived = derive(readings)
    cells = compared([*runs["server"], *runs["reader"], *runs["simulator"]], arguments.seed)
    paces = {
        who: {
            network: asdict(pace(one for run in runs[who] for one in run.values()
                                 if one.network == network))
            for network in NETWORKS
        }
        for who in ("server", "reader")
    }  # fmt: skip
    return {
        "reader": reader.name,
        "server": reader.server,
        "version": program.version,
        "system": f"Linux {'.'.join(release().split('.')[:2])}",
        "parameters": asdict(reader.reader),
        "derived": {
            "kind": derived.reader.kind,
            "buffer_bytes": derived.reader.buffer_bytes,
            "waits": dict(derived.waits.most_common()),
            "asked": [[name, size, n] for (name, size), n in derived.asked.most_common()],
            "filled": derived.filled,
            "read_on": derived.read_on,
            "sets_rcvbuf": derived.sets_rcvbuf,
            "sessions": derived.sessions,
        },
        "paces": paces,
        "cells": [asdict(cell) for cell in cells],
    }


def show(found: dict[str, Any]) -> None:
    """Print one server's result."""
    derived = found["derived"]
    print(
        f"\n{found['reader']}: {found['server']} {found['version']}, {derived['sessions']} sessions"
    )
    print(
        f"  derived: {derived['kind']}, {derived['buffer_bytes']} bytes; waits {derived['waits']}"
    )
    print(f"  asked: {derived['asked']}; {derived['read_on']} of {derived['filled']} read on")
    for who, over in found.get("paces", {}).items():
        words = (
            f"{network} wakes {one['wake_us']} us ({one['wakes']}), turns {one['turn_us']} us"
            f" ({one['turns']})"
            for network, one in over.items()
        )
        print(f"  {who}: {'; '.join(words)}")
    head = "  network    size   n  server reader kernel      p   simul      p  steady  equal k, s"
    print(head)
    for cell in found["cells"]:
        ps = [
            "    -" if p is None else f"{p:5.3f}" for p in (cell["kernel_p"], cell["simulator_p"])
        ]
        print(
            f"  {cell['network']:9} {cell['size_bytes']:6} {cell['sessions']:3}"
            f"  {cell['server']:6.3f} {cell['reader']:6.3f} {cell['kernel']:6.3f}  {ps[0]}"
            f"  {cell['simulator']:6.3f}  {ps[1]}  {cell['steady']:6}"
            f"  {cell['kernel_equal']:4} {cell['simulator_equal']:4}"
        )


def main() -> int:
    """Measure the servers that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: all named readers")
    parser.add_argument("--sessions", type=int, default=4, help="of each sender, size and network")
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a folder for the results, one file a reader")
    parser.add_argument("--store", action="store_true", help="write into the readers' files")
    parser.add_argument("--turn-us", type=float, help="in place of what the reader's file has")
    parser.add_argument("--kept", type=Path, help="take what an earlier --out wrote; run nothing")
    arguments = parser.parse_args()
    if arguments.kept is None:
        print(machine_line(machine()))
    for name in arguments.readers or registry.readers():
        reader = registry.readers()[name]
        if arguments.kept is None:
            found = measure(reader, arguments) | {"machine": machine()}
        else:
            found = json.loads((arguments.kept / f"{name}.json").read_text())
        show(found)
        if arguments.store:
            store(reader, found)
        if arguments.out is not None:
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
