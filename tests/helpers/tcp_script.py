"""Runs scripts that play the peer of one simulated endpoint, in virtual time.

A script is text. Each line begins with the time in milliseconds. What we or the peer do:

    0 write 400             the program writes 400 bytes; `more` sets MSG_MORE, and `eor` MSG_EOR
    0 nodelay on            and off, cork on, cork off, close, read
    40 ack 400              the peer acknowledges; `ack 400 window 2000 sack 800:1200`
    40 data 100 psh         the peer sends its next 100 bytes; `at 500` for another offset
    40 fin                  the peer ends its direction
    40 mtu 1400             a router reports "fragmentation needed"

What the endpoint must send, in order, at that time (rounded down to milliseconds):

    0 > 0:400 P             a range of bytes and its flags, P or F; `again` for a retransmission
    40 > ack 100            a segment without bytes that acknowledges; `> ack 100 sack 200:300`

A script holds only if the endpoint sends exactly this, and nothing else until its last line.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.settings import EndpointSettings

MS = 1_000_000


@dataclass
class Script:
    """One script: what it shows, its settings, and its lines."""

    title: str
    source: str
    settings: dict[str, Any] = field(default_factory=dict)
    peer: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def scripts(path: Path) -> Iterator[Script]:
    """Read the scripts of a file: `== title`, `source: ...`, `settings: a=1`, `peer: mss=1460`."""
    script: Script | None = None
    for line in path.read_text().splitlines():
        text = line.split("#")[0].rstrip()
        if text.startswith("== "):
            if script:
                yield script
            script = Script(text[3:], "")
        elif script and text.startswith("source: "):
            script.source = text[8:]
        elif script and text.startswith(("settings: ", "peer: ")):
            kind, _, pairs = text.partition(": ")
            values = dict(pair.split("=") for pair in pairs.split())
            getattr(script, kind).update({name: _value(text) for name, text in values.items()})
        elif script and text:
            script.lines.append(text.strip())
    if script:
        yield script


def _value(text: str) -> Any:
    if text in {"on", "off"}:
        return text == "on"
    return int(text) if text.isdigit() else text


class Runner:
    """The endpoint of a script, and the peer's side of the connection.

    The handshake takes `rtt` ms (40 by default) and ends at 0 ms, where a script's times begin.
    """

    def __init__(self, script: Script) -> None:
        peer = {"mss": 1460, "window": 65535, "wscale": 7, "rtt": 40, "sack": True, **script.peer}
        self.endpoint = TcpEndpoint(EndpointSettings(**{"timestamps": False, **script.settings}))
        self.begin_ns = 0
        self.sent: list[tuple[int, TcpSegment]] = []
        (syn,) = self.endpoint.connect(0)
        assert syn.syn
        lost_ns = 0
        if peer.get("syn_lost"):  # the first SYN does not arrive, and is sent again
            assert self.endpoint.wake_ns is not None
            lost_ns = self.endpoint.wake_ns
            (syn,) = self.endpoint.on_timer(lost_ns)
            assert syn.retransmission
        self.window = peer["window"]
        self.peer_next = 0
        self.acked = 0
        self.begin_ns = lost_ns + peer["rtt"] * MS
        timestamps = self.endpoint.settings.timestamps
        self.ts = (lambda: 1) if timestamps else (lambda: NO_STAMP)
        answer = TcpSegment(
            0, 0, 0, self.window, syn=True, ts_val=self.ts(), ts_ecr=0 if timestamps else NO_STAMP,
            mss_option=peer["mss"], wscale_option=peer["wscale"], sack_option=peer["sack"],
        )  # fmt: skip
        (ack,) = self.endpoint.on_segment(self.begin_ns, answer)
        assert (ack.ack, ack.size) == (0, 0)

    def run(self, lines: list[str]) -> tuple[list[str], list[str]]:
        """Return what was to be sent, and what was."""
        expected, until = [], 0
        for line in lines:
            at, _, what = line.partition(" ")
            until = int(at)
            if what.startswith("> "):
                expected.append(f"{at} {what}")
                continue
            self._advance(int(at) * MS - 1)
            self._take(self._do(int(at) * MS + self.begin_ns, what.split()), int(at) * MS)
        self._advance(until * MS + MS - 1)
        return expected, [self._shown(*one) for one in self.sent]

    def _advance(self, until_ns: int) -> None:
        endpoint = self.endpoint
        while (at := endpoint.wake_ns) is not None and at - self.begin_ns <= until_ns:
            self._take(endpoint.on_timer(at), at - self.begin_ns)

    def _take(self, segments: Sequence[TcpSegment], t_ns: int) -> None:
        self.sent += [(t_ns, segment) for segment in segments]

    def _do(self, now: int, words: list[str]) -> Sequence[TcpSegment]:
        endpoint, (verb, *rest) = self.endpoint, words
        calls = {
            "write": lambda: self._write(now, *rest),
            "nodelay": lambda: endpoint.set_nodelay(now, rest[0] == "on"),
            "cork": lambda: endpoint.set_cork(now, rest[0] == "on"),
            "close": lambda: endpoint.close(now),
            "read": lambda: self._read(now),
            "mtu": lambda: endpoint.on_path_mtu(now, int(rest[0])),
        }
        received = calls.get(verb, lambda: endpoint.on_segment(now, self._segment(words)))
        return received()

    def _read(self, now: int) -> Sequence[TcpSegment]:
        self.endpoint.read(now, 1 << 20)
        return self.endpoint.out

    def _write(self, now: int, size: str, *flags: str) -> Sequence[TcpSegment]:
        taken = self.endpoint.write(now, int(size), "more" in flags, "eor" in flags)
        assert taken == int(size)
        return self.endpoint.out

    def _segment(self, words: list[str]) -> TcpSegment:
        start = end = self.peer_next
        options = dict(zip(words[::2], words[1::2], strict=False))
        if words[0] == "ack":
            self.acked = int(words[1])
        if words[0] == "data":
            options = dict(zip(words[2::2], words[3::2], strict=False))
            start = int(options.get("at", start))
            end = start + int(words[1])
            self.peer_next = max(self.peer_next, end)
        self.window = int(options.get("window", self.window))
        sack = re.findall(r"(\d+):(\d+)", " ".join(words)) if "sack" in words else []
        return TcpSegment(
            start, end, self.acked, self.window, fin=words[0] == "fin", psh="psh" in words,
            ts_val=self.ts(), ts_ecr=self.ts(), sack=tuple((int(a), int(b)) for a, b in sack),
        )  # fmt: skip

    @staticmethod
    def _shown(t_ns: int, segment: TcpSegment) -> str:
        text = f"{t_ns // MS} >"
        if segment.size or segment.fin:
            text += f" {segment.start}:{segment.end}"
            text += " P" * segment.psh + " F" * segment.fin + " again" * segment.retransmission
            return text
        text += f" ack {segment.ack}"
        if segment.sack:
            text += " sack " + " ".join(f"{a}:{b}" for a, b in segment.sack)
        return text
