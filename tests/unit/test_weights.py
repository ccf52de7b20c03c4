"""Weights: what adds up, what is left out, and the errors of a wrong file."""

from pathlib import Path

import pytest

from seglab.classification import weights
from seglab.classification.classifier import Verdict
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.errors import InputError

MINE = """
[style]
single_write = -1
relay = 0.5
[terminator]
own_write = 2
[buffer]
2048 = 4
[path_condition]
fluctuating = 8.25
"""


@pytest.fixture
def mine(tmp_path: Path) -> weights.Weights:
    """The weights above, from a file."""
    (tmp_path / "mine.toml").write_text(MINE)
    return weights.load(tmp_path / "mine.toml")


def test_all_four_axes_add_up(mine: weights.Weights) -> None:
    """The total is the sum of the parts, and the score has each part."""
    score = mine.score(
        Verdict(
            id="a",
            style="relay",
            terminator="own_write",
            buffer=2048,
            path_condition="fluctuating",
        )
    )
    assert score.total == score.low == score.high == 0.5 + 2 + 4 + 8.25
    assert score.parts == {
        "style": 0.5,
        "terminator": 2,
        "buffer": 4,
        "path_condition": 8.25,
    }


def test_of_several_styles_the_mean_counts(mine: weights.Weights) -> None:
    """The score also has the range that the members span."""
    score = mine.score(
        Verdict(id="a", style=("relay", "single_write", "line_by_line"), terminator="own_write")
    )
    assert score.total == pytest.approx((0.5 - 1 + 0) / 3 + 2)
    assert (score.low, score.high) == (-1 + 2, 0.5 + 2)


def test_what_is_unknown_counts_nothing(mine: weights.Weights) -> None:
    """An abstention, a style without a weight, another buffer."""
    for verdict in (
        Verdict(id="a", style=None),
        Verdict(id="a", style="timed_writes", terminator="with_body", buffer=1024),
        Verdict(id="a", style="a style of one's own", path_condition="steady"),
    ):
        assert mine.score(verdict).total == 0


def test_the_shipped_file_is_an_example() -> None:
    """It weighs every value that there is, and says that a style is no verdict of spam."""
    found = weights.load("example")
    assert found.style.keys() == set(STYLES)
    assert found.terminator.keys() == set(TERMINATORS)
    assert found.path_condition.keys() == set(PATH_CONDITIONS)
    file = Path(weights.__file__).with_name("example.toml")
    assert weights.load(file) == found
    words = file.read_text()
    assert "EXAMPLE" in words
    assert "A style is no verdict of spam." in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[styel]", "unknown key 'styel'; did you mean 'style'?"),
        ("[style]\nsingle_wirte = 1", "style: unknown key 'single_wirte'; did you mean 'single_w"),
        ("[terminator]\nnone = 1", "terminator: unknown key 'none'; known: own_write, with_body"),
        ("[style]\nrelay = '1'", "style.relay: expected a number from -1000000 to 1000000, found"),
        ("[style]\nrelay = true", "style.relay: expected a number"),
        ("[style]\nrelay = nan", "style.relay: expected a number"),
        ("[style]\nrelay = 1e9", "style.relay: expected a number"),
        ("[buffer]\nbig = 1", "buffer: expected buffers in bytes as keys, such as 2048, found 'b"),
        ("[buffer]\n0 = 1", "buffer: expected buffers in bytes"),
        ('[buffer]\n"\\u001b[2J" = 1', "buffer: expected buffers in bytes"),
        ("style = 1", "style: expected a table, found 1"),
        ("[style", "not TOML"),
    ],
)
def test_a_wrong_file_is_told_where(text: str, words: str, tmp_path: Path) -> None:
    """File, key, what was expected and what was found, in one line."""
    file = tmp_path / "w.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        weights.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_no_such_file(tmp_path: Path) -> None:
    """Is one line as well."""
    with pytest.raises(InputError, match="No such file"):
        weights.load(tmp_path / "none.toml")
