"""The errors a user can meet, each with the exit code of the command that meets it.

Every message is one line. It says where the problem is, what was expected, what was found, and
what the user can do.
"""

from collections.abc import Iterable


class SeglabError(Exception):
    """An error that the command line prints as one line.

    Attributes:
        exit_code: the exit code of the command: 1 for a failure, 2 for wrong usage or bad input,
            3 where the environment lacks something.
    """

    exit_code = 2


class InputError(SeglabError):
    """A file, an option or a value that cannot be used."""


class EnvironmentLacksError(SeglabError):
    """The machine lacks something that seglab needs; the message says how to get it."""

    exit_code = 3


class DiskFullError(EnvironmentLacksError):
    """There is no room on the disk; what is on it already can be continued with."""


class PartDiedError(SeglabError):
    """A process of a lab (wire, server, client, or the lab itself) has died."""

    exit_code = 1


def is_refusal(error: SeglabError) -> bool:
    """Whether the same attempt would fail again at once, on this machine as it is.

    A process that died may live the next time, and a disk that is full can be emptied.
    """
    return not isinstance(error, DiskFullError | PartDiedError)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for an unknown word of any length, as the end of an error message.

    Returns:
        ``"did you mean 'pppoe'?"`` if a known word is similar, else ``"known: a, b, c"``.
    """
    names = sorted(known)
    from difflib import get_close_matches  # noqa: PLC0415 - rarely needed, and slow to import

    close = get_close_matches(word[:100], names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
