"""How long `seglab regress` takes over 10 000 stored sessions, and where the time goes.

The sessions are those of a real run (by default the sample that comes with the package), read
again and stored as often as it takes, each time under other names. The command is run as a user
runs it; then its phases are measured within one process.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import ROOT, machine, machine_line

from seglab.core.record import SessionRecord
from seglab.regress.case import LayerChoice, cases
from seglab.regress.checks import CHECKS
from seglab.regress.run import run
from seglab.regress.sessions import records
from seglab.runners.open import open_runner
from seglab.runs.parquet import write_sessions


def again_and_again(source: str) -> Iterator[SessionRecord]:
    """The sessions of a source, over and over, each with a name of its own."""
    stored = list(records(source))
    for turn in count():
        for record in stored:
            yield replace(record, session_id=f"{record.session_id}.{turn}")


def command(classifier: str, file: Path, layer: LayerChoice) -> dict[str, float]:
    """The command as a user runs it."""
    program = [sys.executable, "-c", "from seglab.cli import main; main()", "regress", classifier]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    found = subprocess.run(
        [*program, "--sessions", file, "--layer", layer, "--json"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    elapsed_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if found.returncode not in (0, 1):
        sys.exit(found.stderr.decode())
    return {
        "elapsed_s": elapsed_s,
        "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "sessions": json.loads(found.stdout)["sessions"],
    }


def phases(classifier: str, file: Path, layer: LayerChoice) -> dict[str, float]:
    """Processor seconds of each phase, in this process alone."""
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        before = time.process_time()
        done = work()
        spent[name] = time.process_time() - before
        return done

    stored = timed("read Parquet", lambda: list(records(file)))
    found = timed("observations", lambda: list(cases(stored, layer)))
    with open_runner(classifier) as runner:
        timed("answers alone", lambda: runner.ask([case.observation for case in found]))
        timed("answers and checks", lambda: run(found, runner, CHECKS))
    return spent


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--classifier", action="append", help="repeatable; by default paper")
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--source", default="sample", help="a run folder, a dataset, or `sample`")
    parser.add_argument("--layer", choices=["segments", "reads", "both"], default="segments")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine()}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "sessions.parquet"
        write_sessions(file, islice(again_and_again(options.source), options.sessions))
        found["file_bytes"] = file.stat().st_size
        for classifier in options.classifier or ["paper"]:
            found[classifier] = {
                "command": command(classifier, file, options.layer),
                "phases_s": phases(classifier, file, options.layer),
            }
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(machine_line(found["machine"]))
    for classifier in options.classifier or ["paper"]:
        whole, spent = found[classifier]["command"], found[classifier]["phases_s"]
        print(f"\n{classifier}: {whole['sessions']} sessions, {options.layer}")
        print(f"  the command          {whole['elapsed_s']:7.2f} s elapsed")
        print(f"                       {whole['processor_s']:7.2f} s of processors")
        for name, seconds in spent.items():
            print(f"  {name:20} {seconds:7.2f} s of processors")


if __name__ == "__main__":
    main()
