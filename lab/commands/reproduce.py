"""``seglab reproduce``: the paper's experiments again, and how they compare."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from lab.commands.order import Order, resumed
from lab.commands.running import (
    Planned,
    Voice,
    carry_out,
    default_out,
    interrupted,
    session_options,
)
from lab.errors import InputError
from lab.paper import PublishedScenario
from lab.report import build
from lab.report.terminal import show
from lab.runfolder import RunFolder
from lab.trace import sizes

EXPERIMENTS = ("scenario-1", "scenario-2", "scenario-3")

GROWTH = 1.5
"""By what factor a scenario grows while one of its printed sequences has not occurred."""

ROUNDS = 6
"""How often it may grow: to about eleven times the scenario's own number of sessions."""


@click.command()
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Go on with an interrupted reproduction.",
)
@session_options
def reproduce(
    resume: Path | None,
    sessions: int | None,
    seed: int,
    jobs: int,
    time_limit_s: float,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Make the paper's experiments happen again, and compare.

    Runs scenarios 1 to 3 on the real TCP stack of this kernel, over an emulated path, until the
    rarest of the printed read sequences has occurred (or --sessions N of each). A scenario is
    reproduced when every read ends where a segment ends, every printed sequence occurs, and a
    permutation test does not tell the published sessions from the lab's.

    \b
    Examples:
      seglab reproduce
      seglab reproduce --sessions 200 --out runs/quick

    Exit code 0: all reproduced; 1: something is not, and the table says what.
    """  # noqa: D301 -- click looks for the backspace character itself
    if resume is not None:
        if out or sessions:
            raise click.UsageError("--resume takes everything from the run folder; give it alone")
        if RunFolder.open(resume).manifest.command != "reproduce":
            raise InputError(f"{resume}: go on with it by seglab run --resume {resume}")
        folder, order = resumed(resume)
        seed = folder.manifest.seed
    else:
        order = Order(EXPERIMENTS, sessions=sessions)
        manifest = order.manifest("reproduce", seed, jobs, time_limit_s)
        folder = RunFolder.create(out or default_out("reproduce"), manifest)
    with folder:
        try:
            if folder.writable:
                carry_out(
                    folder,
                    rounds(order, seed, folder),
                    jobs=jobs,
                    time_limit_s=time_limit_s,
                    voice=Voice(quiet, verbose),
                )
            summary = build(folder)
        except KeyboardInterrupt:
            interrupted(folder)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=2))
    else:
        show(summary)
        click.echo(f"run folder: {folder.path}")
        click.echo(f"report:     {folder.report}")
    return 0 if summary.reproduced else 1


def rounds(order: Order, seed: int, folder: RunFolder) -> Iterator[Sequence[Planned]]:
    """The sessions to run; more of a scenario as long as a printed sequence has not occurred.

    With a number of sessions given, there is one round. Whether to go on depends only on which
    sequences have occurred, never on how the numbers of reads compare.
    """
    specs = order.specs(seed)
    yield specs
    if order.sessions is not None:
        return
    grown = {scenario.name: scenario.sessions for scenario in order.load()}
    for _ in range(ROUNDS):
        wanting = unseen(order, folder)
        if not wanting:
            return
        for name in wanting:
            grown[name] = int(grown[name] * GROWTH)
            specs = _merged(
                specs, replace(order, scenarios=(name,), sessions=grown[name]).specs(seed)
            )
        yield specs


def unseen(order: Order, folder: RunFolder) -> list[str]:
    """The scenarios of which a printed sequence of reads has not occurred yet."""
    seen: Counter[tuple[str, tuple[int, ...]]] = Counter(
        (record.scenario, tuple(sizes(record.reads)))
        for record in folder.sessions()
        if record.complete and not record.variant
    )
    return [
        scenario.name
        for scenario in order.load()
        if isinstance(scenario.expectation, PublishedScenario)
        and any((scenario.name, printed) not in seen for printed in scenario.expectation.distinct)
    ]


def _merged(first: Sequence[Planned], second: Sequence[Planned]) -> list[Planned]:
    """All sessions of both, each once."""
    known = {spec.session_id for spec, _ in first}
    return [*first, *(planned for planned in second if planned[0].session_id not in known)]
