"""The receiving half of the simulator against a kernel: what was given to both, and what they say.

The captures in ``data/receiving`` are of this lab's server, a kernel 6.18, so what it answered is
not the simulator's own word. Each shows a rule that the simulator did not have before.
"""

import json
from pathlib import Path

import pytest

from seglab.core.record import SessionRecord
from seglab.execution.request import RunRequest
from seglab.frames import pcapng
from seglab.frames.pcapng import CapturedPacket
from seglab.networks.network import Network
from seglab.simulator import acknowledging, receive, window, worker
from seglab.simulator.script import script_of
from seglab.simulator.state import TcpState
from seglab.validation import receiving
from seglab.validation.receiving import Answered, answered

RECORDED = Path(__file__).parent / "data" / "receiving"

NAMES = {
    "early-fin": "a FIN that came too early: what came twice behind it is not reported",
    "early-segments": "early segments tell how large a full one is, and open the window",
    "large-segments": "a segment that has room behind a large one takes no memory of its own",
    "late-timer": "one timer was more than a jiffy late, and a segment came before it fired",
    "reads-of-a-burst": "a filled gap is read segment by segment, and a shorter round trip counts",
    "small-segments": "short segments at the beginning share the memory of the first",
    "syn-again": "an answer to a second SYN says nothing about the round trip",
    "without-sack": "the client permits no selective acknowledgements, and its path falls",
}


def recorded(name: str) -> Answered:
    """What was recorded, and what the simulator's receiving half answers to it."""
    about = json.loads((RECORDED / f"{name}.json").read_text())
    record = SessionRecord.from_json(json.dumps(about["record"]).encode())
    network = Network(record.network, "", "", **about["network"])
    capture = (RECORDED / f"{name}.pcapng").read_bytes()
    found = answered(tuple(about["payload"]), network, record, capture)
    assert found is not None
    return found


def read_at_once(tp: TcpState, now_ns: int, limit: int) -> int:
    """A read that measures the buffer once, behind all that it takes."""
    size = max(min(tp.rcv_nxt - tp.peer_closed - tp.copied_seq, limit), 0)
    tp.copied_seq += size
    while tp.received and tp.received[0].end <= tp.copied_seq:
        tp.rmem_alloc -= tp.received.pop(0).memory
    if size:
        window.adjust_space(tp, now_ns)
    return size


def mean_round_trip(tp: TcpState, sample_us: int, *, window: bool) -> None:
    """The receiver's round trip as Linux had it before 6.16."""
    old = tp.rcv_rtt_us
    if not old:
        tp.rcv_rtt_us = 8 * sample_us
    elif window:
        tp.rcv_rtt_us = min(8 * sample_us, old)
    else:
        tp.rcv_rtt_us = old + sample_us - (old >> 3)


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_as_the_kernel_did(name: str) -> None:
    """Numbers, windows, blocks and echoes of every answer are the kernel's."""
    found = recorded(name)
    assert len(found.kernel) > 8
    assert found.equal, "\n".join(found.lines())


@pytest.mark.parametrize(
    ("name", "module", "rule", "other"),
    [
        ("small-segments", window, "tail_room", lambda _bytes, _memory: 0),
        ("large-segments", window, "tail_room", lambda _bytes, _memory: 0),
        ("early-segments", receive, "_measure", lambda *_: None),
        ("without-sack", acknowledging, "delay_ack", lambda *_: True),
        ("reads-of-a-burst", receive, "read", read_at_once),
        ("reads-of-a-burst", window, "_update_receiver_rtt", mean_round_trip),
    ],
)
def test_another_receiver_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, name: str, module: object, rule: str, other: object
) -> None:
    """Without one of its rules it leaves the kernel's answers, and it shows where."""
    monkeypatch.setattr(module, rule, other)
    found = recorded(name)
    assert not found.equal
    assert len(list(found.lines())) >= 2


def test_a_timer_loses_a_race_only_if_the_kernels_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that is late by itself is needed for one recording, and for no other one."""
    monkeypatch.setattr(receiving, "RACE_NS", 0)
    assert [name for name in NAMES if not recorded(name).equal] == ["late-timer"]


def simulated(tmp_path: Path) -> tuple[tuple[int, int], Network, SessionRecord, bytes]:
    """A session of the simulator with its capture at the server."""
    (tmp_path / "wire").mkdir()
    ((spec, network),) = RunRequest(("matrix",), ("relay",), ("gprs",), 1).specs(2014)
    record = worker.one_session(spec, network, 60, tmp_path)
    capture = (tmp_path / str(record.captures.server)).read_bytes()
    return script_of(spec).payload, network, record, capture


def test_an_answer_that_is_missing_shows(tmp_path: Path) -> None:
    """A simulated server is its own receiving half; with one answer less it is not."""
    payload, network, record, capture = simulated(tmp_path)
    found = answered(payload, network, record, capture)
    assert found is not None
    assert found.equal
    assert found.soon == len(found.kernel)
    packets = list(pcapng.read(capture))
    last = max(at for at, packet in enumerate(packets) if packet.outbound)
    shorter = pcapng.write([*packets[:last], *packets[last + 1 :]], "s-eth0")
    less = answered(payload, network, record, shorter)
    assert less is not None
    assert (less.equal, less.common) == (False, len(found.kernel) - 1)


def test_a_capture_without_a_handshake_is_no_comparison(tmp_path: Path) -> None:
    """Nothing can be said about it, and nothing breaks."""
    payload, network, record, _ = simulated(tmp_path)
    assert answered(payload, network, record, pcapng.write([], "s-eth0")) is None


def test_packets_are_read_as_they_were_written() -> None:
    """Times, directions and bytes of all lengths; comments are for people."""
    packets = [
        CapturedPacket((1 << 60) + at, bool(at % 2), bytes(range(14 + at)), "x" * at)
        for at in range(9)
    ]
    found = list(pcapng.read(pcapng.write(packets, "s-eth0", "the server's interface", "a")))
    assert found == [packet._replace(comment="") for packet in packets]


@pytest.mark.parametrize("size", [1, 27, 60, -1, -30])
def test_a_capture_that_is_cut_short_is_told(size: int) -> None:
    """A block that is not whole is an error, never a packet."""
    whole = pcapng.write([CapturedPacket(1, True, bytes(60), "")], "s-eth0")
    with pytest.raises(ValueError, match=r"cut short|no pcapng"):
        list(pcapng.read(whole[:size]))
