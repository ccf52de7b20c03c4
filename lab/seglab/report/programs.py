"""What a run with named programs showed: a table with a line for each program, mail and network.

It is written beside the run's report as text with tabs between the columns, which spreadsheets and
``pandas.read_table`` read.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Final

from seglab.classification.api import classify
from seglab.classification.classifier import Verdict
from seglab.core.files import replace_file, writing
from seglab.core.labels import UNKNOWN_STYLE
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.core.text import one_line
from seglab.core.trace import first_sent, sizes
from seglab.core.written import WrittenLabels
from seglab.plots.programs import ProgramCell, programs
from seglab.report.figures import Drawing
from seglab.report.tried import program_writes
from seglab.report.tried_terminal import looks_like, shown_sizes
from seglab.runs.folder import PROGRAMS, RunFolder

_SIZE: Final = "payload_bytes"
_LABELS = ("program", "version", "runtime", "settings")
_COLUMNS = (
    *_LABELS,
    *("message", "network", "mss", "initcwnd", "offers", "sessions", "complete", "alike"),
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
        verdict: what the classifier ``boundaries`` says of its segments; ``None`` where it failed.
    """

    records: Sequence[SessionRecord]
    shown: SessionRecord
    labels: WrittenLabels | None
    verdict: Verdict | None

    @property
    def styles(self) -> Sequence[str]:
        """Every style that admits the writes, the one that says most first."""
        if self.labels is None:
            return [self.shown.style]
        return self.labels.styles or [UNKNOWN_STYLE]

    @property
    def size(self) -> int:
        """The size of the mail that the program was handed; 0 where each mail has its own."""
        return _size(self.shown)

    @property
    def offers(self) -> str:
        """What the server offered, as far as it is not the usual."""
        first, _, rest = self.shown.variant.partition(",")
        return rest if first.startswith(f"{_SIZE}=") else self.shown.variant

    @property
    def cell(self) -> ProgramCell:
        """The row's cell in the figure."""
        if not self.shown.complete:
            return ProgramCell("", None)
        said = None if self.verdict is None else self.verdict.style
        if said is None or UNKNOWN_STYLE in self.styles:
            return ProgramCell(self.styles[0], None)
        named = {said} if isinstance(said, str) else set(said)
        return ProgramCell(self.styles[0], not named.isdisjoint(self.styles))

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
            _mail(record),
            record.network,
            record.mss,
            "" if record.initcwnd is None else record.initcwnd,
            " ".join(record.offers) or "neither",
            len(self.records),
            complete,
        ]
        if not complete:
            cells += [""] * (len(_COLUMNS) - len(cells) - 1) + [one_line(record.error or "")]
            return tuple(map(str, cells))
        segments = sizes(first_sent(record.segments))
        buffer = "" if self.labels is None or self.labels.buffer is None else self.labels.buffer
        cells += [
            self.alike,
            record.payload_bytes,
            len(record.writes),
            len(segments),
            shown_sizes(sizes(record.writes)),
            shown_sizes(segments),
            " or ".join(self.styles),
            record.terminator or "",
            buffer,
            "yes" if record.nodelay else "no",
            looks_like(self.verdict),
            "",
        ]
        return tuple(map(str, cells))


def program_rows(folder: RunFolder, records: Iterable[SessionRecord]) -> list[ProgramRow]:
    """Return the rows of a run's programs, by program, size of mail, offers and network.

    Args:
        folder: the run.
        records: its sessions.

    Raises:
        InputError: a stored file is damaged.
    """
    order = list(folder.manifest.networks)

    def key(record: SessionRecord) -> tuple[str, int, str, int]:
        return record.sender, _size(record), record.variant, order.index(record.network)

    found = sorted((r for r in records if r.kind == "program"), key=key)
    return [_row(folder, list(group)) for _, group in groupby(found, key)]


def write_programs(folder: RunFolder, rows: Iterable[ProgramRow]) -> None:
    """Write the table into the run folder.

    Raises:
        InputError: it cannot be written.
        DiskFullError: the disk is full.
    """
    lines = ["\t".join(cells) for cells in (_COLUMNS, *(row.cells() for row in rows))]
    path = folder.path / PROGRAMS
    with writing(path):
        replace_file(path, lambda file: file.write("\n".join([*lines, ""]).encode()))


def programs_drawing(rows: Sequence[ProgramRow], networks: Iterable[str]) -> Drawing:
    """Return the figure ``programs`` of a run: a line for each program, a column for each setting.

    Args:
        rows: of the table; one at least.
        networks: the names of the run's networks, in their order.
    """
    names = list(dict.fromkeys(row.shown.sender for row in rows))
    mails = sorted({row.size for row in rows})
    offered = sorted({row.offers for row in rows})
    cells = {(r.shown.sender, r.offers, r.shown.network, r.size): r.cell for r in rows}
    present = {(r.offers, r.shown.network) for r in rows}
    columns = [(o, n) for o in offered for n in networks if (o, n) in present]
    grid = [[[cells.get((name, o, n, m)) for m in mails] for o, n in columns] for name in names]
    labels = [f"{network}, {offers}" if offers else network for offers, network in columns]
    title = "How each program wrote, and whether the sizes on the wire show it"
    words = [f"{size} bytes" if size else "the mail" for size in mails]
    return Drawing(
        "programs",
        None,
        "How each program wrote, by its own writes: a bar for each mail, from the smallest to the"
        " largest. A circle says whether the answer of the classifier boundaries, from the"
        f" segments alone, admits that. {PROGRAMS} has the numbers.",
        f"{len(names)} programs, {len(columns)} settings of network and server, mails of"
        f" {', '.join(words)}; all cells stand in the table below.",
        partial(programs, title, names, labels, words, grid),
        table=(_COLUMNS, [row.cells() for row in rows]),
    )


def _size(record: SessionRecord) -> int:
    """Return the size of a session's mail by its variant; 0 where each mail has its own."""
    name, _, value = record.variant.partition(",")[0].partition("=")
    return int(value) if name == _SIZE and value.isdecimal() else 0


def _mail(record: SessionRecord) -> str:
    """Return the part of a session's variant that says which mail it carries."""
    return f"{_SIZE}={_size(record)}" if _size(record) else record.message


def _row(folder: RunFolder, records: list[SessionRecord]) -> ProgramRow:
    records.sort(key=lambda record: record.repeat)
    shown = next((record for record in records if record.complete), records[0])
    if not shown.complete:
        return ProgramRow(records, shown, None, None)
    writes = program_writes(folder, shown)
    verdict = classify(Observation.of_record(shown, "segments"))
    return ProgramRow(records, shown, None if writes is None else writes.labels, verdict)
