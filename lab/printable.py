"""Text that anyone may have written, on a terminal."""


def safe(text: str) -> str:
    """Text that anyone may have written, with what is not printable as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
