"""Evaluate a side of the split, keep its figures, and bring the documents up to date with them.

    python benchmarks/quality/figures.py fresh runs     # evaluates runs/fresh-*, and rewrites
    python benchmarks/quality/figures.py                # rewrites the documents alone

The figures live in ``figures.json`` beside this file, and nowhere else. Every text between
``<!-- figures: NAME -->`` and ``<!-- end -->`` in README.md and docs/quality.md follows from it,
and tests/unit/test_quality_figures.py holds the documents to that.

Each evaluation of a side counts as a look at it. So evaluate a side only when its figures have to
change, and never the youngest side before the last change of the rules.
"""

import argparse
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seglab.classification.registry import classifier
from seglab.commands.evaluate import KeptFigures, evaluate_run
from seglab.experiment.registry import scenario
from seglab.runs.folder import RunFolder

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIGURES = HERE / "figures.json"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "quality.md")
SIDES = ("tuning", "held-out", "fresh", "unseen")
CLASSIFIERS = ("boundaries", "paper")
LAYERS = ("segments", "reads")
BLOCK = re.compile(r"(<!-- figures: (\S+) -->)(.*?)(<!-- end -->)", re.DOTALL)
AIMS = {"style_macro_f1": {"segments": 0.99, "reads": 0.95},
        "boundaries_f1": {"segments": 0.98, "reads": 0.98}}  # fmt: skip

Figures = dict[str, Any]


def runs_of(side: str, folder: Path) -> list[Path]:
    """The runs of a side's scenarios, all of them there and all of their sessions complete."""
    files = sorted(HERE.glob(f"{side}-*.toml"))
    for file in files:
        counts = RunFolder.open(folder / file.stem).manifest.counts
        plan = scenario(file)
        expected = len(plan.senders) * len(plan.networks)
        if not counts.planned or counts.planned % expected or counts.complete < counts.planned:
            raise SystemExit(
                f"{folder / file.stem}: {counts.complete} of {counts.planned} sessions are "
                f"complete; expected all, and a multiple of {expected}"
            )
    return [folder / file.stem for file in files]


def evaluate(side: str, folder: Path) -> None:
    """Ask both classifiers about the sessions of a side, and keep the figures."""
    runs = runs_of(side, folder)
    for name in CLASSIFIERS:
        evaluate_run(
            runs,
            classifier(name),
            as_json=False,
            mistakes=0,
            kept=KeptFigures(FIGURES, side),
            file=io.StringIO(),
        )


def times(number: int) -> str:
    """A number of evaluations in words."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def grouped(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}".replace(",", " ")


def table(rows: list[list[str]]) -> Iterator[str]:
    """A table of Markdown, its first row the heads."""
    head, *others = rows
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in others:
        yield f"| {' | '.join(row)} |"


def columns(side: Figures) -> list[tuple[str, Figures]]:
    """The heads and the figures of a side's columns: a classifier at a layer."""
    return [(f"`{name}`, {layer}", side[name][layer]) for name in CLASSIFIERS for layer in LAYERS]


def three(value: float | None) -> str:
    """A share."""
    return "-" if value is None else f"{value:.3f}"


def overview(side: Figures) -> Iterator[str]:
    """What is said of both classifiers at both layers."""
    found = columns(side)
    labels = sorted({label for _, one in found for label in one["style_f1"]})
    rows = [["", *(head for head, _ in found)]]

    def add(name: str, *cells: str) -> None:
        rows.append([name, *cells])

    add("macro F1 of style", *(three(one["style_macro_f1"]) for _, one in found))
    for label in labels:
        add(f"`{label}`", *(three(one["style_f1"].get(label)) for _, one in found))
    add("no answer", *(str(one["no_answer"]) for _, one in found))
    add("F1 of boundaries", *(three(one["boundaries_f1"]) for _, one in found))
    add("precision", *(three(one["boundaries_precision"]) for _, one in found))
    add("recall", *(three(one["boundaries_recall"]) for _, one in found))
    add("visible boundaries", *(str(one["boundaries_visible"]) for _, one in found))
    add("hidden ones", *(str(one["boundaries_hidden"]) for _, one in found))
    add("styles an answer", *(f"{one['styles_per_answer']:.2f}" for _, one in found))
    add("sets", *(str(one["sets"]) for _, one in found))
    add("right ones", *(str(one["sets_right"]) for _, one in found))
    add("with an impossible member",
        *(str(one["sets_with_impossible_member"]) for _, one in found))  # fmt: skip
    add("same label over other MTUs",
        *(three(one["same_label_over_other_mtus"]) for _, one in found))  # fmt: skip
    add("contradictions", *(f"{one['contradictions']} of {one['pairs']}" for _, one in found))
    for what in ("terminator", "path_condition"):
        words = what.replace("_", " ")
        add(f"{words}: right answers",
            *(f"{three(one[what]['right'])} of {one[what]['answers']}" for _, one in found),
            )  # fmt: skip
    yield from table(rows)


def by_network(one: Figures) -> Iterator[str]:
    """The classifier ``boundaries`` network by network."""
    segments, reads = (one[layer]["networks"] for layer in LAYERS)
    rows = [["network", "MTU", "style, segments", "boundaries, segments", "style, reads",
             "boundaries, reads"]]  # fmt: skip
    for name, cut in sorted(segments.items()):
        read = reads[name]
        shares = (cut["style_macro_f1"], cut["boundaries_f1"],
                  read["style_macro_f1"], read["boundaries_f1"])  # fmt: skip
        rows.append([f"`{name}`", str(cut["mtu"]), *map(three, shares)])
    yield from table(rows)


def matrix(one: Figures) -> Iterator[str]:
    """Truths and credited answers."""
    found = one["style_matrix"]
    answers = sorted({answer for row in found.values() for answer in row} - {"none"})
    rows = [["", *(f"`{answer}`" for answer in answers), "none"]]
    for truth, row in sorted(found.items()):
        rows.append([f"`{truth}`", *(str(row.get(a) or "") for a in (*answers, "none"))])
    yield from table(rows)


def side_in_full(side: Figures) -> Iterator[str]:
    """A side with everything that is kept of it."""
    one = side["boundaries"]
    yield from overview_with_count(side)
    yield ""
    yield "By network, macro F1 of style and F1 of boundaries of `boundaries`:"
    yield ""
    yield from by_network(one)
    for layer in LAYERS:
        yield ""
        yield f"Truth and credited answer, {layer}:"
        yield ""
        yield from matrix(one[layer])


def overview_with_count(side: Figures) -> Iterator[str]:
    """A side's overview, and how many sessions it has."""
    one = side["boundaries"]
    yield f"{one['sessions']} sessions, each once by its segments and once by its reads."
    yield ""
    yield from overview(side)


def aims(figures: Figures) -> Iterator[str]:
    """What was wanted of ``boundaries``, and what came out on each side."""
    sides = [side for side in SIDES if "boundaries" in figures.get(side, {})]
    rows = [["`boundaries`", "aim", *(side.replace("-", " ") for side in sides)]]
    for what, words in (
        ("style_macro_f1", "macro F1 of style"),
        ("boundaries_f1", "F1 of boundaries"),
    ):
        for layer in LAYERS:
            found = (figures[side]["boundaries"][layer][what] for side in sides)
            rows.append([f"{words}, {layer}", f"{AIMS[what][layer]:.2f}", *map(three, found)])
    yield from table(rows)


def summary(figures: Figures) -> Iterator[str]:
    """What the README says."""
    held_out = figures["held-out"]["boundaries"]
    segments, reads = (held_out[layer] for layer in LAYERS)
    yield (
        f"Over {len(segments['networks'])} networks whose MTUs were not used while it was made, "
        f"its macro F1 of style is {three(segments['style_macro_f1'])} on segments"
    )
    yield (
        f"and {three(reads['style_macro_f1'])} on reads alone, with {styles_per_answer(held_out)}."
    )
    yield (
        f"That side was evaluated {times(held_out['evaluations'])}, and the rules changed in "
        "between and afterwards."
    )
    fresh = figures.get("fresh", {}).get("boundaries")
    if fresh is None:
        yield "A third side, which no classifier has seen, is still to be evaluated."
        return
    unseen = figures.get("unseen", {}).get("boundaries")
    if unseen is None:
        yield from of_later_side("fresh", fresh, "after the last change of the rules")
        return
    yield from of_later_side("fresh", fresh, "before the last change of the rules")
    yield from of_later_side("unseen", unseen, "after it")


def of_later_side(name: str, side: Figures, when: str) -> Iterator[str]:
    """What the README says of a side that was made when the older ones had been seen."""
    segments, reads = (side[layer] for layer in LAYERS)
    yield (
        f"On {len(segments['networks'])} {name} networks, evaluated {times(side['evaluations'])} "
        f"and {when}, it is {three(segments['style_macro_f1'])}"
    )
    yield (
        f"on segments and {three(reads['style_macro_f1'])} on reads, with "
        f"{styles_per_answer(side)}."
    )


def styles_per_answer(one: Figures) -> str:
    """How many styles an answer has at each layer."""
    segments, reads = (one[layer]["styles_per_answer"] for layer in LAYERS)
    return f"{segments:.1f} and {reads:.1f} styles an answer"


def wrong(figures: Figures) -> str:
    """How many sessions of the held-out side were not recognised by their segments."""
    one = figures["held-out"]["boundaries"]
    segments = one["segments"]
    return (
        f"{one['sessions'] - segments['right']} of {one['sessions']} sessions count as wrong, "
        f"{segments['no_answer']} of them because they have no answer."
    )


def fluctuating(figures: Figures) -> str:
    """How often a path that fluctuates is recognised by its segments."""
    row = figures["held-out"]["boundaries"]["segments"]["path_condition"]["matrix"]["fluctuating"]
    return f"in {row.get('fluctuating', 0)} of {sum(row.values())} sessions"


def contradictions(figures: Figures) -> str:
    """How many pairs of sessions contradict each other, on the sides that rules were made with."""
    parts = []
    for layer in LAYERS:
        found = [figures[side]["boundaries"][layer] for side in ("tuning", "held-out")]
        number, pairs = (sum(one[key] for one in found) for key in ("contradictions", "pairs"))
        parts.append(f"{number} of {grouped(pairs)} {'pairs ' * (layer == 'segments')}by {layer}")
    return ", and ".join(parts)


def evaluated(figures: Figures) -> str:
    """How often the held-out side was looked at."""
    return times(figures["held-out"]["boundaries"]["evaluations"])


def block(name: str, figures: Figures) -> str:
    """The text of a block in a document."""
    inline = {"wrong": wrong, "fluctuating": fluctuating, "contradictions": contradictions,
              "evaluated": evaluated}  # fmt: skip
    if name in inline:
        return inline[name](figures)
    if name == "summary":  # within an item of a list
        return "".join(f"\n  {line}" for line in summary(figures)) + " "
    if name == "aims":
        lines = ["", *aims(figures), ""]
    elif "boundaries" not in figures.get(name, {}):
        lines = ["", "This side has not been evaluated.", ""]
    else:
        parts = overview_with_count if name == "tuning" else side_in_full
        lines = ["", *parts(figures[name]), ""]
    return "\n" + "\n".join(lines) + "\n"


def rewritten(text: str, figures: Figures) -> str:
    """A document with the text of each block."""
    return BLOCK.sub(lambda found: found[1] + block(found[2], figures) + found[4], text)


def main() -> None:
    """Evaluate, if asked to, and write the documents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", nargs="?", choices=SIDES)
    parser.add_argument("runs", nargs="?", type=Path, help="the folder that holds the side's runs")
    options = parser.parse_args()
    if (options.side is None) != (options.runs is None):
        parser.error("a side, and the folder of its runs")
    if options.side:
        evaluate(options.side, options.runs)
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        document.write_text(rewritten(text, figures), encoding="utf-8")
    for line in aims(figures):
        print(line)


if __name__ == "__main__":
    main()
