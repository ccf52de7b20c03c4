"""Sizes on a terminal: the strip, the run-length, and the drawing to scale."""

import json
from collections import Counter
from io import StringIO
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from seglab import classify
from seglab.classification.classifier import Verdict
from seglab.classification.scored import ClassifiedMessage
from seglab.classification.weights import WeightedScore
from seglab.core.observation import SIZE_MAX, Observation
from seglab.report.strip import base_of, in_ascii, run_length, strip
from seglab.report.strip_explained import drawing
from seglab.report.strip_message import page
from seglab.report.strip_table import AnswerTally, Sheet, line

SIZES = st.lists(
    st.one_of(st.integers(1, 3000), st.sampled_from([5, 1448, 1460, 2896]), st.just(SIZE_MAX)),
    min_size=1,
    max_size=250,
).map(tuple)
OFFSETS = st.lists(st.integers(-5, 500_000), max_size=20).map(tuple)


def drawn(sizes: tuple[int, ...], base: int, width: int = 80, push: bool | None = None) -> str:
    """The strip as text."""
    return "".join(cell.text for cell in strip(sizes, base, (push,) * len(sizes), width))


@pytest.mark.parametrize(
    ("sizes", "base", "expected"),
    [
        ((1440, 1440, 2240), 1440, "█ █ █▄"),
        ((4320, 720), 1440, "███ ▄"),
        ((5120, 4320, 800), 1440, "███▄ ███ ▄"),
        ((1440, 5), 1440, "█ ▁"),
        ((1439,), 1440, "▇"),
        ((1440 * 100 + 720,), 1440, "██████╌██████▄"),
    ],
)
def test_a_strip_of_the_papers_sizes(sizes: tuple[int, ...], base: int, expected: str) -> None:
    """A full column is a segment, a lower one a rest, and a gap stands between two sizes."""
    assert drawn(sizes, base) == expected


def test_push_ends_a_size() -> None:
    """Where PSH was set, its mark stands in the gap."""
    push = (False, False, False, True, None)
    cells = strip((1440, 1440, 1440, 800, 5), 1440, push, 80)
    assert "".join(cell.text for cell in cells) == "█ █ █ ▄▏▁"


def test_a_strip_that_is_too_long_is_counted() -> None:
    """What repeats is drawn once with its count; only then it is cut, and says so."""
    assert drawn((1440,) * 50 + (5,), 1440, 20) == "█x50 ▁"
    assert drawn(tuple(range(100, 1400, 13)), 1440, 20).endswith("…")


@given(SIZES, st.integers(1, 70_000), st.integers(1, 300), st.none() | st.booleans())
def test_a_strip_fits(sizes: tuple[int, ...], base: int, width: int, push: bool | None) -> None:
    """It is never wider than asked for, and never empty."""
    assert 0 < len(drawn(sizes, base, width, push)) <= width


@pytest.mark.parametrize(
    ("sizes", "width", "expected"),
    [
        ((1440, 1440, 1440, 800), None, "1440 x3 800"),
        ((1460, 588, 1460, 588), None, "1460 588 1460 588"),
        ((5, 5), None, "5 x2"),
        ((1440, 1440, 1440, 800), 11, "1440 x3 800"),
        ((1440, 1440, 1440, 800), 10, "1440 x3 …"),
        ((1440, 1440, 1440, 800), 8, "…"),
        ((1440,), 3, "…"),
    ],
)
def test_run_length(sizes: tuple[int, ...], width: int | None, expected: str) -> None:
    """As a listing has them; cut between two sizes, where it must be."""
    assert run_length(sizes, width) == expected


@given(SIZES)
def test_a_run_length_says_all(sizes: tuple[int, ...]) -> None:
    """Read back, it is the sizes; and cut to a width, it is that wide at most."""
    back: list[int] = []
    for word in run_length(sizes).split():
        if word.startswith("x"):
            back += back[-1:] * (int(word[1:]) - 1)
        else:
            back.append(int(word))
    assert tuple(back) == sizes
    for width in (1, 5, 20, 80):
        assert len(run_length(sizes, width)) <= width


def test_what_is_a_full_segment() -> None:
    """The MSS where it is known, else the verdict's likeliest MTU, else the sizes themselves."""
    sizes = (1388, 72, 2776)
    assert base_of(Observation(id="a", sizes=sizes, mss=1448)) == 1448
    verdict = Verdict(id="a", style=None, explanations=((1500, True), (1488, False)))
    assert base_of(Observation(id="a", sizes=sizes), verdict) == 1500 - 40 - 12
    over_ipv6 = Observation(id="a", sizes=sizes, client="[fd00:1::1]:40000")
    assert base_of(over_ipv6, verdict) == 1500 - 60 - 12
    assert base_of(Observation(id="a", sizes=sizes)) == 1388
    assert base_of(Observation(id="a", sizes=(9366, 5))) == 1460


def test_bars_are_to_scale() -> None:
    """Equal sizes have equal bars, half a size half of one; a boundary stands at its place."""
    observation = Observation(id="a", sizes=(1448, 724, 1448, 1448), mss=1448)
    verdict = Verdict(
        id="a", style=None, boundaries=(2172, 2896), boundary_confidence=(0.99, 0.5),
        recut=((0, 2172),),
    )  # fmt: skip
    bars, numbers, marks, labels, bracket = drawing(observation, verdict, 80)
    one, half, *others = (len(bar) for bar in bars.split()[1:])
    assert others == [one, one]
    assert half * 2 == one
    assert numbers.split() == ["1448", "724", "1448", "1448"]
    third = bars.index("█", bars.index("█") + one + 1 + half + 1)
    assert marks.index("▲") == third - 1, "in the gap before the third bar"
    assert marks.rindex("▲") == third + one // 2, "in the middle of the third bar"
    assert labels.split() == ["2172", "99%", "2896", "50%"]
    assert (bracket.index("└"), bracket.index("┘")) == (bars.index("█"), third - 2)


def test_a_merged_read_shows_its_segments() -> None:
    """A hairline stands where each segment would end, at the scale of the bar."""
    bars, numbers, *_ = drawing(Observation(id="a", sizes=(1440, 3600), mss=1440), None, 80)
    assert numbers.split() == ["1440", "3600"]
    one, merged = bars.split()[1:]
    assert set(one) == {"█"}
    assert [index for index, cell in enumerate(merged) if cell == "▉"] == [
        len(one) - 1, 2 * len(one) - 1,
    ]  # fmt: skip
    assert len(merged) == pytest.approx(len(one) * 2.5, abs=1)


def test_two_hundred_sizes_wrap() -> None:
    """In 80 columns, without losing one; each row says at which offset it begins."""
    sizes = (1448, 600) * 100
    ends = set(accumulate(sizes))
    verdict = Verdict(id="a", style=None, boundaries=tuple(range(2048, 204_800, 2048)))
    lines = list(drawing(Observation(id="a", sizes=sizes, mss=1448), verdict, 80))
    assert max(map(len, lines)) <= 80
    words = Counter(word for text in lines for word in text.split())
    assert words["1448"] == words["600"] == 100
    starts = [int(text.split()[0]) for text in lines if "█" in text]
    assert set(starts[1:]) <= ends
    assert sum(text.count("▲") for text in lines) == 99
    assert all(words[str(offset)] for offset in verdict.boundaries)


@given(SIZES, OFFSETS, OFFSETS, OFFSETS, st.none() | st.integers(1, 70_000), st.integers(40, 220))
@example((SIZE_MAX,), (400, 0), (400,), (), None, 40)
def test_whatever_a_classifier_says_is_drawn(
    sizes: tuple[int, ...],
    boundaries: tuple[int, ...],
    held: tuple[int, ...],
    recut: tuple[int, ...],
    mss: int | None,
    width: int,
) -> None:
    """Offsets outside the message, ranges that run backwards: no line is too wide."""
    observation = Observation(id="a", sizes=sizes, mss=mss, header_end=400)
    verdict = Verdict(
        id="a",
        style="relay",
        boundaries=boundaries,
        boundary_confidence=(0.5,) * (len(boundaries) // 2),
        held_back=held,
        recut=tuple(zip(recut, reversed(recut), strict=True)),
    )
    for text in drawing(observation, verdict, width):
        assert len(text) <= width
        assert in_ascii(text).isascii()


def test_nothing_of_a_verdict_reaches_the_terminal_as_it_is() -> None:
    """A classifier may be anybody's program, and what it says anybody's text."""
    evil = "\x1b[2J\n\u202e"
    one = ClassifiedMessage(
        Observation(id=evil, sizes=(5,), source=evil, client=evil, server=evil, notes=(evil,)),
        Verdict(
            id=evil, style=evil, terminator=evil, path_condition=evil, evidence=(evil,),
            witnesses={evil: (3,)},
        ),
        WeightedScore(1, {"style": 1}, 0, 2),
    )  # fmt: skip
    summary = AnswerTally()
    summary.add(one, shown=True)
    for text in (*page(one, 80), *line(one).split("\t"), summary.words()):
        assert text.isprintable()


def test_an_mtu_says_whether_it_is_over_ipv6() -> None:
    """1440 bytes are full at 1480, with timestamps at 1492, and over IPv6 at 1500."""
    explanations = ((1480, False), (1492, True), (1500, False))
    verdict = Verdict(id="a", style="relay", explanations=explanations)
    lines = list(page(ClassifiedMessage(Observation(id="a", sizes=(1440, 5)), verdict), 120))
    assert (
        "  MTU          1480 without timestamps, or 1492 with timestamps, "
        "or 1500 without timestamps over IPv6"
    ) in lines


def test_the_page_in_ascii() -> None:
    """For a terminal without Unicode."""
    one = ClassifiedMessage(
        Observation(id="a", sizes=(1448, 5), mss=1448, push=(False, True)),
        Verdict(id="a", style="relay", boundaries=(1448,)),
    )
    text = "\n".join(page(one, 80, unicode=False))
    assert text.isascii()
    assert "# " in text
    assert "^" in text


HOLED = Observation(
    id="a",
    sizes=(1448, 2896, 1448, 300),
    layer="segments",
    mss=1448,
    push=(False, None, False, True),
    complete=True,
    reply="accepted",
)


def test_a_hole_is_shown_as_one() -> None:
    """Bytes that were not captured are no size: in the table, for a pipe, and in the drawing."""
    assert HOLED.holes == ((1448, 4344),)
    one = ClassifiedMessage(HOLED, Verdict(id="a", style=None))
    assert line(one).split("\t")[-2] == "1448 hole:2896 1448 300"
    file = StringIO()
    sheet = Sheet(Console(file=file, width=140, force_terminal=True), scored=False, sources=False)
    sheet.add(one)
    sheet.flush()
    assert "░" in file.getvalue()
    assert "hole:2896" in file.getvalue()
    text = "\n".join(page(one, 100))
    assert "6092 bytes in 3 segments and 1 hole;" in text
    assert "hole:2896" in text
    assert "░ a hole" in text
    assert " 2896" not in text
    assert json.loads(one.to_json())["holes"] == [[1448, 4344]]


def test_a_log_has_no_holes() -> None:
    """Where nobody looked for PSH, nothing is a hole."""
    assert Observation(id="a", sizes=(5, 6)).holes == ()
    assert Observation(id="a", sizes=(5, 6), layer="reads", push=(None, None)).holes == ()


def test_an_encrypted_session_is_called_one() -> None:
    """The table, the line, JSON and the summary say encrypted, not that there is no style."""
    observation = Observation(id="a", sizes=(517, 80), layer="segments", encrypted=True)
    one = ClassifiedMessage(observation, Verdict(id="a", style=None))
    assert line(one).split("\t")[3] == "encrypted"
    assert json.loads(one.to_json())["encrypted"] is True
    tally = AnswerTally()
    tally.add(one, shown=True)
    assert tally.words() == "1 message: encrypted 1"
    assert "the session is encrypted" in "\n".join(page(one, 100))


@pytest.mark.parametrize("name", ["boundaries", "paper"])
def test_a_chunked_message_has_no_terminator(name: str) -> None:
    """BDAT's end of data is none of the terminators, and the evidence says so."""
    observation = Observation(
        id="a", sizes=(1448, 1448, 300), layer="segments", mss=1448, complete=True, chunked=True
    )
    verdict = classify(observation, classifier=name)
    assert verdict is not None
    assert verdict.terminator is None
    assert any("BDAT" in text for text in verdict.evidence)
