"""The page of ``seglab regress``: complete by itself, readable on a phone and in the dark."""

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser, browser
from programs import need
from regressing import sessions

from seglab.classification.registry import of_callable
from seglab.core.observation import Observation
from seglab.regress.case import cases
from seglab.regress.checks import CHECKS
from seglab.regress.page import page
from seglab.regress.run import run
from seglab.regress.sessions import SAMPLE, load
from seglab.runners.local import LocalRunner

ROOT = Path(__file__).parents[2]


def table(observation: Observation) -> str:
    """Has learned one MTU by heart."""
    return "single_write" if observation.sizes[0] == 1448 else "relay"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a classifier that breaks, with markup in its name."""
    runner = LocalRunner(of_callable(table, "<b>mine</b>"))
    result = run(list(cases(sessions(), "segments")), runner, CHECKS)
    path = tmp_path_factory.mktemp("page") / "regress.html"
    path.write_bytes(page(result))
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for this file."""
    profile = tmp_path_factory.mktemp("profile")
    with browser(need("chromium"), need("chromedriver"), profile) as one:
        yield one


def test_complete_by_itself(chromium: Browser, document: Path) -> None:
    """It asks for nothing but itself, nothing is refused by its policy, and text stays text."""
    chromium.look()
    chromium.open(document)
    assert chromium.requested() == [document.as_uri()]
    assert chromium.complaints() == []
    assert chromium.text("h1").startswith("<b>mine</b> breaks")


def test_smallest_example_is_drawn(chromium: Browser, document: Path) -> None:
    """Both sides of the first break are there, each as wide as its bytes say."""
    chromium.open(document)
    shown = chromium.js(
        "const first = document.querySelector('#label_ignores_mtu .finding');"
        "return [...first.querySelectorAll('.side')].map(side => ["
        "side.querySelector('p').textContent.trim().split(/\\s+/)[0],"
        "[...side.querySelectorAll('.strip span')].map(s => s.title)]);"
    )
    assert shown[0] == ["The", ["5000 bytes"]]
    assert shown[1] == ["single_write", ["1448 bytes"] * 3 + ["656 bytes"]]
    assert shown[2] == ["relay", ["1228 bytes"] * 4 + ["88 bytes"]]
    full, last = chromium.js(
        "const side = document.querySelectorAll('#label_ignores_mtu .strip')[1].children;"
        "return [side[0], side[3]].map(s => s.getBoundingClientRect().width);"
    )
    assert full / last == pytest.approx(1448 / 656, rel=0.02)


def test_the_matrix_of_the_sample_fits_a_desk(chromium: Browser, tmp_path: Path) -> None:
    """No MTU hides beyond the edge, though several checks break in many of its cells."""
    example = runpy.run_path(str(ROOT / "examples" / "learned_the_mtu.py"))
    runner = LocalRunner(of_callable(example["classify"], "learned_the_mtu"))
    path = tmp_path / "regress.html"
    path.write_bytes(page(run(load(SAMPLE, "segments"), runner, CHECKS)))
    chromium.look()
    chromium.open(path)
    assert chromium.js(
        "const matrix = document.querySelector('#matrix .scroll');"
        "return [matrix.querySelectorAll('thead th').length, matrix.scrollWidth,"
        " matrix.querySelectorAll('.broken').length > 20];"
    ) == [10, chromium.js("return document.querySelector('#matrix .scroll').clientWidth"), True]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(chromium: Browser, document: Path, scheme: str) -> None:
    """On 360 pixels nothing but the matrix scrolls sideways, in either colour scheme."""
    chromium.look(360, 740, scheme=scheme, touch=True)
    chromium.open(document)
    assert chromium.js("return document.documentElement.scrollWidth") <= 360
    ground, ink = chromium.js(
        "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
    )
    brightness = [sum(map(int, c[4:-1].split(","))) for c in (ground, ink)]
    assert (brightness[0] > brightness[1]) == (scheme == "light")
