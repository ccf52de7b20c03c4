"""Where the writes of a session ended, and which of these ends left a trace."""

from seglab.core.observation import Layer, Observation
from seglab.core.record import SessionRecord
from seglab.evaluation.wire import first_sent, personality_of


def written(record: SessionRecord) -> frozenset[int]:
    """Where one write ended and another began."""
    return frozenset(write.end for write in record.writes[:-1])


def traced(record: SessionRecord, observation: Observation) -> frozenset[int]:
    """Those that left a trace in what was observed.

    On the wire, a boundary is traced where a segment ended there that was shorter than the MSS in
    force when it was first sent, and where one of the observed sizes ends as well. In a row of full
    segments there is nothing that tells one end from the next: PSH does not, since Linux sets it
    on the last segment of each buffer that it sends, and amid a write whenever half of the
    peer's window is filled (``forced_push``).

    In reads, a boundary is traced where it is on the wire and a read ends there: whether a read
    that holds several segments begins or ends with the short one is for arithmetic to find out.
    """
    full_sizes = personality_of(record).full_sizes
    short = {end for start, end in first_sent(record) if end - start not in full_sizes(start)}
    return written(record) & short & frozenset(observation.ends)


def shown(record: SessionRecord, layer: Layer) -> frozenset[int]:
    """The traced boundaries of a session at a layer."""
    return traced(record, Observation.of_record(record, layer))
