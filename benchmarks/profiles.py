"""Does a profile give the same segments as its program? Compares recorded sessions, pair by pair.

Usage: python benchmarks/profiles.py RUN... [--profile NAME] [--engine ENGINE] [--jobs N] [--json]

Each RUN is a folder that `seglab try` made. For each complete session of a program it takes the
very bytes that the program sent from the session's capture, lets the profile send them over the
same network with the same dice, and compares the sizes of the segments as they were first sent. The
profile of a program is the one that names it; --profile names another one.

It also fits: it prints the shipped sender, with parameters, that gives the most sessions' writes.
Where a run has several sessions of one mail over one network, it prints how often the program gave
the same segments as itself, which is the most that any profile can do.
"""

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
from common import machine, machine_line

from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent, sizes
from seglab.errors import InputError, SeglabError
from seglab.execution.carry_out import carry_out
from seglab.experiment import registry
from seglab.experiment.plan import SessionSpec
from seglab.experiment.reader import Reader
from seglab.mail.stored import LoadedMail
from seglab.networks.network import Network
from seglab.report.tried import program_writes
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Experiment, Manifest
from seglab.sender.likeness import likeness
from seglab.sender.profiles import Profile

_STUFFED = re.compile(rb"(^|\n)\.\.")


@dataclass(frozen=True)
class Sent:
    """A session of a program: its row, and the bytes that it sent."""

    record: SessionRecord
    payload: bytes
    like: str


def sent_in(paths: Iterable[Path]) -> Iterator[Sent]:
    """Yield the complete sessions of programs in run folders."""
    for path in paths:
        folder = RunFolder.open(path)
        for record in folder.sessions():
            seen = program_writes(folder, record)
            if seen is not None:
                like = likeness(seen)
                yield Sent(record, seen.payload, "no shipped sender" if like is None else str(like))


def profile_of(program: str, given: str | None) -> Profile:
    """The profile that is compared with a program."""
    known = registry.profiles()
    if given is not None and given in known:
        return known[given]
    for profile in known.values():
        if given is None and profile.program == program:
            return profile
    raise InputError(f"no profile {given or 'of ' + program}; there are {', '.join(known)}")


def planned(number: int, sent: Sent, profile: Profile) -> tuple[SessionSpec, Network]:
    """The session in which a profile sends the bytes that a program sent."""
    record, sender = sent.record, profile.sender
    path = registry.network(record.network)
    content = _STUFFED.sub(rb"\1.", sent.payload.removesuffix(b".\r\n"))
    sha256 = hashlib.sha256(content).hexdigest()
    spec = SessionSpec(
        session_id=f"{profile.name}.{record.network}.{number:05}",
        scenario="profiles",
        sender=profile.name,
        variant="",
        parameters=sender.defaults,
        style=sender.style,
        terminator=sender.terminator,
        nodelay=sender.nodelay,
        protocol="smtp",
        network=path.name,
        path_condition=path.path_condition,
        reader=Reader(),
        repeat=number,
        seed=record.seed,
        message=LoadedMail("", record.message, 0, len(content), sha256, content=content),
        message_seed=0,
    )
    return spec, path


def carried_out(
    specs: list[tuple[SessionSpec, Network]], engine: str, jobs: int, folder: Path
) -> dict[str, SessionRecord]:
    """The records of the sessions, by their ids."""
    networks = {path.name: msgspec.to_builtins(path) for _, path in specs}
    manifest = Manifest(
        command="run",
        engine=engine,
        arguments={},
        scenarios=(Experiment("profiles", "Profiles", None, "segments"),),
        networks=networks,
        seed=0,
    )
    with RunFolder.create(folder, manifest) as run:
        carry_out(run, [specs], jobs=jobs, time_limit_s=120)
        return {record.session_id: record for record in run.sessions()}


def same_as_itself(sessions: Iterable[Sent]) -> tuple[int, int]:
    """How many pairs of sessions of one mail over one network are equal, and of how many."""
    groups: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for sent in sessions:
        digest = sent.record.payload_sha256 or ""
        groups[sent.record.network, digest].append(sizes(first_sent(sent.record.segments)))
    pairs = [one == two for group in groups.values() for one, two in combinations(group, 2)]
    return sum(pairs), len(pairs)


def compared(
    sessions: list[Sent], profile: Profile, engine: str, jobs: int, folder: Path
) -> dict[str, Any]:
    """What a profile gives for the sessions of its program."""
    specs = [planned(number, sent, profile) for number, sent in enumerate(sessions)]
    found = carried_out(specs, engine, jobs, folder)
    by_network: dict[str, list[bool]] = defaultdict(list)
    failed, differing = [], []
    for sent, (spec, _) in zip(sessions, specs, strict=True):
        record = found[spec.session_id]
        if not record.complete or record.payload_sha256 != sent.record.payload_sha256:
            failed.append(f"{spec.session_id}: {record.error or 'sent other bytes'}")
            continue
        ours, theirs = (sizes(first_sent(r.segments)) for r in (record, sent.record))
        by_network[record.network].append(ours == theirs)
        if ours != theirs:
            differing.append(
                {
                    "network": record.network,
                    "message": sent.record.message,
                    "program": theirs,
                    "profile": ours,
                    "writes_equal": sizes(record.writes) == sizes(sent.record.writes),
                }
            )
    own, own_pairs = same_as_itself(sessions)
    flat = [one for row in by_network.values() for one in row]
    return {
        "program": profile.program,
        "profile": profile.name,
        "engine": engine,
        "equal": sum(flat),
        "sessions": len(flat),
        "networks": {name: [sum(row), len(row)] for name, row in by_network.items()},
        "program_with_itself": [own, own_pairs],
        "fits": dict(Counter(sent.like for sent in sessions).most_common()),
        "failed": failed,
        "differing": differing,
    }


def show(result: dict[str, Any]) -> None:
    """Print one comparison."""
    share = result["equal"] / result["sessions"] if result["sessions"] else 0
    print(
        f"{result['program']} and profile {result['profile']}, {result['engine']}: "
        f"{result['equal']} of {result['sessions']} sessions equal ({share:.1%})"
    )
    own, pairs = result["program_with_itself"]
    if pairs:
        print(f"  the program with itself: {own} of {pairs} pairs")
    for words, many in result["fits"].items():
        print(f"  {many} sessions are written as by {words}")
    for name, (equal, many) in result["networks"].items():
        if equal < many:
            print(f"  {name}: {equal} of {many}")
    for one in result["differing"][:5]:
        print(f"  {one['network']}, {one['message']}:")
        print(f"    program {' '.join(map(str, one['program'][:16]))}")
        print(f"    profile {' '.join(map(str, one['profile'][:16]))}")
    for words in result["failed"]:
        print(f"  failed: {words}")


def main() -> int:
    """Compare, and print; 1 where a profile gives fewer than 95 % of its program's sessions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--profile")
    parser.add_argument("--engine", default="kernel", choices=("kernel", "simulator"))
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    programs: dict[str, list[Sent]] = defaultdict(list)
    for sent in sent_in(given.runs):
        programs[sent.record.sender].append(sent)
    results = []
    if not given.json:
        print(machine_line(machine()))
    with tempfile.TemporaryDirectory() as folder:
        for number, (program, sessions) in enumerate(programs.items()):
            profile = profile_of(program, given.profile)
            path = Path(folder) / str(number)
            results.append(compared(sessions, profile, given.engine, given.jobs, path))
            if not given.json:
                show(results[-1])
    if given.json:
        print(json.dumps(results, indent=2))
    return int(any(r["equal"] < 0.95 * r["sessions"] for r in results))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SeglabError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
