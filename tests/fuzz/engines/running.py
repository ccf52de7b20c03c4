"""Draws batches of schedules, lets both engines carry them out, and keeps what they disagree on."""

import argparse
import asyncio
import json
import platform
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz.engines.carrying import Carried, on_kernel, on_simulator, seeds_of
from fuzz.engines.cases import FOLDER, Case, case_text, read_schedule
from fuzz.engines.drawing import batches
from fuzz.engines.judging import DISAGREEMENTS, Judgement, judge
from seglab.errors import InputError
from seglab.validation.recording import to_text
from seglab.validation.schedule import Schedule, to_toml

BATCH = 30
"""How many schedules share a lab."""

BATCHES = 8
"""How many batches Hypothesis draws from one seed."""

RUNS = 2
"""How often the kernel carries out a schedule at first."""

CONFIRMING_RUNS = 6
"""How often it does so again where the engines seem to disagree."""

SIMULATOR_SEEDS = 6


def carried(
    schedules: Sequence[Schedule], runs: int, number: int = 0
) -> list[tuple[list[Carried], list[Carried]]]:
    """Carry schedules out on both engines, several times each."""
    repeated = [schedule for schedule in schedules for _ in range(runs)]
    seeds = list(seeds_of(number, 0, len(repeated)))
    kernel = asyncio.run(on_kernel(repeated, seeds))
    return [
        (
            kernel[runs * at : runs * (at + 1)],
            [on_simulator(schedule, one) for one in seeds_of(number, at, SIMULATOR_SEEDS)],
        )
        for at, schedule in enumerate(schedules)
    ]


def judged(schedules: Sequence[Schedule], number: int = 0) -> list[tuple[Judgement, list[Carried]]]:
    """Judge schedules; those on which the engines seem to disagree are carried out again."""
    first = carried(schedules, RUNS, number)
    found = [(judge(s, *both), both[0]) for s, both in zip(schedules, first, strict=True)]
    doubtful = [at for at, (one, _) in enumerate(found) if one.disagrees]
    if doubtful:
        again = carried([schedules[at] for at in doubtful], CONFIRMING_RUNS, number + 1)
        for at, (kernel, simulated) in zip(doubtful, again, strict=True):
            runs = [*first[at][0], *kernel]
            found[at] = judge(schedules[at], runs, [*first[at][1], *simulated]), runs
    return found


class Fuzzing:
    """A fuzzing run.

    Attributes:
        out: the folder for what is found.
        counts: how many schedules were judged in which way.
        replays: how many recordings were replayed, and how many of these differed.
    """

    def __init__(self, out: Path, until_s: float) -> None:
        self.out = out
        self.counts: Counter[str] = Counter()
        self.replays: Counter[str] = Counter()
        self._until_s = until_s
        self._batches = 0
        out.mkdir(parents=True, exist_ok=True)

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until_s

    def round(self, number: int) -> None:
        """Draw some batches and judge them; the number decides which."""

        @seed(number)
        @settings(
            max_examples=BATCHES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(batches(BATCH))
        def run(schedules: list[Schedule]) -> None:
            self.batch(schedules, number)

        run()

    def batch(self, schedules: Sequence[Schedule], number: int) -> None:
        """Judge a batch, and keep what disagrees."""
        if self.over:
            return
        self._batches += 1
        for at, (judgement, runs) in enumerate(judged(schedules, number)):
            self.counts[judgement.kind] += 1
            self.replays["all"] += judgement.replays
            self.replays["different"] += judgement.different
            if judgement.disagrees or judgement.different:
                name = f"{judgement.kind.replace(' ', '-')}-{number}-{self._batches}-{at}"
                keep(self.out / name, schedules[at], judgement, runs)
        line = {"batches": self._batches, **self.counts, "replays": dict(self.replays)}
        print(json.dumps(line), flush=True)


def keep(path: Path, schedule: Schedule, judgement: Judgement, runs: Sequence[Carried]) -> None:
    """Write a schedule, what differs, and the recordings."""
    path.with_suffix(".toml").write_text(to_toml(schedule))
    path.with_suffix(".txt").write_text(judgement.text + "\n")
    for number, one in enumerate(runs):
        if one.recording is not None and number < 3:
            path.with_suffix(f".{number}.recording").write_text(to_text(one.recording))


def main() -> int:
    """Fuzz for some time, or judge files of schedules.

    Returns:
        The exit code: 1 where the engines disagree, 2 where a file is no schedule.
    """
    parser = argparse.ArgumentParser(prog="python tests/fuzz/engines", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="schedules to judge, and none to draw")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz-engines"))
    parser.add_argument("--keep", action="store_true", help=f"keep the files' cases in {FOLDER}")
    arguments = parser.parse_args()
    if arguments.files:
        return _judge_files(arguments.files, keep_them=arguments.keep)
    fuzzing = Fuzzing(arguments.out, time.monotonic() + arguments.seconds)
    number = arguments.seed
    while not fuzzing.over:
        fuzzing.round(number)
        number += 1
    return 1 if any(fuzzing.counts[kind] for kind in DISAGREEMENTS) else 0


def _judge_files(files: Sequence[Path], *, keep_them: bool) -> int:
    try:
        schedules = [read_schedule(path) for path in files]
    except InputError as error:
        print(error)
        return 2
    found = judged(schedules)
    for path, schedule, (judgement, runs) in zip(files, schedules, found, strict=True):
        recordings = (one.recording for one in runs if one.usable and one.recording)
        recording = next(recordings, None) if keep_them else None
        if recording is not None:
            release = ".".join(platform.release().split(".")[:2])
            case = Case(path.stem, schedule, release, recording)
            (FOLDER / path.name).write_text(case_text(case))
        print(
            f"{path}: {judgement.kind}; {judgement.different} of {judgement.replays} replays differ"
        )
        print(judgement.text)
    return 1 if any(one.disagrees for one, _ in found) else 0
