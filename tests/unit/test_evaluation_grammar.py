"""The styles' grammars hold what their senders write, and refuse what they do not."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglab.core.labels import STYLES
from seglab.core.trace import HeaderField
from seglab.evaluation.grammar import Shape, candidates, is_instance
from seglab.evaluation.lines import line_ends
from seglab.experiment.registry import senders
from seglab.mail.header_layout import header_layout
from seglab.mail.message import Message, MessageSpec
from seglab.sender.steps import Write

FIELDS = (
    HeaderField("Received", 0, 100),
    HeaderField("From", 100, 130),
    HeaderField("Subject", 130, 160),
    HeaderField("Date", 160, 200),
)
MAIL = Shape(3000, 200, FIELDS, (60, 100, 130, 160, 200, 202, *range(280, 2997, 78), 2997, 3000))

CASES = [
    ("single_write", {}),
    ("single_write", {"terminator_bytes": 5}),
    ("relay", {"terminator_bytes": 3}),
    ("headers_then_body", {}),
    ("headers_then_body", {"with_empty_line": True, "body_buffer_bytes": 1024}),
    ("headers_then_body", {"body_lines": True}),
    ("headers_then_body", {"body_lines": True, "with_empty_line": True, "terminator_bytes": 3}),
    ("distinct_from", {}),
    ("custom_headers", {}),
    ("custom_headers", {"headers": ["Subject", "From"], "part": "field", "together": True}),
    ("custom_headers", {"headers": ["Date"], "body_apart": False, "terminator_bytes": 5}),
    ("custom_headers", {"headers": ["From"], "part": "field", "body_buffer_bytes": 1024}),
    ("fixed_buffer", {"buffer_bytes": 1024, "terminator_bytes": 3}),
    ("fixed_buffer", {"buffer_bytes": 65536}),
    ("fixed_buffer", {"buffer_bytes": 1024, "overlong": "past"}),
    ("line_by_line", {}),
    ("line_by_line", {"lines": 7, "terminator_bytes": 5}),
    ("timed_writes", {"pieces": 2}),
    ("timed_writes", {"pieces": 5, "terminator_bytes": 5}),
]


def written(name: str, given_: dict[str, object], seed: int, size: int) -> tuple[Message, set[int]]:
    """A message, and where a sender's writes end in it."""
    sender = senders()[name]
    parameters = sender.resolve(given_)
    spec = MessageSpec(payload_bytes=size, value_bytes={"Subject": 30})
    message = sender.message_for(parameters, spec, seed)
    pieces = (len(s.data) for s in sender.steps(message, parameters) if isinstance(s, Write))
    return message, {*accumulate(pieces)}


def shape_of(message: Message, *, lines: bool = True) -> Shape:
    """What the grammars ask of a message."""
    found = header_layout(message.wire)
    fields = found.fields
    ends = line_ends(message.wire) if lines else None
    return Shape(len(message.wire), found.header_end, fields, ends)


@pytest.mark.parametrize(("name", "parameters"), CASES)
@settings(max_examples=10)
@given(seed=st.integers(0, 1 << 32), size=st.integers(2000, 9000))
def test_what_a_sender_writes_is_of_its_style(
    name: str, parameters: dict[str, object], seed: int, size: int
) -> None:
    """Whatever the message."""
    message, ends = written(name, parameters, seed, size)
    assert is_instance(senders()[name].style, ends, shape_of(message))


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_the_search_finds_a_senders_own_way(name: str, parameters: dict[str, object]) -> None:
    """Where all its boundaries show, one of the proposals is just that."""
    message, ends = written(name, parameters, 5, 6000)
    inside = frozenset(ends - {len(message.wire)})
    assert inside in set(candidates(senders()[name].style, inside, shape_of(message)))


@pytest.mark.parametrize(
    ("style", "ends"),
    [
        ("single_write", {100}),
        ("relay", {101}),
        ("relay", {100, 200}),
        ("headers_then_body", {199}),
        ("headers_then_body", {200, 1224, 2247}),
        ("distinct_from", {100}),
        ("custom_headers", {135}),
        ("custom_headers", {202}),
        ("custom_headers", set()),
        ("fixed_buffer", {1024, 2049}),
        ("fixed_buffer", {1024}),
        ("line_by_line", {61}),
        ("line_by_line", {60, 130}),
        ("timed_writes", {1400}),
        ("timed_writes", set()),
        ("no_such_style", set()),
    ],
)
def test_other_ways_are_refused(style: str, ends: set[int]) -> None:
    """One byte beside, one boundary too many, or one too few."""
    assert is_instance(style, ends, MAIL) is False


def test_lines_are_needed_to_judge_line_by_line() -> None:
    """Without the text nobody knows."""
    assert is_instance("line_by_line", {100}, Shape(3000, 200, FIELDS)) is None


def test_the_end_of_data_is_any_styles() -> None:
    """Its last 5 or 3 bytes may be a write of their own, but no other number of bytes."""
    for style, ends in (("single_write", set()), ("relay", {100}), ("timed_writes", None)):
        for cut in (5, 3):
            inside = {(3000 - cut) // 2} if ends is None else ends
            assert is_instance(style, inside | {3000 - cut}, MAIL)
        assert not is_instance(style, (ends or {1500}) | {3000 - 4}, MAIL)


def test_raw_tcp_has_no_end_of_data() -> None:
    """And no header that could be written apart."""
    raw = Shape(3000)
    assert not is_instance("single_write", {2995}, raw)
    assert not is_instance("relay", {100}, raw)
    assert is_instance("fixed_buffer", {1500}, raw)
    assert is_instance("timed_writes", {1000}, raw)


def test_each_style_has_a_grammar() -> None:
    """A new style needs one."""
    for style in STYLES:
        assert any(is_instance(style, ends, MAIL) for ends in candidates(style, {100}, MAIL))
