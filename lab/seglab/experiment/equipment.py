"""What a named program finds where it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a named program finds where it runs, beside the machine's own files.

    Attributes:
        files: configuration and scripts: the absolute path and the text, with placeholders.
        accounts: users that are to be there; each has a group of the same name.
        variables: of its environment: the name and the value, with placeholders.
    """

    files: tuple[tuple[str, str], ...] = ()
    accounts: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
