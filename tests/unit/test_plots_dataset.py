"""The summary figure of a dataset: who reads it can tell the curves and the parts apart."""

import pytest
from drawn import shapes, texts

from seglab.core.labels import STYLES
from seglab.plots.dataset import summary

PARTS = {"train": 3, "test": 1}


@pytest.mark.parametrize("names", [STYLES, [f"of my own {number}" for number in range(16)]])
def test_no_two_curves_look_alike(names: list[str]) -> None:
    """Each style has a look of its own, a colour of its own as long as there are known ones."""
    counted = {name: {3: 1, 10: 2} for name in names}
    labels = {"style": dict.fromkeys(names, PARTS)}
    figure = summary("t", "s", labels, ("network", {"ethernet": PARTS}), counted, counted)
    assert {*names} <= {*texts(figure)}
    curves = [s for s in shapes(figure) if s.width == 1.6 and len(s.outlines[0]) > 2]
    looks = {(curve.line, curve.dashes) for curve in curves}
    assert (len(looks), len(curves)) == (len(names), 2 * len(names))  # in both diagrams the same
    if names is STYLES:
        assert len({curve.line for curve in curves}) == len(names)


@pytest.mark.parametrize(("parts", "told"), [(PARTS, False), ({None: 2}, True)])
def test_the_legend_has_what_is_there(parts: dict[str | None, int], told: bool) -> None:
    """Sessions in no part are named only where there are some."""
    counted = {"relay": {3: 1}}
    figure = summary("t", "s", {"style": {"relay": parts}}, ("network", {}), counted, counted)
    assert ("in no part" in texts(figure)) == told
