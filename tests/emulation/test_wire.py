"""The wire with real frames: two hosts in private namespaces, real TCP, no Mininet."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from programs import need

from seglab.core.trace import Segment
from seglab.frames import pcapng
from seglab.frames.packets import Packet, handshake, join_frames, segments
from seglab.kernel.channel import Channel

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LINKS = ("path",)
PRIVATE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
if os.geteuid() != 0:
    PRIVATE += ["--user", "--map-root-user"]


@dataclass(frozen=True)
class Outcome:
    """What a session left behind."""

    flow: dict[str, Any]
    stopped: dict[str, Any]
    reads: list[int]
    wire_status: int

    @property
    def packets(self) -> list[Packet]:
        """The session's packets."""
        return join_frames(self.flow["frames"], LINKS)

    def segments(self, payload_bytes: int) -> tuple[Segment, ...]:
        """The client's segments."""
        return segments(self.packets, 0, payload_bytes, self.flow["frames"][0][2])


def plan(writes: list[int], *, give_up_s: float = 20, **more: Any) -> bytes:
    """What ``two_hosts.py`` is to do: one client, who writes blocks of these sizes."""
    talk = [sys.executable, str(HERE / "talkers.py")]
    roles = {
        "client": [*talk, "client", json.dumps({"writes": writes, "give_up_s": give_up_s})],
        "server": [*talk, "server", "{}"],
    }
    return json.dumps({"mtu": 1480, **roles, **more}).encode()


def session(writes: list[int], **more: Any) -> Outcome:
    """Run one session between two hosts."""
    result = subprocess.run(
        [*PRIVATE, sys.executable, str(HERE / "two_hosts.py")],
        input=plan(writes, **more),
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert result.stderr == b""
    found = msgspec.msgpack.decode(result.stdout)
    messages: dict[str, Any] = {}
    for message in found["wire"]:
        messages |= message if "flow" not in message else {"closed": message}
    return Outcome(
        messages["closed"], messages["stopped"], json.loads(found["server"]), found["status"]
    )


@pytest.mark.timing
def test_each_frame_is_delayed_as_asked():
    """No frame leaves early, and on a machine that others keep busy some are still on time."""
    outcome = session([5120, 5120], path={"delay_ms": 30}, back={"delay_ms": 5})
    late_ns = {0: [], 1: []}
    for _, direction, t_in, t_out, reason, _ in outcome.flow["frames"]:
        assert reason is None
        late_ns[direction].append(t_out[0] - t_in - (30_000_000, 5_000_000)[direction])
    for lateness in late_ns.values():
        assert 0 <= min(lateness) < 1_000_000
    assert sum(outcome.reads) == 10240
    assert (outcome.flow["queued"], outcome.flow["kernel_drops"], outcome.wire_status) == (0, 0, 0)


def test_the_wire_carries_what_linux_cuts():
    """With offloads off and Nagle off, 5120 bytes at an MTU of 1480 are 1440 1440 1440 800."""
    outcome = session([5120, 5120], path={"delay_ms": 10})
    found = outcome.segments(10240)
    assert [s.end - s.start for s in found] == [1440, 1440, 1440, 800] * 2
    assert handshake(outcome.packets).mss == 1440
    assert not any(s.dropped or s.retransmission for s in found)


def test_an_exact_drop_is_sent_again():
    """The third data segment dies, as asked, and Linux sends the same bytes again."""
    outcome = session([5120, 5120], path={"delay_ms": 10}, drop_data={"path:a_to_b": [3]})
    found = outcome.segments(10240)
    assert [(s.start, s.end, s.drop_reason) for s in found if s.dropped] == [
        (2880, 4320, "exact on path")
    ]
    assert [(s.start, s.end) for s in found if s.retransmission] == [(2880, 4320)]
    assert sum(outcome.reads) == 10240


def test_duplicates_reach_the_server_twice():
    """Each frame has two departures; the server's capture shows both, the trace one segment."""
    outcome = session([5120], path={"delay_ms": 10, "duplicate_pct": 100}, back={"delay_ms": 10})
    assert all(
        len(t_out) == 2 - direction for _, direction, _, t_out, _, _ in outcome.flow["frames"]
    )
    assert len(outcome.segments(5120)) == 4
    seen = pcapng.packets_at(outcome.packets, "server", 0)
    data = [packet.comment.split(",")[0] for packet in seen if packet.comment.startswith("data")]
    assert {label: data.count(label) for label in data} == {
        f"data {start}:{end}": 2
        for start, end in ((0, 1440), (1440, 2880), (2880, 4320), (4320, 5120))
    }


def test_reordering_lets_later_segments_arrive_first():
    """Some frames overtake; TCP still delivers every byte."""
    outcome = session([40_000], path={"delay_ms": 20, "reorder_pct": 30}, seed=3)
    arrivals = [s.t_arrived_ns for s in outcome.segments(40_000)]
    assert arrivals != sorted(arrivals)
    assert sum(outcome.reads) == 40_000


@pytest.mark.timing
def test_a_link_with_a_rate_spaces_frames_and_drops_from_a_full_queue():
    """At 1 Mbit/s full frames arrive 11.95 ms apart, and a queue of three is soon full."""
    path = {"bw_mbit": 1, "delay_ms": 5, "max_queue_size": 3}
    outcome = session([20_000], path=path, back={"delay_ms": 5})
    reasons = {s.drop_reason for s in outcome.segments(20_000)}
    assert reasons == {None, "queue on path"}
    full_ns = (1480 + 14) * 8 * 1000
    full = [frame[3][0] for frame in outcome.flow["frames"] if len(frame[5]) == 1494 and frame[3]]
    lateness_ns = 5_000_000  # a frame sent late makes the next gap shorter by as much
    gaps = [later - earlier for earlier, later in pairwise(full)]
    assert min(gaps) > full_ns - lateness_ns
    assert full[-1] - full[0] > (len(full) - 1) * full_ns - lateness_ns
    assert sum(outcome.reads) == 20_000


def test_an_mtu_black_hole_swallows_full_segments():
    """Nothing above the link's MTU passes, no ICMP comes, and the same bytes are sent again."""
    outcome = session(
        [500, 3000], path={"delay_ms": 2, "mtu": 1000}, back={"delay_ms": 2}, give_up_s=2
    )
    found = outcome.segments(3500)
    assert {s.drop_reason for s in found if s.end - s.start > 960} == {"mtu on path"}
    assert any(s.retransmission and s.dropped for s in found)
    assert not found[0].dropped


def test_the_same_seed_loses_the_same_frames():
    """The first client segments to be lost are the same ones in two runs with one seed."""
    runs = [
        session([30_000], path={"delay_ms": 2, "loss_pct": 10}, back={}, seed=11) for _ in range(2)
    ]
    flights = [[s.drop_reason for s in run.segments(30_000)[:10]] for run in runs]
    assert flights[0] == flights[1]
    assert "loss on path" in flights[0]


@pytest.mark.parametrize("vantage", ["client", "server"])
def test_captures_of_real_frames_are_clean(vantage):
    """The kernel's own checksums are right in the capture, and nothing in it is malformed."""
    outcome = session([5120], path={"delay_ms": 5}, timestamps=1)
    assert handshake(outcome.packets).mss == 1428
    bad = "_ws.malformed || tcp.checksum.status != 1 || ip.checksum.status != 1"
    checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    for expression, expected in ((bad, 0), ("tcp.len > 0", 4)):
        result = subprocess.run(
            [need("tshark"), "-r", "-", *checks, "-Y", expression],
            input=pcapng.capture(outcome.packets, vantage, time.time_ns() - time.monotonic_ns()),
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert len(result.stdout.splitlines()) == expected


def _marked(mark: str) -> list[int]:
    """The processes that were started with this mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _wait_until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_nothing_is_left_behind_when_the_lab_is_killed(tmp_path):
    """SIGKILL in the middle of a session: hosts, wire and links go, too."""
    mark = f"SEGLAB_TEST_MARK={os.urandom(8).hex()}"
    devices_before = set(Path("/sys/class/net").iterdir())
    with (tmp_path / "plan").open("wb+") as file:
        file.write(plan([5120], path={"delay_ms": 60_000}))
        file.seek(0)
        lab = subprocess.Popen(
            [*PRIVATE, sys.executable, str(HERE / "two_hosts.py")],
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, PYTHONPATH=str(ROOT), **dict([mark.split("=")])),
        )
    _wait_until(lambda: len(_marked(mark)) >= 6, "the hosts and the wire never stood")
    lab.send_signal(signal.SIGKILL)
    lab.wait()
    _wait_until(lambda: not _marked(mark), "processes are left")
    assert set(Path("/sys/class/net").iterdir()) == devices_before


@contextmanager
def lone_wire(links: list[dict[str, Any]]) -> Iterator[tuple[Channel, subprocess.Popen]]:
    """A wire in a namespace where there is nothing but lo."""
    channel, theirs = Channel.pair()
    unshare = ["unshare", "--net", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    with theirs:
        wire = subprocess.Popen(
            [*unshare, sys.executable, "-m", "seglab.kernel.wire", "--fd", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
    with wire, closing(channel):
        try:
            channel.send({"config": {"links": links}})
            yield channel, wire
        finally:
            wire.kill()


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({"a": "w-none", "b": "lo"}, "wire: interface w-none: No such device"),
        ({"a": "lo", "b": "lo"}, "wire: interface lo is on two links"),
        (
            {"a": "lo", "b": "w-none", "a_to_b": {"loss_pct": 200}},
            "wire: link path, a_to_b: loss_pct: expected a percentage from 0 to 100, found 200",
        ),
        (
            {"a": "lo", "b": "w-none", "b_to_a": {"delay": 2}},
            "wire: link path, b_to_a: LinkParams.__init__() got an unexpected keyword argument"
            " 'delay'",
        ),
    ],
)
def test_a_wire_that_cannot_start_says_why(link, expected):
    """One line to the parent, exit status 1, and no traceback."""
    with lone_wire([{"name": "path", **link}]) as (channel, wire):
        assert channel.receive() == {"failed": expected}
        _, errors = wire.communicate(timeout=20)
        assert (wire.returncode, errors) == (1, b"")


@pytest.mark.parametrize("message", [{"close": 5}, {"open": {"flow": 1}}, {"dance": 1}], ids=str)
def test_a_message_that_makes_no_sense_ends_the_wire(message):
    """The parent hears it; it is never half obeyed."""
    with lone_wire([]) as (channel, wire):
        assert "ready" in channel.receive()
        channel.send(message)
        assert "makes no sense" in channel.receive()["failed"]
        assert wire.communicate(timeout=20)[1] == b""


@pytest.mark.parametrize("way", ["end of file", "SIGTERM", "end of file while it reports"])
def test_the_wire_goes_quietly(way):
    """When its parent is gone, or asks it to go, it says nothing and leaves."""
    with lone_wire([]) as (channel, wire):
        assert "ready" in channel.receive()
        if way == "SIGTERM":
            wire.terminate()
        elif way == "end of file":
            channel.close()
        else:
            addresses = {"client": "10.0.0.1", "server": "10.64.0.1"}
            channel.send({"open": {"flow": 1, "seed": 1, **addresses}})
            channel.send({"close": 1})
            channel.close()
        _, errors = wire.communicate(timeout=20)
        assert (wire.returncode, errors) == (0, b"")


def test_ctrl_c_is_the_parents_business():
    """SIGINT, which a terminal sends to all, does not end the wire under running sessions."""
    with lone_wire([]) as (channel, wire):
        assert "ready" in channel.receive()
        wire.send_signal(signal.SIGINT)
        channel.send({"stop": True})
        assert channel.receive()["stopped"]["kernel_drops"] == 0
        assert wire.wait(timeout=20) == 0


@pytest.mark.timing
def test_a_flow_without_frames_closes_at_once():
    """A client that never connected: an empty report, without waiting for a FIN."""
    with lone_wire([]) as (channel, _):
        channel.receive()
        addresses = {"client": "10.0.0.7", "server": "10.64.0.7"}
        channel.send({"open": {"flow": 7, "seed": 1, **addresses}})
        assert channel.receive() == {"opened": 7}
        start = time.monotonic()
        channel.send({"close": 7})
        report = channel.receive()
        assert report == {
            "flow": 7,
            "frames": [],
            "queued": 0,
            "kernel_drops": 0,
            "late_ns": 0,
            "strays": 0,
            "strays_lost": 0,
        }
        assert time.monotonic() - start < 0.5
