"""The figures of an evaluation that documents quote, rounded once, in a file that keeps them all.

The file has an entry for each *side* (a set of networks) and classifier. An entry also counts how
often the side was evaluated with that classifier: each look at a side makes it a weaker test,
because anyone who changes the rules afterwards has seen it.
"""

import json
from collections.abc import Mapping
from typing import Any

from seglab.errors import InputError
from seglab.evaluation.evaluation import Evaluation, LayerEvaluation
from seglab.evaluation.metrics import Confusion

DIGITS = 3
"""Figures are rounded to so many digits behind the point."""

Figures = dict[str, Any]
"""The content of the file, as JSON has it: by side, then by classifier."""


def figures_of(evaluation: Evaluation) -> Figures:
    """The figures of one evaluation, for each layer that it has."""
    return {
        "sessions": evaluation.sessions,
        "left_out": evaluation.left_out,
        **{layer.layer: _of_layer(layer) for layer in evaluation.layers},
    }


def with_evaluation(known: Mapping[str, Any], side: str, evaluation: Evaluation) -> Figures:
    """The figures with those of one more evaluation of a side, which replace the last ones.

    Args:
        known: the figures so far.
        side: what was evaluated.
        evaluation: of one classifier.
    """
    entries = dict(known.get(side, {}))
    before = entries.get(evaluation.classifier, {}).get("evaluations", 0)
    entries[evaluation.classifier] = {"evaluations": before + 1, **figures_of(evaluation)}
    return {**known, side: entries}


def parsed(text: str, where: str) -> Figures:
    """The content of a file of figures.

    Args:
        text: of the file.
        where: names the file in errors.

    Raises:
        InputError: the text is no file of figures.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON, so it holds no figures: {error}") from error
    sides = found.values() if isinstance(found, dict) else [None]
    entries = [one for side in sides for one in (side.values() if isinstance(side, dict) else [0])]
    if not all(isinstance(one, dict) and type(one.get("evaluations")) is int for one in entries):
        raise InputError(f"{where}: expected figures by side and classifier, found other JSON")
    return dict(found)


def to_text(figures: Mapping[str, Any]) -> str:
    """The content of the file: JSON, so ordered that a change shows where it is."""
    return json.dumps(figures, indent=1, sort_keys=True) + "\n"


def _of_layer(layer: LayerEvaluation) -> Figures:
    whole, pairs = layer.whole, layer.invariance
    return {
        "style_macro_f1": _rounded(whole.style.macro_f1),
        "style_f1": {score.label: _rounded(score.f1 or 0.0) for score in whole.style.scores()},
        "style_matrix": _matrix(whole.style),
        "right": whole.style.right,
        "no_answer": whole.style.abstained,
        "boundaries_f1": _rounded(whole.boundaries.f1),
        "boundaries_precision": _rounded(whole.boundaries.precision),
        "boundaries_recall": _rounded(whole.boundaries.recall),
        "boundaries_visible": whole.boundaries.visible,
        "boundaries_hidden": whole.boundaries.written - whole.boundaries.visible,
        "styles_per_answer": _rounded(whole.mean_set_size),
        "sets": whole.sets,
        "sets_right": whole.sets_right,
        "sets_with_impossible_member": whole.sets_impossible,
        "same_label_over_other_mtus": _rounded(pairs.share),
        "pairs": pairs.pairs,
        "contradictions": pairs.disjoint,
        "terminator": _answers(whole.terminator),
        "path_condition": _answers(whole.path_condition),
        "networks": {
            name: {
                "mtu": layer.mtus[name],
                "style_macro_f1": _rounded(part.style.macro_f1),
                "boundaries_f1": _rounded(part.boundaries.f1),
            }
            for name, part in sorted(layer.networks.items())
        },
    }


def _answers(confusion: Confusion) -> Figures:
    answers = confusion.total - confusion.abstained
    return {
        "answers": answers,
        "right": _rounded(confusion.right / answers if answers else None),
        "matrix": _matrix(confusion),
    }


def _matrix(confusion: Confusion) -> dict[str, dict[str, int]]:
    """Rows of truths with their answers; an abstention is the answer ``none``."""
    rows: dict[str, dict[str, int]] = {}
    for (truth, answer), number in confusion.counts.items():
        if number:
            rows.setdefault(truth, {})[answer or "none"] = number
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
