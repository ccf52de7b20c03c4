"""How fast the simulator builds a large dataset, in how much memory, and what a million costs.

    python benchmarks/dataset_million.py [--sessions N ...] [--jobs N] [--spec FILE] [--json]
    python benchmarks/dataset_million.py --sessions 1000000 --jobs 2

For each number of sessions the example's specification, without captures and with as many repeats
as that takes, is built by ``--engine simulator`` and checked, as a user does it. Printed are, for
each:

- sessions a second, by the clock, and by the processor time of all processes;
- the most memory that all processes had at a time. It must not grow with the number of sessions;
- the same of ``dataset check``;
- bytes of Parquet a session.

From the largest and the smallest follows a forecast for a million sessions on this machine, and for
a billion on ten machines like it. Both are given twice: by the clock, which other work on the
machine slows, and by processor time, as if all processors had nothing else to do.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, machine, machine_line
from dataset import run
from matrix import Tree

sys.path.insert(0, str(ROOT))

from seglab.dataset.manifest import read_manifest
from seglab.dataset.spec import read_spec

SHARD_SESSIONS = 5000
MILLION, BILLION, MACHINES = 10**6, 10**9, 10


def spec_text(text: str, sessions: int, folder: Path) -> str:
    """The specification with at least so many sessions, in large shards and without captures."""
    lines = [
        line for line in text.splitlines() if not line.startswith(("shard_sessions", "captures"))
    ]
    at = next(number for number, line in enumerate(lines) if line.startswith("repeats"))
    lines[at] = f"repeats = 1\nshard_sessions = {SHARD_SESSIONS}\ncaptures = false"
    path = folder / "one.toml"
    path.write_text("\n".join(lines))
    each = read_spec(path).sessions
    return path.read_text().replace("repeats = 1\n", f"repeats = {-(-sessions // each)}\n")


def measure(text: str, sessions: int, jobs: int) -> dict[str, Any]:
    """Build and check a dataset once."""
    where = machine()
    with tempfile.TemporaryDirectory() as scratch:
        spec, out = Path(scratch) / "measured.toml", Path(scratch) / "made"
        spec.write_text(spec_text(text, sessions, Path(scratch)))
        build = ("dataset", "build", str(spec), "--out", str(out), "--engine", "simulator")
        build_s, building = run(*build, "--jobs", str(jobs), "--yes", "-q")
        manifest = read_manifest(out / "manifest.json")
        assert manifest is not None
        check_s, checking = run("dataset", "check", str(out), "-q")
        count = manifest.complete
        return {
            "machine": where,
            "jobs": jobs,
            "sessions": count,
            "failed": manifest.failed,
            "build": _cost(count, build_s, building),
            "check": _cost(count, check_s, checking),
            "bytes_a_session": sum(p.stat().st_size for p in (out / "data").iterdir()) / count,
        }


def _cost(sessions: int, wall_s: float, tree: Tree) -> dict[str, float]:
    return {
        "wall_s": wall_s,
        "processor_s": tree.processor_s(),
        "sessions_a_second": sessions / wall_s,
        "processor_ms_a_session": 1000 * tree.processor_s() / sessions,
        "most_memory_mib": tree.most_bytes / 2**20,
    }


def forecast(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What a million and a billion sessions take, in seconds and bytes.

    Args:
        rows: measurements, the smallest first. From two on, what a session costs is the difference
            between the largest and the smallest, so that what each command costs by itself does
            not count.
    """
    found = rows[-1]
    by_clock = {what: _each(rows, what, "wall_s") for what in ("build", "check")}
    processors = found["machine"]["processors"]
    by_processor = {what: _each(rows, what, "processor_s") / processors for what in by_clock}
    return {
        name: {
            **{f"{what}_s": sessions * each for what, each in by_clock.items()},
            **{f"{what}_s_alone": sessions * each for what, each in by_processor.items()},
            "bytes": sessions * machines * found["bytes_a_session"],
        }
        for name, sessions, machines in (
            ("a million", MILLION, 1),
            (f"a billion on {MACHINES} machines", BILLION // MACHINES, MACHINES),
        )
    }


def _each(rows: list[dict[str, Any]], what: str, unit: str) -> float:
    """The seconds that one more session takes."""
    less, more = rows[0], rows[-1]
    if less is more:
        return float(more[what][unit] / more["sessions"])
    return float((more[what][unit] - less[what][unit]) / (more["sessions"] - less["sessions"]))


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=Path, default=ROOT / "examples" / "dataset.toml")
    parser.add_argument("--sessions", type=int, nargs="+", default=[5000, 20_000, 60_000])
    parser.add_argument("--jobs", type=int, default=2, help="processes  [default: 2]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    text = arguments.spec.read_text()
    rows = [measure(text, number, arguments.jobs) for number in sorted(arguments.sessions)]
    expected = forecast(rows)
    if arguments.json:
        print(json.dumps({"measured": rows, "forecast": expected}, indent=2))
        return
    for found in rows:
        print(machine_line(found["machine"]))
        print(f"{found['sessions']} sessions, {found['failed']} failed, {found['jobs']} jobs")
        for what in ("build", "check"):
            cost = found[what]
            print(
                f"  {what}: {cost['wall_s']:.1f} s, {cost['sessions_a_second']:.0f} a second, "
                f"{cost['processor_ms_a_session']:.2f} ms of processor time each, "
                f"{cost['most_memory_mib']:.0f} MiB at most"
            )
        print(f"  {found['bytes_a_session']:.0f} bytes of Parquet a session")
    for name, values in expected.items():
        print(
            f"{name}: build {values['build_s'] / 60:.1f} min (with idle processors "
            f"{values['build_s_alone'] / 60:.1f}), check {values['check_s'] / 60:.1f} min "
            f"({values['check_s_alone'] / 60:.1f}), {values['bytes'] / 1e9:.1f} GB"
        )


if __name__ == "__main__":
    main()
