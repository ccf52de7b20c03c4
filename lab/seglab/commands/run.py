"""``seglab run``: carry out scenarios, and record all three layers of every session."""

import json
from pathlib import Path

import click

from seglab.commands.options import (
    interrupted,
    reject_options_fixed_by_run,
    resume_option,
    selection_options,
    session_options,
)
from seglab.commands.progress import RunProgress
from seglab.commands.reproduce import reproduce
from seglab.core.text import count
from seglab.execution.carry_out import carry_out, new_run_path
from seglab.execution.request import RunRequest, resume
from seglab.mail.source import MailSource
from seglab.report import build_report
from seglab.report.terminal import show
from seglab.runs.folder import PROGRAMS, RunFolder


@click.command()
@click.argument("scenarios", nargs=-1, metavar="SCENARIO...")
@selection_options("Run")
@click.option(
    "--reader",
    metavar="NAME",
    help="Have the server read as this named reader does (`seglab list readers`).",
)
@click.option(
    "--server",
    metavar="NAME",
    help="A real mail server in the place of the lab's, installed by `seglab software install`.",
)
@resume_option()
@session_options
def run(
    scenarios: tuple[str, ...],
    senders: tuple[str, ...],
    networks: tuple[str, ...],
    reader: str | None,
    server: str | None,
    resumed: Path | None,
    sessions: int | None,
    seed: int,
    jobs: int,
    time_limit_s: float,
    engine: str,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run scenarios: shipped ones by name, your own by path.

    A scenario says which senders send over which networks, how often, and how the server reads
    (`seglab list scenarios`). Your own is a TOML file; scenarios/README.md shows every key.

    Every session is recorded in three layers: what the sender wrote, which TCP segments crossed the
    wire, and what each read of the server returned. The run folder gets them as sessions.parquet,
    with two captures a session, figures and report.html.

    \b
    Examples:
      seglab run scenario-1 --sessions 50
      seglab run ./my-scenario.toml --network pppoe --out runs/mine
      seglab run listing-12 --sender ./my_sender.py
      seglab run scenario-2 --reader postfix
      seglab run regress --server postfix-server --network ethernet
      seglab run --resume runs/mine

    Exit code 0: every session is complete, or failed as its network is expected to make it fail;
    1: others failed, and log.txt in the run folder says why.
    """  # noqa: D301 -- click looks for the backspace character itself
    if resumed is not None:
        reject_options_fixed_by_run()
        if RunFolder.open(resumed).manifest.command == "reproduce":
            options = {"jobs": jobs, "time_limit_s": time_limit_s, "as_json": as_json}
            context = click.get_current_context()
            return int(
                context.invoke(reproduce, resumed=resumed, quiet=quiet, verbose=verbose, **options)
            )
        folder, request = resume(resumed)
        seed = folder.manifest.seed
    elif scenarios:
        request = RunRequest(scenarios, senders, networks, sessions, reader=reader, server=server)
        request.specs(seed)
        name = Path(scenarios[0]).stem if len(scenarios) == 1 else "run"
        manifest = request.manifest("run", seed, jobs, time_limit_s, engine)
        folder = RunFolder.create(out or new_run_path(name), manifest)
    else:
        raise click.UsageError("which scenario? `seglab list scenarios` shows them")
    with folder:
        try:
            if folder.writable:
                tell_left_out(request, folder, quiet=quiet)
                with RunProgress(quiet=quiet, verbose=verbose) as progress:
                    carry_out(
                        folder,
                        [request.specs(seed)],
                        jobs=jobs,
                        time_limit_s=time_limit_s,
                        progress=progress,
                    )
            summary = build_report(folder)
        except KeyboardInterrupt:
            interrupted(folder)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=2))
    else:
        show(summary)
        click.echo(f"run folder: {folder.path}")
        click.echo(f"report:     {folder.report}")
        if (programs := folder.path / PROGRAMS).exists():
            click.echo(f"programs:   {programs}")
    return 1 if summary.unexpected_failures else 0


def tell_left_out(request: RunRequest, folder: RunFolder, *, quiet: bool) -> None:
    """Report which mails are not sent and which programs do not run, also in ``log.txt``."""
    for scenario in request.load():
        source = scenario.message
        if isinstance(source, MailSource) and (words := source.skipped_words):
            folder.log(f"{scenario.name}: {words}")
            if not quiet:
                click.echo(f"{scenario.name}: {words}", err=True)
    if request.programs is None and (missing := request.missing_programs()):
        words = f"{count(len(missing), 'program')} not installed: {', '.join(missing)}"
        folder.log(words)
        if not quiet:
            click.echo(f"{words}; `seglab software list` says more", err=True)
