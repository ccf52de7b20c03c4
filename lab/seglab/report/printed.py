"""What the paper prints of an experiment, and whether one session is like it."""

from collections.abc import Callable

from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.report.finding import Finding
from seglab.reproduction.listings import as_published, layer_sizes
from seglab.reproduction.paper import PublishedListing, Sizes, keys, published


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

    A session is as published when its sizes, at the experiment's layer, are a printed row, or
    what the verdict on its listing takes for one.
    """
    rows, experiment = printed_rows(finding), finding.experiment
    listing = _listing(finding)

    def alike(record: SessionRecord) -> bool:
        if listing is not None and experiment.published is not None:
            return as_published(experiment.published, listing, experiment.layer, record)
        return layer_sizes(record, experiment.layer) in rows

    def verdict(record: SessionRecord) -> str:
        if not record.complete:
            return "failed"
        if not rows and listing is None:
            return "complete"
        return "as published" if alike(record) else "other sizes"

    return verdict


def _listing(finding: Finding) -> PublishedListing | None:
    key = finding.experiment.published
    found = published(key) if key is not None and key in keys() else None
    return found if isinstance(found, PublishedListing) else None
