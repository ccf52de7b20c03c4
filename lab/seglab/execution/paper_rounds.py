"""Which sessions ``seglab reproduce`` runs, round by round, until the rare ones have occurred."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from seglab.core.trace import sizes
from seglab.engine.base import Planned
from seglab.errors import InputError, nearest
from seglab.execution.request import RunRequest
from seglab.experiment.scenario import Scenario
from seglab.reproduction.listings import as_published
from seglab.reproduction.paper import PublishedListing, PublishedScenario, paper
from seglab.runs.folder import RunFolder

EXPERIMENTS = (
    *(f"scenario-{number}" for number in paper().scenarios),
    *(f"listing-{number:02}" for number in paper().listings),
    "table-1",
)
"""The names of the scenarios for which the paper prints numbers, in the paper's order."""

GROWTH = 1.5
"""The factor by which a scenario grows in each round, while a printed sequence is missing."""

ROUNDS = 6
"""How often a scenario may grow: to about eleven times its own number of sessions."""


def chosen(only: Sequence[str]) -> tuple[str, ...]:
    """The experiments that ``--only`` names, in the paper's order and each once.

    Returns:
        All experiments where ``only`` is empty.

    Raises:
        InputError: a name is not the name of an experiment.
    """
    for name in only:
        if name not in EXPERIMENTS:
            raise InputError(f"--only {name!r}: not an experiment; {nearest(name, EXPERIMENTS)}")
    return tuple(name for name in EXPERIMENTS if name in only or not only)


def rounds(request: RunRequest, seed: int, folder: RunFolder) -> Iterator[Sequence[Planned]]:
    """Yield the sessions to run, round by round, while a printed sequence has not occurred.

    The paper's scenarios run first and by themselves, because their numbers of reads are compared
    and the reader of a busy machine merges more. The second round adds everything else. Each
    later round adds sessions to the scenarios that still lack a sequence; there are none of these
    where the user gave a number of sessions.

    Whether another round follows depends only on which sequences have occurred, and never on how
    the numbers of reads compare: that would bias the comparison.
    """
    specs = request.specs(seed)
    compared = {s.name for s in request.load() if isinstance(s.expectation, PublishedScenario)}
    if first := [planned for planned in specs if planned[0].scenario in compared]:
        yield first
    yield specs
    if request.sessions is not None:
        return
    grown = {scenario.name: scenario.sessions for scenario in request.load()}
    for _ in range(ROUNDS):
        lacking = unseen(request, folder)
        if not lacking:
            return
        for name in lacking:
            grown[name] = int(grown[name] * GROWTH)
            specs = _merged(
                specs, replace(request, scenarios=(name,), sessions=grown[name]).specs(seed)
            )
        yield specs


def unseen(request: RunRequest, folder: RunFolder) -> list[str]:
    """The names of the scenarios that the paper prints a sequence for which has not occurred."""
    wanted = {scenario.name: scenario for scenario in request.load()}
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
    """The sequences that must occur; a listing without rows stands for the empty sequence."""
    printed = scenario.expectation
    if isinstance(printed, PublishedScenario):
        return set(printed.distinct)
    return {printed.sizes or ()} if isinstance(printed, PublishedListing) else set()


def _merged(first: Sequence[Planned], second: Sequence[Planned]) -> list[Planned]:
    """The sessions of both lists, each once."""
    known = {spec.session_id for spec, _ in first}
    return [*first, *(planned for planned in second if planned[0].session_id not in known)]
