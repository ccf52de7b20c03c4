"""``seglab report``: rebuild the figures and the report of a stored run."""

from pathlib import Path

import click

from seglab.commands.options import compare_option
from seglab.commands.values import FILE, FOLDER
from seglab.report import build_report
from seglab.report.reference import against, as_json_text, keep, load
from seglab.runs.folder import RunFolder


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Write the report here, and leave the run folder as it is.  [default: RUN/report.html]",
)
@compare_option
@click.option(
    "--keep",
    "kept",
    type=FOLDER,
    metavar="DIR",
    help="Write here what a later --compare needs: summary, environment and some figures.",
)
@click.option("--json", "as_json", is_flag=True, help="Print verdicts and counts as JSON.")
def report(
    run: Path, out: Path | None, reference: Path | None, kept: Path | None, *, as_json: bool
) -> int:
    """Rebuild figures and report.html of a stored run.

    RUN is its folder. Works on a run that is complete, was interrupted, or still goes on. Verdicts
    are computed afresh from the stored sessions. Exits with 1 when a judged scenario is not
    reproduced.
    """
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
    return 1 if summary.reproduced is False else 0
