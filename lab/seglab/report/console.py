"""Words of a result, as a terminal and a pipe take them.

A terminal has a width, at which sentences are broken and indented again; what is at a pipe's other
end (grep, a file, a log of CI) wants each of them in one line.
"""

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from seglab.core.text import safe


def stdout() -> Console:
    """Standard output, for words: none is coloured, or made a symbol, by guess."""
    return Console(highlight=False, emoji=False)


def as_markup(text: str) -> str:
    """Return stored text as markup that shows it: no escape sequence, no tag, line breaks kept."""
    return escape("\n".join(map(safe, text.split("\n"))))


def say(console: Console, markup: str, *, indent: int = 0, above: int = 0) -> None:
    """Print a text.

    Args:
        console: where to.
        markup: the text; ``as_markup`` has made what is not markup safe.
        indent: columns before each line.
        above: empty lines before it.
    """
    for _ in range(above):
        console.print()
    if console.is_terminal:
        console.print(Padding(markup, (0, 0, 0, indent), expand=False))
        return
    lines = (f"{' ' * indent}{line}" for line in markup.split("\n"))
    console.print("\n".join(lines), soft_wrap=True)
