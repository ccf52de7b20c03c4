"""The page of agreement, in Markdown."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from seglab.core.record import SessionRecord
from seglab.validation.agreement import (
    ALIKE_LEAST,
    EQUAL_LEAST,
    P_LEAST,
    Agreement,
    Cell,
    Compared,
)

DIFFERENCES_MOST = 40
_SEGMENTS_MOST = 40


def headline(agreement: Agreement) -> str:
    """The result in one line."""
    if not agreement.judged:
        return "Nothing could be judged: there are too few sessions to compare"
    return (
        "The simulator agrees with the kernel engine"
        if agreement.agrees
        else "The simulator does not agree with the kernel engine as much as it has to"
    )


def lines(agreement: Agreement) -> Iterator[str]:
    """Yield the two shares in words, and what they have to be."""
    if agreement.equal_share is not None and agreement.repeated_share is not None:
        yield (
            f"Paths that do not draw: {_pct(agreement.equal_share)} of "
            f"{agreement.steady_sessions} sessions have the kernel's segments "
            f"(at least {_pct(EQUAL_LEAST)}); the kernel repeats itself in "
            f"{_pct(agreement.repeated_share)}."
        )
    if agreement.alike_share is not None:
        yield (
            f"Paths that draw: the engines cannot be told apart in "
            f"{_pct(agreement.alike_share)} of {len(agreement.tested)} cells "
            f"(at least {_pct(ALIKE_LEAST)}, p below {P_LEAST:g} tells apart)."
        )
    elif any(cell.draws for cell in agreement.cells):
        yield "Paths that draw: too few sessions of each sender over each network for a test."
    if agreement.late:
        yield f"{agreement.late} sessions are left out: the router's MTU changed late in them."
    if agreement.busy:
        yield (
            f"{agreement.busy} of the compared sessions were late on the kernel engine: "
            "the machine was busy."
        )
    if agreement.left_out:
        yield f"{len(agreement.left_out)} sessions failed on one engine alone."


def page(agreement: Agreement, made_of: str) -> str:
    """Return the whole page.

    Args:
        agreement: what was found.
        made_of: one sentence about the runs.
    """
    parts = [
        "# Agreement of the simulator with the kernel engine",
        f"{headline(agreement)}.\n{made_of}",
        "\n".join(f"- {line}" for line in lines(agreement)),
        "## By network",
        _table(agreement.cells),
    ]
    if agreement.different:
        reasons = Counter(one.reason for one in agreement.different)
        parts += [
            "## Where they differ on paths that do not draw",
            "\n".join(f"- {count} sessions: {reason}" for reason, count in reasons.most_common()),
            *map(_side_by_side, agreement.different[:DIFFERENCES_MOST]),
        ]
    apart = [cell for cell in agreement.tested if not cell.alike]
    if apart:
        parts += [
            "## Cells in which the engines are told apart",
            "\n".join(f"- {cell.sender} over {cell.network}: p = {cell.p:.3f}" for cell in apart),
        ]
    if agreement.left_out:
        parts += ["## Failed on one engine alone", "\n".join(f"- {n}" for n in agreement.left_out)]
    return "\n\n".join(parts) + "\n"


def _table(cells: Sequence[Cell]) -> str:
    by_network: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_network[cell.network].append(cell)
    rows = [
        "| network | draws | sessions | equal | kernel repeats | cells told apart |",
        "|---" * 6 + "|",
    ]
    for network, found in sorted(by_network.items()):
        sessions = sum(cell.sessions for cell in found)
        tested = [cell for cell in found if cell.p is not None]
        apart = f"{sum(not cell.alike for cell in tested)} of {len(tested)}" if tested else "-"
        rows.append(
            f"| {network} | {'yes' if found[0].draws else 'no'} | {sessions} "
            f"| {_pct(sum(cell.equal for cell in found) / sessions)} "
            f"| {_pct(sum(cell.repeated for cell in found) / sessions)} | {apart} |"
        )
    return "\n".join(rows)


def _side_by_side(one: Compared) -> str:
    return (
        f"`{one.kernel.session_id}`: {one.reason}\n\n```text\n"
        f"kernel     {_trace(one.kernel)}\n"
        f"again      {_trace(one.again)}\n"
        f"simulator  {_trace(one.simulated)}\n```"
    )


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
