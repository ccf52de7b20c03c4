"""Classifiers for the tests of ``seglab classify``; a process that loads them starts fast."""

from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation


def stub(observation: Observation) -> Verdict | None:
    """Abstain on a single size; else give a verdict that the first and last size decide."""
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
    """Name a style without saying how sure it is."""
    return "relay"


def failing(observation: Observation) -> Verdict:
    """Raise an exception that has control characters in its text."""
    raise ZeroDivisionError(f"of {len(observation.sizes)} sizes\x1b[31m")


def failing_at_nine(observation: Observation) -> Verdict | None:
    """Raise an exception at nine sizes only."""
    return stub(observation) if len(observation.sizes) != 9 else failing(observation)
