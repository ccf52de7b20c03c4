"""What the paper prints of an experiment, and whether one session is like it."""

from collections.abc import Callable

from lab.paper import Layer, PublishedListing, keys, published
from lab.plots.seen import Sizes, layer_sizes
from lab.record import SessionRecord
from lab.report.finding import Finding


def printed_rows(finding: Finding) -> tuple[Sizes, ...]:
    """The distinct sequences of sizes that the paper prints; none where it prints nothing."""
    if finding.sequences.printed:
        return tuple(item.sizes for item in finding.sequences.printed)
    listing = _listing(finding)
    return (listing.sizes,) if listing and listing.sizes else ()


def layer_of(finding: Finding) -> Layer:
    """The layer that an experiment is about; ``segments`` where the paper prints nothing."""
    return finding.experiment.layer if printed_rows(finding) else "segments"


def verdict_of(finding: Finding) -> Callable[[SessionRecord], str]:
    """What to call a session of an experiment, in a word or two.

    A session is as published when its sizes, at the experiment's layer, are a printed row; of a
    listing that was cut, when they begin with it.
    """
    rows, layer = printed_rows(finding), layer_of(finding)
    listing = _listing(finding)
    cut = listing is not None and not listing.complete

    def verdict(record: SessionRecord) -> str:
        if not record.complete:
            return "failed"
        if not rows:
            return "complete"
        seen = layer_sizes(record, layer)
        alike = any(seen == row or (cut and seen[: len(row)] == row) for row in rows)
        return "as published" if alike else "other sizes"

    return verdict


def _listing(finding: Finding) -> PublishedListing | None:
    key = finding.experiment.published
    found = published(key) if key is not None and key in keys() else None
    return found if isinstance(found, PublishedListing) else None
