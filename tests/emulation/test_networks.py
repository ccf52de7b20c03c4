"""Networks on the real kernel: what physics and RFCs say about each, seen in what was captured.

Expected sizes are counted from the MTUs of ``lab/seglab/reproduction/paper.json`` and of RFCs,
never from the lab.
"""

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Packet
from scapy.utils import rdpcap

from seglab.core.record import SessionRecord
from seglab.core.trace import sizes
from seglab.engine import EngineOptions
from seglab.errors import EnvironmentLacksError
from seglab.experiment import plan as plan_
from seglab.experiment import registry
from seglab.kernel import join, sandbox
from seglab.kernel.engine import KernelEngine
from seglab.kernel.lab import KernelLab
from seglab.reproduction.paper import paper

MTU_TABLE = paper().mtu_table
TABLE_1 = {
    "token-ring-16": "16 Mbps Token Ring",
    "token-ring-4": "4 Mbps Token Ring",
    "fddi": "FDDI",
    "ethernet": "Ethernet",
    "ieee-802-3": "IEEE 802.3/802.2",
    "pppoe": "PPPoE (WAN Miniport)",
}
IPV4_BYTES, IPV6_BYTES, TIMESTAMPS_BYTES = 40, 60, 12
SMTP_PORT = 25


def scenario_of(folder: Path, text: str, name: str = "own") -> list[SessionRecord]:
    """Carry out a scenario that a test wrote, and hand back its records by session."""
    file = folder / f"{name}.toml"
    file.write_text(f'title = "t"\n{text}')
    (folder / "wire").mkdir(exist_ok=True)
    scenario = registry.scenario(file)
    specs = [(spec, scenario.network(spec.network)) for spec in plan_.plan(scenario, seed=5)]
    records: list[SessionRecord] = []
    asyncio.run(KernelEngine(EngineOptions(folder=folder)).run(specs, records.append))
    return sorted(records, key=lambda record: record.session_id)


def one_write(folder: Path, network: str, payload_bytes: int, more: str = "") -> SessionRecord:
    """One session of the single writer over one network."""
    (record,) = scenario_of(
        folder,
        f'senders = ["single_write"]\nnetworks = ["{network}"]\nsessions = 1\n'
        f"message.payload_bytes = {payload_bytes}\n{more}",
    )
    return record


def packets(folder: Path, name: str | None) -> list[Packet]:
    """The packets of a capture."""
    assert name is not None
    return list(rdpcap(str(folder / name)))


def syn_mss(capture: Iterable[Packet]) -> dict[str, int]:
    """The MSS options of both SYNs, by who sent them."""
    return {
        "server" if packet[TCP].sport == SMTP_PORT else "client": dict(packet[TCP].options)["MSS"]
        for packet in capture
        if TCP in packet and "S" in packet[TCP].flags
    }


def arrived(record: SessionRecord) -> list[int]:
    """The sizes of the segments that reached the server."""
    return sizes(s for s in record.segments if s.t_arrived_ns is not None)


def lost_at_the_router(record: SessionRecord) -> list[int]:
    """The sizes of the segments that were too large for the router's way on."""
    return sizes(s for s in record.segments if s.drop_reason == "router")


def cut(payload_bytes: int, mss: int) -> list[int]:
    """One write as TCP cuts it where nothing goes wrong: full segments, and the rest."""
    full, rest = divmod(payload_bytes, mss)
    return [mss] * full + [rest] * bool(rest)


def test_table_1(tmp_path: Path) -> None:
    """Each medium's MTU gives an MSS of 40 bytes less, and of 52 less with timestamps."""
    (tmp_path / "wire").mkdir()
    scenario = registry.scenario("table-1")
    specs = [(s, scenario.network(s.network)) for s in plan_.plan(scenario, 1, sessions=1)]
    records: list[SessionRecord] = []
    asyncio.run(KernelEngine(EngineOptions(folder=tmp_path)).run(specs, records.append))
    found = {record.network: record for record in records}
    assert len(found) == 2 * len(MTU_TABLE)
    for network, medium in TABLE_1.items():
        mtu = MTU_TABLE[medium]
        for name, options_bytes in (
            (network, TIMESTAMPS_BYTES),
            (f"{network}-without-timestamps", 0),
        ):
            record = found[name]
            mss = mtu - IPV4_BYTES - options_bytes
            assert record.error is None
            assert (record.mtu, record.mss) == (mtu, mss)
            assert sizes(record.segments) == cut(record.payload_bytes, mss)
            assert len(record.segments) > 3
            capture = packets(tmp_path, record.captures.client)
            assert syn_mss(capture)["client"] == mtu - IPV4_BYTES
            assert max(packet[IP].len for packet in capture) == mtu


STEADY = {
    "3g": 1358 - 52,
    "dsl": 1452 - 52,
    "edge": 1500 - 52,
    "gprs": 576 - 52,
    "ipv6-ethernet": 1500 - 72,
    "ipv6-minimum": 1280 - 72,
    "jumbo": 9000 - 52,
    "poor": 920,  # Listing 11
    "pppoe-clamped": 1492 - 52,
    "tunnel-1420": 1420 - 52,
    "unimpaired": 1500 - 52,
    "vb2014": 1440,  # scenarios 1 to 3
}
"""The MSS of every network beside Table 1's whose path's MTU stays as the connection began."""

FALLING = {
    "black-hole",
    "black-hole-probing",
    "cellular",
    "ipv6-tunnel",
    "pmtu-fall",
    "tunnel-1400",
}
"""Those with other ideas; a test of its own has each."""


def test_no_network_goes_untested() -> None:
    """Each one that is registered is in one of the tables here."""
    assert {*STEADY, *FALLING, *TABLE_1} == {*registry.networks()}


def test_steady_networks_cut_at_their_mss(tmp_path: Path) -> None:
    """All at once: the segments are full ones and a rest, and what is lost is sent again."""
    names = ", ".join(f'"{name}"' for name in STEADY)
    records = scenario_of(
        tmp_path,
        f'senders = ["single_write"]\nnetworks = [{names}]\nsessions = 1\n'
        "message.payload_bytes = 6000\n",
    )
    found = {record.network: record for record in records}
    assert {name: record.error for name, record in found.items()} == dict.fromkeys(STEADY)
    for name, mss in STEADY.items():
        record = found[name]
        assert record.mss == mss, name
        spans = {(s.start, s.end) for s in record.segments}
        assert [end - start for start, end in sorted(spans)] == cut(6000, mss), name
        assert record.path_condition == ("small_mss" if mss < 1000 else "steady"), name
    # 20 kbit/s carry a full segment of 576 bytes and its Ethernet header in 236 ms
    times = [s.t_arrived_ns for s in found["gprs"].segments if s.t_arrived_ns and not s.dropped]
    gaps_ms = [(b - a) / 1e6 for a, b in pairwise(sorted(times)[:-1])]
    assert min(gaps_ms) > (576 + 14) * 8 / 20 - 3
    assert found["gprs"].duration_ns > 7 * 1.3e9  # seven round trips of an SMTP session
    one_way_ms = [
        (s.t_arrived_ns - s.t_sent_ns) / 1e6
        for s in found["edge"].segments
        if s.t_arrived_ns is not None
    ]
    assert min(one_way_ms) >= 400 + (1500 + 14) * 8 / 200


def test_a_tunnel_on_the_way_is_learned_by_icmp(tmp_path: Path) -> None:
    """What exceeds 1400 bytes dies at the router, which says so; the rest fits."""
    record = one_write(tmp_path, "tunnel-1400", 30_000)
    assert record.error is None
    assert record.mss == 1500 - 52
    assert record.path_condition == "pmtu_fall"
    assert set(lost_at_the_router(record)) == {1448}
    assert max(arrived(record)) == 1400 - 52
    # what was sent before is cut again, a write queue's buffer of some segments at a time
    rests = [size for size in arrived(record)[:-1] if size != 1348]
    assert rests
    assert all(size % (1448 - 1348) == 0 for size in rests)
    capture = packets(tmp_path, record.captures.client)
    assert syn_mss(capture)["client"] == 1460
    assert {(p[ICMP].code, p[ICMP].nexthopmtu) for p in capture if ICMP in p} == {(4, 1400)}
    server = packets(tmp_path, record.captures.server)
    assert max(p[IP].len for p in server) == 1400


def test_an_ipv6_tunnel_is_learned_by_packet_too_big(tmp_path: Path) -> None:
    """Likewise in IPv6, by ICMPv6 with the MTU (RFC 8201)."""
    record = one_write(tmp_path, "ipv6-tunnel", 30_000)
    assert record.error is None
    assert record.mss == 1500 - IPV6_BYTES - 12
    assert set(lost_at_the_router(record)) == {1428}
    assert max(arrived(record)) == 1480 - IPV6_BYTES - 12
    capture = packets(tmp_path, record.captures.client)
    assert syn_mss(capture)["client"] == 1500 - IPV6_BYTES
    assert {p[ICMPv6PacketTooBig].mtu for p in capture if ICMPv6PacketTooBig in p} == {1480}
    assert all(IPv6 in packet for packet in capture)


def test_clamping_shows_in_the_syn(tmp_path: Path) -> None:
    """The client offers 1460; the server, and so the client, meet what PPPoE leaves: 1452."""
    record = one_write(tmp_path, "pppoe-clamped", 10_000)
    assert record.error is None
    assert not lost_at_the_router(record)
    before = syn_mss(packets(tmp_path, record.captures.client))
    after = syn_mss(packets(tmp_path, record.captures.server))
    assert (before["client"], after["client"]) == (1500 - 40, 1492 - 40)
    assert (after["server"], before["server"]) == (1500 - 40, 1492 - 40)
    assert sizes(record.segments) == cut(10_000, 1492 - 52)


@pytest.mark.timing
def test_a_black_hole_fails_and_probing_gets_out_of_it(tmp_path: Path) -> None:
    """Without ICMP no full segment arrives; MTU probing falls back to tcp_base_mss, 1024."""
    records = scenario_of(
        tmp_path,
        """
        senders = ["single_write"]
        networks = ["hole", "black-hole-probing"]
        sessions = 1
        message.payload_bytes = 8000
        [[network]]
        name = "hole"
        like = "black-hole"
        time_limit_s = 3
        """,
    )
    hole, probing = sorted(records, key=lambda record: record.complete)
    assert hole.network == "hole"
    assert hole.error is not None
    assert "time limit reached" in hole.error
    assert "black hole" in hole.error
    assert 3e9 < hole.duration_ns < 6e9
    assert arrived(hole) == [8000 % 1448]  # the rest is small enough
    assert len(lost_at_the_router(hole)) > 2
    assert probing.error is None
    assert max(arrived(probing)) == 1024
    assert set(lost_at_the_router(probing)) == {1448}
    for record in records:
        assert not any(ICMP in p for p in packets(tmp_path, record.captures.client))


def test_a_small_message_passes_a_black_hole(tmp_path: Path) -> None:
    """It eats what is too large, and nothing else."""
    record = one_write(tmp_path, "black-hole", 1348)
    assert record.error is None
    assert sizes(record.segments) == [1348]


@pytest.mark.timing
def test_cellular_segments_shrink_and_grow(tmp_path: Path) -> None:
    """Listing 10's sizes: 1400 while the path is wide, 536 while it is narrow, 1400 again."""
    record = one_write(tmp_path, "cellular", 24_000)
    assert record.error is None
    assert record.path_condition == "fluctuating"
    found = arrived(record)
    narrow = found.index(536)
    assert 1400 in found[:narrow] or set(lost_at_the_router(record)) == {1400}
    assert 1400 in found[narrow:]
    assert max(found) == 1400
    mtus = [change.mtu for change in record.mtu_changes]
    assert mtus[:4] == [576, 1440, 576, 1440]
    gaps_ms = [(b.t_ns - a.t_ns) / 1e6 for a, b in pairwise(record.mtu_changes)]
    assert all(abs(gap - due) < 150 for gap, due in zip(gaps_ms, [500, 1000] * 30, strict=False))


def test_the_path_mtu_falls_amid_the_data(tmp_path: Path) -> None:
    """First to 1460, then to 1428: each segment is cut again at the new MSS, as in Listing 13."""
    record = one_write(tmp_path, "pmtu-fall", 40_000)
    assert record.error is None
    assert [change.mtu for change in record.mtu_changes] == [1460, 1428]
    found = arrived(record)
    assert {1420, 1388} <= set(found)
    last = record.mtu_changes[-1].t_ns
    later = [s for s in record.segments if s.t_arrived_ns and s.t_sent_ns > last]
    assert max(sizes(later)) == 1428 - 40
    assert 1460 in lost_at_the_router(record)


SCHEDULED = """
senders = [{ name = "raw_writes", parameters = { writes = WRITES, gap_ms = 40, nodelay = true } }]
sessions = 4
[[network]]
name = "path"
title = "t"
client.timestamps = false
links.core.delay_ms = 5
[[network.router.schedule]]
at_ms = 230
mtu = 1200
"""


@pytest.mark.timing
def test_schedules_of_sessions_side_by_side_are_their_own(tmp_path: Path) -> None:
    """Each path narrows 230 ms after its own session's start, whatever the others' have done."""
    file = tmp_path / "own.toml"
    file.write_text('title = "t"' + SCHEDULED.replace("WRITES", str([1460] * 9)))
    scenario = registry.scenario(file)
    (network,) = scenario.networks
    specs = plan_.plan(scenario, seed=5)

    async def carry_out() -> list[SessionRecord]:
        async with KernelLab(network, scenario.reader) as lab:

            async def session(number: int) -> SessionRecord:
                await asyncio.sleep(0.1 * number)
                spec = specs[number]
                job = join.client_job(spec, 20.0)
                outcome = await lab.session(job, join.wire_order(spec))
                return join.assemble(spec, network, outcome, 0).record

            return list(await asyncio.gather(*map(session, range(len(specs)))))

    records = asyncio.run(carry_out())
    passed_beside_a_narrow_one = 0
    for record in records:
        assert record.error is None
        (change,) = record.mtu_changes
        assert abs(change.t_ns - 230e6) < 100e6
        before = [s for s in record.segments if s.t_sent_ns < change.t_ns - 20e6]
        after = [s for s in record.segments if s.t_sent_ns > change.t_ns]
        assert len(before) >= 3
        assert {(s.end - s.start, s.dropped) for s in before} == {(1460, False)}
        assert max(s.end - s.start for s in after if s.t_arrived_ns) == 1200 - 40
        assert any(s.drop_reason == "router" for s in record.segments)
        for other in records:
            narrow_from = other.t0_ns + other.mtu_changes[0].t_ns - record.t0_ns
            passed_beside_a_narrow_one += sum(s.t_sent_ns > narrow_from for s in before)
    assert passed_beside_a_narrow_one > 0


@pytest.mark.timing
def test_the_personality_is_on_the_wire(tmp_path: Path) -> None:
    """Timestamps, SACK and the initial window are what the network says."""
    records = scenario_of(
        tmp_path,
        """
        senders = ["single_write"]
        sessions = 1
        message.payload_bytes = 14000
        [[network]]
        name = "plain"
        title = "t"
        client = { timestamps = false, sack = false, initcwnd = 2 }
        links.core.delay_ms = 40
        [[network]]
        name = "rich"
        like = "plain"
        client = { timestamps = true, sack = true, initcwnd = 7, congestion_control = "cubic" }
        """,
    )
    for record, mss, window in zip(records, (1460, 1448), (2, 7), strict=True):
        assert record.error is None
        first = record.segments[0].t_sent_ns
        flight = [s for s in record.segments if s.t_sent_ns < first + 70e6]
        assert sizes(flight) == [mss] * window
        capture = packets(tmp_path, record.captures.client)
        (syn,) = [p for p in capture if TCP in p and p[TCP].flags == "S"]
        options = {name for name, _ in syn[TCP].options}
        assert ("Timestamp" in options, "SAckOK" in options) == (window == 7, window == 7)


TWO = """
senders = ["single_write"]
networks = ["unimpaired", "odd"]
sessions = 2
[[network]]
name = "odd"
title = "t"
"""


def test_a_network_that_cannot_be_made_stops_no_other(tmp_path: Path) -> None:
    """Its sessions fail and say why; those over the other network complete."""
    odd = TWO + 'client.congestion_control = "nosuch"\n'
    for record in scenario_of(tmp_path, odd):
        if record.network == "unimpaired":
            assert record.error is None
        else:
            assert record.error is not None
            assert "nosuch" in record.error


def test_nftables_is_needed_only_where_a_network_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ``nft``, a clamping router is refused by the package's name, all else runs."""
    monkeypatch.setattr(sandbox, "FILTER_TOOLS", {"no-such-nft": "nftables"})
    assert one_write(tmp_path, "unimpaired", 6000).error is None
    with pytest.raises(EnvironmentLacksError, match=r"pppoe-clamped: .*nft.* install .*nftables"):
        one_write(tmp_path, "pppoe-clamped", 6000)


@pytest.mark.timing
def test_slow_sessions_leave_room_for_others(tmp_path: Path) -> None:
    """Eight sessions that mostly wait run side by side with five jobs, and so take one's time."""
    file = tmp_path / "own.toml"
    file.write_text(
        'title = "t"\nsenders = ["single_write"]\nsessions = 8\n'
        '[[network]]\nname = "slow"\ntitle = "t"\nlinks.core.delay_ms = 150\n'
        '[[network]]\nname = "fast"\ntitle = "t"\n'
    )
    scenario = registry.scenario(file)
    specs = [(spec, scenario.network(spec.network)) for spec in plan_.plan(scenario, seed=5)]
    slow_s = scenario.network("slow").estimate_s(6000)
    records: list[SessionRecord] = []
    asyncio.run(KernelEngine(EngineOptions(jobs=5)).run(specs, records.append))
    assert [record.error for record in records] == [None] * 16
    slow = [record for record in records if record.network == "slow"]
    began, ended = zip(*((r.t0_ns, r.t0_ns + r.duration_ns) for r in slow), strict=True)
    assert (max(ended) - min(began)) / 1e9 < 1.7 * slow_s
    assert max(began) < min(ended)
