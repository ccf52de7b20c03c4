"""Decides which figures a run gets, and describes each in words for anyone who cannot see it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from statistics import mean

from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.core.text import count, spaced
from seglab.core.trace import sizes
from seglab.plots.distribution import distribution
from seglab.plots.features import (
    Matrix,
    Pattern,
    SizeDistribution,
    ends_alone,
    matrix_of,
    other_full_sizes,
    patterns,
    size_distributions,
)
from seglab.plots.heatmap import heatmap
from seglab.plots.rendering import Drawer
from seglab.plots.separation import curve
from seglab.plots.sequences import frequencies
from seglab.plots.strips import Strip, strips
from seglab.plots.timeline import timeline
from seglab.report.published import layer_of, published_rows
from seglab.report.scenario_result import ScenarioResult, outside_sweep
from seglab.report.summary import Grouped, RunSummary, most_informative

_ROWS_AT_MOST = 40
_ROWS_A_SCENARIO = 10
_ROWS_BESIDE = 2
_WORDS_AT_MOST = 24


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that has not been drawn yet.

    Attributes:
        name: the name of its files, without the suffix.
        scenario: the scenario that it belongs to; ``None`` if it shows the whole run.
        caption: how to read it.
        text: what it shows, in words.
        draw: the function that draws it.
        captures: the captures of the session that it shows, relative to the run folder.
        matrix: the numbers of a heat map, which the page also shows as a table.
        table: the names of columns, and rows of text, which the page shows below the figure.
    """

    name: str
    scenario: str | None
    caption: str
    text: str
    draw: Drawer
    captures: tuple[str, ...] = ()
    matrix: Matrix | None = None
    table: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None


def drawings(summary: RunSummary, grouped: Grouped) -> list[Drawing]:
    """The figures of a run: first those about the whole run, then those of each scenario."""
    together = list(_of_the_run(summary, grouped))
    return [
        *together,
        *chain.from_iterable(
            _of_a_scenario(result, grouped.get(result.experiment.name, []), alone=not together)
            for result in summary.results
        ),
    ]


def _of_the_run(summary: RunSummary, grouped: Grouped) -> Iterator[Drawing]:
    """The figures that compare scenarios; none if the run has only one."""
    shown = [f for f in summary.results if f.experiment.name in grouped]
    if len(shown) < 2:
        return
    rows = [row for f in shown for row in _side_by_side(f, grouped[f.experiment.name])]
    if rows:
        yield Drawing(
            "sizes",
            None,
            "What the paper prints and what the lab saw most often, at the same layer. A box a"
            " size, to scale; dotted: where the next multiple of the MSS falls.",
            f"{count(len(rows), 'sequence')} of sizes of {count(len(shown), 'experiment')}.",
            partial(strips, "The published sizes and the lab's", _in_words(shown), rows),
        )
    groups = size_distributions(
        chain.from_iterable(outside_sweep(r) for r in grouped.values()), "scenario"
    )
    if groups:
        yield _distribution("distribution", None, groups)


def _in_words(results: Sequence[ScenarioResult]) -> str:
    experiments = count(len(results), "experiment")
    return f"{experiments}; of the lab, the sequence like the paper's and the most frequent other"


def _of_a_scenario(
    result: ScenarioResult, records: Sequence[SessionRecord], *, alone: bool
) -> Iterator[Drawing]:
    """The figures of one scenario.

    Args:
        result: the scenario.
        records: its sessions.
        alone: whether it is the only scenario of the run. If it is not, the figure of the whole
            run already shows its sizes, and the scenario gets no figure of them.
    """
    name = result.experiment.name
    subject = outside_sweep(records)
    cells = {(record.sender, record.network) for record in subject}
    matrix = matrix_of(subject if len(cells) > 1 else ())  # one cell is no matrix, and takes time
    if is_matrix(matrix):
        yield _heatmap(name, matrix)
    session = most_informative(records)
    if session is not None:
        yield _timeline(session)
        if len(result.sequences.printed) > 1:
            yield _sequences(result)
        elif alone or len(matrix.networks) > 1:
            yield _strips(result, subject, matrix)
        if len(matrix.networks) > 1:
            yield _distribution(
                f"distribution-{file_name(name)}", name, size_distributions(subject, "network")
            )
    if result.separation_words:
        yield Drawing(
            f"separation-{file_name(name)}",
            name,
            "The share of the sessions in which no segment (on the wire), or no read, holds"
            " bytes of two writes.",
            result.separation_words,
            partial(curve, name, result.separation, result.published_separation),
        )


def is_matrix(matrix: Matrix) -> bool:
    """Whether there are several senders and several networks, so that a heat map is of use."""
    return len(matrix.senders) > 1 and len(matrix.networks) > 1


def _heatmap(name: str, matrix: Matrix) -> Drawing:
    known = [
        (cell.agreement, sender, network)
        for sender, row in zip(matrix.senders, matrix.rows, strict=True)
        for network, cell in zip(matrix.networks, row, strict=True)
        if cell is not None and cell.agreement is not None
    ]
    words = f"{len(matrix.senders)} senders on {len(matrix.networks)} networks."
    if known:
        least, sender, network = min(known)
        full = sum(1 for agreement, _, _ in known if agreement == 1)
        words += (
            f" In {full} of {len(known)} cells every write can be told from the sizes;"
            f" the least in that of {sender} on {network}, {100 * least:.0f} %."
        )
    return Drawing(
        f"heatmap-{file_name(name)}",
        name,
        "Did the network change what is seen? A segment shorter than the MSS says that a write"
        " ended there. In each cell, the share of such ends and of the true ends of writes that"
        " are both (mean over its sessions; the end of the stream left out): 100 means that the"
        " sizes show the writes as they were; less, that the path, or the congestion window, hid"
        " some or made up others.",
        words,
        partial(heatmap, f"{name}: where the sizes show the writes as they were", matrix),
        matrix=matrix,
    )


def _sequences(result: ScenarioResult) -> Drawing:
    name = result.experiment.name
    return Drawing(
        f"sequences-{file_name(name)}",
        name,
        "How often each sequence of read sizes occurs. Below the dashed line: sequences"
        " that only the lab saw.",
        f"{result.row.published} published; {result.row.lab} in the lab.",
        partial(frequencies, name, result.sequences),
    )


def _strips(result: ScenarioResult, records: Sequence[SessionRecord], matrix: Matrix) -> Drawing:
    name, layer = result.experiment.name, layer_of(result)
    rows, crossed = _published(result, records), len(matrix.senders) + len(matrix.networks) > 2
    if crossed:
        rows += _row_a_cell(records, layer, _representative_networks(matrix))
    else:
        rows += [_row(p, "") for p in patterns(records, layer, _ROWS_A_SCENARIO)]
    first = next((row for row in rows if not row.published), None)
    shown = spaced(first.sizes[:_WORDS_AT_MOST]) if first else "nothing"
    fewer = len({row.label.split(",")[0] for row in rows if not row.published})
    more = ""
    if crossed and fewer < len(matrix.networks):
        more = f": {fewer} of {len(matrix.networks)} networks, by falling agreement"
    what = "each sender and network" if crossed else "each sequence, the most frequent first"
    return Drawing(
        f"sizes-{file_name(name)}",
        name,
        f"The sizes of one session of {what}. Dotted: where the next multiple of the MSS falls.",
        f"Sizes of {layer}, {count(len(rows), 'row')}; the lab's first: {shown}.",
        partial(
            strips, f"{name}: sizes of the {layer}", f"{what}{more}", rows[:_ROWS_AT_MOST]
        ),
    )  # fmt: skip


def _side_by_side(result: ScenarioResult, records: Sequence[SessionRecord]) -> list[Strip]:
    """The first published row, the lab's sequence that equals it, and the most frequent others."""
    subject = outside_sweep(records)
    printed = _published(result, subject)[:1]
    found = patterns(subject, layer_of(result), len(subject))
    if printed:
        row = printed[0].sizes
        found.sort(key=lambda pattern: pattern.sizes[: len(row)] != row)
    found = found[: _ROWS_BESIDE if printed else 1]
    return [*printed, *(_row(pattern, _title(result)) for pattern in found)]


def _published(result: ScenarioResult, records: Sequence[SessionRecord]) -> list[Strip]:
    complete = next((record for record in records if record.complete), None)
    if complete is None:
        return []
    return [
        Strip(
            "published",
            row,
            complete.mss,
            other_full_sizes(complete),
            ends_alone(complete),
            _title(result),
            published=True,
        )
        for row in published_rows(result)
    ]


def _representative_networks(matrix: Matrix) -> tuple[str, ...]:
    """All networks if the rows of all fit; otherwise a selection.

    The selection is spread evenly over the networks in the order of their mean agreement, the
    highest first.
    """
    known: dict[str, list[float]] = {}
    for row in matrix.rows:
        for network, cell in zip(matrix.networks, row, strict=True):
            if cell is not None and cell.agreement is not None:
                known.setdefault(network, []).append(cell.agreement)
    room = max(_ROWS_AT_MOST // max(len(matrix.senders), 1), 2)
    if len(known) <= room:
        return matrix.networks
    ranked = sorted(known, key=lambda network: -mean(known[network]))
    step = (len(ranked) - 1) / (room - 1)
    return tuple(ranked[round(i * step)] for i in range(room))


def _row_a_cell(
    records: Sequence[SessionRecord], layer: Layer, networks: Sequence[str]
) -> list[Strip]:
    by_cell: dict[tuple[str, str], list[SessionRecord]] = {}
    for record in sorted(
        (r for r in records if r.network in networks), key=lambda r: networks.index(r.network)
    ):
        by_cell.setdefault((record.sender, record.network), []).append(record)
    return [
        _row(pattern, sender, network)
        for (sender, network), members in sorted(by_cell.items(), key=lambda item: item[0][0])
        for pattern in patterns(members, layer, 1)
    ]


def _row(pattern: Pattern, group: str, label: str = "") -> Strip:
    share = f"{pattern.sessions} of {pattern.of}"
    always = pattern.sessions == pattern.of
    return Strip(
        (label if always else f"{label}, {share}") if label else f"{share} sessions",
        pattern.sizes,
        pattern.mss,
        pattern.others,
        pattern.own_terminator,
        group,
    )


def _title(result: ScenarioResult) -> str:
    experiment = result.experiment
    return f"{experiment.name}: {experiment.title}" if experiment.title else experiment.name


def _distribution(name: str, scenario: str | None, groups: Sequence[SizeDistribution]) -> Drawing:
    full = [
        sum(n for size, n in group.segments.items() if size == group.mss)
        / max(sum(group.segments.values()), 1)
        for group in groups
    ]
    ends = f"{100 * min(full):.0f} to {100 * max(full):.0f} %" if full else "no"
    return Drawing(
        name,
        scenario,
        "How often each size occurs, in multiples of the MSS of its row. Segments end at the"
        " first dashed line; reads that merged full segments stand on the others.",
        f"{count(len(groups), 'group')}; {ends} of the segments are full.",
        partial(
            distribution,
            "What the network decides stands on the lines, what the sender decides beside them",
            groups,
        ),
    )


def _timeline(session: SessionRecord) -> Drawing:
    return Drawing(
        f"timeline-{file_name(session.scenario)}",
        session.scenario,
        "One session. Above, each segment runs from the client, when it was sent, to the server,"
        " when it arrived. Below, the layers over the bytes of the stream, each write in a colour.",
        f"{count(len(session.writes), 'write')} of {_some(sizes(session.writes))} bytes became"
        f" segments of {_some(sizes(session.segments))}, read as {_some(sizes(session.reads))}.",
        partial(timeline, session),
        captures_of(session),
    )


def _some(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _WORDS_AT_MOST} more" if len(numbers) > _WORDS_AT_MOST else ""
    return f"{spaced(numbers[:_WORDS_AT_MOST])}{more}"


def captures_of(session: SessionRecord) -> tuple[str, ...]:
    """The captures of a session that the page may link to: plain paths below ``wire/``."""
    captures = (session.captures.client, session.captures.server)
    return tuple(path for path in dict.fromkeys(captures) if path and _is_inside(path))


def file_name(name: str) -> str:
    """A scenario's name with every character replaced that a file name should not have."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:80]


def _is_inside(path: str) -> bool:
    """Whether a stored path lies below ``wire/`` and has no ``.`` or ``..`` in it."""
    first, *rest = path.split("/")
    return first == "wire" and bool(rest) and all(part.strip(".") for part in rest)
