"""Sessions made in pure Python: writes, segments cut from them, reads as unions of segments.

Independent of the engines and of what is under test: the cutting follows RFC 9293's plain rule
(full segments, then what is left of a push), the reader takes all that has arrived.
"""

import json
import random
from itertools import accumulate

from seglab.core.record import SessionRecord
from seglab.core.trace import Read, Segment, Write

MS = 1_000_000


def cut_evenly(start, end, mss):
    """Ranges of at most ``mss`` bytes from ``start`` to ``end``."""
    return [(at, min(at + mss, end)) for at in range(start, end, mss)]


def reads_of(sizes, at_ns=72 * MS, apart_ns=MS // 10):
    """Reads of the sizes given, one after another."""
    ends = list(accumulate(sizes))
    return tuple(
        Read(at_ns + i * apart_ns, end - size, end)
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
    )


def record(session_id="scenario-1/1", **changes):
    """A complete record of one 5120-byte write and its four segments, read at once."""
    fields = {
        "session_id": session_id,
        "scenario": "scenario-1",
        "sender": "raw_writes",
        "style": "single_write",
        "terminator": None,
        "network": "paper",
        "path_condition": "steady",
        "engine": "kernel",
        "seed": 1,
        "repeat": 0,
        "mtu": 1480,
        "mss": 1440,
        "timestamps": False,
        "status": "complete",
        "payload_bytes": 5120,
        "writes": (Write(0, 0, 5120),),
        "segments": tuple(
            Segment(10_000 * i, 70 * MS + 120_000 * i, start, end, psh=end == 5120)
            for i, (start, end) in enumerate(cut_evenly(0, 5120, 1440))
        ),
        "reads": (Read(72 * MS, 0, 5120),),
    }
    return SessionRecord(**(fields | changes))


def simulated(
    number,
    writes=(5120, 5120),
    gap_ms=0.0,
    *,
    seed=7,
    joined=False,
    read_cost_ms=0.12,
    jitter_ms=0.2,
    delay_ms=70.0,
    mss=1440,
    **changes,
):
    """A session over a link with delay and jitter that keeps order, and an eager reader.

    Args:
        number: of the session; also decides its randomness.
        writes: sizes.
        gap_ms: the pause between them.
        seed: of all sessions.
        joined: cut the stream as if it were one write, as a coalescing sender does.
        read_cost_ms: the mean time between two reads.
        jitter_ms: mean of the exponential jitter of each segment.
        delay_ms: one way.
        mss: of the segments.
        changes: any column of the record.
    """
    rng = random.Random(f"{seed}/{number}/{gap_ms}")
    spans, segments = [], []
    start = t_ns = 0
    for size in writes:
        spans.append(Write(t_ns, start, start + size))
        start += size
        t_ns += int(gap_ms * MS) + rng.randrange(20_000, 60_000)
    ranges = (
        cut_evenly(0, start, mss)
        if joined
        else [piece for w in spans for piece in cut_evenly(w.start, w.end, mss)]
    )
    last = 0
    for begin, end in ranges:
        write = next(w for w in spans if end <= w.end)
        sent = max(
            write.t_ns + rng.randrange(5_000, 20_000),
            segments[-1].t_sent_ns + 4_000 if segments else 0,
        )
        last = max(last + 20_000, sent + int((delay_ms + rng.expovariate(1 / jitter_ms)) * MS))
        segments.append(Segment(sent, last, begin, end, psh=end == write.end))
    reads, taken, free_at = [], 0, 0
    while taken < start:
        first = next(s for s in segments if s.end > taken)
        now = max(first.t_arrived_ns + 30_000, free_at)
        upto = max(s.end for s in segments if s.t_arrived_ns < now)
        reads.append(Read(now, taken, upto))
        taken = upto
        free_at = now + int(rng.expovariate(1 / read_cost_ms) * MS)
    return record(
        **{
            "session_id": f"scenario-2/{number}",
            "scenario": "scenario-2",
            "style": "timed_writes",
            "parameters": json.dumps({"sizes": list(writes), "gap_ms": gap_ms}),
            "payload_bytes": start,
            "writes": tuple(spans),
            "segments": tuple(segments),
            "reads": tuple(reads),
            "repeat": number,
        }
        | changes
    )
