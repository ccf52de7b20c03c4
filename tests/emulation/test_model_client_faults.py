"""What goes wrong on the wire of a client with the simulator's TCP: each once with every TCP.

What this kernel's own client reports is what the others have to report.
"""

import asyncio
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from one_session import CLIENTS, Carried, carry_out, from_client, own
from scripted import scripted
from striking import stop
from trying import skip_without_rights

from seglab.core.record import SessionRecord
from seglab.core.seeds import derive
from seglab.core.trace import sizes
from seglab.engine import EngineOptions
from seglab.engine.base import Planned
from seglab.frames.headers import RST, SYN
from seglab.frames.packets import Packet
from seglab.kernel import lab as lab_
from seglab.kernel.engine import KernelEngine
from seglab.networks.link import LinkParams, LinkState

RETRY_NS = 1_000_000_000
"""The first timeout of a SYN, and of a SYN and ACK (RFC 6298, 2.1)."""

LOSS_PCT = 4
FRAMES = 60
"""More than a session of these tests has on one link in one direction."""


def losing_the_first(link: str, way: str) -> int:
    """A seed by which a link loses the first frame of a direction, and none of those after it."""
    params = LinkParams(loss_pct=LOSS_PCT)
    for seed in count():
        state = LinkState(params, derive(seed, link, way))
        lost = [state.departure(n, 60, is_data=False) < 0 for n in range(FRAMES)]
        if lost[0] and not any(lost[1:]):
            return seed
    raise AssertionError


def planned(folder: Path, client: str, network: str = "", payload_bytes: int = 9000) -> Planned:
    """One session of a sender that writes its mail at once."""
    return own(folder, f"{CLIENTS[client]}\n{network}", '"single_write"', payload_bytes)


def with_flag(packets: list[Packet], direction: int, flag: int) -> list[Packet]:
    """The packets of one direction that have a flag."""
    return [p for p in packets if p.direction == direction and p.tcp and p.tcp.flags & flag]


def is_whole(carried: Carried) -> bool:
    """Whether a session is complete, and its layers hold all bytes."""
    record = carried.record
    assert record.error is None
    assert not list(record.trace.violations())
    return sum(sizes(record.reads)) == record.payload_bytes == 9000


@pytest.mark.parametrize("client", CLIENTS)
def test_a_lost_syn(client: str, tmp_path: Path) -> None:
    """It is sent once more, a second later, and the session is complete."""
    spec, network = planned(tmp_path, client, f"links.access.up.loss_pct = {LOSS_PCT}")
    seed = losing_the_first("access", "a_to_b")
    carried = carry_out((replace(spec, seed=seed), network))
    first, second = with_flag(carried.packets, 0, SYN)
    assert (first.fate, second.fate) == ("loss on access", None)
    assert second.t_sent_ns - first.t_sent_ns >= 0.99 * RETRY_NS
    assert is_whole(carried)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_lost_answer_to_the_syn(client: str, tmp_path: Path) -> None:
    """Either side sends again after a second, and the session is complete."""
    spec, network = planned(tmp_path, client, f"links.core.down.loss_pct = {LOSS_PCT}")
    seed = losing_the_first("core", "b_to_a")
    carried = carry_out((replace(spec, seed=seed), network))
    answers = with_flag(carried.packets, 1, SYN)
    assert [answer.fate for answer in answers][:2] == ["loss on core", None]
    assert answers[1].t_sent_ns - answers[0].t_sent_ns >= 0.99 * RETRY_NS
    assert is_whole(carried)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_port_that_is_closed(
    client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's kernel refuses the SYN, and the session fails at once, with that reason."""
    monkeypatch.setattr(lab_, "PORTS", {"raw": 9, "smtp": 9})
    carried = carry_out(planned(tmp_path, client))
    assert carried.record.error == "connect: Connection refused"
    assert carried.record.status == "failed"
    assert not carried.record.writes
    assert len(with_flag(carried.packets, 0, SYN)) == len(with_flag(carried.packets, 1, RST)) == 1
    assert len(from_client(carried.packets)) == 1  # nothing answers a reset


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_answers(client: str, tmp_path: Path) -> None:
    """The SYN is sent again until the time limit, and nothing after it."""
    network = "links.core.down.loss_pct = 100\ntime_limit_s = 2.5\ncompletes = false"
    carried = carry_out(planned(tmp_path, client, network))
    assert carried.record.error == "time limit reached"
    assert len(from_client(carried.packets)) == len(with_flag(carried.packets, 0, SYN)) == 3


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_never_greets(client: str, tmp_path: Path) -> None:
    """The connection stands, nothing is read from it, and it is reset at the time limit."""
    network = "time_limit_s = 1\ncompletes = false"
    carried = carry_out(planned(tmp_path, client, network), lambda lab: stop(lab, "server"))
    assert carried.record.error == "time limit reached"
    assert carried.record.mss is not None
    assert not carried.record.writes
    (reset,) = with_flag(carried.packets, 0, RST)
    assert reset.arrivals_ns


@pytest.mark.parametrize("client", CLIENTS)
def test_a_path_that_becomes_a_black_hole(client: str, tmp_path: Path) -> None:
    """What does not fit is sent again and lost until the limit; then the server's end is reset."""
    network = (
        "router = { icmp = false, schedule = [{ at_ms = 60, mtu = 1000 }] }\n"
        "links.core.delay_ms = 20\ntime_limit_s = 2.5\ncompletes = false"
    )
    carried = carry_out(planned(tmp_path, client, network, 200_000))
    record = carried.record
    assert record.error is not None
    assert record.error.startswith("time limit reached")
    assert sum(sizes(record.writes)) == record.payload_bytes == 200_000
    lost = [segment for segment in record.segments if segment.drop_reason == "router"]
    assert any(segment.retransmission for segment in lost)
    assert min(sizes(lost)) > 900
    assert gone(carried)


def gone(carried: Carried) -> bool:
    """Whether the server's kernel got a reset that it takes: the very next byte in its order.

    The first reset of a client follows what it has sent, of which the server has not got all. The
    server answers (RFC 5961, 3.2), and that there is no such connection is what its client has to
    answer then.
    """
    expected = [
        packet.tcp.ack for packet in carried.packets if packet.direction == 1 and packet.tcp
    ]
    resets = with_flag(carried.packets, 0, RST)
    return any(p.arrivals_ns and p.tcp and p.tcp.seq == expected[-1] for p in resets)


ENDS = {
    "closes": "s.shutdown(socket.SHUT_WR)\n        while s.recv(65536): pass\n        s.close()",
    "resets": (
        's.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))\n'
        "        lines.close()\n        s.close()"
    ),
    "closes unread": "lines.close()\n        s.close()",
}
"""How a server breaks off: it ends its stream, resets, or leaves what was not read."""

REASONS = {
    "closes": {"the server closed the connection early"},
    "resets": {"socket: Connection reset by peer"},
    "closes unread": {"socket: Connection reset by peer", "the server closed the connection early"},
}


@pytest.mark.parametrize("how", ENDS)
def test_a_server_that_breaks_off(how: str, tmp_path: Path) -> None:
    """In the middle of the message, with every TCP: the reason is the same, and nothing hangs."""
    skip_without_rights()
    code = (
        f"for s in accept():\n    try:\n        lines = dialogue(s)\n"
        f"        lines.read1(3000)\n        {ENDS[how]}\n    except OSError:\n        pass"
    )
    server = scripted(code)
    records: list[SessionRecord] = []
    sessions = []
    for client in CLIENTS:
        folder = tmp_path / client
        folder.mkdir()
        spec, network = planned(folder, client, "links.core.delay_ms = 5", 2_000_000)
        sessions.append((replace(spec, session_id=client, reader=server), network))
    for one in sessions:
        asyncio.run(KernelEngine(EngineOptions(1, 20.0)).run([one], records.append))
    found = {record.session_id: record.error for record in records}
    assert found.keys() == CLIENTS.keys()
    assert set(found.values()) <= REASONS[how], found
    assert all(record.status == "failed" and record.writes for record in records)
