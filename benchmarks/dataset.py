"""How fast a dataset is built, against the least time that its sessions can take; and its size.

    python benchmarks/dataset.py [--repeats N] [--jobs N] [--spec FILE] [--json]

Two bounds hold for every builder on this machine. With so many sessions side by side, the sum of
their own durations cannot pass in less than that sum, divided (one on a slow link counts for its
share only: ``seglab.engine.schedule``). And the processors have to do the work: their time, shared
evenly. Whichever is longer is the bound; what a build takes beyond it is shards that end one after
the other, labs that start, and files that are written.

Then the same dataset is checked and read, and its bytes are counted. The processors' time is
sampled over all processes, as in ``matrix.py``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import ROOT, environment, machine, machine_line
from matrix import MAIN, Tree

sys.path.insert(0, str(ROOT))

from seglab.dataset import records
from seglab.dataset.estimate import estimate
from seglab.dataset.manifest import read_manifest
from seglab.dataset.spec import read_spec
from seglab.engine import schedule


def run(*arguments: str) -> tuple[float, Tree]:
    """A seglab command, its seconds, and what its processes did."""
    began = time.monotonic()
    command = [sys.executable, "-c", MAIN, *arguments]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL) as process:
        tree = Tree(process.pid)
        tree.start()
        process.communicate()
        tree.over.set()
        tree.join()
    if process.returncode:
        sys.exit(f"seglab {arguments[0]} ended with status {process.returncode}")
    return time.monotonic() - began, tree


def measure(text: str, jobs: int) -> dict[str, Any]:
    """Build, check and read a dataset once."""
    where = machine()
    with tempfile.TemporaryDirectory() as scratch:
        spec, out = Path(scratch) / "measured.toml", Path(scratch) / "made"
        spec.write_text(text)
        expected = estimate(read_spec(spec), jobs)
        build = ("dataset", "build", str(spec), "--out", str(out), "--yes", "-q")
        wall_s, tree = run(*build, "--jobs", str(jobs))
        manifest = read_manifest(out / "manifest.json")
        assert manifest is not None
        check_s, checking = run("dataset", "check", str(out), "-q")
        began = time.monotonic()
        sessions = list(records(out))
        read_s = time.monotonic() - began
        sizes = {
            folder: sum(path.stat().st_size for path in (out / folder).iterdir())
            for folder in ("data", "wire", "shards")
        }
    durations = [session.duration_ns / 1e9 for session in sessions]
    slots_s = sum(d * schedule.weight(d) / schedule.SLOT for d in durations) / jobs
    work_s = tree.processor_s() / where["processors"]
    count = len(sessions)
    return {
        "machine": where,
        "jobs": jobs,
        "sessions": count,
        "failed": manifest.failed,
        "shards": manifest.shards,
        "segments": sum(len(session.segments) for session in sessions) / count,
        "payload_bytes": sum(session.payload_bytes for session in sessions) / count,
        "wall_s": wall_s,
        "sessions_a_second": count / wall_s,
        "durations_s": sum(durations),
        "bound_of_durations_s": slots_s,
        "bound_of_processors_s": work_s,
        "wall_over_bound": wall_s / max(slots_s, work_s),
        "processor_ms_a_session": 1000 * tree.processor_s() / count,
        "estimated_s": expected.seconds,
        "estimated_bytes": expected.file_bytes,
        "row_bytes_a_session": sizes["data"] / count,
        "capture_bytes_a_session": sizes["wire"] / count,
        "bytes": sum(sizes.values()),
        "check_sessions_a_second": count / check_s,
        "check_memory_bytes": checking.most_bytes,
        "read_sessions_a_second": count / read_s,
        "most_memory_bytes": tree.most_bytes,
    }


def main() -> None:
    """Measure once, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ROOT / "examples" / "dataset.toml"
    parser.add_argument("--spec", type=Path, default=default, help="[default: the example]")
    parser.add_argument("--repeats", type=int, help="instead of the specification's")
    parser.add_argument("--jobs", type=int, default=40, help="side by side  [default: 40]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    text = arguments.spec.read_text()
    if arguments.repeats:
        lines = text.splitlines()
        text = "\n".join(
            f"repeats = {arguments.repeats}" if line.startswith("repeats") else line
            for line in lines
        )
    found = measure(text, arguments.jobs)
    if arguments.json:
        print(json.dumps(found))
        return
    print(machine_line(found["machine"]))
    print(
        f"{found['sessions']} sessions in {found['shards']} shards, {found['failed']} failed, "
        f"{found['segments']:.1f} segments and {found['payload_bytes']:.0f} bytes each"
    )
    for name, words in (
        ("wall_s", "s built in"),
        ("sessions_a_second", "sessions a second"),
        ("bound_of_durations_s", "s: the sum of all durations over the sessions side by side"),
        ("bound_of_processors_s", "s: processor time over the processors"),
        ("wall_over_bound", "times the longer of the two"),
        ("processor_ms_a_session", "ms of processor time a session"),
        ("estimated_s", "s were estimated"),
        ("row_bytes_a_session", "bytes of Parquet a session"),
        ("capture_bytes_a_session", "bytes of captures a session"),
        ("check_sessions_a_second", "sessions checked a second"),
        ("read_sessions_a_second", "sessions read a second, as records"),
    ):
        print(f"{found[name]:10.1f} {words}")
    print(f"{found['bytes'] / 1e6:10.1f} MB, {found['estimated_bytes'] / 1e6:.1f} were estimated")
    print(f"{found['most_memory_bytes'] / 2**20:10.0f} MiB at most while building, all processes")
    print(f"{found['check_memory_bytes'] / 2**20:10.0f} MiB at most while checking")


if __name__ == "__main__":
    main()
