"""Datasets without a kernel: the engine ``pure``, which carries sessions out in pure Python."""

import hashlib
import struct
from dataclasses import replace
from typing import ClassVar

from stored_captures import pcapng

from seglab.confined.own_sender import sender
from seglab.core.record import Captures
from seglab.core.trace import Read, Segment, Write
from seglab.dataset import shard
from seglab.dataset.folder import begin, finish
from seglab.dataset.spec import parse_text
from seglab.engine import EngineOptions, register
from seglab.engine.record import ObservedSession, failed_record, session_record
from seglab.engine.schedule import Forecast
from seglab.experiment import plan
from seglab.mail.header_layout import header_layout
from seglab.sender.steps import Wait

SPEC = """
title = "Small"
senders = [
    "single_write",
    "relay",
    { name = "fixed_buffer", parameters = { buffer_bytes = 1024 } },
    { name = "fixed_buffer", parameters = { buffer_bytes = 4096 } },
    { name = "raw_writes", parameters = { writes = [3000], nodelay = true } },
]
networks = ["unimpaired", "ethernet", "tunnel-1420"]
repeats = 5
shard_sessions = 50

[[messages]]
name = "short"
payload_bytes = 2000

[[messages]]
name = "long"
kind = "newsletter"
payload_bytes = 6000

[splits]
train = 60
validation = 20
test = 20
networks = { test = ["tunnel-1420"] }
messages = { test = ["long"] }
"""
SESSIONS = (4 * 2 + 1) * 3 * 5


def without_captures(repeats: int, shard_sessions: int = 5000) -> str:
    """Return the specification of four quick sessions, ``repeats`` times each, as rows only."""
    return f"""
title = "Rows only"
repeats = {repeats}
shard_sessions = {shard_sessions}
captures = false
senders = ["relay", "single_write"]
networks = ["unimpaired", "ethernet"]

[[messages]]
name = "text"
kind = "text"
payload_bytes = 3000
"""


ENGINE = "pure"
"""The name of the engine that tests build datasets with."""

MESSAGES = {}
"""Those that were made already: most tests build the same dataset."""


def spec_of(text=SPEC, name="small"):
    """The specification that a text describes, as if it lay in a file."""
    return parse_text(text, f"/nowhere/{name}.toml")


def _key(session):
    return (session.sender, str(session.parameters), str(session.message), session.message_seed)


def captured(record, vantage, payload):
    """A session's capture at one vantage: its SYN, its commands, and its segments."""
    commands = b"" if record.terminator is None else b"EHLO client.example\r\nDATA\r\n"
    frames = [(record.t0_ns, _frame(0, _SYN, b""), record.session_id)]
    if commands:
        frames.append((record.t0_ns + 1, _frame(1, _ACK, commands), ""))
    for segment in record.segments:
        t_ns = segment.t_sent_ns if vantage == "client" else segment.t_arrived_ns
        flags = _ACK | _PSH if segment.psh else _ACK
        data = payload[segment.start : segment.end]
        frames.append((10**9 + t_ns, _frame(1 + len(commands) + segment.start, flags, data), ""))
    return pcapng(frames)


_SYN, _PSH, _ACK = 2, 8, 16


def _frame(sequence, flags, payload):
    tcp = struct.pack(">HHIIBBHHH", 40000, 25, 7 + sequence, 1, 5 << 4, flags, 65535, 0, 0)
    ip = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, b"\n\0\0\1", b"\n\0\0\2"
    )
    return bytes(12) + b"\x08\x00" + ip + tcp + payload


def carried_out(session, network):
    """A session over a perfect path: every write is cut by itself, and read when it is there."""
    who = sender(session.sender, session.sender_path)
    key = _key(session)
    payload = MESSAGES.get(key) or MESSAGES.setdefault(key, plan.message(session, who))
    t_ns, at, writes, segments, reads = 1_000, 0, [], [], []
    for step in who.steps(payload, session.parameters):
        if isinstance(step, Wait):
            t_ns += int(step.seconds * 1e9)
            continue
        end = at + len(step.data)
        writes.append(Write(t_ns, at, end))
        for start in range(at, end, network.mss):
            t_ns += 10
            stop = min(start + network.mss, end)
            segments.append(Segment(t_ns, t_ns + 500, start, stop, psh=stop == end))
        reads.append(Read(t_ns + 900, at, end))
        at, t_ns = end, t_ns + 1_000
    digest = hashlib.sha256(payload.wire).hexdigest()
    found = header_layout(payload.wire if session.protocol == "smtp" else b"")
    observed = ObservedSession(
        t0_ns=0,
        payload_bytes=len(payload.wire),
        payload_sha256=digest,
        received_sha256=[digest],
        writes=tuple(writes),
        segments=tuple(segments),
        reads=tuple(reads),
        duration_ns=t_ns,
        header_end=found.header_end,
        header_fields=found.fields,
        captures=Captures(*(f"wire/{session.session_id}.{v}.pcapng" for v in ("client", "server"))),
    )
    return session_record(session, network, ENGINE, observed)


KILLED = "the client was killed (SIGKILL)"


class Breakdown(Exception):  # noqa: N818 -- stands for a crash
    """What ends a builder in a test."""


class PureEngine:
    """Carries sessions out over perfect paths, one after the other.

    Attributes:
        ran: the ids of all sessions carried out, by all engines.
        fails: ids of sessions that fail, and how often still.
        dead: networks over which every session fails.
        kills: how often still a session dies with a part of the lab, by id.
        late: how late sessions are, by id: ``late_ns``, ``too_late`` and ``discarded_late_ns``.
        breaks_after: how many sessions until it breaks down; ``None`` for never.
    """

    ran: ClassVar[list[str]] = []
    fails: ClassVar[dict[str, int]] = {}
    dead: ClassVar[set[str]] = set()
    kills: ClassVar[dict[str, int]] = {}
    late: ClassVar[dict[str, tuple[int, bool, tuple[int, ...]]]] = {}
    breaks_after: ClassVar[int | None] = None
    name = ENGINE

    def __init__(self, options=EngineOptions(), slots=None):  # noqa: B008 -- it is frozen
        self.slots = slots
        self.options = options
        self.environments = {}
        self.forecast = Forecast(options.jobs)

    def check(self, networks=()):
        """Need nothing of the machine."""

    @classmethod
    def reset(cls):
        """Forget what earlier tests wanted."""
        cls.ran, cls.fails, cls.dead, cls.breaks_after = [], {}, set(), None
        cls.kills, cls.late = {}, {}

    async def run(self, specs, on_record):
        """Carry sessions out, one after the other."""
        for session, network in specs:
            if PureEngine.breaks_after is not None and len(self.ran) >= PureEngine.breaks_after:
                raise Breakdown
            self.environments[network.name] = {"client": {"mtu": {"c-eth0": network.mtu}}}
            self.ran.append(session.session_id)
            if self.kills.get(session.session_id, 0):
                self.kills[session.session_id] -= 1
                on_record(failed_record(session, network, ENGINE, KILLED))
                continue
            left = self.fails.get(session.session_id, 0)
            if left or network.name in self.dead:
                self.fails[session.session_id] = left - 1
                on_record(failed_record(session, network, ENGINE, "it was to fail"))
                continue
            record = carried_out(session, network)
            if self.options.folder is not None:
                payload = MESSAGES[_key(session)].wire
                for vantage in ("client", "server"):
                    path = self.options.folder / getattr(record.captures, vantage)
                    path.write_bytes(captured(record, vantage, payload))
            if session.session_id in self.late:
                late_ns, too_late, discarded = self.late[session.session_id]
                record = replace(
                    record, late_ns=late_ns, too_late=too_late, discarded_late_ns=discarded
                )
            on_record(record)


register(ENGINE, PureEngine)


def build(out, spec=None, seed=1, shards=None, engine=ENGINE):
    """Build a dataset with the pure engine; finish it unless only some shards were asked for."""
    spec = spec or spec_of()
    begin(spec, seed, out, engine)
    for number in range(spec.shards) if shards is None else shards:
        shard.build_shard(spec, seed, number, out)
    return finish(spec, seed, out) if shards is None else None
