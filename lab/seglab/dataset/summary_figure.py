"""Draws the summary figure of a dataset from the counts of a check."""

from collections import Counter

from seglab.dataset.check_result import CheckResult
from seglab.plots.dataset import summary
from seglab.plots.rendering import render

_TITLE_MAX = 80


def summary_figure(checked: CheckResult) -> dict[str, bytes]:
    """Draw the figure; returns the content of each file by its suffix."""
    tally, manifest = checked.counts, checked.manifest
    splits = tally.splits.get("split", Counter[str]())
    parts = ", ".join(f"{count:,} {part}" for part, count in splits.items())
    subtitle = f"{tally.sessions:,} sessions: {parts}; seed {manifest.seed}"
    return render(
        lambda: summary(
            _cut(manifest.title),
            subtitle,
            tally.labels,
            ("network, by split_network", tally.networks)
            if "split_network" in tally.splits
            else ("network", tally.labels.get("network", {})),
            tally.segments,
            tally.reads,
        ),
        engine=manifest.engine,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _TITLE_MAX else f"{text[: _TITLE_MAX - 1]}…"
