"""Does a profile give the same segments as its program? Compares recorded sessions, pair by pair.

Usage: python benchmarks/profiles.py RUN... [--profile NAME] [--engine ENGINE] [--fit] [--store]

Each RUN is a folder that `seglab try` or `seglab run survey` made. For each complete session of a
program it takes the very bytes that the program sent from the session's capture, lets the profile
send them over the same network with the same dice, and compares the sizes of the segments as they
were first sent. The profile of a program is the one that names it; --profile names another one.

With --fit it prints the shipped sender, with parameters, that gives the most sessions' writes.
The profile sends everything twice, and how often it gives the same segments as itself is printed,
as is the same of the program where a run has several sessions of one mail over one network: no
profile can do better. --store writes the numbers into the profiles' files.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from platform import release
from typing import Any

import msgspec
from common import machine, machine_line

from seglab.core import plugins
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
from seglab.sender.profiles import WANTED_SHARE, Profile

OFFERED = ("PIPELINING",)
"""What the server of the profiles offers, of the service extensions that sessions note."""

OFFERS = ("pipelining=", "chunking=")
"""How the parts of a session's variant begin that say what its server offered."""


@dataclass(frozen=True)
class Sent:
    """A session of a program: its row, and the bytes that it sent."""

    record: SessionRecord
    payload: bytes
    like: str
    network: Network


def sent_in(
    paths: Iterable[Path],
    programs: Iterable[str] = (),
    over: Iterable[str] = (),
    *,
    fit: bool = False,
) -> Iterator[Sent]:
    """Yield the complete sessions of programs in run folders.

    Left out are sessions for which the machine was too late, and those whose server offers what
    the profiles' does not.

    Args:
        paths: the run folders.
        programs: the programs; empty for all that have a profile.
        over: the networks; empty for all.
        fit: whether the shipped sender that writes so is looked for.
    """
    chosen = {*over}
    wanted = {*programs} or {profile.program for profile in registry.profiles().values()}
    for path in paths:
        folder = RunFolder.open(path)
        networks = {
            name: msgspec.convert(given, Network)
            for name, given in folder.manifest.networks.items()
        }
        for record in folder.sessions():
            if record.sender not in wanted or (chosen and record.network not in chosen):
                continue
            if record.too_late or getattr(record, "offers", OFFERED) != OFFERED:
                continue
            seen = program_writes(folder, record)
            if seen is not None:
                words = ""
                if fit:
                    like = likeness(seen)
                    words = "no shipped sender" if like is None else str(like)
                yield Sent(record, seen.payload, words, networks[record.network])


def profile_of(program: str, given: str | None) -> Profile | None:
    """The profile that is compared with a program; ``None`` where there is none of it."""
    known = registry.profiles()
    if given is not None and given in known:
        return known[given]
    for profile in known.values():
        if given is None and profile.program == program:
            return profile
    if given is not None:
        raise InputError(f"no profile {given}; there are {', '.join(known)}")
    return None


def planned(number: int, sent: Sent, profile: Profile) -> tuple[SessionSpec, Network]:
    """The session in which a profile sends the bytes that a program sent."""
    record, sender, path = sent.record, profile.sender, sent.network
    content = sent.payload
    sha256 = hashlib.sha256(content).hexdigest()
    mail = LoadedMail("", record.message, 0, len(content), sha256, content=content, as_sent=True)
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
        message=mail,
        message_seed=0,
    )
    return spec, path


def carried_out(
    specs: list[tuple[SessionSpec, Network]], engine: str, jobs: int
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
    with (
        tempfile.TemporaryDirectory() as folder,
        RunFolder.create(Path(folder) / "run", manifest) as run,
    ):
        carry_out(run, [specs], jobs=jobs, time_limit_s=120)
        return {record.session_id: record for record in run.sessions()}


def same_as_itself(paths: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """How many pairs of each program's sessions are equal, and of how many.

    A pair has one mail over one network, as many bytes sent (a made-up Message-ID may have another
    length), the same commands around them, and the same losses: where the path loses segments, the
    same seed. What the server offers may differ, as long as that changes none of these. The
    repetitions of a run have mails of their own, those of `seglab try` one mail.
    """
    groups: dict[tuple[object, ...], list[list[int]]] = defaultdict(list)
    for path in paths:
        folder = RunFolder.open(path)
        networks = folder.manifest.networks
        own_mails = folder.manifest.command == "run"
        for record in folder.sessions():
            if record.kind != "program" or not record.complete or record.too_late:
                continue
            given = [one for one in record.variant.split(",") if not one.startswith(OFFERS)]
            mail = (record.message, *given, record.repeat if own_mails else 0)
            network = networks[record.network]
            ways = (network[link][way] for link in ("access", "core") for way in ("up", "down"))
            seed = record.seed if any(way["loss_pct"] for way in ways) else None
            said = tuple(record.dialogue)
            key = (record.sender, record.network, mail, record.payload_bytes, said, seed)
            groups[key].append(cut(record))
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (program, *_), group in groups.items():
        pairs = [one == two for one, two in combinations(group, 2)]
        equal, many = found[str(program)]
        found[str(program)] = equal + sum(pairs), many + len(pairs)
    return found


def cut(record: SessionRecord) -> list[int]:
    """The sizes of a session's segments, as they were first sent."""
    return sizes(first_sent(record.segments))


def compared(
    pairs: list[tuple[Sent, SessionRecord, SessionRecord]],
    profile: Profile,
    engine: str,
    itself: tuple[int, int],
) -> dict[str, Any]:
    """What a profile gives for the sessions of its program.

    Args:
        pairs: each session of the program, and the profile's two for it.
        profile: the profile.
        engine: the name of the engine that carried them out.
        itself: how many pairs of the program's sessions are equal, and of how many.
    """
    by_network: dict[str, list[bool]] = defaultdict(list)
    failed, differing, again = [], [], []
    late = 0
    messages = set()
    for sent, first, second in pairs:
        program = sent.record
        if first.too_late or second.too_late:
            late += 1
            continue
        for record in (first, second):
            if not record.complete or record.payload_sha256 != program.payload_sha256:
                failed.append(f"{record.session_id}: {record.error or 'sent other bytes'}")
                break
        else:
            messages.add(_message(program))
            by_network[program.network].append(cut(first) == cut(program))
            again.append(cut(first) == cut(second))
            if cut(first) != cut(program):
                differing.append(
                    {
                        "network": program.network,
                        "message": f"{program.message} of {program.payload_bytes} bytes",
                        "program": cut(program),
                        "profile": cut(first),
                        "like": sent.like,
                    }
                )
    flat = [one for row in by_network.values() for one in row]
    return {
        "program": profile.program,
        "profile": profile.name,
        "engine": engine,
        "equal": sum(flat),
        "sessions": len(flat),
        "networks": {name: [sum(row), len(row)] for name, row in by_network.items()},
        "messages": sorted(messages),
        "program_with_itself": itself,
        "profile_with_itself": [sum(again), len(again)],
        "fits": dict(Counter(sent.like for sent, _, _ in pairs).most_common()),
        "failed": failed,
        "late": late,
        "differing": differing,
    }


def _message(record: SessionRecord) -> str:
    return f"{record.message.removesuffix('.eml')} of {round(record.payload_bytes / 1000)} kB"


def store(result: dict[str, Any], reason: str) -> None:
    """Write the comparison into the profile's file, in place of an earlier one."""
    path = plugins.shipped("senders") / "profiles" / f"{result['profile']}.toml"
    text = path.read_text(encoding="utf-8").partition("\n[measured]")[0]
    lines = [
        "[measured]",
        f"equal = {result['equal']}",
        f"sessions = {result['sessions']}",
        f"networks = {len(result['networks'])}",
        f"messages = {json.dumps(result['messages'])}",
        f'system = "Linux {".".join(release().split(".")[:2])}"',
    ]
    for who in ("program", "profile"):
        own, pairs = result[f"{who}_with_itself"]
        if pairs:
            lines.append(f"{who}_itself = [{own}, {pairs}]")
    if result["equal"] < WANTED_SHARE * result["sessions"]:
        where = ", ".join(
            f"{name} {many - equal} of {many}"
            for name, (equal, many) in result["networks"].items()
            if equal < many
        )
        told = f"sessions that differ, by network: {where}"
        lines.append(f"reason = {json.dumps(f'{reason}; {told}' if reason else told)}")
    path.write_text("\n".join((text.rstrip("\n"), "", *lines, "")), encoding="utf-8")


def show(result: dict[str, Any]) -> None:
    """Print one comparison."""
    share = result["equal"] / result["sessions"] if result["sessions"] else 0
    print(
        f"{result['program']} and profile {result['profile']}, {result['engine']}: "
        f"{result['equal']} of {result['sessions']} sessions equal ({share:.1%})"
    )
    for who in ("program", "profile"):
        own, pairs = result[f"{who}_with_itself"]
        if pairs:
            print(f"  the {who} with itself: {own} of {pairs} pairs")
    for words, many in result["fits"].items() if any(result["fits"]) else ():
        print(f"  {many} sessions are written as by {words}")
    for name, (equal, many) in result["networks"].items():
        if equal < many:
            print(f"  {name}: {equal} of {many}")
    for one in result["differing"][:5]:
        print(f"  {one['network']}, {one['message']}:")
        print(f"    program {' '.join(map(str, one['program'][:16]))}")
        print(f"    profile {' '.join(map(str, one['profile'][:16]))}")
    if result["late"]:
        print(f"  {result['late']} sessions left out: the machine was too late for the profile")
    for words in result["failed"]:
        print(f"  failed: {words}")


def main() -> int:
    """Compare, and print; 1 where a profile gives fewer than 95 % of its program's sessions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--profile")
    parser.add_argument("--program", action="append", help="only this one; may be repeated")
    parser.add_argument("--network", action="append", help="only this one; may be repeated")
    parser.add_argument("--engine", default="kernel", choices=("kernel", "simulator"))
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--fit", action="store_true", help="say which sender writes so")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--store", action="store_true", help="write [measured] into the profiles")
    parser.add_argument("--reason", default="", help="with --store: why a share is below 95 %%")
    given = parser.parse_args()
    programs = given.program or ()
    sessions = list(sent_in(given.runs, programs, given.network or (), fit=given.fit))
    asked = {sent.record.sender for sent in sessions}
    known = {name: one for name in asked if (one := profile_of(name, given.profile)) is not None}
    sessions = [sent for sent in sessions if sent.record.sender in known]
    specs = [
        planned(number, sent, known[sent.record.sender]) for number, sent in enumerate(sessions)
    ]
    if not given.json:
        print(machine_line(machine()))
    first, second = (carried_out(specs, given.engine, given.jobs) for _ in range(2))
    groups = defaultdict(list)
    for sent, (spec, _) in zip(sessions, specs, strict=True):
        groups[spec.sender].append((sent, first[spec.session_id], second[spec.session_id]))
    itself = same_as_itself(given.runs)
    results = []
    for name, pairs in sorted(groups.items()):
        profile = registry.profiles()[name]
        results.append(compared(pairs, profile, given.engine, itself[profile.program]))
        if not given.json:
            show(results[-1])
        if given.store:
            store(results[-1], given.reason)
    if given.json:
        print(json.dumps(results, indent=2))
    return int(any(r["equal"] < WANTED_SHARE * r["sessions"] for r in results))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SeglabError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
