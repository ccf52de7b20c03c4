"""The summary figure of a dataset, from what was counted."""

from collections import Counter

from lab.dataset.check import Checked
from lab.plots.dataset import summary
from lab.plots.style import render


def picture(checked: Checked) -> dict[str, bytes]:
    """The figure as files, by suffix."""
    tally, manifest = checked.tally, checked.manifest
    splits = tally.splits.get("split", Counter[str]())
    parts = ", ".join(f"{count:,} {part}" for part, count in splits.items())
    subtitle = f"{tally.sessions:,} sessions: {parts}; seed {manifest.seed}"
    return render(
        lambda: summary(
            f"Dataset {manifest.name}",
            subtitle,
            tally.labels,
            tally.networks,
            tally.segments,
            tally.reads,
        )
    )
