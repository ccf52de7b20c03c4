"""How long ``seglab reproduce`` takes at its default, and where the time goes.

    python benchmarks/reproduce.py [--sessions N] [--jobs N] [--json]

- start: from the start of Python until the run folder is there: imports, scenarios, plan.
- sessions: until the last session is stored: labs up and down, all sessions, in rounds.
- report: until the end: the judgement, the figures, ``report.html``, and its own imports.

Seen from outside, by when the run's files appear. The processors' time is that of all processes
but the lab's own, whose is counted where the kernel hands it up to their parent.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import environment, machine, machine_line

POLL_S = 0.01
MAIN = "from seglab.cli import main; main()"


def measure(options: list[str]) -> dict[str, Any]:
    """Run the command, and watch its folder."""
    where = machine()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = [sys.executable, "-c", MAIN, "reproduce", "--json", "-q", "--out", str(out)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        with subprocess.Popen(
            [*command, *options], env=environment(), stdout=subprocess.PIPE, text=True
        ) as process:
            opened = _when(process, out / "run.json")
            stored = _when(process, out / "sessions.parquet")
            process.communicate()
        ended = time.monotonic()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode not in (0, 1) or opened is None or stored is None:
            sys.exit(f"seglab reproduce ended with status {process.returncode}")
        counts = json.loads((out / "run.json").read_text())["counts"]
    return {
        "machine": where,
        "options": options,
        "start_s": opened - began,
        "sessions_s": stored - opened,
        "report_s": ended - stored,
        "total_s": ended - began,
        "processors_s": sum(
            getattr(after, field) - getattr(before, field) for field in ("ru_utime", "ru_stime")
        ),
        "sessions": counts,
        "sessions_per_s": counts["complete"] / (stored - opened),
        "reproduced": process.returncode == 0,
    }


def _when(process: subprocess.Popen[str], path: Path) -> float | None:
    """The time at which a file is there; ``None`` where the process ended before."""
    while not path.exists():
        if process.poll() is not None:
            return None
        time.sleep(POLL_S)
    return time.monotonic()


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, help="of each scenario, not the default")
    parser.add_argument("--jobs", type=int, help="side by side, not the default")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    options = []
    for name in ("sessions", "jobs"):
        if (value := getattr(arguments, name)) is not None:
            options += [f"--{name}", str(value)]
    result = measure(options)
    if arguments.json:
        print(json.dumps(result))
        return
    print(machine_line(result["machine"]))
    counts = result["sessions"]
    print(f"seglab reproduce {' '.join(options)}".rstrip())
    print(f"{counts['complete']} sessions complete, {counts['failed']} failed\n")
    for phase in ("start", "sessions", "report", "total"):
        print(f"{phase:12}{result[f'{phase}_s']:8.2f} s")
    print(f"{'processors':12}{result['processors_s']:8.2f} s")
    print(f"{'a second':12}{result['sessions_per_s']:8.0f} sessions")


if __name__ == "__main__":
    main()
