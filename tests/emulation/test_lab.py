"""A whole lab on the real kernel: what it sets, what it sees, and what it keeps apart."""

import asyncio
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from seglab.core import plugins
from seglab.core.record import SessionRecord
from seglab.core.trace import sizes
from seglab.engine import EngineOptions
from seglab.errors import EnvironmentLacksError
from seglab.experiment import plan as plan_
from seglab.experiment import registry
from seglab.experiment.plan import SessionSpec
from seglab.experiment.scenario import with_own_senders
from seglab.frames.addresses import BY_VERSION
from seglab.kernel import engine as engine_
from seglab.kernel import join
from seglab.kernel.engine import KernelEngine
from seglab.kernel.lab import KernelLab
from seglab.kernel.reports import SessionReports
from seglab.networks.network import Network

PLANNED = tuple[SessionSpec, Network]


def planned(scenario: str, sessions: int, network: str | None = None) -> list[PLANNED]:
    """The sessions of a scenario, its sweep left out, perhaps over another network."""
    what = registry.scenario(scenario)
    found = []
    for spec in plan_.plan(what, seed=7, sessions=sessions):
        if not spec.variant:
            path = registry.network(network or spec.network)
            found.append((replace(spec, network=path.name), path))
    return found


def run(specs: list[PLANNED], folder: Path | None = None, **options: float) -> list[SessionRecord]:
    """Carry the sessions out on the kernel engine."""
    records: list[SessionRecord] = []
    engine = KernelEngine(EngineOptions(folder=folder, **options))
    asyncio.run(engine.run(specs, records.append))
    return records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder's place for captures."""
    (tmp_path / "wire").mkdir()
    return tmp_path


def test_a_sender_in_a_file(folder: Path) -> None:
    """The lab's client finds a user's own sender by the path of its file."""
    shipped = (plugins.shipped("senders") / "fixed_buffer.py").read_text()
    file = folder / "my_sender.py"
    file.write_text(shipped.replace('name="fixed_buffer"', 'name="mine"'))
    what = with_own_senders(registry.scenario("listing-12"), [str(file)])
    specs = [spec for spec in plan_.plan(what, seed=7, sessions=1) if spec.sender == "mine"]
    (record,) = run([(spec, what.network(spec.network)) for spec in specs[:1]], folder)
    assert (record.error, record.sender) == (None, "mine")
    assert set(sizes(record.writes)[:-1]) == {2048}


def test_rows_say_what_was_in_force_and_not_what_was_planned() -> None:
    """Once a lab runs, its hosts are changed: the row has what a socket and the hosts say."""

    async def carry() -> SessionRecord:
        (spec, network), *_ = planned("scenario-1", 1)
        async with KernelLab(network, spec.reader) as lab:
            assert lab.states["client"].links["c-eth0"] == network.mtu
            lab.states["client"].links["c-eth0"] = 1400  # as if the kernel had set another MTU
            routes = lab.states["client"].routes
            planned_initcwnd = f"initcwnd {network.client.initcwnd}"
            assert any(planned_initcwnd in line for line in routes)
            routes[:] = [line.replace(planned_initcwnd, "initcwnd 3") for line in routes]
            route = next(line for line in routes if "initcwnd" in line)
            words = route.replace("table main", "")
            await lab.execute("client", f"ip route replace {words} congctl cubic")
            reports = await lab.session(join.client_job(spec, 20.0), join.wire_order(spec))
            return join.assemble(spec, network, reports, 0).record

    record = asyncio.run(carry())
    assert (record.error, record.mtu, record.initcwnd) == (None, 1400, 3)
    assert record.congestion_control == "cubic"


def test_frames_of_no_session_are_counted() -> None:
    """A datagram is a stray on each of its two links; the engine's environment has the number."""
    peer = BY_VERSION[4].server(99), 9
    send = f"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', {peer})"

    class Disturbed(KernelLab):
        async def session(self, *arguments: object) -> SessionReports:
            await self.execute("client", f'{sys.executable} -c "{send}"')
            return await super().session(*arguments)  # type: ignore[arg-type]

    specs = planned("scenario-1", 1)
    engine = KernelEngine(EngineOptions())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_, "KernelLab", Disturbed)
        asyncio.run(engine.run(specs, lambda _: None))
    strays = engine.environments[specs[0][1].name]["wire"]["strays"]
    assert strays["passed"] >= 2
    assert strays["lost"] == 0


def test_a_single_write_is_cut_at_the_mss_and_conserved(folder: Path) -> None:
    """5120 bytes at MTU 1480 without timestamps: three segments of 1440 and the rest."""
    records = run(planned("scenario-1", 5), folder)
    assert [record.error for record in records] == [None] * 5
    for record in records:
        assert record.mss == 1440
        assert not record.timestamps
        assert sizes(record.writes) == [5120]
        assert sizes(record.segments) == [1440, 1440, 1440, 800]
        assert sum(sizes(record.reads)) == 5120
        assert record.trace.loss_free
        for segment in record.segments:
            assert segment.t_arrived_ns is not None
            assert segment.t_arrived_ns - segment.t_sent_ns >= 70_000_000
        for name in (record.captures.client, record.captures.server):
            assert name is not None
            assert (folder / name).stat().st_size > 1000


@pytest.mark.timing
def test_the_pause_between_writes_is_kept() -> None:
    """Scenario 3's second write comes 100 ms after the first, at the socket call."""
    (record,) = run(planned("scenario-3", 1))
    first, second = record.writes
    assert 100e6 <= second.t_ns - first.t_ns < 140e6


@pytest.mark.parametrize("sender", sorted(registry.senders()))
def test_every_sender_gets_its_payload_through(sender: str, tmp_path: Path) -> None:
    """Each registered sender completes, and its writes are those of its steps."""
    file = tmp_path / "all.toml"
    file.write_text(
        f'title = "one"\nnetworks = ["unimpaired"]\nsessions = 2\n[[senders]]\nname = "{sender}"\n'
    )
    scenario = registry.scenario(file)
    specs = [(s, scenario.network(s.network)) for s in plan_.plan(scenario, seed=3)]
    for record, (spec, _) in zip(sorted(run(specs), key=lambda r: r.repeat), specs, strict=True):
        message = plan_.message(spec, registry.sender(sender))
        assert record.error is None
        assert record.payload_bytes == len(message.wire)
        assert record.payload_sha256 == hashlib.sha256(message.wire).hexdigest()
        steps = registry.sender(sender).steps(message, spec.parameters)
        assert sizes(record.writes) == [len(s.data) for s in steps if hasattr(s, "data")]


def test_what_decides_segmentation_is_read_back() -> None:
    """The states come from the hosts themselves: sysctls, offloads, MTUs and routes."""

    async def states() -> dict[str, object]:
        reader = registry.scenario("scenario-1").reader
        async with KernelLab(registry.network("vb2014"), reader) as lab:
            return {host: state.to_manifest() for host, state in lab.states.items()}

    found = asyncio.run(states())
    client = found["client"]
    assert client["sysctls"]["net.ipv4.tcp_timestamps"] == "0"
    assert client["sysctls"]["net.ipv4.tcp_congestion_control"] == "reno"
    assert set(client["offloads"]["c-eth0"].values()) == {"off"}
    assert client["mtu"]["c-eth0"] == 1480
    assert any("initcwnd 10" in route for route in client["routes"])
    assert found["router"]["sysctls"]["net.ipv4.ip_forward"] == "1"
    assert not any(
        route.startswith("default") for host in found.values() for route in host["routes"]
    )


def test_a_setting_that_the_kernel_does_not_have_is_an_error() -> None:
    """A congestion control that does not exist is refused, by name."""
    network = registry.network("vb2014")
    odd = replace(network, client=replace(network.client, congestion_control="nosuch"))
    specs = [(spec, odd) for spec, _ in planned("scenario-1", 1)]
    with pytest.raises(EnvironmentLacksError, match="nosuch"):
        run(specs)


def test_an_offload_that_leaks_refuses_the_run() -> None:
    """With GRO on before the wire, it sees segments merged to frames above the MSS: an error."""

    async def leak() -> None:
        (spec, network), *_ = planned("scenario-1", 1)
        async with KernelLab(network, spec.reader) as lab:
            await lab.execute("wire", "ethtool -K w-c0 gro on")
            outcome = await lab.session(join.client_job(spec, 1.0), join.wire_order(spec))
            join.assemble(spec, network, outcome, 0)

    with pytest.raises(EnvironmentLacksError, match=r"exceeds the MSS 1440; is TSO"):
        asyncio.run(leak())


def test_nothing_learned_about_a_path_reaches_the_next_session() -> None:
    """A path-MTU exception cuts one session's segments, and no other's before or after."""

    async def three() -> list[list[int]]:
        found = []
        (spec, network), *_ = planned("scenario-1", 1)
        async with KernelLab(network, spec.reader) as lab:
            for narrow in (False, True, False):
                if narrow:
                    await lab.execute("router", "ip link set r-eth1 mtu 1000")
                outcome = await lab.session(join.client_job(spec, 10.0), join.wire_order(spec))
                record = join.assemble(spec, network, outcome, 0).record
                arrived = [s for s in record.segments if not s.dropped]
                found.append([max(sizes(arrived)), record.mss])
                if narrow:
                    assert "mtu 1000" in await lab.execute("client", "ip route show cache")
                    assert await lab.execute("client", "ip tcp_metrics show") == ""
                    await lab.execute("router", "ip link set r-eth1 mtu 1500")
        return found

    assert asyncio.run(three()) == [[1440, 1440], [960, 1440], [1440, 1440]]


def test_the_client_refuses_to_speak_outside_a_lab() -> None:
    """In the namespace of the tests there is no lab: the client says why it will not speak."""
    from seglab.kernel import sandbox  # noqa: PLC0415
    from seglab.kernel.client_start import refusal  # noqa: PLC0415

    assert refusal(sandbox.network_namespace()) == "this is the host's own network namespace"
    assert refusal(0) is not None


def test_the_lab_has_no_way_out() -> None:
    """From the client, an address outside the lab is unreachable, and the host's are unseen."""

    async def look() -> tuple[str, str]:
        (spec, network), *_ = planned("scenario-1", 1)
        async with KernelLab(network, spec.reader) as lab:
            route = await lab.execute("client", "ip route get 192.0.2.1 2>&1 || true")
            return route, await lab.execute("wire", "ls /sys/class/net 2>&1; ip -br link")

    route, links = asyncio.run(look())
    assert "unreachable" in route
    assert "eth0@" not in links.replace("w-", "")
