"""The page of agreement, in Markdown."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from seglab.core.record import SessionRecord
from seglab.validation.agreement import (
    ALIKE_LEAST,
    CELL_LEAST,
    EQUAL_LEAST,
    P_LEAST,
    Agreement,
    Cell,
    Compared,
    Kind,
)
from seglab.validation.receiving import Answered
from seglab.validation.rules import Exercised, missed_lines, never_exercised

_SEGMENTS_MOST = 40
_TESTED: dict[Kind, str] = {
    "races": "Cells that race in the kernel itself",
    "draws": "Cells over paths on which something is random",
}

JUDGED_BY = f"""\
All sessions of one sender over one network are a cell. What the kernel's own two runs show decides
how a cell is judged:

- Where nothing on the path is random, and the kernel repeats itself in {EQUAL_LEAST:.0%} of the
  sessions or more, the cell is *steady*: the simulator's segments (sizes, PSH, order, what was sent
  again) have to equal the kernel's in {EQUAL_LEAST:.0%} of all sessions of such cells.
- Where nothing on the path is random, and the kernel repeats itself less often, the cell *races*.
- Where jitter, loss or the like is random on the path, the cell *draws*.
- For cells that race, and for cells that draw, a permutation test over each session's four results
  (two of each engine) must not tell the engines apart (p below {P_LEAST:g}) in {ALIKE_LEAST:.0%} of
  the cells. It needs {CELL_LEAST} sessions of a cell.

Where the router's MTU changes, the simulator has the times of the kernel engine's session."""
"""The rule, as the page has it."""


def headline(agreement: Agreement) -> str:
    """The result in one line."""
    if not agreement.judged:
        return "Nothing could be judged: there are too few sessions to compare"
    if agreement.agrees:
        return "The simulator agrees with the kernel engine"
    if agreement.too_busy:
        return (
            "The simulator was told apart from the kernel engine, which was late in most sessions: "
            "the machine was too busy with other work to judge"
        )
    return "The simulator does not agree with the kernel engine as much as it has to"


def lines(agreement: Agreement) -> Iterator[str]:
    """Yield the shares in words, and what they have to be."""
    if agreement.equal_share is not None:
        yield (
            f"Steady cells: {_pct(agreement.equal_share)} of {agreement.steady_sessions} sessions "
            f"have the kernel's segments (at least {_pct(EQUAL_LEAST)})."
        )
    for kind, words in _TESTED.items():
        cells, tested = agreement.of_kind(kind), agreement.tested(kind)
        share = agreement.alike_share(kind)
        if share is not None:
            alike = sum(bool(cell.alike) for cell in tested)
            yield (
                f"{words}: not told apart in {alike} of {len(tested)}, {_pct(share)} "
                f"(at least {_pct(ALIKE_LEAST)}; p below {P_LEAST:g} tells apart)."
            )
        if untested := len(cells) - len(tested):
            yield f"{words}: {untested} have too few sessions for a test."
    if agreement.reads_alike_share is not None:
        yield (
            f"Reads, which are not judged: not told apart in {_pct(agreement.reads_alike_share)} "
            "of all tested cells."
        )
    if agreement.median_late_ms is not None:
        yield (
            f"Changes of the router's MTU were late by {agreement.median_late_ms:.1f} ms in the "
            f"median, {max(agreement.changes_late_ms):.1f} ms at most; the simulator had the same."
        )
    if agreement.busy:
        yield (
            f"{agreement.busy} of the compared sessions were late on the kernel engine: "
            "the machine was busy."
        )
    if agreement.left_out:
        yield f"{len(agreement.left_out)} sessions failed on one engine alone."


def rule_lines(exercised: Sequence[Exercised]) -> Iterator[str]:
    """Yield how many rules of the simulator's TCP the sessions exercised, in words."""
    cited = [one for one in exercised if one.rule.cites]
    if cited:
        called = sum(bool(one.calls) for one in cited)
        every = sum(len(one.rule.lines) for one in exercised)
        ran = every - sum(len(one.missed) for one in exercised)
        yield (
            f"Rules of the simulator's TCP that the sessions exercised: {called} of {len(cited)}, "
            f"and {_pct(ran / every)} of all lines of code."
        )


def receiver_lines(receiver: Sequence[Answered]) -> Iterator[str]:
    """Yield how often the simulator's receiving half answers as the server's kernel, in words."""
    if receiver:
        equal = sum(one.equal for one in receiver)
        answers = sum(len(one.kernel) for one in receiver)
        common, soon = sum(one.common for one in receiver), sum(one.soon for one in receiver)
        yield (
            f"The receiving half, which is not judged: in {equal} of {len(receiver)} sessions "
            f"({_pct(equal / len(receiver))}) all answers are those of the server's kernel, and "
            f"{common} of {answers} answers before a first that differs; {soon} left within 5 ms."
        )


def page(
    agreement: Agreement,
    made_of: str,
    exercised: Sequence[Exercised] = (),
    receiver: Sequence[Answered] = (),
) -> str:
    """Return the whole page.

    Args:
        agreement: what was found.
        made_of: one sentence about the runs.
        exercised: how often the simulator's sessions exercised each rule of its TCP.
        receiver: what servers' kernels answered, and what the simulator's receiving half does.
    """
    found = [*lines(agreement), *receiver_lines(receiver), *rule_lines(exercised)]
    parts = [
        "# Agreement of the simulator with the kernel engine",
        f"{headline(agreement)}.\n{made_of}",
        "\n".join(f"- {line}" for line in found),
        "## How it is judged",
        JUDGED_BY,
        "## By scenario and network",
        _table(agreement.cells),
    ]
    if tested := [*agreement.tested("races"), *agreement.tested("draws")]:
        unequal = [cell for cell in tested if cell.equal < cell.sessions or not cell.alike]
        parts += [
            "## Cells that were tested",
            f"{len(tested) - len(unequal)} more cells were tested and have the kernel's segments "
            "in all sessions.",
            _tested_table(unequal),
        ]
    parts += _differences("Sessions of steady cells that differ", agreement.different)
    if agreement.left_out:
        parts += ["## Failed on one engine alone", "\n".join(f"- {n}" for n in agreement.left_out)]
    if receiver:
        parts += list(_receiver(receiver))
    if exercised:
        parts += list(_rules(exercised))
    parts += _differences("Sessions of racing cells that differ", agreement.raced)
    return "\n\n".join(parts) + "\n"


def _table(cells: Sequence[Cell]) -> str:
    grouped: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        grouped[cell.scenario, cell.network].append(cell)
    rows = [
        "| scenario | network | steady | race | draw | sessions | equal | kernel repeats "
        "| told apart | reads told apart |",
        "|---" * 10 + "|",
    ]
    for (scenario, network), found in sorted(grouped.items()):
        kinds = Counter(cell.kind for cell in found)
        sessions = sum(cell.sessions for cell in found)
        tested = [bool(cell.alike) for cell in found if cell.p is not None]
        reads = [cell.reads_p >= P_LEAST for cell in found if cell.reads_p is not None]
        rows.append(
            f"| {scenario} | {network} | {kinds['steady']} | {kinds['races']} | {kinds['draws']} "
            f"| {sessions} | {_pct(sum(cell.equal for cell in found) / sessions)} "
            f"| {_pct(sum(cell.repeated for cell in found) / sessions)} "
            f"| {_apart(tested)} | {_apart(reads)} |"
        )
    return "\n".join(rows)


def _apart(alike: Sequence[bool]) -> str:
    return f"{len(alike) - sum(alike)} of {len(alike)}" if alike else "-"


def _tested_table(cells: Sequence[Cell]) -> str:
    rows = [
        "| cell | kind | sessions | equal | kernel repeats | p |",
        "|---" * 6 + "|",
    ]
    rows += [
        f"| {cell.scenario}: {cell.sender} over {cell.network} | {cell.kind} | {cell.sessions} "
        f"| {cell.equal} | {cell.repeated} | {cell.p:.4f}{'' if cell.alike else ' told apart'} |"
        for cell in cells
    ]
    return "\n".join(rows)


def _receiver(receiver: Sequence[Answered]) -> Iterator[str]:
    yield "## The receiving half"
    yield (
        "The simulator's endpoint got the segments that reached the server's kernel, and the reads "
        "and replies of its program. Equal are the answers whose acknowledgement, window, blocks "
        "of selective acknowledgement, echoed timestamp and range of a reply are the same."
    )
    by_client: dict[str, list[Answered]] = defaultdict(list)
    for one in receiver:
        by_client[one.client_tcp].append(one)
    rows = ["| client's TCP | sessions | equal | answers | equal | within 5 ms |", "|---" * 6 + "|"]
    rows += [
        f"| {name} | {len(found)} | {sum(one.equal for one in found)} "
        f"| {sum(len(one.kernel) for one in found)} | {sum(one.common for one in found)} "
        f"| {sum(one.soon for one in found)} |"
        for name, found in sorted(by_client.items())
    ]
    yield "\n".join(rows)
    for one in receiver:
        if not one.equal:
            yield f"`{one.session_id}`:\n\n```text\n" + "\n".join(one.lines()) + "\n```"


def _rules(exercised: Sequence[Exercised]) -> Iterator[str]:
    yield "## How often each rule of the simulator's TCP was exercised"
    yield (
        "A rule is a function of `lab/seglab/simulator/` whose docstring names the kernel's "
        "function, or the RFC, that it models. Functions that name none are parts of rules."
    )
    rows = ["| rule | models | where | sessions | calls | lines that ran |", "|---" * 6 + "|"]
    rows += [
        f"| {one.rule.name} | {', '.join(one.rule.cites) or '-'} "
        f"| {one.rule.module}.py:{one.rule.first_line} | {one.sessions} | {one.calls} "
        f"| {len(one.rule.lines) - len(one.missed)} of {len(one.rule.lines)} |"
        for one in exercised
    ]
    yield "\n".join(rows)
    if never := never_exercised(exercised):
        yield "Rules that no session exercised:"
        yield "\n".join(f"- {rule.name} ({', '.join(rule.cites)})" for rule in never)
    if missed := missed_lines(exercised):
        yield "Lines that no session reached, in rules that were exercised:"
        yield "```text\n" + "\n".join(line for found in missed.values() for line in found) + "\n```"


def _differences(title: str, found: Sequence[Compared]) -> list[str]:
    if not found:
        return []
    reasons = Counter(one.reason for one in found)
    return [
        f"## {title}",
        "\n".join(f"- {count} sessions: {reason}" for reason, count in reasons.most_common()),
        *map(_side_by_side, found),
    ]


def _side_by_side(one: Compared) -> str:
    names = ("kernel", "again", "simulator", "again")
    traces = (
        f"{name:10} {_trace(record)}" for name, record in zip(names, one.records, strict=True)
    )
    return f"`{one.kernel.session_id}`: {one.reason}\n\n```text\n" + "\n".join(traces) + "\n```"


def _trace(record: SessionRecord) -> str:
    """The segments as sizes: P for PSH, R for a retransmission, x for one that was lost."""
    words = [
        f"{s.end - s.start}{'P' * s.psh}{'R' * s.retransmission}{'x' * s.dropped}"
        for s in record.segments[:_SEGMENTS_MOST]
    ]
    more = len(record.segments) - _SEGMENTS_MOST
    return " ".join(words) + (f" ... and {more} more" if more > 0 else "")


def _pct(share: float) -> str:
    return f"{100 * share:.1f} %"
