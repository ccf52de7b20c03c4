"""The command: makes inputs of each kind for a while, and stores those that show a fault.

A case is named by its kind, the seed and a number, and these three make it again::

    python tests/fuzz --kind captures --seed 7 --case 1234

Exit code 1 says that there was a finding.
"""

import argparse
import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fuzz.kind import Kind, Problem
from fuzz.kinds import KINDS
from fuzz.minimise import minimise
from fuzz.worker import Worker

MINIMISE_S: Final = 60.0
"""How long a failing input is made smaller."""

FINDINGS_MAX: Final = 20
"""After this many faults of one kind the next kind begins."""

TURN_S: Final = 60.0
"""How long a kind runs before the next one does; they take turns."""


@dataclass(slots=True)
class Tally:
    """What was done with one kind.

    Attributes:
        cases: how many inputs were examined.
        seconds: how long that took.
        found: how often each fault was met, by its signature.
    """

    cases: int = 0
    seconds: float = 0.0
    found: dict[str, int] = field(default_factory=dict)


class Fuzzing:
    """Examines inputs of one kind, one number after another.

    Args:
        kind: of the inputs.
        seed: of the whole.
        out: the folder for inputs that show a fault.
    """

    def __init__(self, kind: Kind, seed: int, out: Path) -> None:
        self.tally = Tally()
        self._kind = kind
        self._seed = seed
        self._out = out
        self._worker = Worker(kind.name)

    def run(self, seconds: float) -> None:
        """Go on for that many seconds."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds and len(self.tally.found) < FINDINGS_MAX:
            self.case(self.tally.cases)
        self.tally.seconds += time.monotonic() - begun

    def case(self, number: int) -> None:
        """Examine the input of one number."""
        data, problem = self._worker.case(self._seed, number)
        self.tally.cases += 1
        if problem is None:
            return
        seen = self.tally.found.get(problem.signature, 0)
        self.tally.found[problem.signature] = seen + 1
        if not seen:
            self._store(number, data, problem)

    def _store(self, number: int, data: bytes, problem: Problem) -> None:
        def fails(shorter: bytes) -> bool:
            found = self._worker.examine(shorter)
            return found is not None and found.signature == problem.signature

        smaller = data
        if data and not problem.signature.startswith("hangs") and fails(data):
            smaller = minimise(data, self._kind.units, fails, MINIMISE_S)
        name = hashlib.sha256(problem.signature.encode()).hexdigest()[:8]
        folder = self._out / f"{self._kind.name}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "input").write_bytes(data)
        (folder / "smaller").write_bytes(smaller)
        again = f"python tests/fuzz --kind {self._kind.name} --seed {self._seed} --case {number}"
        (folder / "report.txt").write_text(f"{problem.signature}\n{again}\n\n{problem.text}\n")
        print(f"FOUND {self._kind.name}: {problem.signature}: {folder}", flush=True)

    def close(self) -> None:
        """End the process that examines."""
        self._worker.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _options(arguments)
    kinds = [KINDS[name] for name in options.kind or KINDS]
    running = [Fuzzing(kind, options.seed, options.out) for kind in kinds]
    try:
        if options.case is not None:
            for one in running:
                one.case(options.case)
        else:
            _take_turns(running, options.seconds)
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        for one in running:
            one.close()
    for kind, one in zip(kinds, running, strict=True):
        tally = one.tally
        faults = f"{len(tally.found)} faults" if tally.found else "no fault"
        print(f"{kind.name:<12} {tally.cases:>9} cases {tally.seconds:>6.0f} s   {faults}")
    return 1 if any(one.tally.found for one in running) else 0


def _take_turns(running: list[Fuzzing], seconds: float) -> None:
    """Give each kind an equal share of the time, some of it at a time."""
    begun = time.monotonic()
    while (left := seconds - (time.monotonic() - begun)) > 0:
        turn = min(TURN_S, left / len(running))
        for one in running:
            one.run(turn)
        totals = " ".join(str(one.tally.cases) for one in running)
        print(f"{time.monotonic() - begun:.0f} s: {totals} cases", flush=True)
        if turn < 0.01:
            return


def _options(arguments: list[str] | None) -> argparse.Namespace:
    names = "; ".join(f"{kind.name}: {kind.summary}" for kind in KINDS.values())
    parser = argparse.ArgumentParser(prog="tests/fuzz", description=__doc__, epilog=names)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="all if left out")
    parser.add_argument("--seconds", type=float, default=60.0, help="in all; default 60")
    parser.add_argument("--seed", type=int, default=0, help="other seeds make other inputs")
    parser.add_argument("--case", type=int, help="examine one input only")
    default = Path(os.environ.get("TMPDIR", "/tmp"), "seglab-fuzz")
    parser.add_argument("--out", type=Path, default=default, help="folder for findings")
    return parser.parse_args(arguments)
