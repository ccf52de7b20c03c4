"""``seglab reproduce``: the paper's experiments again, and how they compare."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from seglab.commands.compare import against, compare_option, load, printed
from seglab.commands.order import Order, resumed
from seglab.commands.running import (
    Planned,
    Voice,
    carry_out,
    default_out,
    interrupted,
    refuse_settled,
    session_options,
)
from seglab.commands.values import STORED
from seglab.core.trace import sizes
from seglab.errors import InputError, nearest
from seglab.experiment.scenario import Scenario
from seglab.report import build_report
from seglab.report.terminal import show, show_comparison
from seglab.reproduction.listings import as_published
from seglab.reproduction.paper import PublishedListing, PublishedScenario, paper
from seglab.runs.folder import RunFolder

EXPERIMENTS = (
    *(f"scenario-{number}" for number in paper().scenarios),
    *(f"listing-{number:02}" for number in paper().listings),
    "table-1",
)
"""All that the paper prints numbers of, in its order: by the names of the scenarios."""

GROWTH = 1.5
"""By what factor a scenario grows while one of its printed sequences has not occurred."""

ROUNDS = 6
"""How often it may grow: to about eleven times the scenario's own number of sessions."""


@click.command()
@click.option(
    "--resume",
    type=STORED,
    metavar="DIR",
    help="Go on with an interrupted reproduction.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Only this experiment, such as listing-10; repeatable.",
)
@compare_option
@session_options
def reproduce(
    resume: Path | None,
    only: tuple[str, ...],
    reference: Path | None,
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

    Runs scenarios 1 to 3, Listings 3 to 13 and Table 1 on the real TCP stack of this kernel, over
    emulated paths, until the rarest of the printed sequences has occurred (or --sessions N of
    each). A scenario is reproduced when every read ends where a segment ends, every printed
    sequence occurs, and a permutation test does not tell the published sessions from the lab's; a
    listing, when a session has exactly its sizes, in order; Table 1, when each medium's MTU gives
    the MSS that it predicts.

    \b
    Examples:
      seglab reproduce
      seglab reproduce --only listing-10 --only listing-13
      seglab reproduce --sessions 200 --out runs/quick
      seglab reproduce --compare results/reference

    Exit code 0: all reproduced; 1: something is not, and the table says what.
    """  # noqa: D301 -- click looks for the backspace character itself
    earlier = None if reference is None else load(reference)
    if resume is not None:
        refuse_settled()
        if RunFolder.open(resume).manifest.command != "reproduce":
            raise InputError(f"{resume}: go on with it by seglab run --resume {resume}")
        folder, order = resumed(resume)
        seed = folder.manifest.seed
    else:
        order = Order(chosen(only), sessions=sessions)
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
            summary = build_report(folder)
        except KeyboardInterrupt:
            interrupted(folder)
    comparison = against(earlier, summary)
    if as_json:
        click.echo(printed(summary, comparison))
    else:
        show(summary)
        if comparison is not None:
            show_comparison(comparison)
        click.echo(f"run folder: {folder.path}")
        click.echo(f"report:     {folder.report}")
    return 0 if summary.reproduced else 1


def chosen(only: Sequence[str]) -> tuple[str, ...]:
    """The experiments to carry out, in the paper's order; all where none is named.

    Raises:
        InputError: a name is none of them.
    """
    for name in only:
        if name not in EXPERIMENTS:
            raise InputError(f"--only {name!r}: not an experiment; {nearest(name, EXPERIMENTS)}")
    return tuple(name for name in EXPERIMENTS if name in only or not only)


def rounds(order: Order, seed: int, folder: RunFolder) -> Iterator[Sequence[Planned]]:
    """The sessions to run; more of a scenario as long as a printed sequence has not occurred.

    The scenarios, whose numbers of reads are compared, run first and by themselves: a busy
    machine's reader merges more. With a number of sessions given, the rest is the last round.
    Whether to go on depends only on which sequences have occurred, never on how the numbers of
    reads compare.
    """
    specs = order.specs(seed)
    compared = {s.name for s in order.load() if isinstance(s.expectation, PublishedScenario)}
    if first := [planned for planned in specs if planned[0].scenario in compared]:
        yield first
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
    """The scenarios of which a printed sequence has not occurred yet."""
    wanted = {scenario.name: scenario for scenario in order.load()}
    seen: dict[str, set[tuple[int, ...]]] = {name: set() for name in wanted}
    for record in folder.sessions():
        scenario = wanted.get(record.scenario)
        if scenario is None or not record.complete or record.variant:
            continue
        printed = scenario.expectation
        if isinstance(printed, PublishedScenario):
            seen[scenario.name].add(tuple(sizes(record.reads)))
        elif isinstance(printed, PublishedListing) and as_published(
            str(scenario.published), printed, scenario.layer, record
        ):
            seen[scenario.name].add(printed.sizes or ())
    return [name for name, scenario in wanted.items() if _printed(scenario) - seen[name]]


def _printed(scenario: Scenario) -> set[tuple[int, ...]]:
    """The sequences that must occur; that of a listing without rows is the empty one."""
    printed = scenario.expectation
    if isinstance(printed, PublishedScenario):
        return set(printed.distinct)
    return {printed.sizes or ()} if isinstance(printed, PublishedListing) else set()


def _merged(first: Sequence[Planned], second: Sequence[Planned]) -> list[Planned]:
    """All sessions of both, each once."""
    known = {spec.session_id for spec, _ in first}
    return [*first, *(planned for planned in second if planned[0].session_id not in known)]
