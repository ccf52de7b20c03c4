"""Compares sessions of the kernel engine with the same sessions of the simulator: pure.

Theory of operation
-------------------
Every session is carried out twice on the kernel engine and once on the simulator, with the same
seed. What is compared is the sequence of segments that the client sent: size, PSH, and whether all
bytes had been sent before, in order.

A path *draws* where jitter, loss or the like is random on it. The draws of a link follow from the
seed on both engines; but which frame meets which draw depends on times, and these differ a little
from run to run. So there are two questions:

- Where a path does not draw, is the sequence the same? A session in which the kernel engine does
  not repeat itself is a *race*: it counts as equal if it has either of the kernel's sequences.
- Where a path draws, can the simulator's sessions of a cell (a sender over a network) be told from
  the kernel's? A permutation test of the energy distance answers that (Székely and Rizzo, 2013),
  over the distances of ``distance``.

On a busy machine the kernel engine is late. Where the router's MTU changes after the time of the
schedule, the two engines had different paths: such a session is left out. Where a process did not
run when it was due, segments are mostly the same all the same: such a session is compared, and the
page says how many there are, since they are likelier to be races.

The share in which the kernel engine repeats itself is the most that any model could reach, and
stands beside each answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent
from seglab.networks.link import LinkParams
from seglab.networks.network import Network

EQUAL_LEAST: Final = 0.99
"""The least share of equal sessions on paths that do not draw."""

ALIKE_LEAST: Final = 0.95
"""The least share of cells on paths that draw in which the engines cannot be told apart."""

CELL_LEAST: Final = 8
"""The fewest sessions of a cell that are tested: with fewer, no difference could be found."""

P_LEAST: Final = 0.01
"""Below this p, a test tells the engines apart."""

PERMUTATIONS: Final = 999

CHANGE_LATE_NS: Final = 5_000_000
"""By how much a change of the router's MTU may be late."""

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
        simulated: its record of the simulator.
    """

    kernel: SessionRecord
    again: SessionRecord
    simulated: SessionRecord

    @property
    def repeats(self) -> bool:
        """Whether the kernel engine has the same sequence in both runs."""
        return sequence(self.kernel) == sequence(self.again)

    @property
    def equal(self) -> bool:
        """Whether the simulator has the kernel's sequence, or one of them in a race."""
        found = sequence(self.simulated)
        return found in (sequence(self.kernel), sequence(self.again))

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
        sender: its name, with the variant if it has several.
        network: its name.
        draws: whether the path draws.
        sessions: how many are compared.
        repeated: in how many of them the kernel engine repeats itself.
        equal: in how many of them the simulator is equal.
        p: of the permutation test; ``None`` where the path does not draw, or with too few sessions.
    """

    sender: str
    network: str
    draws: bool
    sessions: int
    repeated: int
    equal: int
    p: float | None

    @property
    def alike(self) -> bool | None:
        """Whether the engines cannot be told apart; ``None`` where that was not tested."""
        return None if self.p is None else self.p >= P_LEAST


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the simulator agrees with the kernel engine.

    Attributes:
        cells: all cells, in order.
        different: the sessions on paths that do not draw whose sequences differ.
        left_out: the sessions that failed on one engine only, with the reason.
        late: how many sessions are left out because the router's MTU changed late.
        busy: in how many of the others a process of the kernel engine was too late.
    """

    cells: tuple[Cell, ...]
    different: tuple[Compared, ...]
    left_out: tuple[str, ...]
    late: int = 0
    busy: int = 0

    @property
    def steady_sessions(self) -> int:
        """How many sessions are compared on paths that do not draw."""
        return sum(cell.sessions for cell in self.cells if not cell.draws)

    @property
    def equal_share(self) -> float | None:
        """The share of these whose sequences are equal; ``None`` where there are none."""
        equal = sum(cell.equal for cell in self.cells if not cell.draws)
        return equal / self.steady_sessions if self.steady_sessions else None

    @property
    def repeated_share(self) -> float | None:
        """The share of these in which the kernel engine repeats itself."""
        repeated = sum(cell.repeated for cell in self.cells if not cell.draws)
        return repeated / self.steady_sessions if self.steady_sessions else None

    @property
    def tested(self) -> tuple[Cell, ...]:
        """The cells that were tested."""
        return tuple(cell for cell in self.cells if cell.p is not None)

    @property
    def alike_share(self) -> float | None:
        """The share of these in which the engines cannot be told apart."""
        tested = self.tested
        return sum(bool(cell.alike) for cell in tested) / len(tested) if tested else None

    @property
    def judged(self) -> bool:
        """Whether either share is known, or a session failed on one engine alone."""
        shares = (self.equal_share, self.alike_share)
        return bool(self.left_out) or shares != (None, None)

    @property
    def agrees(self) -> bool:
        """Whether something was judged, both shares suffice, and no session failed on one engine.

        A share that is not known is no objection where the other one is.
        """
        equal, alike = self.equal_share, self.alike_share
        return (
            self.judged
            and (equal is None or equal >= EQUAL_LEAST)
            and (alike is None or alike >= ALIKE_LEAST)
            and not self.left_out
        )


def compare(
    kernel: Iterable[SessionRecord],
    again: Iterable[SessionRecord],
    simulated: Iterable[SessionRecord],
    networks: Mapping[str, Network],
    seed: int = 0,
) -> Agreement:
    """Compare the sessions that all three runs have.

    Args:
        kernel: the first run on the kernel engine.
        again: the second one.
        simulated: the run on the simulator.
        networks: by their names.
        seed: of the permutations.
    """
    others = {record.session_id: record for record in again}
    models = {record.session_id: record for record in simulated}
    cells: dict[tuple[str, str], list[Compared]] = defaultdict(list)
    left_out = []
    late = busy = 0
    for record in kernel:
        other, model = others.get(record.session_id), models.get(record.session_id)
        if other is None or model is None:
            continue
        if record.complete == other.complete != model.complete:
            which, why = ("kernel", record.error) if model.complete else ("simulator", model.error)
            left_out.append(f"{record.session_id} failed on the {which} engine alone: {why}")
            continue
        if any(_is_late(one, networks[record.network]) for one in (record, other)):
            late += 1
            continue
        busy += bool(record.too_late or other.too_late)
        sender = f"{record.sender} {record.variant}".strip()
        cells[sender, record.network].append(Compared(record, other, model))
    made = tuple(
        _cell(sender, network, _draws(networks[network]), compared, seed)
        for (sender, network), compared in sorted(cells.items())
    )
    different = tuple(
        one
        for (_, network), compared in sorted(cells.items())
        for one in compared
        if not one.equal and not _draws(networks[network])
    )
    return Agreement(made, different, tuple(left_out), late, busy)


def _is_late(record: SessionRecord, network: Network) -> bool:
    """Whether the kernel engine changed the router's MTU late in a session."""
    made_ns = iter(record.mtu_changes)
    for change in network.router.changes():
        due_ns = change.at_ms * 1e6
        if due_ns + CHANGE_LATE_NS > record.duration_ns:
            return False
        made = next(made_ns, None)
        if made is None or made.t_ns - due_ns > CHANGE_LATE_NS:
            return True
    return False


def _cell(sender: str, network: str, draws: bool, compared: Sequence[Compared], seed: int) -> Cell:
    p = None
    if draws and len(compared) >= CELL_LEAST:
        p = told_apart([one.kernel for one in compared], [one.simulated for one in compared], seed)
    return Cell(
        sender,
        network,
        draws,
        len(compared),
        sum(one.repeats for one in compared),
        sum(one.equal for one in compared),
        p,
    )


def told_apart(one: Sequence[SessionRecord], other: Sequence[SessionRecord], seed: int) -> float:
    """Return p of the hypothesis that two groups of sessions come from the same distribution."""
    pool = [*one, *other]
    features = [(_cuts(record), _sent_again(record)) for record in pool]
    size = len(pool)
    table = np.zeros((size, size))
    for a in range(size):
        for b in range(a + 1, size):
            table[a, b] = table[b, a] = distance(features[a], features[b])
    order = list(range(size))
    observed = _energy(table, order, len(one))
    shuffle = Random(seed).shuffle
    as_far = 0
    for _ in range(PERMUTATIONS):
        shuffle(order)
        as_far += _energy(table, order, len(one)) >= observed - 1e-12
    return (as_far + 1) / (PERMUTATIONS + 1)


def distance(one: tuple[frozenset[int], int], other: tuple[frozenset[int], int]) -> float:
    """Return how far two sessions are from each other, from 0 to 2.

    Each is given by where segments ended that were sent first, and by how many were sent again.
    The distance is Jaccard's of the former, plus the relative difference of the latter.
    """
    (cuts, again), (other_cuts, other_again) = one, other
    union = len(cuts | other_cuts)
    apart = 1 - len(cuts & other_cuts) / union if union else 0.0
    most = max(again, other_again)
    return apart + (abs(again - other_again) / most if most else 0.0)


def _energy(table: np.ndarray, order: Sequence[int], first: int) -> float:
    a, b = list(order[:first]), list(order[first:])
    between = table[np.ix_(a, b)].mean()
    return float(2 * between - table[np.ix_(a, a)].mean() - table[np.ix_(b, b)].mean())


def _cuts(record: SessionRecord) -> frozenset[int]:
    """Return where the segments end that were sent first."""
    return frozenset(piece.end for piece in first_sent(record.segments))


def _sent_again(record: SessionRecord) -> int:
    return sum(segment.retransmission for segment in record.segments)


def _draws(network: Network) -> bool:
    """Whether something on the path is random."""
    links = (network.access.up, network.access.down, network.core.up, network.core.down)
    return any(map(_link_draws, links))


def _link_draws(link: LinkParams) -> bool:
    return bool(
        link.jitter_ms or link.stall_pct or link.loss_pct or link.duplicate_pct or link.reorder_pct
    )
