"""Makes sessions for the tests of ``seglab regress``.

Two senders send the same messages over three networks.
"""

from pathlib import Path

from synthetic import MS, cut_evenly, record

from seglab.core.trace import Read, Segment, Write
from seglab.runs.parquet import write_sessions

NETWORKS = {"wide": (1500, 1448), "middle": (1280, 1228), "narrow": (576, 524)}


def session(network, style, writes, number=0, message=None, mss=None):
    """Return a loss-free session; each write is pushed, and cut at the MSS."""
    mtu, usual = NETWORKS[network]
    mss = mss or usual
    ends = [sum(writes[: i + 1]) for i in range(len(writes))]
    spans = [
        span
        for size, end in zip(writes, ends, strict=True)
        for span in cut_evenly(end - size, end, mss)
    ]
    total = ends[-1]
    return record(
        f"{style}.{network}.{number}",
        sender=style,
        style=style,
        network=network,
        mtu=mtu,
        mss=mss,
        timestamps=True,
        payload_bytes=total,
        payload_sha256=message or f"{style}{number}",
        writes=tuple(
            Write(i, end - size, end)
            for i, (size, end) in enumerate(zip(writes, ends, strict=True))
        ),
        segments=tuple(
            Segment(i, MS + i, start, end, psh=end in ends) for i, (start, end) in enumerate(spans)
        ),
        reads=tuple(Read(2 * MS + i, start, end) for i, (start, end) in enumerate(spans)),
    )


def sessions(repeats=5):
    """Return sessions of a relay and of a single write, the same messages over every network."""
    return [
        session(network, style, writes, number)
        for number in range(repeats)
        for network in NETWORKS
        for style, writes in (
            ("relay", [150 + number, 5000]),
            ("single_write", [5000 + number]),
        )
    ]


def sample_file(path: Path) -> None:
    """Store the sessions as Parquet."""
    write_sessions(path, sessions())
