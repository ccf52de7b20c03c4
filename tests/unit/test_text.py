"""Text made safe for a terminal, and numbers in words: one function a job."""

import ast
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.core.text import (
    count,
    one_line,
    p_value,
    percent,
    quoted,
    safe,
    shorten,
    spaced,
    xml_text,
)


@given(st.text())
def test_safe_text_is_printable(text: str) -> None:
    """Nothing that reaches a terminal moves its cursor, and what is printable stays."""
    assert safe(text).isprintable()
    if text.isprintable():
        assert safe(text) == text
    assert safe("\x1b[2J\u202e\ud800\n") == "\\x1b[2J\\u202e\\ud800\\n"


@given(st.text(), st.integers(0, 40))
def test_one_line_is_one_line(text: str, most: int) -> None:
    """Line breaks and runs of blanks become a blank, and no more than ``most`` is taken."""
    assert one_line(text, most).isprintable()
    assert one_line(text, most) == safe(" ".join(text.split())[:most])
    assert one_line(" a\n\tb\x1b c ") == "a b\\x1b c"
    assert one_line("x" * 400) == "x" * 300
    assert one_line("x" * 400, None) == "x" * 400


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "abc..."), ("", 3, ""), ("abcd", 3, "...")],
)
def test_shortened_text_shows_that_it_is(text: str, most: int, shown: str) -> None:
    """A text that fits stays, a longer one is cut to the bound, with three dots in it."""
    assert shorten(text, most) == shown


@given(st.binary())
def test_quoted_bytes_are_harmless(data: bytes) -> None:
    """Only printable ASCII leaves, whatever came, and no quote ends the text early."""
    text = quoted(data)
    assert all(" " <= character <= "~" for character in text)
    assert ast.literal_eval(f"b'{text}'") == data
    assert quoted(data, 4) == (text if len(data) <= 4 else quoted(data[:4]) + "...")


@given(st.text())
def test_any_text_becomes_text_of_xml(text: str) -> None:
    """Every XML reader takes it, and what was legible before is there after."""
    element = ElementTree.Element("a")
    element.text = xml_text(text)
    back = ElementTree.fromstring(ElementTree.tostring(element, "unicode"))
    assert (back.text or "") == xml_text(text)
    assert len(xml_text(text)) == len(text)
    assert xml_text("a\x00\ufffe\x1b\tb\n") == "a???\tb\n"


def test_numbers_in_words() -> None:
    """Shares are never rounded to all or nothing, and long lists say how much is left out."""
    assert [count(1, "session"), count(0, "session")] == ["1 session", "0 sessions"]
    assert [percent(0, 9), percent(1, 1000), percent(1, 2)] == ["0 %", "below 1 %", "50 %"]
    assert [percent(999, 1000), percent(3, 3)] == ["above 99 %", "100 %"]
    assert [p_value(0.0421), p_value(0.0002)] == ["p = 0.042", "p < 0.001"]
    assert spaced((1440, 1440, 2240)) == "1440 1440 2240"
    assert spaced((1, 2, 3), 3) == "1 2 3"
    assert spaced((1, 2, 3, 4, 5), 2) == "1 2 ... (3 more)"
    assert not spaced(())
