"""How many witnesses of look-alike styles give the very same sizes when they are really written.

    python benchmarks/quality/witnesses.py RUN SCENARIO [--each N] [--out DIR]

Takes sessions of a stored run without loss, looks for witnesses of other styles as the check of
set answers does, and sends bare writes with these ends over the same networks: at once where the
session hid one of them, else with a pause between them. A witness that fails is no proof against
it: the check asks whether some timing gives the sizes, and this tries one. Those that fail are
tried on the forward model, with a pause behind each boundary that shows and is followed by
another one.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from seglab.commands.evaluate import Lines
from seglab.core.labels import STYLES
from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent
from seglab.evaluation.judging import find_witness
from seglab.evaluation.sender_tcp import sender_tcp_of
from seglab.experiment.registry import scenario
from seglab.runs.folder import RunFolder
from seglab.tcp.admissible import INITIAL_WINDOW, could_give
from seglab.tcp.model import TcpSettings, segments_of

ROOT = Path(__file__).parents[2]
MAIN = "from seglab.cli import main; main()"
PAUSE_MS = 150
LONG_NS = 1_000_000_000


class Trial(NamedTuple):
    """A session, and another way of writing that may give its sizes."""

    record: SessionRecord
    style: str
    ends: tuple[int, ...]
    gap_ms: int
    nodelay: bool

    @property
    def lengths(self) -> tuple[int, ...]:
        """Of the writes."""
        return tuple(b - a for a, b in zip((0, *self.ends[:-1]), self.ends, strict=True))


def sizes(record: SessionRecord) -> list[int]:
    """Of the segments, as they were first sent."""
    return [end - start for start, end, _ in first_sent(record.segments)]


def trials(run: Path, each: int) -> Iterator[Trial]:
    """What is to be tried, as far as sessions of the run go."""
    lines = Lines(run)
    taken: Counter[tuple[str, str, str]] = Counter()
    records = [r for r in RunFolder.open(run).sessions() if r.complete and r.trace.loss_free]
    random.Random(1).shuffle(records)
    for record in records:
        for style in STYLES:
            key = record.network, record.style, style
            if style == record.style or taken[key] >= each:
                continue
            ends = find_witness(record, "segments", style, lines)
            if ends is None:
                continue
            taken[key] += 1
            apart = ends <= {end for _, end, _ in first_sent(record.segments)}
            nodelay = could_give(ends, sizes(record), sender_tcp_of(record, nodelay=True))
            whole = tuple(sorted({*ends, record.payload_bytes}))
            yield Trial(record, style, whole, PAUSE_MS * apart, nodelay)


def modelled(trial: Trial) -> list[int]:
    """The sizes that the forward model gives, with the pauses that show what the session showed."""
    seen = {end for _, end, _ in first_sent(trial.record.segments)}
    t_ns = 0
    writes = []
    for start, end in pairwise((0, *trial.ends)):
        t_ns += LONG_NS if start in seen and end in seen else 1000
        writes.append((t_ns, start, end))
    connection = TcpSettings(
        mss=trial.record.mss,
        rtt_ns=LONG_NS // 10,
        initcwnd=trial.record.initcwnd or INITIAL_WINDOW,
        nodelay=trial.nodelay,
    )
    return [one.end - one.start for one in segments_of(writes, connection)]


def written(trials: list[Trial], network: str, own: str, out: Path) -> dict[object, SessionRecord]:
    """The sessions of bare writes, by the writes' lengths, Nagle's algorithm and the pause."""
    senders = {
        f"{{ name = 'raw_writes', parameters = {{ writes = {[*one.lengths]}, nodelay = "
        f"{str(one.nodelay).lower()}, gap_ms = {one.gap_ms} }} }}"
        for one in trials
    }
    path = out / f"witnesses-{network}.toml"
    text = ",\n".join(sorted(senders))
    head = 'title = "Witnesses"\nsessions = 1\n'
    path.write_text(f'{head}senders = [\n{text}\n]\nnetworks = ["{network}"]\n{own}')
    command = [sys.executable, "-c", MAIN, "run", str(path), "-q", "--jobs", "60"]
    command += ["--out", str(out / network)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return {
        (tuple(w.end - w.start for w in r.writes), r.nodelay, r.parameter("gap_ms")): r
        for r in RunFolder.open(out / network).sessions()
    }


def main() -> None:
    """Find, send, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--each", type=int, default=2, help="of a network, truth and style")
    parser.add_argument("--out", type=Path, help="keep the runs there")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    by_network = defaultdict(list)
    for one in trials(options.run, options.each):
        by_network[one.record.network].append(one)
    scenario(options.scenario)
    own = "".join(options.scenario.read_text().partition("[[network]]")[1:])
    same: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    by_model: Counter[tuple[str, str]] = Counter()
    for name, some in sorted(by_network.items()):
        found = written(some, name, own, out)
        for one in some:
            before, after = sizes(one.record), sizes(found[one.lengths, one.nodelay, one.gap_ms])
            pair = one.record.style, one.style
            tried[pair] += 1
            same[pair] += before == after
            if before != after:
                by_model[pair] += modelled(one) == before
                print(one.record.session_id, one.style, one.lengths[:12], one.gap_ms, one.nodelay)
                print("   ", before[:16], after[:16])
    for pair, number in sorted(tried.items()):
        more = f", {by_model[pair]} more on the model" if by_model[pair] else ""
        print(f"{pair[0]:18} as {pair[1]:18} {same[pair]:4} of {number}{more}")
    print(f"all {same.total()} of {tried.total()}, {by_model.total()} more on the model")


if __name__ == "__main__":
    main()
