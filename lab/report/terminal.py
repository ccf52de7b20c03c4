"""A summary on the terminal: the table ``published | the lab | verdict``, and the words."""

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from lab.report.summary import Finding, Summary

_FAILURES_SHOWN = 5


def show(summary: Summary, console: Console | None = None) -> None:
    """Print a summary; colours follow the terminal and ``NO_COLOR``."""
    console = console or Console(highlight=False)
    console.print(table(summary))
    for finding in summary.findings:
        _show_criteria(finding, console)
    for text in summary.paragraphs():
        console.print(Padding(escape(text), (1, 0, 0, 0)))
    _show_failures(summary, console)
    console.print()
    style = {True: "bold green", False: "bold red", None: "bold"}[summary.reproduced]
    console.print(f"[{style}]{escape(summary.headline())}[/]")


def table(summary: Summary) -> Table:
    """The table alone."""
    found = Table("experiment", "published", "the lab", "verdict", pad_edge=False)
    for row in summary.rows:
        style = {True: "green", False: "red", None: "dim"}[row.reproduced]
        found.add_row(
            escape(row.name), escape(row.published), escape(row.lab), escape(row.verdict),
            style=None if row.reproduced else style,
        )  # fmt: skip
    return found


def _show_criteria(finding: Finding, console: Console) -> None:
    if finding.verdict is None:
        return
    console.print(f"\n[bold]{escape(finding.experiment.name)}[/]")
    for criterion in finding.verdict.criteria:
        mark = "[green]yes[/]" if criterion.passed else "[red]no[/] "
        console.print(
            Padding(f"{mark} {escape(criterion.name)}: {escape(criterion.words)}", (0, 2))
        )


def _show_failures(summary: Summary, console: Console) -> None:
    shown = summary.failures[:_FAILURES_SHOWN]
    for failure in shown:
        console.print(f"failed: {escape(failure.session_id)}: {escape(failure.error)}")
    if len(summary.failures) > len(shown):
        console.print(f"... and {len(summary.failures) - len(shown)} more failed sessions")
