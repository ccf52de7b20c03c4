"""A result as text: the checks, the matrix of styles and MTUs, and the smallest examples."""

from collections.abc import Iterator, Mapping
from math import ceil
from string import ascii_lowercase

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from seglab.core.text import count, safe, spaced
from seglab.regress.judgement import ExampleSide
from seglab.regress.result import CheckFinding, CheckOutcome, MatrixCell, RegressResult
from seglab.report.console import as_markup, say, stdout

EXAMPLES = 3
"""How many findings of a check are printed in full."""

SIZES_SHOWN = 24

LINES_MAX = 40
"""How many lines a terminal gets, unless there are too many styles or networks for that."""

_LINES_AROUND = 7  # the verdict twice, two of the legend, the scores, the hint, a blank line
_CHECKS_MIN = 3

_COLOURS = {"passed": "green", "failed": "bold red", "known": "yellow"}
_MARKS = {"passed": "ok", "failed": "BROKEN", "known": "known"}


def show(
    result: RegressResult,
    console: Console | None = None,
    *,
    examples: int = EXAMPLES,
    verbose: bool = False,
) -> None:
    """Print a result, in colours if the terminal has them and ``NO_COLOR`` is not set.

    A terminal gets the verdict first and last, and at most ``LINES_MAX`` lines where the matrix
    leaves room for that. A pipe, or ``verbose``, gets the examples of each check as well.
    """
    console = console or stdout()
    short = console.is_terminal and not verbose
    if console.is_terminal:
        _show_verdict(result, console)
    used = _show_tables(result, console)
    if words := marks_words(result):
        say(console, as_markup(words))
    for line in pairing_lines(result):
        say(console, as_markup(line))
    if short:
        _show_briefly(result, console, LINES_MAX - _LINES_AROUND - used)
    else:
        for outcome in result.outcomes:
            if outcome.findings:
                _show_findings(outcome, console, examples)
    for failure in result.stale:
        say(
            console,
            f"[yellow]known failure that did not occur, remove it:[/] {as_markup(failure.words)}"
            f" ({as_markup(failure.reason)})",
            above=1,
        )
    say(console, overall(result), above=1)
    _show_verdict(result, console)
    if result.stopped is not None:
        sessions = count(result.sessions, "session")
        say(console, f"what is above counts the {sessions} that it had answered")


def _show_tables(result: RegressResult, console: Console) -> int:
    """Print the checks and the matrix, and return in how many lines."""
    tables = checks_table(result), *_matrix_tables(result, console)
    if console.is_terminal and all(_fits(table, console) for table in tables):
        for table in tables:
            console.print(table)
        return sum(table.row_count + 4 for table in tables)
    lines = list(plain(result))
    for line in lines:
        print(line, file=console.file)
    return len(lines)


def _show_verdict(result: RegressResult, console: Console) -> None:
    colour = "bold green" if result.good else "bold red"
    names = f": {', '.join(result.broken)}" if result.broken and result.stopped is None else ""
    console.print(f"[{colour}]{as_markup(result.headline)}{names}[/]", soft_wrap=True)


def _show_briefly(result: RegressResult, console: Console, lines: int) -> None:
    """Print one line for each check that found something, in at most so many lines.

    Unexpected findings come first. What is left of the lines has the smallest example.
    """
    found = [outcome for outcome in result.outcomes if outcome.findings]
    found.sort(key=lambda outcome: outcome.state != "failed")
    if not found:
        return
    shown = found[: max(lines - 1, _CHECKS_MIN)]
    for outcome in shown:
        first = outcome.findings[0]
        more = f", and {count(len(outcome.findings) - 1, 'more finding')}"
        say(
            console,
            f"[bold]{as_markup(outcome.name)}[/]: {as_markup(first.where)}{_share(first)}"
            f"{more if len(outcome.findings) > 1 else ''}",
        )
    finding = found[0].findings[0]
    example = [finding.words, *(f"  {line}" for line in example_lines(finding))]
    if len(shown) + len(example) + 2 <= lines:
        say(console, f"The smallest example of {as_markup(found[0].name)}:", above=1)
        for line in example:
            say(console, as_markup(line), indent=2)
    hidden = (
        f"{count(len(found) - len(shown), 'more check')} and " if len(shown) < len(found) else ""
    )
    say(console, f"[dim]-v prints {hidden}the examples; --html and --json have all findings[/]")


def plain(result: RegressResult) -> Iterator[str]:
    """Yield both tables for a pipe or a narrow terminal: a line a row, columns between tabs."""
    yield "\t".join(("check", "result", "judged", "exempt", "broken"))
    for outcome in result.outcomes:
        yield "\t".join((outcome.name, *_numbers(outcome)))
    yield ""
    mtus, letters = columns(result), check_letters(result)
    yield "\t".join(("style", *(f"MTU {mtu}" for mtu in mtus)))
    for style, cells in rows(result):
        yield "\t".join((safe(style), *(cell_text(cell, letters) for cell in cells)))


def pairing_lines(result: RegressResult) -> Iterator[str]:
    """Yield by what each check compared sessions, where some of them are of programs."""
    for outcome in result.outcomes:
        if programs := outcome.pairings.get("program", 0):
            yield (
                f"{outcome.name} compared {count(programs, 'session')} by program and message, "
                f"{outcome.pairings.get('writes', 0)} by bytes and writes"
            )


def checks_table(result: RegressResult) -> Table:
    """Return a table of the checks: how each ended, and over how many cases."""
    table = Table("check", "result", "judged", "exempt", "broken", pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for outcome in result.outcomes:
        state, *numbers = _numbers(outcome)
        colour = _COLOURS.get(outcome.state, "dim")
        table.add_row(as_markup(outcome.name), f"[{colour}]{state}[/]", *numbers)
    return table


def matrix_table(result: RegressResult, part: slice = slice(None)) -> Table:
    """Return a table of right answers by style and MTU, red where a check broke.

    Args:
        result: what is shown.
        part: which of the MTUs.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("% right, by MTU", no_wrap=True)
    letters = check_letters(result)
    for mtu in columns(result)[part]:
        table.add_column(str(mtu), justify="right")
    for style, all_cells in rows(result):
        cells = all_cells[part]
        shown = [cell_text(cell, letters).replace(" %", "").replace("!", " ") for cell in cells]
        table.add_row(
            as_markup(style),
            *(
                f"[bold red]{text}[/]" if cell and cell.checks else text
                for cell, text in zip(cells, shown, strict=True)
            ),
        )
    return table


def columns(result: RegressResult) -> list[int]:
    """Return the MTUs of the matrix, from the smallest."""
    return sorted({mtu for _, mtu in result.cells})


def rows(result: RegressResult) -> Iterator[tuple[str, list[MatrixCell | None]]]:
    """Yield the styles of the matrix, each with a cell for each MTU."""
    mtus = columns(result)
    for style in dict.fromkeys(style for style, _ in result.cells):
        yield style, [result.cells.get((style, mtu)) for mtu in mtus]


def check_letters(result: RegressResult) -> dict[str, str]:
    """Return a letter for each check that broke in some cell of the matrix, by its name."""
    broken = {name for cell in result.cells.values() for name in cell.checks}
    names = [outcome.name for outcome in result.outcomes if outcome.name in broken]
    return dict(zip(names, ascii_lowercase, strict=False))


def marks_words(result: RegressResult) -> str:
    """Say what the letters of the matrix mean; nothing if there are none."""
    letters = check_letters(result)
    if not letters:
        return ""
    names = ", ".join(f"{letter} {name}" for name, letter in letters.items())
    return f"letters: checks that broke there, however many answers are right: {names}"


def cell_text(cell: MatrixCell | None, letters: Mapping[str, str]) -> str:
    """Return the share of right answers, and after a ``!`` the letters of checks that broke."""
    if cell is None:
        return ""
    marks = "".join(sorted(letters.get(name, "") for name in cell.checks))
    mark = f"!{marks}" if cell.checks else ""
    return f"{100 * cell.right / cell.sessions:.0f} %{mark}" if cell.sessions else mark


def example_lines(finding: CheckFinding) -> list[str]:
    """Return the lines of a finding's smallest example, one side below the other."""
    lines = []
    if finding.writes:
        lines.append(f"writes    {spaced(finding.writes, SIZES_SHOWN)}")
    for side in finding.sides:
        lines += [
            f"{side.answer}: {side_words(side)}",
            f"  {side.layer:<8} {spaced(side.sizes, SIZES_SHOWN)}",
        ]
    return lines


def finding_text(finding: CheckFinding) -> str:
    """Return a finding in words, with its example, for a place without colours."""
    lines = (f"{finding.where}{_share(finding)}", finding.words, *example_lines(finding))
    return "\n".join(map(safe, lines))


def side_words(side: ExampleSide) -> str:
    """Say where the sizes of a side come from."""
    mss = "unknown" if side.mss is None else str(side.mss)
    session = "random sizes" if side.session_id is None else f"session {side.session_id}"
    return f"{side.network}, MTU {side.mtu}, MSS {mss}, {session}"


def overall(result: RegressResult) -> str:
    """Say how good the answers were over all networks."""
    scores = result.scores.values()
    asked = sum(score.sessions for score in scores)
    right, alone = sum(s.right for s in scores), sum(s.alone for s in scores)
    return (
        f"{count(asked, 'answer')}: {right} hold the true style, {alone} of these name no other;"
        f" {sum(score.abstained for score in scores)} abstain"
    )


def _matrix_tables(result: RegressResult, console: Console) -> list[Table]:
    """Return the matrix in as few parts as fit into the terminal; whole where no part does."""
    mtus = len(columns(result))
    for width in sorted({ceil(mtus / parts) for parts in range(1, mtus + 1)}, reverse=True):
        starts = range(0, mtus, width)
        tables = [matrix_table(result, slice(at, at + width)) for at in starts]
        if all(_fits(table, console) for table in tables):
            return tables
    return [matrix_table(result)]


def _fits(table: Table, console: Console) -> bool:
    """Return whether a table fits into the terminal without being cut."""
    room = console.options.update(max_width=10_000)
    return Measurement.get(console, room, table).maximum <= console.width


def _numbers(outcome: CheckOutcome) -> tuple[str, str, str, str]:
    state = _MARKS.get(outcome.state, outcome.state)
    broken = sum(finding.broken for finding in outcome.findings)
    return state, str(outcome.judged), str(outcome.exempt), str(broken)


def _show_findings(outcome: CheckOutcome, console: Console, examples: int) -> None:
    say(console, f"[bold]{as_markup(outcome.name)}[/]: {as_markup(outcome.summary)}", above=1)
    for finding in outcome.findings[:examples]:
        known = f" [yellow](known: {as_markup(finding.reason)})[/]" if finding.reason else ""
        say(
            console,
            f"{as_markup(finding.where)}{_share(finding)}{known}\n{as_markup(finding.words)}",
            indent=2,
        )
        for line in example_lines(finding):
            say(console, as_markup(line), indent=4)
    hidden = len(outcome.findings) - examples
    if hidden > 0:
        more = count(hidden, "more finding")
        say(console, f"and {more} (--json and --html have all)", indent=2)


def _share(finding: CheckFinding) -> str:
    """Say how many sessions failed, where a finding is about sessions."""
    return f": {finding.broken} of {finding.judged}" if finding.style else ""
