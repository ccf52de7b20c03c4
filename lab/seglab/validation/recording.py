"""What a kernel's TCP was given, and what it sent: recorded, as a value and as text.

A recording has no path, no server and no program. It has what reached one host's TCP (segments,
reports of routers), what its program asked for (writes, socket options, the end), each with its
time, and what left. ``seglab.validation.replay`` gives the same to the simulator's TCP.

Everything counts from the client's SYN: times in nanoseconds, and offsets of both streams, whose
first byte is 0. As text, a recording is one line for each event, with the time in microseconds:

    clock 1234567                                   what the timestamp option showed at 0
    phase 381.250                                   where in the timer wheel 0 lies, if known
    20113.402 < S 0:0 ack 0 window 65160 mss 1460 scale 7 sacks ts 77 1234567
    20170.118 write 1448
    20185.902 > 0:1448 P                            what left: range, P for PSH, F for FIN
    20186.120 look                                  the program waits for the socket
    20190.000 set cork on
    20193.120 write 200 more
    20195.711 write 100000 left 12620               the send buffer was full
    40250.777 < 0:0 ack 1448 window 64128 ts 97 1234587 sack 2896:4344
    40260.000 mtu 1400 about 1448                   a report about the packet that begins there
    40270.000 close
"""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from seglab.errors import InputError
from seglab.frames.headers import ACK, FIN, IPV4, PSH, SYN
from seglab.sender.steps import SOCKET_OPTIONS, SocketOption
from seglab.simulator.clock import TICK_NS
from seglab.simulator.segment import NO_STAMP, TcpSegment

_TCP, _ICMP, _ICMPV6 = 6, 1, 58
_MSS, _SCALE, _SACKS, _SACK, _TIMESTAMPS = 2, 3, 4, 5, 8
_UNREACHABLE, _TOO_BIG = 3, 2
_WHEEL = 1 << 18  # jiffies: the largest step of a timer that TCP sets


@dataclass(frozen=True, slots=True)
class Written:
    """The program wrote ``size`` bytes in one call.

    Attributes:
        size: how many bytes it offered.
        more: whether the call had MSG_MORE.
        left: how many of the bytes the kernel did not take, since its send buffer was full.
    """

    size: int
    more: bool = False
    left: int = 0


@dataclass(frozen=True, slots=True)
class OptionSet:
    """The program set a socket option, or took it off."""

    name: SocketOption
    on: bool


@dataclass(frozen=True, slots=True)
class Reported:
    """A router reported that the packet from ``start`` on is larger than ``mtu``."""

    mtu: int
    start: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The program shut its direction down."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The program asked whether the socket has room (``tcp_poll``), which Linux remembers."""


Event = Written | OptionSet | Looked | Reported | Closed | TcpSegment
"""What happened to a TCP; a segment is one that arrived."""

Sent = tuple[int, int, bool, bool]
"""A segment that left: its range, PSH, FIN."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What one TCP was given, and what it sent.

    Attributes:
        clock_ms: what the clock of the timestamp option showed at 0.
        events: what happened to it, each with its time, in order.
        sent: the segments with data or FIN that it sent, each with its time, in order.
        phase_ns: where in the kernel's timer wheel 0 lies (``simulator.clock``): jiffies, in
            nanoseconds; ``None`` where that is not known.
    """

    clock_ms: int
    events: tuple[tuple[int, Event], ...]
    sent: tuple[tuple[int, Sent], ...]
    phase_ns: int | None = None

    @property
    def sequence(self) -> tuple[Sent, ...]:
        """What was sent, without times."""
        return tuple(sent for _, sent in self.sent)


@dataclass(frozen=True, slots=True)
class SeenPacket:
    """A packet that a host sent, or that reached it.

    Attributes:
        t_ns: when, on any clock.
        raw: the frame.
        sent: whether the host sent it.
    """

    t_ns: int
    raw: bytes
    sent: bool


@dataclass(frozen=True, slots=True)
class JiffyClock:
    """What connects the kernel's jiffies to its monotonic clock.

    Attributes:
        jiffies: the count at some time.
        at_ns: that time.
        tick_ns: any time at which a jiffy began.
    """

    jiffies: int
    at_ns: int
    tick_ns: int

    @classmethod
    def from_timer_list(cls, text: str) -> "JiffyClock | None":
        """Read the clock from the content of /proc/timer_list; ``None`` where it has none."""
        now, count, tick = (
            re.search(pattern, text)
            for pattern in (r"now at (\d+) nsecs", r"\njiffies: (\d+)", r"\.last_tick +: (\d+)")
        )
        return cls(int(count[1]), int(now[1]), int(tick[1])) if now and count and tick else None

    def phase_ns(self, t_ns: int) -> int:
        """Return where in the timer wheel a time of the same clock lies."""
        begun = (self.at_ns - self.tick_ns) // TICK_NS
        since = (t_ns - self.tick_ns) // TICK_NS
        return (self.jiffies + since - begun) % _WHEEL * TICK_NS + (t_ns - self.tick_ns) % TICK_NS


class SeenSession:
    """The packets of one connection at one of its hosts, in offsets.

    Attributes:
        begin_ns: when the client's SYN left, or reached the server, on the packets' clock.
        clock_ms: what the clock of the client's timestamp option showed then.
        left: the segments that left, with their times from ``begin_ns``.
        sent: those of them with data or FIN.
        came: what arrived, with its times.

    Raises:
        ValueError: no handshake is among the packets.
    """

    def __init__(self, packets: Iterable[SeenPacket]) -> None:
        seen = [(one, _tcp(one.raw)) for one in packets]
        tcp = [(one.t_ns, one.sent, found) for one, found in seen if found is not None]
        syn = next((one for one in tcp if one[2].flags & (SYN | ACK) == SYN), None)
        answer = next((s for *_, s in tcp if s.flags & (SYN | ACK) == SYN | ACK), None)
        if syn is None or answer is None:
            raise ValueError("there is no handshake among the packets")
        self.begin_ns, opens, first = syn
        own, peers = (first, answer) if opens else (answer, first)
        self._first = own.seq + 1, peers.seq + 1
        scaled = _SCALE in first.options and _SCALE in answer.options
        self._scales = tuple(s.options[_SCALE][0] if scaled else 0 for s in (own, peers))
        times = first.options.get(_TIMESTAMPS)
        self.clock_ms = int.from_bytes(times[:4], "big") if times else 0
        left: list[tuple[int, TcpSegment]] = []
        self.came: list[tuple[int, Event]] = []
        for one, found in seen:
            t_ns = one.t_ns - self.begin_ns
            if found is not None:
                segment = self._segment(found, sent=one.sent)
                if one.sent:
                    left.append((t_ns, segment))
                else:
                    self.came.append((t_ns, segment))
            elif not one.sent and (report := _report(one.raw)) is not None:
                mtu, seq = report
                self.came.append((t_ns, Reported(mtu, self._offset(seq, self._first[0]))))
        self.left = left
        self.sent: list[tuple[int, Sent]] = [
            (t_ns, (s.start, s.end, s.psh, s.fin))
            for t_ns, s in left
            if not s.syn and (s.size or s.fin)
        ]

    def recording(
        self, asked: Iterable[tuple[int, Event]], jiffies: JiffyClock | None = None
    ) -> Recording:
        """Return the recording, with what the program asked for at which time of the same clock.

        Where the end is no part of that, it was right before the first FIN that left.
        """
        events = [(t_ns - self.begin_ns, event) for t_ns, event in asked]
        if not any(isinstance(event, Closed) for _, event in events):
            events += [(t_ns - 1, Closed()) for t_ns, sent in self.sent if sent[3]][:1]
        events += self.came
        events.sort(key=lambda event: event[0])
        phase_ns = None if jiffies is None else jiffies.phase_ns(self.begin_ns)
        return Recording(self.clock_ms, tuple(events), tuple(self.sent), phase_ns)

    @staticmethod
    def _offset(seq: int, first: int) -> int:
        offset = (seq - first) & 0xFFFFFFFF
        return offset - (1 << 32) if offset >= 1 << 31 else offset

    def _segment(self, found: "_Tcp", *, sent: bool) -> TcpSegment:
        options, syn = found.options, bool(found.flags & SYN)
        own, acked = self._first if sent else self._first[::-1]
        start = 0 if syn else self._offset(found.seq, own)
        times = (
            struct.unpack("!II", options[_TIMESTAMPS])
            if _TIMESTAMPS in options
            else (NO_STAMP, NO_STAMP)
        )
        blocks = struct.iter_unpack("!II", options.get(_SACK, b""))
        return TcpSegment(
            start,
            start + found.size,
            self._offset(found.ack, acked) if found.flags & ACK else -1,
            found.window if syn else found.window << self._scales[not sent],
            syn=syn,
            fin=bool(found.flags & FIN),
            psh=bool(found.flags & PSH),
            ts_val=times[0],
            ts_ecr=times[1],
            sack=tuple(
                (self._offset(low, acked), self._offset(high, acked)) for low, high in blocks
            ),
            mss_option=int.from_bytes(options[_MSS], "big") if _MSS in options else None,
            wscale_option=options[_SCALE][0] if _SCALE in options else None,
            sack_option=_SACKS in options,
        )


@dataclass(frozen=True, slots=True)
class _Tcp:
    """A TCP segment, in sequence numbers."""

    seq: int
    ack: int
    flags: int
    window: int
    size: int
    options: Mapping[int, bytes]


def _content(raw: bytes) -> tuple[int, bytes]:
    """The protocol number and the content of an IP packet without extension headers."""
    if raw[12:14] == IPV4:
        start, end = 14 + 4 * (raw[14] & 15), 14 + int.from_bytes(raw[16:18], "big")
        return raw[23], raw[start:end]
    return raw[20], raw[54 : 54 + int.from_bytes(raw[18:20], "big")]


def _tcp(raw: bytes) -> _Tcp | None:
    protocol, tcp = _content(raw)
    if protocol != _TCP:
        return None
    seq, ack, flags, window = struct.unpack("!4xIIHH", tcp[:16])
    header = 4 * (flags >> 12)
    options, at = {}, 20
    while at < header and tcp[at]:
        if tcp[at] == 1:
            at += 1
            continue
        options[tcp[at]] = tcp[at + 2 : at + tcp[at + 1]]
        at += tcp[at + 1]
    return _Tcp(seq, ack, flags & 63, window, len(tcp) - header, options)


def _report(raw: bytes) -> tuple[int, int] | None:
    """The MTU of a report that a packet was too large, and the sequence number that it quotes."""
    protocol, icmp = _content(raw)
    if protocol == _ICMP and icmp[0] == _UNREACHABLE:
        quoted = 8 + 4 * (icmp[8] & 15)
        return int.from_bytes(icmp[6:8], "big"), int.from_bytes(
            icmp[quoted + 4 : quoted + 8], "big"
        )
    if protocol == _ICMPV6 and icmp[0] == _TOO_BIG:
        return int.from_bytes(icmp[4:8], "big"), int.from_bytes(icmp[52:56], "big")
    return None


# As text ------------------------------------------------------------------------------------------


def to_text(recording: Recording) -> str:
    """Return a recording as lines of text."""
    lines = [(t_ns, 0, _event_text(event)) for t_ns, event in recording.events]
    lines += [(t_ns, 1, f"> {sent_text(sent)}") for t_ns, sent in recording.sent]
    lines.sort(key=lambda line: line[:2])
    shown = [f"{_us(t_ns)} {text}" for t_ns, _, text in lines]
    head = [f"clock {recording.clock_ms}"]
    if recording.phase_ns is not None:
        head.append(f"phase {_us(recording.phase_ns)}")
    return "\n".join([*head, *shown]) + "\n"


def _us(t_ns: int) -> str:
    return f"{t_ns // 1000}.{t_ns % 1000:03}"


def sent_text(sent: Sent) -> str:
    """Return a segment that left as text: ``1448:1648 P``."""
    start, end, psh, fin = sent
    flags = "P" * psh + "F" * fin
    return f"{start}:{end} {flags}".rstrip()


def _event_text(event: Event) -> str:
    match event:
        case Written(size, more, left):
            return f"write {size}{' more' * more}{f' left {left}' if left else ''}"
        case OptionSet(name, on):
            return f"set {name} {'on' if on else 'off'}"
        case Reported(mtu, start):
            return f"mtu {mtu} about {start}"
        case Looked():
            return "look"
        case Closed():
            return "close"
    flags = "S" * event.syn + "P" * event.psh + "F" * event.fin
    words = ["<", flags, f"{event.start}:{event.end} ack {event.ack} window {event.window}"]
    if event.mss_option is not None:
        words.append(f"mss {event.mss_option}")
    if event.wscale_option is not None:
        words.append(f"scale {event.wscale_option}")
    if event.sack_option:
        words.append("sacks")
    if event.ts_val != NO_STAMP:
        words.append(f"ts {event.ts_val} {event.ts_ecr}")
    if event.sack:
        words.append("sack " + " ".join(f"{low}:{high}" for low, high in event.sack))
    return " ".join(filter(None, words))


_LINE: Final = re.compile(r"(?P<t_us>\d+\.\d{3}) (?P<what>.+)", re.ASCII)
_RANGE = r"(-?\d+):(-?\d+)"
_SENT: Final = re.compile(rf"> {_RANGE}(?: (P?F?))?", re.ASCII)
_ARRIVED: Final = re.compile(
    rf"< (?:(S?P?F?) )?{_RANGE} ack (-?\d+) window (\d+)(?: mss (\d+))?(?: scale (\d+))?( sacks)?"
    rf"(?: ts (\d+) (\d+))?(?: sack (-?\d+:-?\d+(?: -?\d+:-?\d+)*))?",
    re.ASCII,
)
_WRITTEN: Final = re.compile(r"write ([1-9]\d*)( more)?(?: left (\d+))?", re.ASCII)
_SET: Final = re.compile(rf"set ({'|'.join(SOCKET_OPTIONS)}) (on|off)", re.ASCII)
_REPORTED: Final = re.compile(r"mtu (\d+) about (-?\d+)", re.ASCII)
_OPTION_NAMES: Final[Mapping[str, SocketOption]] = {name: name for name in SOCKET_OPTIONS}


def from_text(text: str, where: str) -> Recording:
    """Read what ``to_text`` wrote.

    Raises:
        InputError: a line cannot be read; says which, and what was expected.
    """
    events: list[tuple[int, Event]] = []
    sent: list[tuple[int, Sent]] = []
    clock_ms, phase_ns = 0, None
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.fullmatch(r"clock (\d+)", line, re.ASCII):
            clock_ms = int(found[1])
            continue
        if found := re.fullmatch(r"phase (\d+)\.(\d{3})", line, re.ASCII):
            phase_ns = int(found[1] + found[2])
            continue
        event = None
        if timed := _LINE.fullmatch(line):
            t_ns = int(timed["t_us"].replace(".", ""))
            if left := _SENT.fullmatch(timed["what"]):
                flags = left[3] or ""
                sent.append((t_ns, (int(left[1]), int(left[2]), "P" in flags, "F" in flags)))
                continue
            event = _event(timed["what"])
        if event is None:
            raise InputError(
                f"{where}: line {number}: expected a time in microseconds, then <, >, write, set, "
                f"look, mtu or close; found {line[:60]!r}"
            )
        events.append((t_ns, event))
    return Recording(clock_ms, tuple(events), tuple(sent), phase_ns)


_PLAIN: Final[Mapping[str, Event]] = {"close": Closed(), "look": Looked()}


def _event(text: str) -> Event | None:
    if text in _PLAIN:
        return _PLAIN[text]
    if found := _WRITTEN.fullmatch(text):
        return Written(int(found[1]), bool(found[2]), int(found[3] or 0))
    if found := _SET.fullmatch(text):
        return OptionSet(_OPTION_NAMES[found[1]], found[2] == "on")
    if found := _REPORTED.fullmatch(text):
        return Reported(int(found[1]), int(found[2]))
    if found := _ARRIVED.fullmatch(text):
        return _segment(found)
    return None


def _segment(found: re.Match[str]) -> TcpSegment:
    flags, start, end, ack, window, mss, scale, sacks, value, echo, blocks = found.groups()
    flags = flags or ""
    ranges = [block.split(":") for block in (blocks or "").split()]
    return TcpSegment(
        int(start),
        int(end),
        int(ack),
        int(window),
        syn="S" in flags,
        fin="F" in flags,
        psh="P" in flags,
        ts_val=int(value) if value else NO_STAMP,
        ts_ecr=int(echo) if echo else NO_STAMP,
        sack=tuple((int(low), int(high)) for low, high in ranges),
        mss_option=int(mss) if mss else None,
        wscale_option=int(scale) if scale else None,
        sack_option=bool(sacks),
    )
