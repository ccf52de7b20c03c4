"""Clients whose TCP is not Linux's: what a network may say, what they send, and what shows it."""

import asyncio
import json
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from dataset_making import SPEC, PureEngine, build, spec_of

from seglab.commands.list import list_command
from seglab.commands.run import run
from seglab.core.record import SessionRecord
from seglab.core.specfile import SpecTable, decode
from seglab.core.tcpip import full_segment
from seglab.core.trace import first_sent, sizes
from seglab.dataset.layout import Layout
from seglab.engine import EngineOptions, client_tcp, engine
from seglab.errors import InputError
from seglab.execution.request import RunRequest
from seglab.networks.client import ClientTcp, parse
from seglab.networks.personality import PERSONALITIES
from seglab.reproduction.paper import paper
from seglab.runs.parquet import read_sessions, write_sessions

OTHERS = [name for name in PERSONALITIES if name != "linux"]
ROUND_TRIP_NS = 40_000_000


def client(text: str, base: ClientTcp | None = None, mss: int = 1460) -> ClientTcp:
    """The client's TCP that some TOML describes."""
    table = SpecTable("my.toml", decode(text.encode(), "my.toml"))
    return parse(table, base or ClientTcp(), mss)


def simulated(path: Path, payload: int, tcp: str, buffer: int = 65_536) -> SessionRecord:
    """One mail on the simulator, written in buffers, 20 ms each way, Nagle's algorithm on."""
    file = path / "own.toml"
    file.write_text(
        f"""
        title = "t"
        sessions = 1
        message.payload_bytes = {payload}
        [[senders]]
        name = "fixed_buffer"
        parameters = {{ buffer_bytes = {buffer}, nodelay = false }}
        [[network]]
        name = "own"
        title = "t"
        client = {{ {tcp} }}
        links.core.delay_ms = 20
        """
    )
    records: list[SessionRecord] = []
    planned = RunRequest((str(file),)).specs(2014)
    asyncio.run(engine("simulator", EngineOptions()).run(planned, records.append))
    (record,) = records
    assert record.error is None
    return record


def test_a_personality_fixes_what_its_documents_say() -> None:
    """Windows: no timestamps, SACK, two segments; lwIP: neither of both, three segments."""
    windows, lwip = client('personality = "windows"'), client('personality = "lwip"')
    assert (windows.timestamps, windows.sack, windows.initcwnd) == (False, True, 2)
    assert (lwip.timestamps, lwip.sack, lwip.initcwnd) == (False, False, 3)
    assert (windows.tcp, lwip.tcp, client("").tcp) == ("simulator", "simulator", "kernel")


@pytest.mark.parametrize(
    ("mss", "segments"), [(536, 4), (1095, 4), (1096, 3), (1460, 3), (2190, 2), (4312, 2)]
)
def test_the_initial_window_of_rfc_3390(mss: int, segments: int) -> None:
    """Four segments up to 1095 bytes, two from 2190 bytes on, 4380 bytes between."""
    assert client('personality = "lwip"', mss=mss).initcwnd == segments
    at_another_mtu = client("", client('personality = "lwip"', mss=9000), mss)
    assert at_another_mtu.initcwnd == segments


def test_like_and_personality() -> None:
    """What a network takes from another gives way to the personality, and comes back with Linux."""
    base = client("timestamps = true\ninitcwnd = 7\nsend_window_bytes = 1460")
    windows = client('personality = "windows"', base)
    assert (windows.timestamps, windows.initcwnd, windows.send_window_bytes) == (False, 2, 1460)
    assert client("", windows) == windows
    assert client('personality = "linux"', windows) == ClientTcp(send_window_bytes=1460)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('personality = "windows"\ntimestamps = true', "timestamps: expected false, as windows"),
        ('personality = "windows"\ninitcwnd = 10', "initcwnd: expected 2, as windows has it"),
        ('personality = "lwip"\nsack = true', "sack: expected false, as lwip has it"),
        ('personality = "lwip"\ntcp = "kernel"', "tcp: expected 'simulator', as lwip has it"),
        ('personality = "solaris"', "personality: unknown 'solaris'"),
        ("personality = 7", "personality: expected one of linux, windows, lwip, found 7"),
        ('tcp = "scapy"', "tcp: unknown 'scapy'"),
    ],
)
def test_contradictions_are_refused_in_one_line(text: str, says: str) -> None:
    """The line says where, what the personality has and what was found."""
    with pytest.raises(InputError) as caught:
        client(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_unchecked_personality_cites_documents() -> None:
    """Rules that nobody measured have a source that somebody can read."""
    assert {name: PERSONALITIES[name].checked for name in OTHERS} == dict.fromkeys(OTHERS, False)
    for name in OTHERS:
        assert len(PERSONALITIES[name].source) > 40
        assert PERSONALITIES[name].label == f"{name}, unchecked"


@pytest.mark.parametrize(("name", "first"), [("windows", 2), ("lwip", 3)])
def test_the_initial_window(tmp_path: Path, name: str, first: int) -> None:
    """RFC 2581, 3.1, and lwIP: so many full segments leave before an acknowledgement can come."""
    record = simulated(tmp_path, 14_600, f'personality = "{name}"')
    began_ns = record.segments[0].t_sent_ns
    flight = [s for s in record.segments if s.t_sent_ns < began_ns + ROUND_TRIP_NS]
    assert sizes(flight) == [1460] * first


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize(("payload", "buffer"), [(1560, 65_536), (3000, 700), (9000, 2048)])
def test_rfc_896(tmp_path: Path, name: str, payload: int, buffer: int) -> None:
    """A short segment leaves only where nothing is unacknowledged: a round trip after the last."""
    record = simulated(tmp_path, payload, f'personality = "{name}"', buffer)
    segments = record.segments
    assert any(s.end - s.start < record.mss for s in segments)
    for before, segment in pairwise(segments):
        if segment.end - segment.start < record.mss:
            assert segment.t_sent_ns >= before.t_sent_ns + ROUND_TRIP_NS


def test_linux_waits_for_short_segments_alone(tmp_path: Path) -> None:
    """The same writes on Linux: Minshall's change lets the short one go at once."""
    for personality, waits in (("linux", False), ("windows", True)):
        tcp = f'personality = "{personality}"'
        record = simulated(tmp_path, full_segment(1500, timestamps=not waits) + 100, tcp)
        full, short = record.segments
        assert (short.t_sent_ns - full.t_sent_ns >= ROUND_TRIP_NS) == waits


def test_listing_9_comes_from_a_window_that_counts_bytes() -> None:
    """VB2014: its sizes begin as published, on the wire, without a hold-back above TCP."""
    published = paper().listings[9].sizes
    ((spec, network), *_) = RunRequest(("listing-09",), sessions=1).specs(2014)
    text = 'personality = "windows"\nsend_window_bytes = 1460'
    records: list[SessionRecord] = []
    planned = [(spec, replace(network, client=client(text)))]
    asyncio.run(engine("simulator", EngineOptions()).run(planned, records.append))
    assert records[0].error is None
    found = sizes(first_sent(records[0].segments))
    assert found[:5] == list(published[:5])
    assert sum(found) == sum(published)


def test_a_record_says_whose_tcp_it_was(tmp_path: Path) -> None:
    """Also after a Parquet file, and in a row's words."""
    record = simulated(tmp_path, 1000, 'personality = "windows"')
    assert record.client_tcp == "simulator: windows, unchecked"
    path = tmp_path / "sessions.parquet"
    with path.open("wb") as file:
        write_sessions(file, [record])
    assert [r.client_tcp for r in read_sessions(path)] == [record.client_tcp]
    plain = simulated(tmp_path, 1000, 'personality = "linux"')
    assert plain.client_tcp == "simulator: linux"


def test_what_a_run_says_of_its_clients() -> None:
    """A sentence for each unchecked personality, and none where there is nothing to say."""
    ((_, network), *_) = RunRequest(("personalities",), networks=("from-windows",)).specs(1)
    networks = {network.name: msgspec.to_builtins(network)}
    (words,) = client_tcp.remarks(networks, "simulator")
    assert words.startswith("Unchecked: over from-windows, the client's TCP is a model of windows.")
    assert client_tcp.unchecked(networks) == ["windows, unchecked"]
    plain = {"plain": {"client": asdict(ClientTcp())}}
    assert not [*client_tcp.remarks(plain, "kernel"), *client_tcp.unchecked(plain)]
    ours = {"wire": {"client": asdict(ClientTcp(tcp="simulator"))}}
    assert "the simulator's, not the kernel's" in next(client_tcp.remarks(ours, "kernel"))
    assert not list(client_tcp.remarks(ours, "simulator"))


@pytest.mark.parametrize(
    "networks",
    [{"a": None}, {"a": {"client": 3}}, {"a": {}}, {"a": {"client": {"tcp": ["x"]}}}],
)
def test_a_strangers_manifest_says_nothing(networks: dict[str, object]) -> None:
    """And raises nothing; an unknown personality is unchecked, on one line."""
    assert not list(client_tcp.remarks(networks, "kernel"))
    odd = {"a": {"client": {"personality": "x\n\x1b[31m" + "y" * 900}}}
    (words,) = client_tcp.remarks(odd, "kernel")
    assert json.dumps(words).isascii()
    assert "\n" not in words
    assert "\x1b" not in words
    assert len(words) < 300


OWN = """
title = "t"
senders = ["relay"]
sessions = 1
message.payload_bytes = 3000
[[network]]
name = "own"
title = "t"
client.personality = "lwip"
"""


def test_a_run_says_unchecked_wherever_it_shows(tmp_path: Path) -> None:
    """On the terminal, in the page, in the figures and in the manifest."""
    file, out = tmp_path / "mine.toml", tmp_path / "out"
    file.write_text(OWN)
    arguments = [str(file), "--engine", "simulator", "--out", str(out), "--quiet"]
    result = CliRunner().invoke(run, arguments, standalone_mode=False)
    assert result.exception is None, result.output
    assert "Unchecked: over own, the client's TCP is a model of lwip." in " ".join(
        result.output.split()
    )
    assert "the client&#39;s TCP is a model of lwip" in (out / "report.html").read_text()
    manifest = json.loads((out / "run.json").read_text())
    assert manifest["client_tcp"] == {"own": "simulator: lwip, unchecked"}
    figures = sorted((out / "figures").glob("*.svg"))
    assert figures
    assert all("lwip, unchecked" in figure.read_text() for figure in figures)


def test_only_figures_of_an_unchecked_client_say_so(tmp_path: Path) -> None:
    """The figures of a scenario name the clients of its networks, those of the run all."""
    own, plain, out = tmp_path / "mine.toml", tmp_path / "plain.toml", tmp_path / "out"
    own.write_text(OWN)
    plain.write_text(OWN.replace("own", "plain").replace("lwip", "linux"))
    arguments = [str(own), str(plain), "--engine", "simulator", "--out", str(out), "--quiet"]
    result = CliRunner().invoke(run, arguments, standalone_mode=False)
    assert result.exception is None, result.output
    texts = {figure.stem: figure.read_text() for figure in (out / "figures").glob("*.svg")}
    assert {"distribution", "timeline-mine", "timeline-plain"} <= texts.keys()
    assert {name for name, text in texts.items() if "unchecked" not in text} == {"timeline-plain"}
    assert "engine: simulator " in texts["timeline-plain"]


def test_a_dataset_says_unchecked(tmp_path: Path) -> None:
    """In its datasheet and in its manifest."""
    networks = 'networks = ["from-windows"]'
    text = SPEC.replace('networks = ["unimpaired", "ethernet", "tunnel-1420"]', networks)
    text = text.replace('networks = { test = ["tunnel-1420"] }\n', "")
    text += '[[network]]\nname = "from-windows"\ntitle = "t"\nclient.personality = "windows"\n'
    PureEngine.reset()
    manifest = build(tmp_path, spec_of(text))
    assert manifest.client_tcp == {"from-windows": "simulator: windows, unchecked"}
    assert "Unchecked: over from-windows" in Layout(tmp_path).datasheet.read_text()


def test_a_scenarios_list_says_unchecked() -> None:
    """Beside the network's name on the terminal, and by network as JSON."""
    result = CliRunner().invoke(list_command, ["scenarios"], standalone_mode=False)
    (line,) = [line for line in result.output.splitlines() if line.startswith("personalities\t")]
    assert "from-linux, from-windows (windows, unchecked), from-lwip (lwip, unchecked)" in line
