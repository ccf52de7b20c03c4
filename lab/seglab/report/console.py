"""Prints sentences: folded at the width of a terminal, whole lines for a pipe.

A terminal has a width: long sentences are broken there, and each piece gets the same indent. The
reader at the other end of a pipe (grep, a file, the log of a CI job) wants every sentence in one
line.
"""

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from seglab.core.text import safe


def stdout() -> Console:
    """A console on standard output that leaves numbers uncoloured and ``:name:`` as it is."""
    return Console(highlight=False, emoji=False)


def as_markup(text: str) -> str:
    """Return stored text as markup that shows it: no escape sequence, no tag, line breaks kept."""
    return escape("\n".join(map(safe, text.split("\n"))))


def say(console: Console, markup: str, *, indent: int = 0, above: int = 0) -> None:
    """Print a text.

    Args:
        console: prints the text.
        markup: the text in Rich's markup; ``as_markup`` has made safe what is not markup.
        indent: the number of columns before each line.
        above: the number of empty lines before the text.
    """
    for _ in range(above):
        console.print()
    if console.is_terminal:
        console.print(Padding(markup, (0, 0, 0, indent), expand=False))
        return
    lines = (f"{' ' * indent}{line}" for line in markup.split("\n"))
    console.print("\n".join(lines), soft_wrap=True)
