"""How the built-in classifiers do on real programs: ``python benchmarks/quality/survey.py RUN...``.

RUN is a folder of ``seglab run survey``. Each complete session is asked on its segments. The truth
is what the program's own write calls admit (``seglab.core.written``); a session for whose way of
writing the lab has no name is counted, and not asked. An answer is right if it names one of the
styles that the writes admit.

A session's writes *show* if a boundary between them is visible on the wire
(``seglab.core.boundaries``), or if there is none, since all but the terminator was one write. A
buffer is asked for where the writes give its size to the byte and two boundaries or more are
visible.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seglab.classification.api import classify
from seglab.classification.classifier import Verdict
from seglab.core.boundaries import visible_boundaries
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.core.written import WrittenLabels
from seglab.report.tried import program_writes
from seglab.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Asked:
    """A session, how its program wrote, and what the two classifiers say.

    Attributes:
        record: the session.
        labels: how it wrote.
        visible: how many boundaries between its writes the wire shows.
        boundaries: the answer of ``boundaries``; ``None`` where it abstains.
        paper: the answer of ``paper``.
    """

    record: SessionRecord
    labels: WrittenLabels
    visible: int
    boundaries: Verdict | None
    paper: Verdict | None

    @property
    def shows(self) -> bool:
        """Whether the wire shows how the program wrote."""
        return self.visible > 0 or self.labels.styles[0] == "single_write"

    @property
    def size(self) -> str:
        """The size of the mail that the program was handed."""
        return self.record.variant.partition(",")[0].partition("=")[2]

    @property
    def buffer(self) -> int | None:
        """The buffer's size, where it is asked for."""
        found = self.labels.buffer
        if self.labels.styles[0] != "fixed_buffer" or found is None or self.visible < 2:
            return None
        return found.least_bytes if found.least_bytes == found.most_bytes else None


def sessions(folder: RunFolder) -> Iterator[Asked | SessionRecord]:
    """Yield each complete session of a program, and those without a name as their record alone."""
    for record in folder.sessions():
        if record.kind != "program" or not record.complete:
            continue
        writes = program_writes(folder, record)
        if writes is None or not writes.labels.styles:
            yield record
            continue
        seen = Observation.of_record(record, "segments")
        visible = visible_boundaries(record, seen.ends)
        yield Asked(
            record, writes.labels, len(visible), classify(seen), classify(seen, classifier="paper")
        )


def right(verdict: Verdict | None, labels: WrittenLabels) -> bool | None:
    """Return whether an answer names a style that the writes admit; ``None`` for no answer."""
    said = () if verdict is None else verdict.possible_styles
    return None if not said else not {*said}.isdisjoint(labels.styles)


def table(title: str, asked: list[Asked], of: Callable[[Asked], str]) -> None:
    """Print the counts of each group."""
    groups: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        groups[of(one)].append(one)
    print(f"\n| {title} | asked | writes show | right | no answer | hidden | right | buffer asked "
          "| exact | `paper` right |")  # fmt: skip
    print("|" + " --- |" * 10)
    for name, members in {**dict(sorted(groups.items())), "all": asked}.items():
        shown = [one for one in members if one.shows]
        hidden = [one for one in members if not one.shows]
        marks = Counter(right(one.boundaries, one.labels) for one in shown)
        behind = Counter(right(one.boundaries, one.labels) for one in hidden)
        buffers = [one for one in members if one.buffer is not None]
        exact = sum(one.boundaries is not None and one.boundaries.buffer == one.buffer
                    for one in buffers)  # fmt: skip
        paper = sum(right(one.paper, one.labels) is True for one in members)
        cells = [name, len(members), len(shown), marks[True], marks[None], len(hidden),
                 behind[True], len(buffers), exact, paper]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


def main(paths: list[str]) -> None:
    """Print all tables, and each kind of wrong answer."""
    found = [one for path in paths for one in sessions(RunFolder.open(Path(path)))]
    asked = [one for one in found if isinstance(one, Asked)]
    print(f"{len(found)} complete sessions, {len(found) - len(asked)} without a name")
    table("program", asked, lambda one: one.record.sender)
    table("network", asked, lambda one: one.record.network)
    table("mail of bytes", asked, lambda one: one.size.rjust(6))
    print("\nwrong although the writes show:")
    wrong = Counter(
        (one.record.sender, one.labels.styles[0], " or ".join(one.boundaries.possible_styles))
        for one in asked
        if one.shows and one.boundaries and right(one.boundaries, one.labels) is False
    )
    for (program, truth, said), count in wrong.most_common():
        print(f"  {count:4} {program}: {truth}, said {said}")
    print("\nbuffers that are not exact:")
    missed = Counter(
        (one.record.sender, one.buffer, one.boundaries and one.boundaries.buffer)
        for one in asked
        if one.buffer is not None
        and (one.boundaries is None or one.boundaries.buffer != one.buffer)
    )
    for (program, buffer, answer), count in missed.most_common():
        print(f"  {count:4} {program}: {buffer}, said {answer}")
    unnamed = Counter(one.sender for one in found if isinstance(one, SessionRecord))
    print("\nwithout a name:", dict(unnamed.most_common()))


if __name__ == "__main__":
    main(sys.argv[1:])
