"""A run of `seglab try` on the terminal: its sessions, and what differs from an earlier run."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

from seglab.classification.classifier import Verdict
from seglab.core.labels import UNKNOWN_STYLE
from seglab.core.text import count, one_line, p_value
from seglab.core.trace import first_sent, sizes
from seglab.core.written import WrittenLabels
from seglab.report.console import as_markup, say, stdout
from seglab.report.program_changes import Change
from seglab.report.tried import Comparison, Tried, TriedSession
from seglab.sender.likeness import Likeness

_SIZES_SHOWN = 8
_NO_TABLE_IS_WIDER = 10_000
_COLUMNS = (
    *("network", "session", "written", "on the wire", "read", "wrote", "buffer", "writes like"),
    "looks like",
)
_CHANGE_COLUMNS = ("network", "what", "before", "now", "judgement")
_JUDGEMENTS: Final = {
    "differs": "differs",
    "varies": "varies by itself",
    "untold": "too few sessions to tell",
}


def show(result: Tried, console: Console | None = None) -> None:
    """Print the table, and a line for each session that failed."""
    console = console or stdout()
    _show_table(console, _COLUMNS, map(_row, result.sessions))
    for one in result.sessions:
        if one.record.error is not None:
            name, reason = one.record.session_id, one_line(one.record.error, None)
            say(console, f"failed: {as_markup(name)}: {as_markup(reason)}")
        for note in one.record.notes:
            say(console, f"note: {as_markup(one.record.session_id)}: {as_markup(note)}")
    if result.comparison is not None:
        _show_comparison(console, result.comparison)
    say(console, f"run folder: {as_markup(str(result.path))}", above=1)
    say(console, f"report:     {as_markup(str(result.report))}")


def _show_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; for a pipe, a line a row, with tabs between the cells.

    On a terminal that is too narrow for the longest word of each column, every row is a block with
    a line a cell.
    """
    if console.is_terminal:
        rows = list(rows)
        table = Table(*(Column(name, overflow="fold") for name in columns), pad_edge=False)
        for cells in rows:
            table.add_row(*map(as_markup, cells))
        roomy = console.options.update(width=_NO_TABLE_IS_WIDER)
        fits = Measurement.get(console, roomy, table).minimum <= console.width
        console.print(table if fits else _blocks(columns, rows))
    else:
        for cells in (columns, *rows):
            print("\t".join(one_line(cell, None) for cell in cells), file=console.file)


def _blocks(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return rows as blocks with an empty line between them; what is empty is left out."""
    blocks = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for number, cells in enumerate(rows):
        if number:
            blocks.add_row("", "")
        for name, cell in zip(columns, cells, strict=True):
            if cell:
                blocks.add_row(f"[bold]{as_markup(name)}[/]", as_markup(cell))
    return blocks


def _show_comparison(console: Console, comparison: Comparison) -> None:
    told = [change for change in comparison.changes if change.judgement != "same"]
    several = len({change.message for change in comparison.changes}) > 1
    console.print()
    if told:
        _show_table(console, _CHANGE_COLUMNS, [_change_row(one, several) for one in told])
    same = len(comparison.changes) - len(told)
    differing = [change for change in told if change.judgement == "differs"]
    verb = "differs" if len(differing) == 1 else "differ"
    words = f"{count(len(differing), 'aspect')} {verb}" if differing else "nothing differs"
    say(
        console,
        f"against {as_markup(str(comparison.reference))}: {words}; {same} the same, "
        f"{len(told) - len(differing)} without a finding",
        above=1 if told else 0,
    )
    for what, names in (("there", comparison.only_before), ("here", comparison.only_now)):
        if names:
            say(console, f"only {what}: {as_markup(', '.join(names))}")
    for setting in comparison.settings:
        say(console, f"environment: {as_markup(setting)}")


def _change_row(change: Change, several: bool) -> tuple[str, ...]:
    before, now = change.texts()
    words, told = _JUDGEMENTS[change.judgement], change.judgement != "untold"
    return (
        f"{change.network}, {change.message}" if several else change.network,
        change.aspect.name,
        before,
        now,
        f"{words} ({p_value(change.p)})" if change.p is not None and told else words,
    )


def _row(one: TriedSession) -> tuple[str, ...]:
    record = one.record
    if not record.complete:
        return record.network, record.status, *[""] * (len(_COLUMNS) - 2)
    return (
        record.network,
        record.status,
        shown_sizes(sizes(record.writes)),
        shown_sizes(sizes(first_sent(record.segments))),
        shown_sizes(sizes(record.reads)),
        _wrote(one),
        _buffer(one.labels),
        _writes_like(one.like),
        looks_like(one.verdict),
    )


def _wrote(one: TriedSession) -> str:
    labels, record = one.labels, one.record
    styles = [record.style] if labels is None else labels.styles or [UNKNOWN_STYLE]
    terminators = [record.terminator or ""] if labels is None else labels.terminators
    return ", ".join(filter(None, (" or ".join(styles), " or ".join(terminators))))


def _buffer(labels: WrittenLabels | None) -> str:
    return "" if labels is None or labels.buffer is None else str(labels.buffer)


def _writes_like(like: Likeness | None) -> str:
    if like is None:
        return "no shipped sender"
    return f"{like}; profiles: {', '.join(like.profiles)}" if like.profiles else str(like)


def looks_like(verdict: Verdict | None) -> str:
    """Return the styles that a verdict names, as text."""
    if verdict is None or verdict.style is None:
        return "nothing"
    styles = [verdict.style] if isinstance(verdict.style, str) else verdict.style
    return " or ".join(styles)


def shown_sizes(found: Sequence[int]) -> str:
    """Return sizes as text; equal ones that follow each other are counted."""
    groups: list[tuple[int, int]] = []
    for size in found:
        if groups and groups[-1][0] == size:
            groups[-1] = size, groups[-1][1] + 1
        else:
            groups.append((size, 1))
    words = [f"{size}x{many}" if many > 1 else str(size) for size, many in groups]
    if len(words) > _SIZES_SHOWN:
        words[_SIZES_SHOWN:] = [f"... ({len(found)} in all)"]
    return " ".join(words)
