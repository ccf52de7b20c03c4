"""Fills the bodies of generated mail with running text and base64 of exactly the wanted length."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from random import Random
from string import Template
from typing import Final

from seglab.core import compiling
from seglab.mail.fields import Story
from seglab.mail.words import Lexicon, pick, token

BASE64_LINE: Final = 76
"""The longest line of base64 (RFC 2045, 6.8)."""

NAME_MAX: Final = 32
"""The names in a template are cut after so many characters."""


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
        words = self.lexicon.words
        return running_text()(self.draw, words, size, paragraph, 0 if encoded else 1)

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


def running_text() -> Callable[[Random, Sequence[str], int, bytes, int], bytes]:
    """Return ``seglab.mail.running_text.running_text``, compiled where that is up to date."""
    compiled = compiling.state(compiling.MAIL) == "compiled"
    return _form(compiling.MAIL.package if compiled else "seglab.mail")


@cache
def _form(package: str) -> Callable[[Random, Sequence[str], int, bytes, int], bytes]:
    made: Callable[[Random, Sequence[str], int, bytes, int], bytes]
    made = import_module(f"{package}.running_text").running_text
    return made
