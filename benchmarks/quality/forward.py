"""How often the forward model of Linux's TCP cuts a recorded session's writes as Linux did.

    python benchmarks/quality/forward.py FOLDER... [--show N]

Each folder is a run of the scenario of the same name in this folder. The model knows the writes
and their times, the MSS, the network's delay and narrowest rate, and nothing of the segments. Of
all sessions it is also printed how many the grammar behind set answers admits (``could_give``).
"""

import argparse
from collections import Counter
from pathlib import Path

from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent
from seglab.evaluation.sender_tcp import sender_tcp_of
from seglab.experiment.registry import scenario
from seglab.networks.network import Network
from seglab.runs.folder import RunFolder
from seglab.tcp.admissible import INITIAL_WINDOW, could_give
from seglab.tcp.model import SentSegment, TcpSettings, segments_of

HERE = Path(__file__).parent
HOSTS_NS = 150_000
"""What the lab's own processes add to a round trip, about."""


def modelled(record: SessionRecord, network: Network) -> list[SentSegment]:
    """The segments that the model makes of a session's writes."""
    rates = [link.up.bw_mbit for link in (network.access, network.core) if link.up.bw_mbit]
    connection = TcpSettings(
        mss=record.mss,
        rtt_ns=int(network.round_trip_s * 1e9) + HOSTS_NS,
        initcwnd=record.initcwnd or INITIAL_WINDOW,
        nodelay=record.nodelay,
        rate_bit=min(rates) * 1e6 if rates else None,
        pingpong=record.terminator is not None,
    )
    return segments_of([(w.t_ns, w.start, w.end) for w in record.writes], connection)


def admitted(record: SessionRecord) -> tuple[bool, bool]:
    """Whether the grammar admits a session's own writes: by its segments, and by its reads."""
    ends = [write.end for write in record.writes]
    spans = first_sent(record.segments)
    known = {end for _, end, _ in spans}
    tcp = sender_tcp_of(record)
    by_segments = could_give(ends, [b - a for a, b, _ in spans], tcp)
    reads = [read.end - read.start for read in record.reads]
    unexplained = [read.end for read in record.reads if read.end not in known]
    return by_segments, could_give(ends, reads, tcp, merged=True, unexplained=unexplained)


def main() -> None:
    """Count, and print by network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--show", type=int, default=0, help="so many of those that differ")
    options = parser.parse_args()
    sessions: Counter[str] = Counter()
    same: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    total = segments = reads = 0
    for run in options.runs:
        paths = {network.name: network for network in scenario(HERE / f"{run.name}.toml").networks}
        for record in RunFolder.open(run).sessions():
            if not record.complete:
                continue
            total += 1
            by_segments, by_reads = admitted(record)
            segments += by_segments
            reads += by_reads
            if not record.trace.loss_free:
                continue
            sent = modelled(record, paths[record.network])
            real = sorted(record.segments, key=lambda s: s.start)
            sessions[record.network] += 1
            alike = [(s.start, s.end) for s in sent] == [(s.start, s.end) for s in real]
            same[record.network] += alike
            flags[record.network] += alike and [s.psh for s in sent] == [s.psh for s in real]
            if not alike and sessions.total() - same.total() <= options.show:
                print(record.session_id)
                print("  model", [(s.end - s.start, s.t_ns // 1000) for s in sent][:40])
                print("  wire ", [(s.end - s.start, s.t_sent_ns // 1000) for s in real][:40])
    print("network               sessions  same sizes  and PSH")
    for name, number in sorted(sessions.items()):
        print(f"{name:20} {number:9} {same[name] / number:11.3f} {flags[name] / number:8.3f}")
    number = sessions.total()
    print(f"{'all':20} {number:9} {same.total() / number:11.4f} {flags.total() / number:8.4f}")
    print(f"admitted of {total}: by segments {segments}, by reads {reads}")


if __name__ == "__main__":
    main()
