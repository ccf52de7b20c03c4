"""``seglab reproduce``: the paper's experiments again, and how they compare."""

from pathlib import Path
from typing import Final

import click

from seglab.commands.options import (
    compare_option,
    interrupted,
    reject_options_fixed_by_run,
    resume_option,
    session_options,
)
from seglab.commands.progress import RunProgress
from seglab.errors import EnvironmentLacksError, InputError
from seglab.execution.carry_out import carry_out, new_run_path
from seglab.execution.paper_rounds import chosen, rounds
from seglab.execution.request import RunRequest, resume
from seglab.report import build_report
from seglab.report.reference import against, as_json_text, load
from seglab.report.terminal import show, show_comparison
from seglab.runs.folder import RunFolder

KEPT_MOST: Final = 10_000
"""Up to how many records of a run stay in memory; the paper's experiments have about half."""


@click.command()
@resume_option("Continue the interrupted reproduction in DIR.")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Run only this experiment, such as listing-10. May be repeated.",
)
@compare_option
@session_options
def reproduce(
    resumed: Path | None,
    only: tuple[str, ...],
    reference: Path | None,
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
    """Make the paper's experiments happen again, and compare.

    Runs scenarios 1 to 3, Listings 3 to 13 and Table 1 on the real TCP stack of this kernel, over
    emulated paths, until the rarest of the printed sequences has occurred (or --sessions N of
    each).

    A scenario is reproduced when every read ends where a segment ends, every printed sequence
    occurs, and a permutation test cannot distinguish the published sessions from the lab's. A
    listing is reproduced when a session has exactly its sizes, in order. Table 1 is reproduced when
    each medium's MTU gives the MSS that the table predicts.

    \b
    Examples:
      seglab reproduce
      seglab reproduce --only listing-10 --only listing-13
      seglab reproduce --sessions 200 --out runs/quick
      seglab reproduce --compare results/reference

    Exit code 0: everything is reproduced; 1: something is not, and the table says what; 3:
    the machine was too busy with other work to tell, and the table says by how much.
    """  # noqa: D301 -- click looks for the backspace character itself
    earlier = None if reference is None else load(reference)
    if resumed is not None:
        reject_options_fixed_by_run()
        if RunFolder.open(resumed).manifest.command != "reproduce":
            raise InputError(f"{resumed}: continue it by seglab run --resume {resumed}")
        folder, request = resume(resumed)
        seed = folder.manifest.seed
    else:
        request = RunRequest(chosen(only), sessions=sessions)
        manifest = request.manifest("reproduce", seed, jobs, time_limit_s, engine)
        out = out or new_run_path("reproduce")
        folder = RunFolder.create(out, manifest, kept_most=KEPT_MOST)
    with folder:
        try:
            if folder.writable:
                with RunProgress(quiet=quiet, verbose=verbose) as progress:
                    carry_out(
                        folder,
                        rounds(request, seed, folder),
                        jobs=jobs,
                        time_limit_s=time_limit_s,
                        progress=progress,
                    )
            summary = build_report(folder)
        except KeyboardInterrupt:
            interrupted(folder)
    comparison = against(earlier, summary)
    if as_json:
        click.echo(as_json_text(summary, comparison))
    else:
        show(summary)
        if comparison is not None:
            show_comparison(comparison)
        click.echo(f"run folder: {folder.path}")
        click.echo(f"report:     {folder.report}")
    if summary.reproduced is None and summary.too_busy:
        return EnvironmentLacksError.exit_code
    return 0 if summary.reproduced else 1
