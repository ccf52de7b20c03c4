"""Whether the two engines agree about a schedule.

Two judgements, each of its own:

- *session*: the simulator, with several seeds, shows one of the sequences that the kernel showed.
  Where the kernel repeats itself and the simulator as well, that is equality. Where the kernel does
  not, and shows none of the simulator's, a permutation test decides as in ``seglab validate``.
  Over a path that leaves something to chance, the same seeds give the same fates only as long as
  the same frames are offered, so other sequences say nothing there.
- *replay*: the simulator's TCP alone, given what the kernel's TCP was given at the recorded times,
  sends the same. A recording that another order explains, which the times leave open, is counted
  apart (``seglab.validation.racing``).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from fuzz.engines.carrying import Carried
from seglab.core.record import SessionRecord
from seglab.networks.network import Network
from seglab.validation.agreement import P_LEAST
from seglab.validation.permutation import distance, segments
from seglab.validation.racing import explained
from seglab.validation.recording import sent_text
from seglab.validation.replay import difference
from seglab.validation.schedule import Schedule

AGAIN_SHARE = 0.5
"""The share of recordings that must differ for a replay to count as a disagreement."""

KINDS = {
    "equal": "both engines show one sequence, the same",
    "race": "one of them shows several, and one is among those of the other",
    "alike": "the kernel shows several, and a permutation test does not tell the engines apart",
    "drawn": "the path leaves something to chance, and the sequences are others; recordings decide",
    "session": "the simulator shows none of the kernel's sequences",
    "replay": "the simulator's TCP leaves the kernel's recording",
    "left out": "the machine was too busy each time; recordings are replayed all the same",
}
"""What can be found about a schedule."""

DISAGREEMENTS = ("session", "replay")

TESTED_LEAST = 4
"""The fewest runs of the kernel for a permutation test."""

PERMUTATIONS = 499

CHANGE_LATE_NS = 5_000_000
"""By how much a change of the router's MTU may be late."""

SHOWN_BEFORE, SHOWN = 3, 10
"""How many segments are shown before the first difference, and in all."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about one schedule.

    Attributes:
        kind: one of ``KINDS``.
        replays: how many recordings were replayed.
        different: in how many of them the replay differed, whatever the order.
        raced: in how many it differed, and another order explains it.
        text: for people: what differs, side by side.
    """

    kind: str
    replays: int = 0
    different: int = 0
    raced: int = 0
    text: str = ""

    @property
    def disagrees(self) -> bool:
        """Whether the engines disagree."""
        return self.kind in DISAGREEMENTS


def judge(schedule: Schedule, kernel: Sequence[Carried], simulated: Sequence[Carried]) -> Judgement:
    """Return whether what the engines did agrees."""
    network = schedule.network
    usable = [
        one for one in kernel if one.usable and one.record and not changed_late(one.record, network)
    ]
    texts = []
    replays = different = raced = 0
    for one in kernel:
        if one.recording is None or one.error is not None:
            continue  # a session that was cut off says nothing about what would have followed
        replays += 1
        found = difference(one.recording, network, nodelay=schedule.nodelay)
        if found is None:
            continue
        if explained(one.recording, network, found, nodelay=schedule.nodelay):
            raced += 1
        else:
            different += 1
            texts.append("\n".join(found.lines()))
    if replays and different > AGAIN_SHARE * replays:
        return Judgement("replay", replays, different, raced, "\n".join(texts))
    if not usable:
        return Judgement("left out", replays, different, raced, "\n".join(texts))
    shown = {_told(one) for one in usable}
    modelled = {_told(one) for one in simulated}
    if shown & modelled:
        kind = "equal" if len(shown | modelled) == 1 else "race"
        return Judgement(kind, replays, different, raced, "\n".join(texts))
    if by_chance(network):
        return Judgement("drawn", replays, different, raced, "\n".join(texts))
    tested = len(shown) > 1 and len(usable) >= TESTED_LEAST
    if tested and told_apart_p(usable, simulated) >= P_LEAST:
        return Judgement("alike", replays, different, raced, "\n".join(texts))
    lines = [f"from segment {_common(usable, simulated)} on"]
    for name, group in (("kernel", usable), ("simulator", simulated)):
        at = max(_common(usable, simulated) - SHOWN_BEFORE, 0)
        counted = Counter(_line(one, at) for one in group)
        lines += [f"  {name:10} {count} x {line}" for line, count in counted.items()]
    return Judgement("session", replays, different, raced, "\n".join([*lines, *texts]))


def by_chance(network: Network) -> bool:
    """Whether a link of the path draws what becomes of a frame."""
    links = (network.access.up, network.access.down, network.core.up, network.core.down)
    return any(
        one.loss_pct or one.jitter_ms or one.duplicate_pct or one.reorder_pct or one.stall_pct
        for one in links
    )


def told_apart_p(kernel: Sequence[Carried], simulated: Sequence[Carried]) -> float:
    """Return p of the hypothesis that both groups come from the same distribution.

    A permutation test of the energy distance (Székely and Rizzo, 2013), over the distances of
    ``seglab.validation.permutation``. That module's own test is for many sessions with four results
    each; here one session has many.
    """
    bags = [segments(one.record) for one in (*kernel, *simulated) if one.record]
    size, first = len(bags), len(kernel)
    table = [[distance(one, other) for other in bags] for one in bags]

    def energy(order: Sequence[int]) -> float:
        one, other = order[:first], order[first:]
        between, within, within_other = (
            fmean(table[a][b] for a in left for b in right)
            for left, right in ((one, other), (one, one), (other, other))
        )
        return 2 * between - within - within_other

    order = list(range(size))
    found = energy(order)
    shuffle = Random(0).shuffle
    as_far = 0
    for _ in range(PERMUTATIONS):
        shuffle(order)
        as_far += energy(order) >= found - 1e-12
    return (as_far + 1) / (PERMUTATIONS + 1)


def changed_late(record: SessionRecord, network: Network) -> bool:
    """Whether the kernel engine changed the router's MTU late, so that the paths differed."""
    made_ns = iter(record.mtu_changes)
    for change in network.router.changes():
        due_ns = change.at_ms * 1e6
        if due_ns + CHANGE_LATE_NS > record.duration_ns:
            return False
        made = next(made_ns, None)
        if made is None or made.t_ns - due_ns > CHANGE_LATE_NS:
            return True
    return False


def _told(one: Carried) -> object:
    return one.sequence, one.error is None


def _common(kernel: Sequence[Carried], simulated: Sequence[Carried]) -> int:
    """Return how many segments the two most similar sequences have in common."""
    return max(
        next(
            (
                at
                for at, (a, b) in enumerate(zip(one.sequence, other.sequence, strict=False))
                if a != b
            ),
            min(len(one.sequence), len(other.sequence)),
        )
        for one in kernel
        for other in simulated
    )


def _line(one: Carried, at: int) -> str:
    words = [
        sent_text((start, end, psh, False)) + (" again" if again else "")
        for start, end, psh, again in one.sequence[at : at + SHOWN]
    ]
    return ", ".join(words) + (f"  FAILED: {one.error}" if one.error else "")
