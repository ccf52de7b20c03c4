"""Estimates what a dataset will cost before it is built: sessions, time, and room on the disk.

The estimate follows from the plan alone. The networks and the pauses of the senders say how long a
session takes. What a session costs was measured once; benchmarks/README.md has the machine. The
estimate is to tell a minute from an hour, and a gigabyte from a terabyte.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from seglab.core import processors
from seglab.dataset.spec import Combination, DatasetSpec
from seglab.engine import DEFAULT_ENGINE, schedule
from seglab.mail.source import MailSource
from seglab.networks.network import Network


@dataclass(frozen=True, slots=True)
class EngineCost:
    """What the sessions of one engine take.

    Attributes:
        cpu_s: processor time of a session for its connection, its dialogue and its record.
        cpu_s_per_segment: processor time of each segment, and of its acknowledgement.
        waits: whether a session takes as long as its network and its sender do; if not, its time
            is virtual.
    """

    cpu_s: float
    cpu_s_per_segment: float
    waits: bool


ENGINE_COSTS: Final = {
    "kernel": EngineCost(0.012, 0.0004, waits=True),
    "simulator": EngineCost(0.0025, 0.0001, waits=False),
}
"""What sessions cost, by engine. An engine that is not here counts as the kernel engine does."""

ROW_BYTES: Final = 200
ROW_BYTES_PER_SEGMENT: Final = 50
CAPTURE_BYTES: Final = 4200
CAPTURE_BYTES_PER_SEGMENT: Final = 250
CAPTURE_SHARE: Final = 0.8
"""The size of two compressed captures that each hold a payload, as a share of that payload."""

WORK_BYTES_PER_SHARE: Final = 8
"""The room that shards take while they are built, in sizes of one finished shard."""

ASK_ABOVE_S: Final = 900.0
ASK_ABOVE_BYTES: Final = 2 << 30
"""A build that takes longer, or more room on the disk, is large: the user is asked first."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The expected cost of a build.

    Attributes:
        sessions: how many sessions will be carried out.
        shards: how many shards will be built.
        seconds: the duration of the build on this machine.
        cpu_s: the processor time, in seconds.
        file_bytes: the size of all files in the end.
        longest_s: the duration of the slowest session, in seconds.
    """

    sessions: int
    shards: int
    seconds: float
    cpu_s: float
    file_bytes: float
    longest_s: float

    @property
    def large(self) -> bool:
        """Whether the user is to be asked before the build begins."""
        return self.seconds > ASK_ABOVE_S or self.file_bytes > ASK_ABOVE_BYTES

    @property
    def words(self) -> str:
        """The estimate in one line."""
        shards = f" in {self.shards:,} shards" if self.shards > 1 else ""
        return (
            f"{self.sessions:,} sessions{shards}: about {duration(self.seconds)}, "
            f"{size(self.file_bytes)} on disk"
        )


def estimate(
    spec: DatasetSpec, jobs: int, sessions: int | None = None, engine: str = DEFAULT_ENGINE
) -> Estimate:
    """Estimate the cost of building a dataset.

    Args:
        spec: of the dataset.
        jobs: how many sessions run side by side.
        sessions: how many are still to be carried out; all by default.
        engine: the name of the engine that carries them out.
    """
    cost = ENGINE_COSTS.get(engine, ENGINE_COSTS[DEFAULT_ENGINE])
    slots_s = cpu_s = file_bytes = longest_s = 0.0
    for combination, network in _cells(spec):
        payload = _payload_bytes(combination)
        segments = -(-payload // network.mss)
        if cost.waits:
            session_s = network.estimate_s(payload) + _pauses_s(combination)
            longest_s = max(longest_s, session_s)
            slots_s += session_s * schedule.weight(network.estimate_s(payload)) / schedule.SLOT
        cpu_s += cost.cpu_s + cost.cpu_s_per_segment * segments
        file_bytes += ROW_BYTES + ROW_BYTES_PER_SEGMENT * segments
        if spec.captures:
            file_bytes += CAPTURE_BYTES + CAPTURE_BYTES_PER_SEGMENT * segments
            file_bytes += CAPTURE_SHARE * payload
    total = spec.sessions if sessions is None else sessions
    cells = len(spec.combinations) * len(spec.networks)
    shards = -(-total // spec.shard_sessions)
    work_s = max(slots_s / jobs, cpu_s / processors.usable()) / cells * total
    return Estimate(
        sessions=total,
        shards=shards,
        seconds=work_s + longest_s * shards,
        cpu_s=cpu_s / cells * total,
        file_bytes=file_bytes / cells * total,
        longest_s=longest_s,
    )


def room_bytes(spec: DatasetSpec, whole: Estimate) -> float:
    """The most bytes that a build takes on the disk at once: its files, and shards in work."""
    share = min(1.0, spec.shard_sessions / max(whole.sessions, 1))
    return whole.file_bytes * (1 + WORK_BYTES_PER_SHARE * share)


def duration(seconds: float) -> str:
    """Say a duration in words."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds / unit, 1):.0f} {name}"
    days = seconds / 86_400
    return f"{days:,.0f} days" if days < 1000 else f"{days / 365.25:,.0f} years"


def size(number: float) -> str:
    """Say a number of bytes in words."""
    for name in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 1000:
            return f"{number:.{1 if number < 10 else 0}f} {name}"
    return f"{number:,.0f} TB"


def _cells(spec: DatasetSpec) -> Iterator[tuple[Combination, Network]]:
    for combination in spec.combinations:
        for network in spec.networks:
            yield combination, network


def _payload_bytes(combination: Combination) -> int:
    part, mail = combination.sender_variant, combination.template.mail
    if part.sender.payload_bytes_of is not None:
        return part.sender.payload_bytes_of(part.parameters)
    if isinstance(mail, MailSource):
        return sum(m.end - m.start for m in mail.mails) // len(mail.mails)
    assert mail is not None
    return mail.payload_bytes


def _pauses_s(combination: Combination) -> float:
    """The pauses of the sender that its parameters tell, in seconds; its steps are not made."""
    part = combination.sender_variant
    gap_s = float(part.parameters.get("gap_ms", 0)) / 1000
    return part.sender.wait_s_for(part.parameters) + gap_s
