"""What counts as evidence for the classifier ``boundaries``: falls, holes, ends of data, commands.

The sizes are worked out by hand, or come from reports on real captures.
"""

import random
from typing import Any

import pytest

from seglab.classification.classifier import Verdict
from seglab.classification.message_filter import MessageFilter
from seglab.classification.scored import ClassifiedMessage
from seglab.classifiers.boundaries import classify
from seglab.core.observation import Observation
from seglab.core.trace import HeaderField

BY_HEADER = {"relay", "headers_then_body", "distinct_from", "custom_headers"}


def verdict(*sizes: int, **known: Any) -> Verdict:
    """The verdict on these sizes: segments of an Ethernet path, unless something else is said."""
    known = {"layer": "segments", "mss": 1460, "complete": True} | known
    return classify(Observation(id="x", sizes=sizes, **known))


# --- a fall of the path's MTU ---------------------------------------------------------------


@pytest.mark.parametrize("again", [None, (False,) * 6])
@pytest.mark.parametrize("first", [1000, 956, 24])
def test_a_size_that_repeats_is_no_fall(first: int, again: tuple[bool, ...] | None) -> None:
    """Nothing was sent again and nothing was cut: a buffer that held something before."""
    found = verdict(
        first, 1024, 1024, 1024, 1024, 948, push=(True,) * 6, retransmission=again, header_end=125
    )
    assert found.path_condition == "steady"
    assert found.style == "fixed_buffer"
    assert found.buffer == 1024


@pytest.mark.parametrize("size", [512, 700, 1000, 1408])
def test_no_buffer_is_a_fall(size: int) -> None:
    """Whatever the size of a buffer, even one by which tunnels shorten segments."""
    found = verdict(*(size,) * 7, 300, retransmission=(False,) * 8)
    assert found.path_condition == "steady"
    assert found.buffer == size


def test_a_segment_that_was_cut_is_a_fall() -> None:
    """A piece and a rest end where a full segment did, although nothing is marked as resent."""
    found = verdict(1388, 72, 1388, 72, 1388, 1388, 991, retransmission=(False,) * 7)
    assert found.path_condition == "pmtu_fall"
    assert "single_write" in found.styles


def test_a_retransmission_is_a_fall() -> None:
    """What was in flight comes again in the new size, and cut."""
    sizes = (1388, 72, 1388, 72, 1388, 1388, 1388, 400)
    found = verdict(*sizes, retransmission=(*(True,) * 4, *(False,) * 4))
    assert found.path_condition == "pmtu_fall"


# --- what came before the message -----------------------------------------------------------


@pytest.mark.parametrize("before", [6, 68, 500])
@pytest.mark.parametrize("buffer", [1024, 1300])
def test_a_buffer_that_held_commands(buffer: int, before: int) -> None:
    """A whole dialogue through one buffer: the message begins inside its first block."""
    sizes = (buffer - before, buffer, buffer, buffer, 300)
    found = verdict(*sizes, begins_at=before)
    assert found.style == "fixed_buffer"
    assert found.buffer == buffer
    ends = tuple(sum(sizes[:count]) for count in range(1, 5))
    assert found.boundaries == ends


@pytest.mark.parametrize("before", [68, 136])
@pytest.mark.parametrize("merged", [1, 2, 4])
def test_a_write_that_began_with_commands(merged: int, before: int) -> None:
    """Commands and text in one write: the first segment is full with them, merged or not."""
    sizes = (merged * 1448 - before, 1448, 1448, 205)
    found = verdict(*sizes, mss=1448, begins_at=before, header_end=127)
    assert found.style == "single_write"
    assert found.boundaries == ()
    assert any(f"{before} bytes before the message" in line for line in found.evidence)


def test_a_merged_first_segment_holds_commands_that_nobody_mentions() -> None:
    """2760 bytes and commands are two full segments; a buffer of 2760 is far less likely."""
    found = verdict(2760, 1448, 1448, 205, mss=1448, push=(True,) * 4, header_end=127)
    assert found.style == "single_write"


def test_a_message_that_begins_its_segment_has_no_commands_before_it() -> None:
    """Where it is known that nothing came before, a short first segment ended with a write."""
    found = verdict(1324, 1460, 1460, 500, begins_at=0, header_end=1322)
    assert 1324 in found.boundaries


# --- holes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(13000, 840), (7604, 396), (5000, 1460, 300)])
def test_a_hole_is_no_segment(sizes: tuple[int, ...]) -> None:
    """Nothing was captured but the rest: any style may have written it, so none is named."""
    found = verdict(*sizes, push=(None, *(True,) * (len(sizes) - 1)))
    assert found.style is None
    assert found.boundaries == ()


@pytest.mark.parametrize("hole", [700, 1460, 3000])
def test_no_write_ends_where_a_hole_does(hole: int) -> None:
    """Full segments around a hole: one write, and whatever the hole may hide."""
    sizes = (1460, 1460, hole, 1460, 1460, 400)
    push = (False, True, None, False, False, True)
    found = verdict(*sizes, push=push, header_end=300, begins_at=0)
    assert "single_write" in found.styles
    assert found.boundaries == ()


def test_a_hole_widens_the_set() -> None:
    """A buffer whose only end would lie in the hole is possible, so it is named."""
    sizes = (1460, 1460, 2920, 1460, 400)
    found = verdict(*sizes, push=(False, True, None, False, True), header_end=300, begins_at=0)
    assert {"single_write", "fixed_buffer"} <= {*found.styles}
    assert not BY_HEADER & {*found.styles}, "the header was captured"


def test_a_header_in_a_hole_may_have_been_written_in_any_way() -> None:
    """The styles that only the header tells apart are all possible, and none is likely."""
    sizes = (1448, *(1460,) * 5, 400)
    found = verdict(*sizes, push=(None, *(False,) * 5, True))
    assert {*found.styles} >= BY_HEADER
    assert "timed_writes" not in found.styles
    assert found.confidence is not None
    assert found.confidence <= 0.5


def test_ends_that_were_captured_count_beside_a_hole() -> None:
    """A buffer of 2048 that shows often enough is known although some of it was not captured."""
    sizes = (1460, 588, 1460, 588, 2048, 1460, 588, 1460, 588, 700)
    push = tuple(None if size == 2048 else size != 1460 for size in sizes)
    found = verdict(*sizes, push=push, header_end=300, begins_at=0)
    assert found.style == "fixed_buffer"
    assert found.buffer == 2048


# --- line ends and ends of data -------------------------------------------------------------


@pytest.mark.parametrize("last", [2, 3, 5])
def test_a_message_without_header_fields(last: int) -> None:
    """No style that needs a header field wrote it; and the end of data is one, with bare LF too."""
    found = verdict(39, last, mss=65483, header_end=0, fields=(), push=(True, True))
    assert {*found.styles} <= {"single_write", "line_by_line"}
    assert found.terminator == "own_write"


@pytest.mark.parametrize("sizes", [(77, 1460, 1460, 500), (300, 1460, 900, 5), (60, 40, 1460, 800)])
def test_no_header_style_without_header_fields(sizes: tuple[int, ...]) -> None:
    """Not even where the first sizes are those of header fields."""
    assert BY_HEADER & {*verdict(*sizes).styles}
    assert not BY_HEADER & {*verdict(*sizes, fields=()).styles}


@pytest.mark.parametrize("empty_line", [0, 1, 2])
def test_headers_whose_lines_end_in_lf(empty_line: int) -> None:
    """The header block may end behind an empty line of CRLF or of LF alone."""
    fields = (HeaderField("From", 0, 40), HeaderField("Subject", 40, 300))
    found = verdict(300 + empty_line, 1460, 1460, 700, 2, header_end=300, fields=fields)
    assert found.style == "headers_then_body"
    assert found.terminator == "own_write"


@pytest.mark.parametrize("last", [2, 3, 5])
@pytest.mark.parametrize(
    "sizes",
    [(1460, 1460), (1460, 400), (150, 1460, 300), (40, 60, 50), (1024,) * 4, (611, 1203, 377, 902)],
)
def test_a_last_size_of_an_end_of_data_is_one(sizes: tuple[int, ...], last: int) -> None:
    """For every style and for none, and behind a full segment too."""
    found = verdict(*sizes, last)
    assert found.terminator == "own_write"
    assert sum(sizes) in found.boundaries


@pytest.mark.parametrize("first", [(39, 684), (1460,), (300,), (1024,) * 9, (17, 903, 411)])
@pytest.mark.parametrize("last", [3, 5])
def test_the_end_of_a_long_message_is_looked_at(first: tuple[int, ...], last: int) -> None:
    """A last size of 5 or 3 bytes is an end of data, however many sizes come before it."""
    sizes = (*first, *(1460,) * 306, 908, last)
    found = verdict(*sizes, header_end=314)
    assert found.terminator == "own_write"
    assert found.boundaries[-1] == sum(sizes) - last


@pytest.mark.parametrize("known", [{"complete": False}, {"chunked": True}])
def test_no_end_of_data_where_there_is_none(known: dict[str, Any]) -> None:
    """A message that was cut off shows no end; BDAT has none."""
    assert verdict(*(1460,) * 300, 900, 5, **known).terminator is None
    assert verdict(1460, 900, 5, **known).terminator is None


# --- sets -----------------------------------------------------------------------------------


def test_parts_of_a_composed_mail() -> None:
    """Headers, part headers and bodies, each in a write: the headers came first."""
    sizes = (342, 34, 76, 1448, 1081, 36, 75, 1448, 1221, 38, 3)
    push = tuple(size != 1448 for size in sizes)
    found = verdict(*sizes, mss=1448, timestamps=True, header_end=340, push=push)
    assert found.styles[0] == "headers_then_body"
    assert found.terminator == "own_write"
    assert found.boundaries[0] == 342


def test_headers_first_whatever_follows() -> None:
    """The same header, and other parts behind it."""
    for rest in ((700, 1460, 90, 1300, 411), (1460, 33, 1460, 1460, 812, 77), (90, 1250, 640)):
        found = verdict(522, *rest, 5, header_end=520)
        assert "headers_then_body" in found.styles


def test_a_set_has_every_style_with_the_same_segments() -> None:
    """Behind the first header, Nagle's algorithm hides which one the program wrote next."""
    found = verdict(150, *(1422,) * 6, 655, mss=1422, timestamps=True, header_end=622)
    assert {"relay", "distinct_from", "custom_headers"} <= {*found.styles}


@pytest.mark.parametrize("count", [3, 10, 40])
def test_the_number_of_header_fields_leaves_no_style_out(count: int) -> None:
    """A relay's first field and a template's are the same segment, whatever else the header has."""
    names = ("Received", "Date", *(f"X-{number}" for number in range(count)))
    fields = tuple(HeaderField(name, 60 * at, 60 * at + 60) for at, name in enumerate(names))
    found = verdict(60, 1460, 1460, 700, fields=fields, header_end=fields[-1].end)
    assert {"relay", "custom_headers"} <= {*found.styles}


# --- one write, or a buffer that was not filled ---------------------------------------------


@pytest.mark.parametrize("sizes", [(900,), (1460, 1460, 580), (1460, 300)])
def test_an_unfilled_buffer_is_one_write(sizes: tuple[int, ...]) -> None:
    """It is said once, with the least size of such a buffer, and a filter does not find it."""
    found = verdict(*sizes, header_end=300, begins_at=0)
    total = sum(sizes)
    assert found.style == "single_write"
    assert found.unfilled_buffer == total
    assert found.possible_styles == ("single_write", "fixed_buffer")
    assert any(
        f"one write, or a buffer of {total} bytes or more that was not filled" in line
        for line in found.evidence
    )
    message = ClassifiedMessage(Observation(id="x", sizes=sizes), found)
    assert not MessageFilter(styles=("fixed_buffer",)).accepts(message)
    assert MessageFilter(styles=("single_write",)).accepts(message)


def test_a_buffer_that_was_filled_is_found_by_a_filter() -> None:
    """There the style is the buffer's."""
    sizes = (1460, 588, 1460, 588, 700)
    found = verdict(*sizes, begins_at=0)
    assert found.unfilled_buffer is None
    message = ClassifiedMessage(Observation(id="x", sizes=sizes), found)
    assert MessageFilter(styles=("fixed_buffer",)).accepts(message)


# --- lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mss", [524, 536, 1208, 1448])
@pytest.mark.parametrize("seed", range(3))
def test_lines_that_leave_one_by_one_at_any_mss(mss: int, seed: int) -> None:
    """A slow writer's 120 lines are known at an MTU of 576 too, behind the first window."""
    draw = random.Random(seed)
    lines = [draw.randint(20, 78) for _ in range(120)]
    found = verdict(*lines, 3, mss=mss, header_end=sum(lines[:8]), begins_at=0)
    assert found.style == "line_by_line"
    assert found.terminator == "own_write"


@pytest.mark.parametrize("mss", [524, 1448])
def test_random_sizes_are_no_lines(mss: int) -> None:
    """What leaves one by one has no style if it is not as short as lines are."""
    for seed in range(5):
        draw = random.Random(seed)
        assert verdict(*(draw.randint(1, mss - 1) for _ in range(60)), mss=mss).style is None
