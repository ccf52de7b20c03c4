"""What a check of a dataset finds: each thing that is wrong in a line, and how many there are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from seglab.core.text import one_line
from seglab.dataset.manifest import Manifest
from seglab.dataset.tally import Tally

FINDINGS_MAX: Final = 20
"""Of one kind, in one file; what is beyond is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Attributes:
        check: which check found it.
        where: a file, a session, or a column.
        what: in words.
    """

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where}: {self.what}"


@dataclass(slots=True)
class Checked:
    """What a check of a dataset found.

    Attributes:
        manifest: the dataset's.
        findings: what is wrong, in the order of the files.
        notes: what could not be checked, and why.
        tally: what it has of everything.
        more: how many findings are not listed, by check and place.
    """

    manifest: Manifest
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    more: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, check: str, where: str, what: str, group: str | None = None) -> None:
        """Take a finding down, unless there are many of its kind in its group."""
        key = (check, group or where)
        there = self.more.get(key, 0) + 1
        self.more[key] = there
        if there <= FINDINGS_MAX:
            self.findings.append(Finding(check, one_line(where), one_line(what)))

    def unlisted(self) -> Iterator[Finding]:
        """For each kind and place with many findings, how many more there are."""
        for (check, where), there in self.more.items():
            if there > FINDINGS_MAX:
                yield Finding(check, one_line(where), f"{there - FINDINGS_MAX} more of these")
