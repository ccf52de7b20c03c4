"""``seglab report``: rebuild the figures and the report of a stored run."""

import json
from pathlib import Path

import click

from lab.report import build
from lab.runfolder import RunFolder


@click.command()
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the report here, and leave the run folder as it is.  [default: RUN/report.html]",
)
@click.option("--json", "as_json", is_flag=True, help="Print verdicts and counts as JSON.")
def report(run: Path, out: Path | None, *, as_json: bool) -> int:
    """Rebuild figures and report.html of the stored run in the folder RUN.

    Works on a run that is complete, was interrupted, or still goes on. Verdicts are computed
    afresh from the stored sessions. Exits with 1 when a judged scenario is not reproduced.
    """
    folder = RunFolder.open(run)
    summary = build(folder, out)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=2))
    else:
        from lab.report.terminal import show  # noqa: PLC0415, imports what build imports

        show(summary)
        click.echo(f"report: {out or folder.report}")
    return 1 if summary.reproduced is False else 0
