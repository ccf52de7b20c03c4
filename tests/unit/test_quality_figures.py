"""README and docs/quality.md quote the figures that an evaluation left, and no others."""

import json
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
QUALITY = ROOT / "benchmarks" / "quality"


def script() -> ModuleType:
    """``benchmarks/quality/figures.py``, which is no module of the package."""
    spec = spec_from_file_location("quality_figures", QUALITY / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SCRIPT = script()
FIGURES = json.loads(SCRIPT.FIGURES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", SCRIPT.DOCUMENTS, ids=lambda path: path.name)
def test_documents_quote_the_figures(document: Path) -> None:
    """After a change of the figures, ``python benchmarks/quality/figures.py`` writes them."""
    text = document.read_text(encoding="utf-8")
    assert SCRIPT.BLOCK.search(text)
    assert SCRIPT.rewritten(text, FIGURES) == text


def test_the_readme_says_how_often_the_side_was_looked_at() -> None:
    """Beside the claim that its MTUs were not used while the rules were made."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    claim = SCRIPT.block("summary", FIGURES)
    assert "not used while it was made" in claim
    looks = FIGURES["held-out"]["boundaries"]["evaluations"]
    assert f"evaluated {SCRIPT.times(looks)}" in claim
    assert claim in readme


def test_figures_are_of_the_networks_of_their_side() -> None:
    """Every network of a side that was evaluated has its figures, and each classifier has some."""
    split = tomllib.loads((QUALITY / "split.toml").read_text(encoding="utf-8"))
    for side, entries in FIGURES.items():
        assert set(entries) == {*SCRIPT.CLASSIFIERS}
        for entry in entries.values():
            assert entry["left_out"] == 0
            for layer in SCRIPT.LAYERS:
                assert set(entry[layer]["networks"]) == set(split[side.replace("-", "_")])


def test_the_summary_has_a_place_for_the_later_sides() -> None:
    """Before their evaluation the README says so, and afterwards it has the figures."""
    held_out = FIGURES["held-out"]
    before = SCRIPT.block("summary", {"held-out": held_out})
    assert "still to be evaluated" in before
    fresh = {name: entry | {"evaluations": 1} for name, entry in held_out.items()}
    after = SCRIPT.block("summary", {"held-out": held_out, "fresh": fresh})
    assert "fresh networks, evaluated once and after the last change" in after
    last = SCRIPT.block("summary", {"held-out": held_out, "fresh": fresh, "unseen": fresh})
    assert "fresh networks, evaluated once and before the last change" in last
    assert "unseen networks, evaluated once and after it" in last
    assert SCRIPT.block("fresh", {}).strip() == "This side has not been evaluated."


def test_a_document_without_its_figures_is_found_out() -> None:
    """A number that somebody typed is replaced."""
    text = "a <!-- figures: evaluated -->9 times<!-- end --> b"
    assert SCRIPT.rewritten(text, {"held-out": {"boundaries": {"evaluations": 2}}}) == (
        "a <!-- figures: evaluated -->twice<!-- end --> b"
    )
