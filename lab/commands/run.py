"""``seglab run``: carry out scenarios, and record all three layers of every session."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lab import registry
from lab.commands.running import (
    Planned,
    Voice,
    carry_out,
    default_out,
    interrupted,
    session_options,
)
from lab.errors import InputError, nearest
from lab.manifest import Counts, Manifest
from lab.plan import plan
from lab.report import build
from lab.runfolder import RunFolder
from lab.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Order:
    """What to run; all that ``--resume`` needs to plan the same sessions again."""

    scenarios: tuple[str, ...]
    senders: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    sessions: int | None = None

    def load(self) -> list[Scenario]:
        """The scenarios, by name or path."""
        return [registry.scenario(name) for name in self.scenarios]

    def specs(self, seed: int) -> list[Planned]:
        """Every session to run.

        Raises:
            InputError: a name is not known, or nothing is left to run.
        """
        scenarios = self.load()
        self._check("sender", self.senders, {c.sender.name for s in scenarios for c in s.senders})
        self._check("network", self.networks, {n.name for s in scenarios for n in s.networks})
        specs = [
            (spec, scenario.network(spec.network))
            for scenario in scenarios
            for spec in plan(
                scenario,
                seed,
                sessions=self.sessions,
                senders=self.senders or None,
                networks=self.networks or None,
            )
        ]
        if not specs:
            raise InputError("nothing to run: no sender and network of these scenarios is left")
        return specs

    def _check(self, what: str, asked: tuple[str, ...], known: set[str]) -> None:
        for name in asked:
            if name not in known:
                raise InputError(
                    f"--{what} {name!r}: not in {', '.join(self.scenarios)}; {nearest(name, known)}"
                )


def order_of(manifest: Manifest, path: Path) -> Order:
    """The order that a stored run was given.

    Raises:
        InputError: the manifest holds none.
    """
    arguments = manifest.arguments
    try:
        return Order(
            scenarios=tuple(map(str, arguments["scenarios"])),
            senders=tuple(map(str, arguments["senders"])),
            networks=tuple(map(str, arguments["networks"])),
            sessions=arguments["sessions"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: run.json does not say what to run ({error} is missing)"
        ) from error


def arguments_of(order: Order, jobs: int, time_limit_s: float) -> dict[str, Any]:
    """An order as it stands in the manifest."""
    return {
        "scenarios": [str(Path(n).resolve()) if Path(n).suffix else n for n in order.scenarios],
        "senders": list(order.senders),
        "networks": list(order.networks),
        "sessions": order.sessions,
        "jobs": jobs,
        "time_limit_s": time_limit_s,
    }


@click.command()
@click.argument("scenarios", nargs=-1, metavar="SCENARIO...")
@click.option(
    "--sender", "senders", multiple=True, metavar="NAME", help="Only this sender; repeatable."
)
@click.option(
    "--network", "networks", multiple=True, metavar="NAME", help="Only this network; repeatable."
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Go on with an interrupted run: what is complete stays, the rest runs.",
)
@session_options
def run(
    scenarios: tuple[str, ...],
    senders: tuple[str, ...],
    networks: tuple[str, ...],
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
    r"""Run scenarios: shipped ones by name, your own by the path of a TOML file.

    \b
    Examples:
      seglab run scenario-1 --sessions 50
      seglab run ./my-scenario.toml --network pppoe --out runs/mine
      seglab run --resume runs/mine

    Exit code 0: every session is complete; 1: some failed, and the run folder says why.
    """
    if resume is not None:
        if scenarios or senders or networks or out or sessions:
            raise click.UsageError("--resume takes everything from the run folder; give it alone")
        folder = RunFolder.resume(resume)
        order, seed = order_of(folder.manifest, resume), folder.manifest.seed
        specs = order.specs(seed)
    elif scenarios:
        order = Order(scenarios, senders, networks, sessions)
        specs = order.specs(seed)
        name = Path(scenarios[0]).stem if len(scenarios) == 1 else "run"
        manifest = Manifest(
            command="run",
            arguments=arguments_of(order, jobs, time_limit_s),
            seed=seed,
            counts=Counts(planned=len(specs)),
        )
        folder = RunFolder.create(out or default_out(name), manifest)
    else:
        raise click.UsageError("which scenario? seglab list scenarios shows them")
    with folder:
        try:
            carry_out(
                folder, specs, jobs=jobs, time_limit_s=time_limit_s, voice=Voice(quiet, verbose)
            )
        except KeyboardInterrupt:
            interrupted(folder)
        summary = build(folder)
        counts = folder.manifest.counts
        if as_json:
            click.echo(json.dumps(summary.to_json(), indent=2))
        else:
            click.echo(f"{counts.complete} sessions complete, {counts.failed} failed")
            click.echo(f"run folder: {folder.path}")
            click.echo(f"report:     {folder.report}")
        return 1 if counts.failed else 0
