"""``seglab validate``: whether the simulator agrees with the kernel engine."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from seglab.commands.options import interrupted, jobs_option, seed_option, selection_options
from seglab.commands.progress import RunProgress
from seglab.core.files import replace_file, writing
from seglab.engine import DEFAULT_TIME_LIMIT_S
from seglab.errors import InputError
from seglab.execution.carry_out import carry_out, new_run_path
from seglab.execution.request import RunRequest
from seglab.runs.folder import RunFolder
from seglab.validation.agreement import Agreement, compare
from seglab.validation.page import headline, lines, page

RUNS = {"kernel": "kernel", "kernel-again": "kernel", "simulator": "simulator"}
"""The folders of the three runs, each with the engine that carries it out."""


@click.command()
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@selection_options("Compare")
@click.option(
    "--sessions",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="How many sessions of each sender on each network.  [default: the scenario's own number]",
)
@seed_option("All three runs have it.")
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
    """Compare the simulator with the kernel engine, session by session.

    Carries the scenarios out twice on the kernel engine and once on the simulator, by default the
    matrix of all senders over all networks. It compares the segments of each session, and writes
    the page validation.md beside the three runs.

    On paths where nothing is random, the segments have to be the same in 99 % of the sessions. On
    the others, a permutation test must not tell the engines apart in 95 % of the cells; it needs 8
    sessions or more of each sender over each network. The kernel is right where they differ.

    \b
    Examples:
      seglab validate
      seglab validate --sessions 30 --out runs/agreement
      seglab validate listing-10 --sender relay --network gprs

    Exit code 0: the simulator agrees; 1: it does not, and the page says where, or too few sessions
    could be compared to judge; 3: the kernel engine cannot run here.
    """  # noqa: D301 -- click looks for the backspace character itself
    request = RunRequest(scenarios or ("matrix",), senders, networks, sessions)
    request.specs(seed)
    where = out or new_run_path("validate")
    made = {
        name: _run(where / name, request, seed, jobs, engine, quiet=quiet).sessions()
        for name, engine in RUNS.items()
    }
    known = {network.name: network for s in request.load() for network in s.networks}
    agreement = compare(
        made["kernel"], made["kernel-again"], made["simulator"], networks=known, seed=seed
    )
    words = _made_of(where / "kernel", seed)
    _write(where / "validation.md", page(agreement, words))
    if as_json:
        click.echo(json.dumps(_as_json(agreement), indent=2))
    else:
        for line in (headline(agreement), *lines(agreement)):
            click.echo(line)
        click.echo(f"page: {where / 'validation.md'}")
    return 0 if agreement.agrees else 1


def _run(
    path: Path, request: RunRequest, seed: int, jobs: int, engine: str, *, quiet: bool
) -> RunFolder:
    """Carry out one of the runs, as far as its folder does not have it already."""
    manifest = request.manifest("run", seed, jobs, DEFAULT_TIME_LIMIT_S, engine)
    if (path / "run.json").exists():
        folder = RunFolder.open(path)
        same = folder.manifest.arguments.get("plan") == manifest.arguments["plan"]
        if not same or folder.manifest.engine != engine:
            raise InputError(f"{path}: is a run of something else; choose another --out")
        if folder.manifest.status == "complete":
            return folder
        folder = RunFolder.resume(path)
    else:
        folder = RunFolder.create(path, manifest)
    with folder:
        try:
            with RunProgress(quiet=quiet) as progress:
                carry_out(folder, [request.specs(seed)], jobs=jobs, progress=progress)
        except KeyboardInterrupt:
            interrupted(folder)
    return RunFolder.open(path)


def _made_of(path: Path, seed: int) -> str:
    manifest = RunFolder.open(path).manifest
    names = ", ".join(experiment.name for experiment in manifest.scenarios)
    return f"Compared: {names}, seed {seed}, on kernel {manifest.kernel}, {manifest.started[:10]}."


def _write(path: Path, text: str) -> None:
    with writing(path):
        replace_file(path, lambda file: file.write(text.encode()))


def _as_json(agreement: Agreement) -> dict[str, object]:
    cells: Sequence[object] = msgspec.to_builtins(agreement.cells)
    return {
        "judged": agreement.judged,
        "agrees": agreement.agrees,
        "equal_share": agreement.equal_share,
        "repeated_share": agreement.repeated_share,
        "alike_share": agreement.alike_share,
        "different": {one.kernel.session_id: one.reason for one in agreement.different},
        "left_out": list(agreement.left_out),
        "late": agreement.late,
        "busy": agreement.busy,
        "cells": cells,
    }
