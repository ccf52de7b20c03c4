"""Running text of exactly the wanted length: words, sentences, lines and paragraphs from draws.

Most of the time that a generated mail takes is spent here, so this module has a compiled form
(``seglab.core.compiling``); ``seglab.mail.filling`` takes the one that is there.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

TEXT_MIN_BYTES: Final = 2
"""The shortest running text that can be made."""

_LINE_TARGET: Final = 72
_DOTTED_LINE_SHARE = 0.03
_CRLF = b"\r\n"


class Lines:
    """Lines of running text, without end. No line is empty.

    Some lines begin with a dot, which SMTP has to double (RFC 5321, 4.5.2).

    Args:
        chance: draws a number from 0 to 1; the only source of draws.
        words: the choice, none longer than ``width - 4``.
        width: the longest line that is made, dots included.
    """

    __slots__ = ("_begun", "_begun_bytes", "_chance", "_sentence_words", "_width", "_words")

    def __init__(
        self, chance: Callable[[], float], words: Sequence[str], width: int = _LINE_TARGET
    ) -> None:
        self._chance = chance
        self._words: list[str] = list(words)
        self._width = width
        self._begun: str | None = None  # the word that did not fit into the line before
        self._begun_bytes = 0
        self._sentence_words = 0  # how many are left of the sentence

    def next(self) -> bytes:
        """Return the next line, without its CRLF."""
        chance, words = self._chance, self._words
        count, width = len(words), self._width
        left = self._sentence_words
        line: list[str] = []
        line_bytes = -1  # its words, and a space before each but the first
        if self._begun is not None:
            word = self._begun
            line_bytes = self._begun_bytes
            share: float = chance()
            if share < _DOTTED_LINE_SHARE:
                word = f"...{word}"
                line_bytes += 3
            line.append(word)
        while True:
            share = chance()
            at: int = int(share * count)
            word = words[at]
            if left == 0:
                share = chance()
                left = 5 + int(share * 10)
                word = word.capitalize()
            left -= 1
            if left == 0:
                word += "."
            line_bytes += 1 + len(word)
            if line_bytes > width and line:
                self._begun, self._begun_bytes = word, len(word)
                self._sentence_words = left
                return " ".join(line).encode()
            line.append(word)


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
    lines = Lines(chance, words)
    parts: list[bytes] = []
    left = size
    paragraph_lines = 0
    while True:
        line = lines.next()
        if paragraph_lines == 0:
            share: float = chance()
            paragraph_lines = 3 + int(share * 5)
            if left >= len(paragraph) + TEXT_MIN_BYTES and left != size:
                parts.append(paragraph)
                left -= len(paragraph)
        paragraph_lines -= 1
        cost = len(line) + 2
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
