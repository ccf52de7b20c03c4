"""Running text of exactly the wanted length: words, sentences, lines and paragraphs from draws.

Most of the time that a generated mail takes is spent here, so this module has a compiled form
(``seglab.core.compiling``); ``seglab.mail.filling`` takes the one that is there.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from seglab.core.kept import Kept

TEXT_MIN_BYTES: Final = 2
"""The shortest running text that can be made."""

_LINE_TARGET: Final = 72
_DOTTED_LINE_SHARE = 0.03
_CRLF = b"\r\n"


class Vocabulary:
    """The words that a text is made of.

    Args:
        words: the choice, printable ASCII.

    Attributes:
        inside: the words as they stand inside a sentence.
        beginning: as they stand at its beginning.
    """

    __slots__ = ("beginning", "inside")

    def __init__(self, words: Sequence[str]) -> None:
        self.inside: list[bytes] = [word.encode("ascii") for word in words]
        self.beginning: list[bytes] = [word.capitalize().encode("ascii") for word in words]


class Lines:
    """Lines of running text, without end. No line is empty.

    Some lines begin with a dot, which SMTP has to double (RFC 5321, 4.5.2).

    Args:
        chance: draws a number from 0 to 1; the only source of draws.
        vocabulary: the choice of words, none longer than ``width - 4``.
        width: the longest line that is made, dots included.
    """

    __slots__ = ("_begun", "_chance", "_left", "_vocabulary", "_width")

    def __init__(
        self, chance: Callable[[], float], vocabulary: Vocabulary, width: int = _LINE_TARGET
    ) -> None:
        self._chance = chance
        self._vocabulary = vocabulary
        self._width = width
        self._begun = b""  # the word that did not fit into the line before
        self._left = 0  # how many words the sentence still has

    def next(self) -> bytes:
        """Return the next line, without its CRLF."""
        chance = self._chance
        inside, beginning = self._vocabulary.inside, self._vocabulary.beginning
        count: int = len(inside)
        left: int = self._left
        line: list[bytes] = []
        line_bytes: int = -1  # its words, and a space before each but the first
        word: bytes = self._begun
        if word:
            share: float = chance()
            if share < _DOTTED_LINE_SHARE:
                word = b"..." + word
            line_bytes = len(word)
            line.append(word)
        while True:
            share = chance()
            at: int = int(share * count)
            if left == 0:
                word = beginning[at]
                share = chance()
                left = 5 + int(share * 10)
            else:
                word = inside[at]
            left -= 1
            if left == 0:
                word += b"."
            line_bytes += 1 + len(word)
            if line_bytes > self._width and line:
                self._begun, self._left = word, left
                return b" ".join(line)
            line.append(word)


_vocabulary: Kept[Sequence[str], Vocabulary] = Kept(Vocabulary)


def running_text(
    draw: Random, words: Sequence[str], size: int, paragraph: bytes, dot_bytes: int
) -> bytes:
    """Make running text of exactly ``size`` bytes, ``TEXT_MIN_BYTES`` or more.

    Args:
        draw: the source of all draws.
        words: the choice.
        size: of the text on the wire, stuffed dots included.
        paragraph: the bytes between two paragraphs.
        dot_bytes: how many bytes are stuffed before a dot that begins a line: 1 or 0.
    """
    chance = draw.random
    vocabulary: Vocabulary = _vocabulary(words)
    lines = Lines(chance, vocabulary)
    parts: list[bytes] = []
    left = size
    paragraph_lines: int = 0
    while True:
        line = lines.next()
        if paragraph_lines == 0:
            share: float = chance()
            paragraph_lines = 3 + int(share * 5)
            if left >= len(paragraph) + TEXT_MIN_BYTES and left != size:
                parts.append(paragraph)
                left -= len(paragraph)
        paragraph_lines -= 1
        cost: int = len(line) + 2
        if line.startswith(b"."):
            cost += dot_bytes
        if cost + TEXT_MIN_BYTES > left:
            parts.append(_last_line(line.lstrip(b"."), left))
            return b"".join(parts)
        parts.append(line)
        parts.append(_CRLF)
        left -= cost


def _last_line(line: bytes, length: int) -> bytes:
    """Make a line of exactly ``length`` bytes with its CRLF, of the text of ``line``."""
    filled = (line + b" " + line)[: length - 2].rstrip(b" ")
    return filled.ljust(length - 2, b".") + _CRLF
