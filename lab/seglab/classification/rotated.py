"""The files of a log that was rotated, in the order in which they were written."""

import re
from collections.abc import Iterable
from pathlib import Path

_NAME = re.compile(r"(.+?)(?:\.([0-9]{1,4}))?(?:\.(?:gz|xz|bz2))?")


def oldest_first(paths: Iterable[Path]) -> list[Path]:
    """Return the paths, those of a rotated log oldest first: ``a.log.2.gz a.log.1 a.log``.

    Files belong to a rotated log if the log itself is among them. They stand where the first of
    them stood; all other paths stay where they are.
    """
    paths = list(paths)
    there = set(paths)
    sets: dict[Path, list[tuple[int, Path]]] = {}
    for path in paths:
        log, number = _log_of(path)
        if log in there:
            sets.setdefault(log, []).append((-number, path))
    ordered = []
    for path in paths:
        log, _ = _log_of(path)
        if log not in there:
            ordered.append(path)
        elif log in sets:  # all of its files, at the place of the first
            ordered += [path for _, path in sorted(sets.pop(log), key=lambda pair: pair[0])]
    return ordered


def _log_of(path: Path) -> tuple[Path, int]:
    """Return the log that a file belongs to, and how often it was rotated since."""
    match = _NAME.fullmatch(path.name)
    if match is None or match[2] is None:
        return path, 0
    return path.with_name(match[1]), int(match[2])
