"""How close the matrix of all senders and networks comes to the least time that it can take.

    python benchmarks/matrix.py [--sessions N] [--network NAME]... [--sender NAME]...
                                [--jobs N] [--json]

It cannot end before its longest session does, and that needs the processors for what all
sessions and labs do: the bound is the longest session and the processors' time, shared evenly.
Some of the work falls into the longest session's waits, so that the bound can even be beaten.

The processors' time is that of the command and of every process below it, sampled, since the
kernel does not hand up the time of a lab's processes, which end with their namespaces.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, environment, machine, machine_line

sys.path.insert(0, str(ROOT))

from seglab.runs.folder import RunFolder

MAIN = "from seglab.cli import main; main()"
SAMPLE_S = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Seen:
    """What was last seen of a process: its own time, that of children it waited for, and when."""

    parent: int
    own: int
    waited: int
    sample: int


class Tree(threading.Thread):
    """Samples a process and all below it until it is told to stop."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.seen: dict[int, Seen] = {root: Seen(0, 0, 0, 0)}
        self.most_bytes = 0
        self.over = threading.Event()

    def run(self) -> None:
        """Look, from time to time."""
        number = 0
        while not self.over.wait(SAMPLE_S):
            number += 1
            self.look(number)

    def look(self, number: int) -> None:
        """One sample: parents have lower numbers than their children, or were seen before."""
        found = []
        for entry in sorted(int(e.name) for e in Path("/proc").iterdir() if e.name.isdecimal()):
            try:
                stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parent, own = int(stat[1]), int(stat[11]) + int(stat[12])
            if entry == self.root or parent in self.seen:
                waited = int(stat[13]) + int(stat[14])
                self.seen[entry] = Seen(parent, own, waited, number)
                found.append(entry)
        self.most_bytes = max(self.most_bytes, sum(map(_proportional, found)))

    def processor_s(self) -> float:
        """The time of all of them: their own, and that of children that no sample saw."""
        total = 0
        for pid, process in self.seen.items():
            reaped = sum(
                child.own + child.waited
                for child in self.seen.values()
                if child.parent == pid and child.sample < process.sample
            )
            total += process.own + max(0, process.waited - reaped)
        return total / TICKS


def _proportional(pid: int) -> int:
    """The bytes of a process, those it shares divided among the sharers."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def measure(options: list[str]) -> dict[str, Any]:
    """Run the matrix once."""
    where = machine()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = [sys.executable, "-c", MAIN, "run", "matrix", "--json", "-q", "--out", str(out)]
        with subprocess.Popen(
            [*command, *options], env=environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            tree = Tree(process.pid)
            tree.start()
            process.communicate()
            tree.over.set()
            tree.join()
        if process.returncode not in (0, 1):
            sys.exit(f"seglab run matrix ended with status {process.returncode}")
        wall_s = json.loads((out / "run.json").read_text())["timings"]["sessions"]
        records = list(RunFolder.open(out).sessions())
    longest = max(records, key=lambda record: record.duration_ns)
    processors = where["processors"]
    bound_s = longest.duration_ns / 1e9 + tree.processor_s() / processors
    return {
        "machine": where,
        "options": options,
        "cells": len({(r.sender, r.variant, r.network) for r in records}),
        "networks": len({r.network for r in records}),
        "sessions": len(records),
        "complete": sum(record.complete for record in records),
        "wall_s": wall_s,
        "one_by_one_s": sum(record.duration_ns for record in records) / 1e9,
        "longest": {"session": longest.session_id, "seconds": longest.duration_ns / 1e9},
        "processors_s": tree.processor_s(),
        "bound_s": bound_s,
        "wall_over_bound": wall_s / bound_s,
        "most_memory_bytes": tree.most_bytes,
    }


def main() -> None:
    """Measure once, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", default="2", help="of each cell  [default: 2]")
    parser.add_argument("--network", action="append", default=[], help="only these")
    parser.add_argument("--sender", action="append", default=[], help="only these")
    parser.add_argument("--jobs", help="sessions side by side  [default: the command's own]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    options = ["--sessions", arguments.sessions]
    options += [word for name in arguments.network for word in ("--network", name)]
    options += [word for name in arguments.sender for word in ("--sender", name)]
    options += ["--jobs", arguments.jobs] if arguments.jobs else []
    found = measure(options)
    if arguments.json:
        print(json.dumps(found))
        return
    print(machine_line(found["machine"]))
    print(
        f"{found['cells']} cells over {found['networks']} networks, {found['sessions']} sessions,"
    )
    print(f"{found['complete']} complete; one by one they would take {found['one_by_one_s']:.0f} s")
    print(f"longest session  {found['longest']['seconds']:6.1f} s  {found['longest']['session']}")
    print(f"processors       {found['processors_s']:6.1f} s")
    print(f"lower bound      {found['bound_s']:6.1f} s")
    print(f"wall             {found['wall_s']:6.1f} s  {found['wall_over_bound']:.2f} of the bound")
    print(f"most memory      {found['most_memory_bytes'] / 2**20:6.0f} MiB, all processes together")


if __name__ == "__main__":
    main()
