"""What the paper prints of an experiment, and whether one session agrees with it."""

from collections.abc import Callable

from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.report.scenario_result import ScenarioResult
from seglab.reproduction.listings import as_published, layer_sizes
from seglab.reproduction.paper import PublishedListing, Sizes, keys, published


def published_rows(result: ScenarioResult) -> tuple[Sizes, ...]:
    """The distinct sequences of sizes that the paper prints; none where it prints nothing."""
    if result.sequences.printed:
        return tuple(item.sizes for item in result.sequences.printed)
    listing = _listing(result)
    return (listing.sizes,) if listing and listing.sizes else ()


def layer_of(result: ScenarioResult) -> Layer:
    """The layer that an experiment is about; ``segments`` where the paper prints nothing."""
    return result.experiment.layer if published_rows(result) else "segments"


def verdict_of(result: ScenarioResult) -> Callable[[SessionRecord], str]:
    """What to call a session of an experiment, in a word or two.

    A session is as published when its sizes, at the experiment's layer, are one of the printed
    rows. For a listing, the rule of its verdict decides: it also covers rows that were cut.

    Returns:
        A function from a session to ``failed``, ``complete`` (nothing is printed), ``as
        published`` or ``other sizes``.
    """
    rows, experiment = published_rows(result), result.experiment
    listing = _listing(result)

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


def _listing(result: ScenarioResult) -> PublishedListing | None:
    key = result.experiment.published
    found = published(key) if key is not None and key in keys() else None
    return found if isinstance(found, PublishedListing) else None
