"""The tutorial in a lab: every command, in order; and every number in it."""

import re

import pytest
from programs import need
from tutorial import (
    FENCE,
    INSTALLATIONS,
    ROOT,
    TUTORIAL,
    Step,
    assert_conclusion,
    assert_printed,
    assert_reads_merge_segments,
    assert_whole_rows,
    done,
    words,
)

SIZES = re.compile(r"`(\d+(?: \d+)*)`")
SUM = re.compile(r"(?<![\d.])(\d+(?: [-+x] \d+)+) = (\d+)")


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """Everything that the tutorial's reader does, done once."""
    need("tshark")
    return done(tmp_path_factory.mktemp("reader"), simulated=False)


def test_the_installation_is_a_mode_of_bootstrap() -> None:
    """What the tutorial says of the installation is a mode of the script, and comes first."""
    assert FENCE.findall(TUTORIAL)[0] == ("sh", INSTALLATIONS[0])
    assert re.search(r"^  install\)$", (ROOT / "bootstrap.sh").read_text(), re.MULTILINE)


def test_each_output_follows_its_commands() -> None:
    """No output stands in the tutorial without the commands that make it right before it."""
    languages = [language for language, _ in FENCE.findall(TUTORIAL)]
    assert set(languages) == {"sh", "text", "toml", "python"}
    assert all(languages[i - 1] == "sh" for i, name in enumerate(languages) if name == "text")


def test_what_is_printed(steps: list[Step]) -> None:
    """Every line of output in the tutorial was printed, in that order, except for reads."""
    assert sum(bool(step.told) for step in steps) >= 7
    assert_printed(steps)


def test_sizes_have_no_more_to_them(steps: list[Step]) -> None:
    """The tutorial shows all sessions of a run, and rows of sizes to their ends."""
    assert_whole_rows(steps)


def test_reads_end_where_segments_end(steps: list[Step]) -> None:
    """Reads, as printed now and as shown, merge segments and split none."""
    assert_reads_merge_segments(steps)


def test_sizes_in_the_text(steps: list[Step]) -> None:
    """Sizes that the text names were printed, one after the other, or are reads that it shows."""
    text = FENCE.sub("", TUTORIAL)
    rows = [f" {row} " for step in steps for row in words(step.printed + "\n" + step.told)]
    named = SIZES.findall(text)
    assert named
    for sizes in named:
        assert any(f" {sizes} " in row for row in rows), sizes


def test_sums_in_the_text() -> None:
    """Every sum that the text gives is right."""
    sums = SUM.findall(FENCE.sub("", TUTORIAL))
    assert len(sums) >= 5
    for terms, result in sums:
        assert re.fullmatch(r"[\d x+-]+", terms)
        assert eval(terms.replace("x", "*")) == int(result), terms


def test_the_conclusion(steps: list[Step]) -> None:
    """The rule that memorised sizes fails wherever the sizes differ; the other rule never fails."""
    assert_conclusion(steps)
