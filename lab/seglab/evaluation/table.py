"""An evaluation as lines of text, for people."""

from collections.abc import Iterable, Iterator, Sequence

from seglab.core.text import safe, spaced
from seglab.evaluation.evaluation import Evaluation, LayerEvaluation, Mistake, Part
from seglab.evaluation.metrics import Confusion

_SIZES_SHOWN = 24
_ABSTAINED = "abstained"


def lines(evaluation: Evaluation, mistakes: int = 10) -> Iterator[str]:
    """The tables of all layers.

    Args:
        evaluation: what is shown.
        mistakes: how many of the wrong answers of each layer are named.
    """
    left_out = f", {evaluation.left_out} left out (failed)" if evaluation.left_out else ""
    yield f"{safe(evaluation.classifier)} on {evaluation.sessions} sessions{left_out}"
    for layer in evaluation.layers:
        yield ""
        yield from _layer(layer, mistakes)


def _layer(layer: LayerEvaluation, mistakes: int) -> Iterator[str]:
    whole = layer.whole
    edges = whole.boundaries
    yield f"{layer.layer}: macro F1 of style {_number(whole.style.macro_f1)}"
    yield (
        f"  boundaries: F1 {_number(edges.f1)}, precision {_number(edges.precision)} of "
        f"{edges.named} named, recall {_number(edges.recall)} of {edges.visible} traced; "
        f"{edges.written - edges.visible} of {edges.written} left no trace"
    )
    spread = ", ".join(
        f"{size or 'none'}: {number}" for size, number in sorted(whole.set_sizes.items())
    )
    yield f"  styles an answer: mean {_number(whole.mean_set_size)} ({spread})"
    yield (
        f"  sets: {whole.sets}, right {whole.sets_right}, with a member that cannot have "
        f"produced the sizes {whole.sets_impossible}, of these not verified {whole.sets_unknown}"
    )
    same = layer.invariance
    yield (
        f"  over other MTUs: {_number(same.share)} of {same.pairs} pairs have the same label, "
        f"{same.disjoint} have none in common; {same.other_traces} show other boundaries"
    )
    for title, confusion in (
        ("style", whole.style),
        ("path condition", whole.path_condition),
        ("terminator", whole.terminator),
    ):
        yield ""
        yield from _matrix(title, confusion)
    yield ""
    yield from _parts("network", layer.networks, layer.mtus)
    yield ""
    yield from _parts("path condition", layer.conditions, {})
    for name, part in sorted(layer.networks.items()):
        if part.style.right < part.style.total:
            yield ""
            yield from _matrix(f"style, {safe(name)}", part.style)
    yield from _mistakes(layer.mistakes, mistakes)


def _matrix(title: str, confusion: Confusion) -> Iterator[str]:
    answers = [*confusion.labels, *([None] if confusion.abstained else [])]
    header = [f"{title}: truth", "sessions", "precision", "recall", "F1"]
    rows = [[*header, *(safe(answer or _ABSTAINED) for answer in answers)]]
    for score in confusion.scores():
        counts = (confusion.counts[score.label, answer] for answer in answers)
        rows.append(
            [
                safe(score.label),
                str(score.sessions),
                _number(score.precision),
                _number(score.recall),
                _number(score.f1),
                *(str(count) if count else "." for count in counts),
            ]
        )
    yield from _aligned(rows)


def _parts(title: str, parts: dict[str, Part], mtus: dict[str, int]) -> Iterator[str]:
    rows = [[title, "MTU", "sessions", "right", "abstained", "macro F1", "boundaries F1", "styles"]]
    for name, part in sorted(parts.items()):
        rows.append(
            [
                safe(name),
                str(mtus.get(name, "")),
                str(part.style.total),
                str(part.style.right),
                str(part.style.abstained),
                _number(part.style.macro_f1),
                _number(part.boundaries.f1),
                _number(part.mean_set_size),
            ]
        )
    yield from _aligned(rows)


def _mistakes(found: Sequence[Mistake], shown: int) -> Iterator[str]:
    if not found or not shown:
        return
    yield ""
    yield f"{min(shown, len(found))} of the sessions that were not recognised:"
    for mistake in found[:: max(1, len(found) // shown)][:shown]:
        answer = " or ".join(mistake.answer) or _ABSTAINED
        impossible = f", impossible: {', '.join(mistake.impossible)}" if mistake.impossible else ""
        yield f"  {safe(mistake.session_id)}"
        yield f"    is {safe(mistake.truth)}, answered {safe(answer + impossible)}"
        yield f"    writes {spaced(mistake.writes, _SIZES_SHOWN)}"
        yield f"    sizes  {spaced(mistake.sizes, _SIZES_SHOWN)} (MSS {mistake.mss})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (
            cell.ljust(width) if not index else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join((first, *rest)).rstrip()
