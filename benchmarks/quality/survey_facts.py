"""The numbers of the survey's page: ``python benchmarks/quality/survey_facts.py RUN``.

RUN is a folder of ``seglab run survey``. Sessions are paired by program, mail, network and what the
server offered. Segments count as they were first sent. A second session over a network has a mail
of its own, so only first ones are paired. Whether a program does the same again is asked of
sessions with one mail and one seed, whose server offered something that changed nothing of what the
program said to it.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent, sizes
from seglab.runs.folder import RunFolder

USUAL = ("PIPELINING",)
"""What the server offers unless the scenario says otherwise."""

ENOUGH = 0.5
"""The share of the cells from which on a pair of programs is shown."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the numbers need of a session.

    Attributes:
        program: its name.
        mail_bytes: the size of the mail that it was handed.
        network: the network's name.
        offers: what the server offered.
        mss: of the connection.
        writes: the sizes of the program's writes.
        segments: the sizes of the segments.
        said: what the program said to the server beside the mail, a text for each write.
        repeat: which session over this network.
    """

    program: str
    mail_bytes: int
    network: str
    offers: tuple[str, ...]
    mss: int
    writes: tuple[int, ...]
    segments: tuple[int, ...]
    said: tuple[str, ...]
    repeat: int

    @property
    def short(self) -> int:
        """How many segments before the last are shorter than a full one."""
        return sum(size < self.mss for size in self.segments[:-1])


def seen(record: SessionRecord) -> Seen:
    """Return what the numbers need of a record."""
    mail = int(record.variant.partition(",")[0].partition("=")[2])
    return Seen(
        record.sender, mail, record.network, tuple(record.offers), record.mss,
        tuple(sizes(record.writes)), tuple(sizes(first_sent(record.segments))),
        tuple(record.dialogue), record.repeat,
    )  # fmt: skip


Cells = Mapping[tuple[str, int, str, tuple[str, ...]], Seen]


def cells_of(sessions: Iterable[Seen]) -> Cells:
    """Return the first sessions by program, mail, network and offers."""
    return {
        (one.program, one.mail_bytes, one.network, one.offers): one
        for one in sessions
        if one.repeat == 0
    }


def taken(records: Sequence[SessionRecord], manifest: Any) -> Iterator[str]:
    """Yield how many sessions there were, what failed, and how late the machine was."""
    complete = sum(record.complete for record in records)
    programs = {record.sender for record in records}
    yield f"{len(records)} sessions of {len(programs)} programs, {complete} complete"
    yield f"from {manifest.started} to {manifest.finished}; {manifest.kernel}, {manifest.machine}"
    yield f"late: {manifest.late_ms}; carried out again: {manifest.redone}"
    late = Counter(record.network for record in records if record.too_late)
    yield f"too late, by network: {dict(late.most_common())}"
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    failed: Counter[tuple[str, str]] = Counter()
    for record in records:
        if not record.complete:
            key = record.network, (record.error or "").partition(":")[0].rstrip("0123456789 ")
            groups[key].add(record.sender)
            failed[key] += 1
    for key, many in sorted(failed.items()):
        who = sorted(groups[key])
        named = ", ".join(who[:4]) + " ..." * (len(who) > 4)
        yield f"  {many} failed over {key[0]}: {key[1]}: {named}"


def repeats(sessions: Iterable[Seen]) -> Iterator[str]:
    """Yield how often a program does the same again."""
    again: dict[tuple[object, ...], list[Seen]] = defaultdict(list)
    for one in sessions:
        again[one.program, one.mail_bytes, one.network, one.repeat, one.said].append(one)
    pairs = [pair for those in again.values() for pair in combinations(those, 2)]
    for network in sorted({one.network for one, _ in pairs}):
        here = [(one, two) for one, two in pairs if one.network == network]
        wrote = [(one, two) for one, two in here if one.writes == two.writes]
        same, same_wrote = (
            sum(one.segments == two.segments for one, two in p) for p in (here, wrote)
        )
        yield (
            f"{network}: of {len(here)} pairs {len(wrote)} have the same writes, and {same_wrote}"
            f" of these the same segments; {same} of all have the same segments"
        )
    asked = Counter(one.program for one, _ in pairs)
    wrote_else = Counter(one.program for one, two in pairs if one.writes != two.writes)
    sent_else = Counter(
        one.program
        for one, two in pairs
        if one.writes == two.writes and one.segments != two.segments
    )
    yield f"other writes: {_of(wrote_else, asked)}"
    yield f"other segments of the same writes: {_of(sent_else, asked)}"


def _of(some: Mapping[str, int], asked: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {many} of {asked[name]}" for name, many in sorted(some.items()))


def windows(cells: Cells, mails: Sequence[int]) -> Iterator[str]:
    """Yield what an initial window of 64 segments changes."""
    for path in ("ethernet", "mtu-576"):
        for mail in mails:
            pairs = [
                (one, cells[program, size, f"{path}-window-64", offers])
                for (program, size, network, offers), one in cells.items()
                if (network, size, offers) == (path, mail, USUAL)
                and (program, size, f"{path}-window-64", offers) in cells
            ]
            same = sum(one.segments == two.segments for one, two in pairs)
            short = [sum(pair[side].short for pair in pairs) / len(pairs) for side in (0, 1)]
            yield (
                f"{path}, {mail} bytes: {same} of {len(pairs)} programs have the same segments;"
                f" short ones before the last: {short[0]:.1f} with 10, {short[1]:.1f} with 64"
            )


def offered(cells: Cells, sessions: Iterable[Seen]) -> Iterator[str]:
    """Yield which programs do otherwise where the server offers something else."""
    found = sorted({one.program for one in sessions if any("\n" in words for words in one.said)})
    yield f"several commands in one write, somewhere: {', '.join(found)}"
    for other in ((), ("PIPELINING", "CHUNKING")):
        changed: Counter[str] = Counter()
        asked: Counter[str] = Counter()
        for (program, mail, network, offers), one in cells.items():
            usual = cells.get((program, mail, network, USUAL))
            if offers == other and usual:
                asked[program] += 1
                changed[program] += one.writes != usual.writes
        yield f"{' '.join(other) or 'neither'} offered, other writes: {_of(+changed, asked)}"


def mtus(cells: Cells) -> Iterator[str]:
    """Yield in how many ways each program wrote one mail, over all networks."""
    ways: dict[tuple[str, int], dict[tuple[int, ...], set[int]]] = defaultdict(dict)
    for (program, mail, _, offers), one in cells.items():
        if offers == USUAL:
            ways[program, mail].setdefault(one.writes, set()).add(one.mss)
    for (program, mail), by_writes in sorted(ways.items()):
        if len(by_writes) > 1:
            most = sorted(by_writes.items(), key=lambda item: -len(item[1]))[:3]
            told = "; ".join(
                f"{' '.join(map(str, writes[:4]))}{' ...' * (len(writes) > 4)} at {len(msss)} MSSs"
                for writes, msss in most
            )
            yield f"{program}, {mail} bytes: {len(by_writes)} ways: {told}"


def alike(cells: Cells, networks: Sequence[str], mails: Sequence[int]) -> Iterator[str]:
    """Yield which programs have the same segments, over networks that lose nothing by chance."""
    programs = sorted({key[0] for key in cells})
    total = len(networks) * len(mails)
    yield f"{total} cells: {len(mails)} sizes, {len(networks)} networks"
    counts: list[tuple[int, int, str]] = []
    for one, two in combinations(programs, 2):
        segments = writes = 0
        for network in networks:
            for mail in mails:
                first, second = (cells.get((who, mail, network, USUAL)) for who in (one, two))
                if first and second:
                    segments += first.segments == second.segments
                    writes += first.writes == second.writes
        counts.append((segments, writes, f"{one}, {two}"))
    for segments, writes, pair in sorted(counts, reverse=True):
        if max(segments, writes) >= ENOUGH * total:
            yield f"{pair}: same segments in {segments}, same writes in {writes}"


def marks(cells: Cells) -> Iterator[str]:
    """Yield each program's first and last writes and segments, over Ethernet."""
    for (program, mail, network, offers), one in sorted(cells.items()):
        if network in ("ethernet", "mtu-576", "jumbo") and offers == USUAL:
            yield (
                f"{program}, {mail} bytes, {network}: writes {_ends(one.writes)},"
                f" segments {_ends(one.segments)}, {one.short} short before the last"
            )


def _ends(numbers: Sequence[int]) -> str:
    head, tail = numbers[:4], numbers[max(4, len(numbers) - 2) :]
    return " ".join([*map(str, head), *([".."] if len(numbers) > 6 else []), *map(str, tail)])


def loss_pct(network: Mapping[str, Any]) -> list[float]:
    """What share of the packets each link of a network loses by chance, each way."""
    return [network[link][way]["loss_pct"] for link in ("access", "core") for way in ("up", "down")]


def main(path: str) -> None:
    """Print all numbers."""
    folder = RunFolder.open(Path(path))
    records = [record for record in folder.sessions() if record.kind == "program"]
    sessions = [seen(record) for record in records if record.complete]
    cells = cells_of(sessions)
    mails = sorted({one.mail_bytes for one in sessions})
    quiet = [
        name
        for name, given in folder.manifest.networks.items()
        if given.get("completes", True) and not any(loss_pct(given))
    ]
    for title, lines in (
        ("The run", taken(records, folder.manifest)),
        ("Repeats", repeats(sessions)),
        ("The server's offer", offered(cells, sessions)),
        ("The initial window", windows(cells, mails)),
        ("More than one way to write a mail", mtus(cells)),
        ("What the wire cannot tell apart", alike(cells, quiet, mails)),
        ("First and last", marks(cells)),
    ):
        print(f"\n# {title}\n")
        print(*lines, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
