"""Prints a summary: the table ``published | the lab | verdict``, then sentences."""

from itertools import islice

from rich.console import Console
from rich.table import Table

from seglab.core.text import count, one_line
from seglab.report.console import as_markup, say, stdout
from seglab.report.scenario_result import ScenarioResult
from seglab.report.summary import RunSummary
from seglab.reproduction.comparison import Comparison

_FAILURES_SHOWN = 5


def show(summary: RunSummary, console: Console | None = None) -> None:
    """Print a summary. Rich decides about colours by the terminal and ``NO_COLOR``."""
    console = console or stdout()
    if console.is_terminal:
        console.print(table(summary))
    else:
        for line in lines(summary):
            print(line, file=console.file)  # as it is: the console would expand the tabs
    for result in summary.results:
        _show_criteria(result, console)
    for text in summary.paragraphs():
        say(console, as_markup(text), above=1)
    _show_failures(summary, console)
    style = {True: "bold green", False: "bold red", None: "bold"}[summary.reproduced]
    say(console, f"[{style}]{as_markup(summary.headline())}[/]", above=1)
    if summary.simulated:
        say(console, f"engine: {as_markup(summary.manifest.engine)}, not the TCP of a kernel")


def show_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print the differences between a run and a reference."""
    console = console or stdout()
    say(console, f"[bold]{as_markup(comparison.headline())}[/]", above=1)
    for setting in comparison.settings:
        say(console, as_markup(setting.words()), indent=2)
    for experiment in comparison.experiments:
        style = "yellow" if experiment.differs else "dim"
        words = f"[{style}]{as_markup(experiment.name)}: {as_markup(experiment.words())}[/]"
        say(console, words, indent=2)
    for names, where in ((comparison.only_there, "there"), (comparison.only_here, "here")):
        if names:
            say(console, f"only {where}: {as_markup(', '.join(names))}", indent=2)


def lines(summary: RunSummary) -> list[str]:
    """The table for a pipe: one line for each row, with tabs between the columns, names first."""
    columns, rows = summary.table()
    return ["\t".join(one_line(cell, None) for cell in row) for row in (columns, *rows)]


def table(summary: RunSummary) -> Table:
    """The table for a terminal."""
    columns, rows = summary.table()
    found = Table(*columns, pad_edge=False)
    for row, cells in zip(summary.rows, rows, strict=True):
        style = {True: None, False: "red", None: "dim" if summary.is_published else None}
        found.add_row(*map(as_markup, cells), style=style[row.reproduced])
    return found


def _show_criteria(result: ScenarioResult, console: Console) -> None:
    if result.verdict is None or (result.seen is not None and result.verdict.reproduced):
        return
    say(console, f"[bold]{as_markup(result.experiment.name)}[/]", above=1)
    for criterion in result.verdict.criteria:
        mark = "[green]yes[/]" if criterion.passed else "[red]no[/] "
        say(console, f"{mark} {as_markup(criterion.name)}: {as_markup(criterion.words)}", indent=2)


def _show_failures(summary: RunSummary, console: Console) -> None:
    """Print one line for each reason: in a matrix, all sessions of a cell often fail alike."""
    reasons: dict[tuple[bool, str], list[str]] = {}
    for failure in sorted(summary.failures, key=lambda failure: failure.expected):
        reasons.setdefault((failure.expected, failure.error), []).append(failure.session_id)
    for (expected, error), sessions in islice(reasons.items(), _FAILURES_SHOWN):
        many = f"{len(sessions)} sessions, such as " if len(sessions) > 1 else ""
        failed = "failed, as expected" if expected else "failed"
        say(
            console, f"{failed}: {many}{as_markup(sessions[0])}: {as_markup(one_line(error, None))}"
        )
    if len(reasons) > _FAILURES_SHOWN:
        more = sum(len(sessions) for sessions in islice(reasons.values(), _FAILURES_SHOWN, None))
        say(console, f"... and {count(more, 'more failed session')}")
