"""``seglab validate``: whether the simulator agrees with the kernel engine."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import msgspec

from seglab.commands.options import interrupted, jobs_option, seed_option, selection_options
from seglab.commands.progress import RunProgress
from seglab.core.files import replace_file, writing
from seglab.core.record import SessionRecord
from seglab.engine import DEFAULT_TIME_LIMIT_S
from seglab.engine.base import Planned
from seglab.errors import EnvironmentLacksError, InputError
from seglab.execution.carry_out import carry_out, new_run_path
from seglab.execution.request import RunRequest
from seglab.experiment import registry
from seglab.runs.folder import RunFolder
from seglab.validation import cross
from seglab.validation.agreement import Agreement, Compared, compare
from seglab.validation.page import headline, lines, page, receiver_lines, rule_lines
from seglab.validation.paths import as_measured
from seglab.validation.receiving import Answered, answered, payload_of
from seglab.validation.rules import Exercised, exercised_by, missed_lines

KERNEL_RUNS = ("kernel", "kernel-again")
"""The folders of the runs on the kernel engine."""

SIMULATOR_RUNS = ("simulator", "simulator-again")
"""The folders of the runs on the simulator, each on the paths of the kernel's run at its place."""


WIRE_RUN = "kernel-personalities"
"""The folder of a run on the kernel engine whose clients have the simulator's TCP."""


@click.command()
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@selection_options("Compare")
@click.option(
    "--sessions",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="How many sessions of each sender on each network.  [default: the scenario's own number]",
)
@seed_option("All four runs have it.")
@jobs_option()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder for the runs and the page. Runs that it has already are not carried out"
    " again.  [default: runs/validate-DATE-TIME]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def validate(
    scenarios: tuple[str, ...],
    senders: tuple[str, ...],
    networks: tuple[str, ...],
    sessions: int | None,
    seed: int,
    jobs: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare the simulator with the kernel engine.

    Carries the scenarios out twice on the kernel engine and twice on the simulator, by default the
    matrix of all senders over all networks, and then some of them with other readers and other
    mail. It compares the segments of each session, counts which rules of the simulator's TCP the
    sessions exercised, and writes the page validation.md beside the runs.

    What the server's kernel acknowledged in the first run is compared with what the simulator's
    receiving half says to the same segments and reads, and without a scenario, in a run as well
    whose clients have the simulator's TCP with every personality. This is reported and not judged.

    Where nothing on the path is random and the kernel repeats itself, the segments have to be the
    same in 99 % of the sessions. Elsewhere, a permutation test must not tell the engines apart in
    95 % of the cells (a sender over a network); it needs 8 sessions or more of each. The kernel is
    right where they differ.

    \b
    Examples:
      seglab validate
      seglab validate --sessions 30 --out runs/agreement
      seglab validate listing-10 --sender relay --network gprs

    Exit code 0: the simulator agrees; 1: it does not, and the page says where, or too few sessions
    could be compared to judge; 3: the kernel engine cannot run here, or the machine was too busy
    with other work to judge.
    """  # noqa: D301 -- click looks for the backspace character itself
    request = _request(scenarios, senders, networks, sessions)
    planned = request.specs(seed)
    where = out or new_run_path("validate")
    task = _Task(request, seed, jobs, quiet)
    kernel = [task.run(where / name, "kernel", _in_rounds(planned)) for name in KERNEL_RUNS]
    receiver = _answers(where / KERNEL_RUNS[0], kernel[0], planned)
    if not scenarios:
        on_the_wire = _on_the_wire(senders, networks, sessions)
        if on_the_wire is not None:
            wire = replace(task, request=on_the_wire)
            clients = on_the_wire.specs(seed)
            run = wire.run(where / WIRE_RUN, "kernel", _in_rounds(clients))
            receiver += _answers(where / WIRE_RUN, run, clients)
    paths = [
        as_measured(planned, {one.session_id: one for one in run}, repetition)
        for repetition, run in enumerate(kernel)
    ]
    simulated = [
        task.run(where / name, "simulator", [path], repetition)
        for repetition, (name, path) in enumerate(zip(SIMULATOR_RUNS, paths, strict=True))
    ]
    known = {network.name: network for s in request.load() for network in s.networks}
    agreement = compare(kernel[0], kernel[1], simulated[0], simulated[1], known, seed)
    exercised = exercised_by(paths[0], DEFAULT_TIME_LIMIT_S)
    words = _made_of(where / KERNEL_RUNS[0], seed)
    _write(where / "validation.md", page(agreement, words, exercised, receiver))
    if as_json:
        click.echo(json.dumps(_as_json(agreement, exercised, receiver), indent=2))
    else:
        found = *lines(agreement), *receiver_lines(receiver), *rule_lines(exercised)
        for line in (headline(agreement), *found):
            click.echo(line)
        click.echo(f"page: {where / 'validation.md'}")
    if agreement.agrees:
        return 0
    return EnvironmentLacksError.exit_code if agreement.too_busy else 1


def _request(
    scenarios: tuple[str, ...],
    senders: tuple[str, ...],
    networks: tuple[str, ...],
    sessions: int | None,
) -> RunRequest:
    """Return what is to be run: by default the matrix, and what crosses it."""
    if scenarios:
        return RunRequest(scenarios, senders, networks, sessions)
    matrix = registry.scenario("matrix")
    matrix = replace(matrix, sessions=sessions or matrix.sessions)
    crossed = cross.scenarios(matrix, matrix.sessions)
    return RunRequest((matrix, *crossed), senders, networks)


def _on_the_wire(
    senders: tuple[str, ...], networks: tuple[str, ...], sessions: int | None
) -> RunRequest | None:
    """Return what clients with the simulator's TCP do; ``None`` where nothing chosen is theirs."""
    matrix = registry.scenario("matrix")
    scenario = cross.on_the_wire(matrix, sessions or matrix.sessions)
    kept = tuple(
        one
        for one in scenario.networks
        if not networks or any(one.name.startswith(f"{name}-") for name in networks)
    )
    chosen = tuple(name for name in senders if name in cross.SENDERS)
    if not kept or (senders and not chosen):
        return None
    return RunRequest((replace(scenario, networks=kept),), chosen)


def _answers(
    folder: Path, records: Sequence[SessionRecord], planned: Sequence[Planned]
) -> list[Answered]:
    """Return how the servers of complete sessions answered, and how the simulator's half does."""
    known = {spec.session_id: (spec, network) for spec, network in planned}
    found = []
    for record in records:
        if not record.complete or record.captures.server is None:
            continue
        spec, network = known[record.session_id]
        capture = (folder / record.captures.server).read_bytes()
        if one := answered(payload_of(spec), network, record, capture):
            found.append(one)
    return found


def _in_rounds(planned: Sequence[Planned]) -> list[Sequence[Planned]]:
    """Let sessions whose MTU changes follow when the others have ended: they have to be in time."""
    first = [one for one in planned if not one[1].router.schedule]
    return [first, planned] if first else [planned]


@dataclass(frozen=True, slots=True)
class _Task:
    """What all runs of one validation have in common."""

    request: RunRequest
    seed: int
    jobs: int
    quiet: bool

    def run(
        self,
        path: Path,
        engine: str,
        rounds: Sequence[Sequence[Planned]],
        repetition: int = 0,
    ) -> list[SessionRecord]:
        """Carry out one of the runs, as far as its folder does not have it already."""
        manifest = self.request.manifest("run", self.seed, self.jobs, DEFAULT_TIME_LIMIT_S, engine)
        if (path / "run.json").exists():
            folder = RunFolder.open(path)
            same = folder.manifest.arguments.get("plan") == manifest.arguments["plan"]
            if not same or folder.manifest.engine != engine:
                raise InputError(f"{path}: is a run of something else; choose another --out")
            if folder.manifest.status == "complete":
                return list(folder.sessions())
            folder = RunFolder.resume(path)
        else:
            folder = RunFolder.create(path, manifest)
        with folder:
            try:
                with RunProgress(quiet=self.quiet) as progress:
                    carry_out(
                        folder, rounds, jobs=self.jobs, repetition=repetition, progress=progress
                    )
            except KeyboardInterrupt:
                interrupted(folder, f"the same command and --out {shlex.quote(str(path.parent))}")
        return list(RunFolder.open(path).sessions())


def _made_of(path: Path, seed: int) -> str:
    manifest = RunFolder.open(path).manifest
    names = ", ".join(experiment.name for experiment in manifest.scenarios)
    return f"Compared: {names}; seed {seed}, kernel {manifest.kernel}, {manifest.started[:10]}."


def _write(path: Path, text: str) -> None:
    with writing(path):
        replace_file(path, lambda file: file.write(text.encode()))


def _as_json(
    agreement: Agreement, exercised: Sequence[Exercised], receiver: Sequence[Answered]
) -> dict[str, object]:
    cells: Sequence[object] = msgspec.to_builtins(agreement.cells)
    return {
        "judged": agreement.judged,
        "agrees": agreement.agrees,
        "equal_share": agreement.equal_share,
        "races_alike_share": agreement.alike_share("races"),
        "draws_alike_share": agreement.alike_share("draws"),
        "reads_alike_share": agreement.reads_alike_share,
        "different": _reasons(agreement.different),
        "raced": _reasons(agreement.raced),
        "left_out": list(agreement.left_out),
        "changes_late_ms": agreement.median_late_ms,
        "busy": agreement.busy,
        "too_busy": agreement.too_busy,
        "receiver": {
            "sessions": len(receiver),
            "equal": sum(one.equal for one in receiver),
            "answers": sum(len(one.kernel) for one in receiver),
            "equal_answers": sum(one.common for one in receiver),
            "at_the_same_time": sum(one.soon for one in receiver),
            "different": {one.session_id: list(one.lines()) for one in receiver if not one.equal},
        },
        "cells": cells,
        "rules": {
            one.rule.name: {
                "cites": list(one.rule.cites),
                "sessions": one.sessions,
                "calls": one.calls,
            }
            for one in exercised
        },
        "missed_lines": missed_lines(exercised),
    }


def _reasons(different: Sequence[Compared]) -> dict[str, str]:
    return {one.kernel.session_id: one.reason for one in different}
