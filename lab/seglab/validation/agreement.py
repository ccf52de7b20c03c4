"""Compares sessions of the kernel engine with the same sessions of the simulator: pure.

Theory of operation
-------------------
Every session is carried out twice on the kernel engine and twice on the simulator, with the same
seed. The two simulations differ in the times of the programs, and each has the path of one of the
kernel's sessions: where the router's MTU changes, it does so when the kernel engine's router did
(``paths.py``). What is compared is the sequence of segments that the client sent: size, PSH, and
whether all bytes had been sent before, in order.

All sessions of one sender over one network are a *cell*. What the kernel alone shows decides how a
cell is judged; the simulator has no say in that:

    kind     it is one where                                  what has to hold
    draws    jitter, loss or the like is random on the path   a permutation test does not tell the
                                                              engines apart, in 95 % of these cells
    races    nothing is random, and the kernel repeats        the same test, in 95 % of these cells
             itself in fewer than 99 % of the sessions
    steady   nothing is random, and the kernel repeats        the simulator's sequence equals the
             itself in 99 % or more                           kernel's, in 99 % of all sessions

The bound of a race is the bound of equality: where the kernel does not agree with itself in 99 % of
the sessions, no model could. ``permutation.py`` describes the test. It needs ``CELL_LEAST``
sessions. Reads are tested in the same way. They are reported and not judged, because how a reader
wakes up depends on the machine and on its load.

On a busy machine the kernel engine is late. A session in which a process did not run when it was
due is compared all the same, and the page says how many there are. Where the engines do not agree
and most sessions were late, that does not tell against the simulator, nor for it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent
from seglab.networks.link import LinkParams
from seglab.networks.network import Network
from seglab.validation.permutation import p_value, reads, segments

EQUAL_LEAST: Final = 0.99
"""The least share of equal sessions in steady cells, and what makes a cell steady."""

ALIKE_LEAST: Final = 0.95
"""The least share of the other cells in which the engines cannot be told apart."""

CELL_LEAST: Final = 8
"""The fewest sessions of a cell that are tested: with fewer, no difference could be found."""

P_LEAST: Final = 0.01
"""Below this p, a test tells the engines apart."""

Kind = Literal["steady", "races", "draws"]
"""How a cell is judged."""

Segments = tuple[tuple[int, bool, bool], ...]
"""The segments of a session in order: payload bytes, PSH, whether it is a retransmission."""


def sequence(record: SessionRecord) -> Segments:
    """Return the segments that a session's client sent."""
    return tuple((s.end - s.start, s.psh, s.retransmission) for s in record.segments)


@dataclass(frozen=True, slots=True)
class Compared:
    """One session on both engines.

    Attributes:
        kernel: its record of the first run on the kernel engine.
        again: its record of the second one.
        simulated: its record of the simulator, on the path of ``kernel``.
        simulated_again: its record of the simulator, on the path of ``again``.
    """

    kernel: SessionRecord
    again: SessionRecord
    simulated: SessionRecord
    simulated_again: SessionRecord

    @property
    def records(self) -> tuple[SessionRecord, SessionRecord, SessionRecord, SessionRecord]:
        """All four, as the permutation test takes them."""
        return self.kernel, self.again, self.simulated, self.simulated_again

    @property
    def repeats(self) -> bool:
        """Whether the kernel engine has the same sequence in both runs."""
        return sequence(self.kernel) == sequence(self.again)

    @property
    def equal(self) -> bool:
        """Whether the simulator has the kernel's sequence."""
        return sequence(self.simulated) == sequence(self.kernel)

    @property
    def reason(self) -> str:
        """How the simulator's sequence differs from the kernel's, in words; empty if not."""
        if self.equal:
            return ""
        kernel, simulated = sequence(self.kernel), sequence(self.simulated)
        if [one[::2] for one in kernel] == [one[::2] for one in simulated]:
            what = "PSH alone"
        elif _cuts(self.kernel) == _cuts(self.simulated):
            what = "what was sent again"
        else:
            what = "how bytes were cut when they were first sent"
        return f"{what}; the kernel {'repeats' if self.repeats else 'does not repeat'} itself"


@dataclass(frozen=True, slots=True)
class Cell:
    """All sessions of one sender over one network.

    Attributes:
        scenario: the scenario's name.
        sender: the sender's name, with the variant if it has several.
        network: the network's name.
        kind: how the cell is judged.
        sessions: how many are compared.
        repeated: in how many of them the kernel engine repeats itself.
        equal: in how many of them the simulator has the kernel's sequence.
        p: of the permutation test of segments; ``None`` for a steady cell, or too few sessions.
        reads_p: of the permutation test of reads; ``None`` with too few sessions.
    """

    scenario: str
    sender: str
    network: str
    kind: Kind
    sessions: int
    repeated: int
    equal: int
    p: float | None
    reads_p: float | None

    @property
    def alike(self) -> bool | None:
        """Whether the engines cannot be told apart; ``None`` where that was not tested."""
        return None if self.p is None else self.p >= P_LEAST


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the simulator agrees with the kernel engine.

    Attributes:
        cells: all cells, in order.
        different: the sessions of steady cells whose sequences differ.
        raced: the sessions of racing cells whose sequences differ.
        left_out: the sessions that failed on one engine only, with the reason.
        changes_late_ms: by how much the kernel engine's changes of an MTU were late, each.
        busy: in how many sessions a process of the kernel engine was too late.
    """

    cells: tuple[Cell, ...]
    different: tuple[Compared, ...]
    raced: tuple[Compared, ...] = ()
    left_out: tuple[str, ...] = ()
    changes_late_ms: tuple[float, ...] = ()
    busy: int = 0

    def of_kind(self, kind: Kind) -> tuple[Cell, ...]:
        """Return the cells that are judged in one way."""
        return tuple(cell for cell in self.cells if cell.kind == kind)

    def tested(self, kind: Kind) -> tuple[Cell, ...]:
        """Return those of them that were tested."""
        return tuple(cell for cell in self.of_kind(kind) if cell.p is not None)

    def alike_share(self, kind: Kind) -> float | None:
        """Return the share of the tested cells in which the engines cannot be told apart."""
        return _share([bool(cell.alike) for cell in self.tested(kind)])

    @property
    def steady_sessions(self) -> int:
        """How many sessions the steady cells have."""
        return sum(cell.sessions for cell in self.of_kind("steady"))

    @property
    def too_busy(self) -> bool:
        """Whether nothing was found but shares that do not suffice, and most sessions were late."""
        compared = sum(cell.sessions for cell in self.cells)
        told_apart = self.judged and not self.agrees and not self.left_out
        return told_apart and 2 * self.busy > compared

    @property
    def equal_share(self) -> float | None:
        """The share of these whose sequences are equal; ``None`` where there are none."""
        equal = sum(cell.equal for cell in self.of_kind("steady"))
        return equal / self.steady_sessions if self.steady_sessions else None

    @property
    def reads_alike_share(self) -> float | None:
        """The share of all tested cells whose reads cannot be told apart."""
        return _share([cell.reads_p >= P_LEAST for cell in self.cells if cell.reads_p is not None])

    @property
    def median_late_ms(self) -> float | None:
        """By how much a change of the router's MTU was late in the median."""
        return median(self.changes_late_ms) if self.changes_late_ms else None

    @property
    def judged(self) -> bool:
        """Whether any share is known, or a session failed on one engine alone."""
        return bool(self.left_out) or any(share is not None for share, _ in self._shares)

    @property
    def agrees(self) -> bool:
        """Whether something was judged, all shares suffice, and no session failed on one engine.

        A share that is not known is no objection where another one is.
        """
        enough = all(share is None or share >= least for share, least in self._shares)
        return self.judged and enough and not self.left_out

    @property
    def _shares(self) -> tuple[tuple[float | None, float], ...]:
        return (
            (self.equal_share, EQUAL_LEAST),
            (self.alike_share("races"), ALIKE_LEAST),
            (self.alike_share("draws"), ALIKE_LEAST),
        )


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None


def compare(
    kernel: Iterable[SessionRecord],
    again: Iterable[SessionRecord],
    simulated: Iterable[SessionRecord],
    simulated_again: Iterable[SessionRecord],
    networks: Mapping[str, Network],
    seed: int = 0,
) -> Agreement:
    """Compare the sessions that all four runs have.

    Args:
        kernel: the first run on the kernel engine.
        again: the second one.
        simulated: the run on the simulator, on the paths of ``kernel``.
        simulated_again: the run on the simulator, on the paths of ``again``.
        networks: by their names.
        seed: of the permutations.
    """
    others, models, models_again = (
        {record.session_id: record for record in run} for run in (again, simulated, simulated_again)
    )
    cells: dict[tuple[str, str, str], list[Compared]] = defaultdict(list)
    left_out = []
    late_ms: list[float] = []
    busy = 0
    for record in kernel:
        session = record.session_id
        if not all(session in run for run in (others, models, models_again)):
            continue
        one = Compared(record, others[session], models[session], models_again[session])
        if failure := _failed_alone(one):
            left_out.append(failure)
            continue
        network = networks[record.network]
        late_ms += [ms for run in (record, one.again) for ms in _late_ms(run, network)]
        busy += bool(record.too_late or one.again.too_late)
        sender = f"{record.sender} {record.variant}".strip()
        cells[record.scenario, sender, record.network].append(one)
    made = {key: _cell(key, found, networks[key[2]], seed) for key, found in sorted(cells.items())}
    different: dict[Kind, list[Compared]] = defaultdict(list)
    for key, cell in made.items():
        different[cell.kind] += [one for one in cells[key] if not one.equal]
    return Agreement(
        tuple(made.values()),
        tuple(different["steady"]),
        tuple(different["races"]),
        tuple(left_out),
        tuple(late_ms),
        busy,
    )


def _failed_alone(one: Compared) -> str | None:
    """Return a line about a session that failed on one engine alone; ``None`` for the others."""
    kernel, again, *models = one.records
    if kernel.complete != again.complete:
        return None
    for model in models:
        if model.complete != kernel.complete:
            which, why = ("kernel", kernel.error) if model.complete else ("simulator", model.error)
            return f"{kernel.session_id} failed on the {which} engine alone: {why}"
    return None


def _late_ms(record: SessionRecord, network: Network) -> Iterable[float]:
    """Return by how much each change of the router's MTU was late on the kernel engine."""
    return (
        made.t_ns / 1e6 - change.at_ms
        for made, change in zip(record.mtu_changes, network.router.changes(), strict=False)
    )


def _cell(
    key: tuple[str, str, str], compared: Sequence[Compared], network: Network, seed: int
) -> Cell:
    repeated = sum(one.repeats for one in compared)
    kind: Kind = "steady"
    if _draws(network):
        kind = "draws"
    elif repeated < EQUAL_LEAST * len(compared):
        kind = "races"
    p = reads_p = None
    if len(compared) >= CELL_LEAST:
        paired = bool(network.router.schedule)
        read = [[*map(reads, one.records)] for one in compared]
        reads_p = p_value(read, seed, paired=paired)
        if kind != "steady":
            sent = [[*map(segments, one.records)] for one in compared]
            p = p_value(sent, seed, paired=paired)
    equal = sum(one.equal for one in compared)
    return Cell(*key, kind, len(compared), repeated, equal, p, reads_p)


def _cuts(record: SessionRecord) -> frozenset[int]:
    """Return where the segments end that were sent first."""
    return frozenset(piece.end for piece in first_sent(record.segments))


def _draws(network: Network) -> bool:
    """Whether something on the path is random."""
    links = (network.access.up, network.access.down, network.core.up, network.core.down)
    return any(map(_link_draws, links))


def _link_draws(link: LinkParams) -> bool:
    return bool(
        link.jitter_ms or link.stall_pct or link.loss_pct or link.duplicate_pct or link.reorder_pct
    )
