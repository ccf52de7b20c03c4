"""Whether the times of a recording leave another order open that explains it: pure.

A busy machine does some things otherwise than the times say that were recorded:

    a program's call          its time was taken before the call, and the program may have lost the
                              processor in between
    an arrival                its time was taken before the frame was handed over, and the other
                              processor may have had something else to do first
    several arrivals          TCP may take them in one batch, before the device has sent what the
                              first of them let out, so ``tcp_small_queue_check`` holds more back
    the retransmission timer  a processor whose tick comes before the other one has counted the new
                              jiffy looks again with the next tick (``run_local_timers``)

A recording that the model explains with a few of these says nothing about the model's rules. The
search is greedy: it keeps what makes the replay agree for longer. What no order explains, and what
the kernel repeats, is a difference.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from seglab.networks.network import Network
from seglab.validation.recording import Closed, Event, Looked, OptionSet, Recording, Written
from seglab.validation.replay import Difference, Race, compared

CALL_LATE_NS: Final = 2_000_000
"""How long after its recorded time a program's call may have happened."""

ARRIVAL_LATE_NS: Final = 500_000
"""How long after its recorded time a frame may have been taken."""

TRIES: Final = 150
"""After how many replays the search is given up."""

_BEFORE_NS: Final = 600_000_000  # how far before a difference its reason is looked for


def explained(
    recording: Recording, network: Network, difference: Difference, *, nodelay: bool
) -> bool:
    """Return whether another order, which the times leave open, explains a difference.

    Args:
        recording: what happened.
        network: for the settings of the client's TCP.
        difference: where the replay left the recording that agreed for longest.
        nodelay: whether TCP_NODELAY was set from the beginning.
    """
    best, race, tries = difference, Race(), 0
    improved = True
    while improved:
        improved = False
        for other in _alternatives(recording, best, race):
            tries += 1
            if tries > TRIES:
                return False
            found = compared(
                recording, network, nodelay, difference.phase_ns, difference.early_ns, other
            )
            if found is None:
                return True
            if found.at > best.at:
                best, race, improved = found, other, True
                break
    return False


def _alternatives(recording: Recording, difference: Difference, race: Race) -> Iterator[Race]:
    """Yield races with one thing more, those that are nearest to the difference first."""
    sent = recording.sent
    until_ns = sent[min(difference.at, len(sent) - 1)][0] + CALL_LATE_NS if sent else 0
    events = recording.events
    for number in range(len(difference.expiries), 0, -1):
        if difference.expiries[number - 1] <= until_ns and number not in race.late:
            yield replace(race, late=race.late | {number})
    for at in range(len(events) - 2, -1, -1):
        (t_ns, one), (next_ns, other) = events[at : at + 2]
        if t_ns > until_ns:
            continue
        if t_ns < until_ns - _BEFORE_NS:
            return
        both = _arrived(one), _arrived(other)
        apart_ns = next_ns - t_ns
        if both == (True, True) and apart_ns <= ARRIVAL_LATE_NS and at not in race.batched:
            yield replace(race, batched=race.batched | {at})
        late_ns = ARRIVAL_LATE_NS if both[0] else CALL_LATE_NS
        if both[0] != both[1] and apart_ns <= late_ns and at not in race.swapped:
            yield replace(race, swapped=race.swapped | {at})


def _arrived(event: Event) -> bool:
    """Whether something came from the wire, and the program asked for nothing."""
    return not isinstance(event, Written | OptionSet | Looked | Closed)
