"""What a run with named programs showed: a table with a line for each program, mail and network.

It is written beside the run's report as text with tabs between the columns, which spreadsheets and
``pandas.read_table`` read.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from seglab.classification.api import classify
from seglab.core.files import replace_file, writing
from seglab.core.labels import UNKNOWN_STYLE
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.core.text import one_line
from seglab.core.trace import first_sent, sizes
from seglab.core.written import WrittenLabels
from seglab.report.tried import program_writes
from seglab.report.tried_terminal import looks_like, shown_sizes
from seglab.runs.folder import RunFolder

FILE: Final = "programs.tsv"
"""The table's file in a run folder."""

_LABELS = ("program", "version", "runtime", "settings")
_COLUMNS = (
    *_LABELS,
    *("message", "network", "mss", "sessions", "complete", "alike"),
    *("payload_bytes", "writes", "segments", "write_sizes", "segment_sizes"),
    *("style", "terminator", "buffer", "nodelay", "looks_like", "error"),
)


@dataclass(frozen=True, slots=True)
class ProgramRow:
    """The sessions of one program with one size of mail over one network.

    Attributes:
        records: all of them, by their repetition.
        shown: the first that is complete, else the first one.
        labels: how that one wrote; ``None`` where it failed, or its capture is gone.
        seen: what the classifier ``boundaries`` says of its segments.
    """

    records: Sequence[SessionRecord]
    shown: SessionRecord
    labels: WrittenLabels | None
    seen: str

    @property
    def alike(self) -> int:
        """How many complete sessions wrote as many pieces as the one that is shown."""
        return sum(len(r.writes) == len(self.shown.writes) for r in self.records if r.complete)

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        record = self.shown
        known = json.loads(record.parameters)
        complete = sum(one.complete for one in self.records)
        cells: list[object] = [
            record.sender,
            *(known.get(name, "") for name in _LABELS[1:]),
            record.variant,
            record.network,
            record.mss,
            len(self.records),
            complete,
        ]
        if not complete:
            cells += [""] * (len(_COLUMNS) - len(cells) - 1) + [one_line(record.error or "")]
            return tuple(map(str, cells))
        segments = sizes(first_sent(record.segments))
        styles = [record.style] if self.labels is None else self.labels.styles or [UNKNOWN_STYLE]
        buffer = "" if self.labels is None or self.labels.buffer is None else self.labels.buffer
        cells += [
            self.alike,
            record.payload_bytes,
            len(record.writes),
            len(segments),
            shown_sizes(sizes(record.writes)),
            shown_sizes(segments),
            " or ".join(styles),
            record.terminator or "",
            buffer,
            "yes" if record.nodelay else "no",
            self.seen,
            "",
        ]
        return tuple(map(str, cells))


def program_rows(folder: RunFolder) -> list[ProgramRow]:
    """Return the rows of a run's programs, by program, size of mail and network.

    Raises:
        InputError: a stored file is damaged.
    """
    order = list(folder.manifest.networks)

    def key(record: SessionRecord) -> tuple[str, int, str, int]:
        size = int(record.variant.partition("=")[2] or 0)
        return record.sender, size, record.variant, order.index(record.network)

    records = sorted((r for r in folder.sessions() if r.kind == "program"), key=key)
    return [_row(folder, list(group)) for _, group in groupby(records, key)]


def write_programs(folder: RunFolder, rows: Iterable[ProgramRow]) -> None:
    """Write the table into the run folder.

    Raises:
        InputError: it cannot be written.
        DiskFullError: the disk is full.
    """
    lines = ["\t".join(cells) for cells in (_COLUMNS, *(row.cells() for row in rows))]
    path = folder.path / FILE
    with writing(path):
        replace_file(path, lambda file: file.write("\n".join([*lines, ""]).encode()))


def _row(folder: RunFolder, records: list[SessionRecord]) -> ProgramRow:
    records.sort(key=lambda record: record.repeat)
    shown = next((record for record in records if record.complete), records[0])
    if not shown.complete:
        return ProgramRow(records, shown, None, "")
    writes = program_writes(folder, shown)
    verdict = classify(Observation.of_record(shown, "segments"))
    return ProgramRow(
        records, shown, None if writes is None else writes.labels, looks_like(verdict)
    )
