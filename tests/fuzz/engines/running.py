"""Draws batches of schedules, lets both engines carry them out, and keeps what they disagree on."""

import argparse
import asyncio
import json
import platform
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz.engines.carrying import JOBS, Carried, on_kernel, on_simulator, seeds_of
from fuzz.engines.cases import FOLDER, Case, case_text, read_schedule
from fuzz.engines.drawing import batches
from fuzz.engines.judging import DISAGREEMENTS, KINDS, Judgement, judge
from fuzz.engines.shrinking import smaller
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

SHRINKING_RUNS = 3
"""How often the kernel carries out a candidate for a smaller schedule."""


def carried(
    schedules: Sequence[Schedule], runs: int, number: int = 0, jobs: int = JOBS
) -> list[tuple[list[Carried], list[Carried]]]:
    """Carry schedules out on both engines, several times each."""
    repeated = [schedule for schedule in schedules for _ in range(runs)]
    seeds = list(seeds_of(number, 0, len(repeated)))
    kernel = asyncio.run(on_kernel(repeated, seeds, jobs))
    return [
        (
            kernel[runs * at : runs * (at + 1)],
            [
                on_simulator(schedule, seeds[runs * at + one % runs], one // runs)
                for one in range(SIMULATOR_SEEDS)
            ],
        )
        for at, schedule in enumerate(schedules)
    ]


def judged(
    schedules: Sequence[Schedule], number: int = 0, jobs: int = JOBS
) -> list[tuple[Judgement, list[Carried]]]:
    """Judge schedules; those on which the engines seem to disagree are carried out again."""
    first = carried(schedules, RUNS, number, jobs)
    found = [(judge(s, *both), both[0]) for s, both in zip(schedules, first, strict=True)]
    doubtful = [at for at, (one, _) in enumerate(found) if one.disagrees]
    if doubtful:
        again = carried([schedules[at] for at in doubtful], CONFIRMING_RUNS, number + 1, jobs)
        for at, (kernel, simulated) in zip(doubtful, again, strict=True):
            runs = [*first[at][0], *kernel]
            found[at] = judge(schedules[at], runs, [*first[at][1], *simulated]), runs
    return found


def shrunk(schedule: Schedule, kind: str, seconds: float, jobs: int = JOBS) -> Case | None:
    """Return a smaller schedule on which the engines disagree in the same way, as a case.

    Returns:
        ``None`` where they no longer disagree in most runs, or no run of the kernel was recorded.
    """

    def ask(schedules: Sequence[Schedule]) -> list[bool]:
        runs = carried(schedules, SHRINKING_RUNS, 0, jobs)
        return [judge(s, *both).kind == kind for s, both in zip(schedules, runs, strict=True)]

    small = smaller(schedule, ask, seconds)
    ((kernel, simulated),) = carried([small], SHRINKING_RUNS, 0, jobs)
    recordings = [one.recording for one in kernel if one.recording is not None]
    if judge(small, kernel, simulated).kind != kind or not recordings:
        return None
    return Case("shrunk", replace(small, about=KINDS[kind]), release(), recordings[0])


def release() -> str:
    """Return the kernel's release, without what builders add to it."""
    return ".".join(platform.release().split(".")[:2])


class Fuzzing:
    """A fuzzing run.

    Attributes:
        out: the folder for what is found.
        jobs: how many sessions run at once in a lab.
        shrinking_s: how long to look for a smaller schedule, once in a batch.
        counts: how many schedules were judged in which way.
        replays: how many recordings were replayed, how many of these differed, and how many others
            needed another order than their times have.
    """

    def __init__(self, out: Path, seconds: float, jobs: int = JOBS, shrinking_s: float = 0) -> None:
        self.out = out
        self.jobs = jobs
        self.shrinking_s = shrinking_s
        self.counts: Counter[str] = Counter()
        self.replays: Counter[str] = Counter()
        self._began_s = time.monotonic()
        self._until_s = self._began_s + seconds
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
        shrinks = self.shrinking_s > 0
        for at, (judgement, runs) in enumerate(judged(schedules, number, self.jobs)):
            self.counts[judgement.kind] += 1
            self.replays["all"] += judgement.replays
            self.replays["different"] += judgement.different
            self.replays["raced"] += judgement.raced
            if judgement.disagrees or judgement.different:
                name = f"{judgement.kind.replace(' ', '-')}-{number}-{self._batches}-{at}"
                keep(self.out / name, schedules[at], judgement, runs)
                if judgement.disagrees and shrinks:  # those of one path mostly meet one fault
                    shrinks = False
                    kind = judgement.kind
                    case = shrunk(schedules[at], kind, self.shrinking_s, self.jobs)
                    if case is not None:
                        (self.out / f"{name}.small.toml").write_text(case_text(case))
        seconds = round(time.monotonic() - self._began_s)
        line = {"batches": self._batches, "seconds": seconds, **self.counts}
        line["replays"] = dict(self.replays)
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
    parser.add_argument("--jobs", type=int, default=JOBS, help="sessions at once in a lab")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz-engines"))
    parser.add_argument(
        "--shrink", type=float, default=60, metavar="SECONDS", help="for a smaller schedule; or 0"
    )
    parser.add_argument("--keep", action="store_true", help=f"keep the files' cases in {FOLDER}")
    arguments = parser.parse_args()
    if arguments.files:
        return _judge_files(
            arguments.files, arguments.jobs, arguments.shrink, keep_them=arguments.keep
        )
    fuzzing = Fuzzing(arguments.out, arguments.seconds, arguments.jobs, arguments.shrink)
    number = arguments.seed
    while not fuzzing.over:
        fuzzing.round(number)
        number += 1
    return 1 if any(fuzzing.counts[kind] for kind in DISAGREEMENTS) else 0


def _judge_files(files: Sequence[Path], jobs: int, shrinking_s: float, *, keep_them: bool) -> int:
    try:
        schedules = [read_schedule(path) for path in files]
    except InputError as error:
        print(error)
        return 2
    found = judged(schedules, jobs=jobs)
    for path, schedule, (judgement, runs) in zip(files, schedules, found, strict=True):
        recordings = (one.recording for one in runs if one.usable and one.recording)
        recording = next(recordings, None) if keep_them else None
        if recording is not None:
            case = Case(path.stem, schedule, release(), recording)
            (FOLDER / path.name).write_text(case_text(case))
        print(
            f"{path}: {judgement.kind}; {judgement.replays} replays, of which "
            f"{judgement.different} differ and {judgement.raced} need another order"
        )
        print(judgement.text)
        if judgement.disagrees and shrinking_s > 0:
            found_case = shrunk(schedule, judgement.kind, shrinking_s, jobs)
            if found_case is not None:
                small = path.with_suffix(".small.toml")
                small.write_text(case_text(found_case))
                print(f"{small}: a smaller schedule that differs")
    return 1 if any(one.disagrees for one, _ in found) else 0
