"""``seglab report``: rebuild the figures and the report of a stored run."""

from pathlib import Path

import click

from seglab.commands.options import compare_option
from seglab.commands.values import FILE, FOLDER
from seglab.errors import EnvironmentLacksError
from seglab.report import build_report
from seglab.report.reference import against, as_json_text, keep, load
from seglab.runs.folder import RunFolder


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write the report to FILE, and leave the run folder as it is.  [default: RUN/report.html]",
)
@compare_option
@click.option(
    "--keep",
    "kept",
    type=FOLDER,
    metavar="DIR",
    help="Write into DIR what a later --compare needs: summary, environment and some figures.",
)
@click.option("--json", "as_json", is_flag=True, help="Print verdicts and counts as JSON.")
def report(
    run: Path, out: Path | None, reference: Path | None, kept: Path | None, *, as_json: bool
) -> int:
    """Rebuild the figures and report.html of a stored run.

    RUN is the run folder. The run may be complete, interrupted, or still running. All verdicts are
    computed again from the stored sessions, so this needs no Linux and no network namespaces.

    \b
    Examples:
      seglab report runs/mine
      seglab report runs/mine --out mine.html
      seglab report runs/mine --keep results/reference

    Exit code 0: everything that the paper prints is reproduced, or the run has nothing of it; 1:
    something is not reproduced; 3: the machine was too busy with other work to tell.
    """  # noqa: D301 -- click looks for the backspace character itself
    folder = RunFolder.open(run)
    earlier = None if reference is None else load(reference)
    summary = build_report(folder, out)
    comparison = against(earlier, summary)
    if kept is not None:
        keep(folder, summary, kept)
    if as_json:
        click.echo(as_json_text(summary, comparison))
    else:
        from seglab.report.terminal import show, show_comparison  # noqa: PLC0415, as build does

        show(summary)
        if comparison is not None:
            show_comparison(comparison)
        click.echo(f"report: {out or folder.report}")
    if summary.reproduced is None and summary.too_busy:
        return EnvironmentLacksError.exit_code
    return 1 if summary.reproduced is False else 0
