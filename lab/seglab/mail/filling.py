"""Fills the bodies of generated mail with running text and base64 of exactly the wanted length."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from string import Template
from typing import Final

from seglab.mail.fields import Story
from seglab.mail.words import Lexicon, lines, pick, token

BASE64_LINE: Final = 76
"""The longest line of base64 (RFC 2045, 6.8)."""

NAME_MAX: Final = 32
"""The names in a template are cut after so many characters."""

TEXT_MIN_BYTES: Final = 2
"""The shortest running text that can be made."""


@dataclass(frozen=True, slots=True)
class Filling:
    """Makes the parts of a body.

    Attributes:
        draw: the source of all draws.
        lexicon: the source of the words.
        story: who writes to whom, and about what.
        size: the wanted length of the body on the wire, stuffed dots included.
    """

    draw: Random
    lexicon: Lexicon
    story: Story
    size: int

    def template(self, text: str) -> bytes:
        """Fill in the names of a template."""
        return (
            Template(text)
            .substitute(
                boundary=self.story.boundary,
                author=self.story.author.name[:NAME_MAX],
                reader=self.story.reader.name[:NAME_MAX],
                subject=self.story.subject[:NAME_MAX],
                company=pick(self.draw, self.lexicon.companies)[:NAME_MAX],
                city=pick(self.draw, self.lexicon.cities)[:NAME_MAX],
                street=pick(self.draw, self.lexicon.streets)[:NAME_MAX],
                ticker=token(self.draw, 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            )
            .encode()
        )

    def text(self, size: int, paragraph: bytes = b"\r\n", *, encoded: bool = False) -> bytes:
        """Make running text of exactly ``size`` bytes, 2 or more.

        Args:
            size: of the text on the wire, stuffed dots included.
            paragraph: the bytes between two paragraphs.
            encoded: the text will be encoded in base64, so that no dot is stuffed.
        """
        return b"".join(_text(self.draw, self.lexicon.words, size, paragraph, int(not encoded)))

    def encoded_text(self, size: int) -> bytes:
        """Make running text of exactly ``size`` bytes that base64 will hold."""
        return self.text(size, encoded=True)


def base64_lines(data: Callable[[int], bytes], size: int) -> bytes:
    """Make lines of base64 with at most 76 characters; exactly ``size`` bytes with line ends.

    The number of lines is chosen such that the number of characters is a multiple of four. Where
    the size is odd, a space stands at the end, which decoders ignore (RFC 2045, 6.8).

    Args:
        data: makes the bytes to encode, as many as it is called with.
        size: 10 or more.
    """
    odd = size % 2
    count = -(-(size - odd) // (BASE64_LINE + 2))
    if (size - odd - 2 * count) % 4:
        count += 1
    characters = size - odd - 2 * count
    text = base64.b64encode(data(characters // 4 * 3))
    ends = [min(BASE64_LINE * n, characters - 4 * (count - n)) for n in range(count + 1)]
    parts = [text[start:end] for start, end in pairwise(ends)]
    return b"\r\n".join(parts) + b" " * odd + b"\r\n"


def _text(
    draw: Random, words: tuple[str, ...], size: int, paragraph: bytes, dot_bytes: int
) -> Iterator[bytes]:
    left = size
    paragraph_lines = 0
    for line in lines(draw, words):
        if paragraph_lines == 0:
            paragraph_lines = 3 + int(draw.random() * 5)
            if left >= len(paragraph) + TEXT_MIN_BYTES and left != size:
                yield paragraph
                left -= len(paragraph)
        paragraph_lines -= 1
        cost = len(line) + 2 + dot_bytes * line.startswith(b".")
        if cost + TEXT_MIN_BYTES > left:
            yield _last_line(line.lstrip(b"."), left)
            return
        yield line + b"\r\n"
        left -= cost


def _last_line(line: bytes, length: int) -> bytes:
    """Make a line of exactly ``length`` bytes with its CRLF, of the text of ``line``."""
    filled = (line + b" " + line)[: length - 2].rstrip(b" ")
    return filled.ljust(length - 2, b".") + b"\r\n"
