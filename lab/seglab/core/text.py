"""Text for people: what a stranger may have written, made safe, and numbers in words.

Names, notes and error texts come from captures, logs, stored runs and other people's programs. On
their way to a terminal, a log or a page they pass through this module. Each function does one job:

| function | job |
| --- | --- |
| ``safe`` | escapes what is not printable; loses nothing |
| ``one_line`` | the same, with line breaks and runs of blanks as one blank, and a bound |
| ``shorten`` | cuts a text that is too long, and shows that it did |
| ``quoted`` | bytes as printable ASCII, from which the bytes can be read again |
| ``xml_text`` | replaces what XML 1.0 cannot hold; ``<`` and ``&`` are the XML writer's job |

Markup of ``rich`` is not escaped here, see ``seglab.report.console.as_markup``.
"""

from collections.abc import Sequence

LINE_MAX = 300
"""How many characters ``one_line`` keeps if its caller does not say."""

_NAMED = {0x0A: r"\n", 0x0D: r"\r", 0x09: r"\t", 0x27: r"\'", 0x5C: r"\\"}
_ESCAPES = {
    byte: _NAMED.get(byte, f"\\x{byte:02x}")
    for byte in range(256)
    if byte in _NAMED or not 0x20 <= byte <= 0x7E
}


def safe(text: str) -> str:
    r"""Return the text with each character that is not printable as an escape, such as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str, most: int | None = LINE_MAX) -> str:
    """Return the text in one line that is safe on a terminal, cut after ``most`` characters."""
    return safe(" ".join(text.split())[:most])


def shorten(text: str, most: int) -> str:
    """Return the text, in at most ``most`` characters; a text that was cut ends in ``...``.

    Escape a text after it was shortened, not before: a cut escape says something else.
    """
    return text if len(text) <= most else text[: most - 3] + "..."


def quoted(data: bytes, most: int | None = None) -> str:
    r"""Return bytes as printable ASCII, as between the quotes of a Python ``b'...'``.

    Where there are more than ``most`` of them, ``...`` stands for the others.

    CR, LF and TAB become ``\r``, ``\n`` and ``\t``. A single quote and a backslash get a backslash
    before them. Every other byte that is not printable ASCII becomes ``\xhh``.
    """
    more = "" if most is None or len(data) <= most else "..."
    return data[:most].decode("latin-1").translate(_ESCAPES) + more


def xml_text(text: str) -> str:
    """Return the text with a ``?`` for each character that XML 1.0 cannot hold, or no reader shows.

    Tabs and line breaks stay.
    """
    return "".join(c if c in "\t\n" or (c.isprintable() and c < "\ufffe") else "?" for c in text)


def count(number: int, noun: str) -> str:
    """Return ``1 session``, ``2 sessions``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def spaced(sizes: Sequence[int], most: int | None = None) -> str:
    """Return sizes as the paper prints them, without the numbers before each: ``1440 1440 2240``.

    Where there are more than ``most``, the rest is counted: ``1440 1440 ... (3 more)``.
    """
    words = " ".join(map(str, sizes[:most]))
    more = 0 if most is None else len(sizes) - most
    return f"{words} ... ({more} more)" if more > 0 else words


def percent(part: int | float, whole: int | float = 1) -> str:
    """Return a share in whole percent; it is 0 or 100 only where it is exactly that."""
    share = 100 * part / whole
    if 0 < share < 1:
        return "below 1 %"
    return "above 99 %" if 99 < share < 100 else f"{share:.0f} %"


def p_value(p: float) -> str:
    """Return ``p = 0.042``, or ``p < 0.001`` below that."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"
