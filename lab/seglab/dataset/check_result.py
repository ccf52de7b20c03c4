"""What a check of a dataset found: one line for each defect, limited in number for each kind."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from seglab.core.text import one_line
from seglab.dataset.label_counts import LabelCounts
from seglab.dataset.manifest import DatasetManifest

DEFECTS_MAX: Final = 20
"""How many defects of one check in one file are listed. Further ones are only counted."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong with a dataset.

    Attributes:
        check: the name of the check that found it.
        where: a file, a session, or a column.
        what: in words.
    """

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where}: {self.what}"


@dataclass(slots=True)
class CheckResult:
    """What a check of a dataset found.

    Attributes:
        manifest: the dataset's.
        findings: the listed defects, in the order of the files.
        notes: what could not be checked, and why.
        counts: how many rows there are of each label and size.
        found: how many defects there are, listed or not, by check and file.
    """

    manifest: DatasetManifest
    findings: list[Defect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: LabelCounts = field(default_factory=LabelCounts)
    found: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, check: str, where: str, what: str, group: str | None = None) -> None:
        """Count a defect, and list it unless its group already lists many.

        In a file whose content has changed, one flipped bit may change many rows: one defect is
        listed beside that of the checksum.

        Args:
            check: the name of the check.
            where: a file, a session, or a column.
            what: in words.
            group: the file by which defects are limited; ``where`` by default.
        """
        key = (check, group or where)
        others = [other for other, name in self.found if name == key[1]]
        if check != "checksums" and "checksums" in others and len(others) > 1:
            return
        number = self.found.get(key, 0) + 1
        self.found[key] = number
        if number <= DEFECTS_MAX:
            self.findings.append(Defect(check, one_line(where), one_line(what)))

    def merge(self, other: "CheckResult") -> None:
        """Add what was found in another part of the dataset, which knew this part's defects."""
        self.findings += other.findings
        self.notes += [note for note in other.notes if note not in self.notes]
        self.counts.merge(other.counts)
        self.found |= other.found

    def unlisted(self) -> Iterator[Defect]:
        """One line for each check and file with more defects than are listed."""
        for (check, where), number in self.found.items():
            if number > DEFECTS_MAX:
                yield Defect(check, one_line(where), f"{number - DEFECTS_MAX} more of these")
