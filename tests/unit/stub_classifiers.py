"""Classifiers to ask, for the tests of ``seglab classify``; a process with them starts fast."""

from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation


def stub(observation: Observation) -> Verdict | None:
    """A verdict that the sizes alone decide: none for one size, else by the first size."""
    if len(observation.sizes) == 1:
        return None
    first = observation.sizes[0]
    styles = {77: "relay", 520: "headers_then_body", 9366: ("single_write", "fixed_buffer")}
    return Verdict(
        id="not this one",
        style=styles.get(first, "single_write"),
        terminator="own_write" if observation.sizes[-1] == 5 else "with_body",
        path_condition="pmtu_fall" if first == 1388 else "steady",
        buffer=2048 if first == 1460 else None,
        boundaries=(first,),
        boundary_confidence=(0.875,),
        confidence=0.5 if first == 9366 else 0.9375,
        evidence=(f"begins with {first}",),
    )


def style_alone(_observation: Observation) -> str:
    """A classifier that says nothing of how sure it is."""
    return "relay"


def failing(observation: Observation) -> Verdict:
    """A classifier with a mistake in it."""
    raise ZeroDivisionError(f"of {len(observation.sizes)} sizes\x1b[31m")


def failing_at_nine(observation: Observation) -> Verdict | None:
    """A classifier with a mistake that shows at nine sizes."""
    return stub(observation) if len(observation.sizes) != 9 else failing(observation)
