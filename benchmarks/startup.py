"""How long a lab takes to start and to end, beside Mininet's own ``mn`` with two hosts.

    python benchmarks/startup.py [--pairs N] [--json]

- lab: ``KernelLab`` up and ready for sessions, then down, in a program that runs already: what a
  run pays for each network. Three hosts, the wire, the server and the client; everything that
  decides segmentation is set and read back.
- process: the same in a fresh Python, imports included.
- mn: ``mn --topo minimal --switch lxbr --controller none --test none``, a fresh process too: two
  hosts and a bridge, then down. It needs Debian's ``mininet`` and ``bridge-utils``.

They take turns, and each ratio is of neighbours. All run in private namespaces.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import time

from common import ROOT, environment, machine, machine_line, paired_ratio, spread, unshared

sys.path.insert(0, str(ROOT))

MN = "mn --topo minimal --switch lxbr --controller none --test none"
NETWORK = "unimpaired"


async def up_and_down() -> tuple[float, float]:
    """Seconds until a lab is ready, and until it is gone."""
    from seglab.experiment import (  # noqa: PLC0415, so that importing counts in a fresh process
        registry,
    )
    from seglab.experiment.reader import Reader  # noqa: PLC0415
    from seglab.kernel.lab import KernelLab  # noqa: PLC0415

    network = registry.network(NETWORK)
    began = time.monotonic()
    async with KernelLab(network, Reader()):
        ready = time.monotonic()
    return ready - began, time.monotonic() - ready


def timed(command: list[str]) -> float:
    """Seconds that a command takes, which must succeed."""
    began = time.monotonic()
    result = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    seconds = time.monotonic() - began
    if result.returncode:
        sys.exit(f"{' '.join(command)}: {result.stderr.strip()[-500:]}")
    return seconds


def measure(pairs: int) -> dict[str, object]:
    """All rows."""
    mn = [*unshared(), "sh", "-c", f"mount -t sysfs sysfs /sys && exec {MN}"]
    process = [sys.executable, __file__, "--once"]
    path = environment()["PATH"]
    if missing := [program for program in ("mn", "brctl") if not shutil.which(program, path=path)]:
        sys.exit(
            f"{' and '.join(missing)} not found; "
            "apt-get install --no-install-recommends mininet bridge-utils"
        )
    where = machine()
    asyncio.run(up_and_down())  # imports, and a warm page cache for all
    timed(mn)
    up_s, down_s, process_s, mn_s = [], [], [], []
    for _ in range(pairs):
        up, down = asyncio.run(up_and_down())
        up_s.append(up)
        down_s.append(down)
        mn_s.append(timed(mn))
        process_s.append(timed(process))
    lab_s = [up + down for up, down in zip(up_s, down_s, strict=True)]
    return {
        "machine": where,
        "pairs": pairs,
        "lab_s": spread(lab_s),
        "lab_up_s": spread(up_s),
        "lab_down_s": spread(down_s),
        "process_s": spread(process_s),
        "mn_s": spread(mn_s),
        "lab_to_mn": paired_ratio(lab_s, mn_s),
        "process_to_mn": paired_ratio(process_s, mn_s),
    }


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        asyncio.run(up_and_down())
        return
    result = measure(arguments.pairs)
    if arguments.json:
        print(json.dumps(result))
        return
    print(machine_line(result["machine"]))
    print(f"{arguments.pairs} of each, in turns\n")
    print("                          median      min      max")
    for name, key in (
        ("lab, up and down", "lab_s"),
        ("  up", "lab_up_s"),
        ("  down", "lab_down_s"),
        ("process with a lab", "process_s"),
        ("mn", "mn_s"),
    ):
        row = result[key]
        print(f"{name:22}{row['median']:8.3f} s{row['min']:8.3f}{row['max']:9.3f}")
    for name, key in (("lab / mn", "lab_to_mn"), ("process / mn", "process_to_mn")):
        row = result[key]
        print(f"{name:22}{row['median']:8.2f}  {row['min']:8.2f}{row['max']:9.2f}")


if __name__ == "__main__":
    main()
