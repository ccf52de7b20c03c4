"""Text for people: what anyone may have written, on a terminal; numbers with their nouns."""


def safe(text: str) -> str:
    """Text that anyone may have written, with what is not printable as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def count(number: int, noun: str) -> str:
    """``1 session``, ``2 sessions``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
