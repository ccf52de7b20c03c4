"""What decides segmentation: the scripts that set it, and the judgement of what was read back."""

import subprocess
from dataclasses import replace

import pytest

from seglab.experiment import registry
from seglab.kernel import host_setup
from seglab.kernel.host_setup import HostPlan, HostState

PLAN = HostPlan(
    {"net.ipv4.tcp_timestamps": "0", "net.ipv4.tcp_wmem": "4096 16384 4194304"},
    ("link set lo up", "route add 10.64.0.0/10 via 10.128.0.2 dev c-eth0 congctl nosuch"),
    ("c-eth0",),
)

ETHTOOL = """\
Features for c-eth0:
rx-checksumming: off
tx-checksumming: off
\ttx-checksum-ipv4: off [fixed]
scatter-gather: off
tcp-segmentation-offload: off
generic-segmentation-offload: off
generic-receive-offload: {gro}
large-receive-offload: off [fixed]
"""


def printed(gro: str = "off", timestamps: str = "0") -> str:
    """What the read-back script of ``PLAN`` prints: the formats are those of the programs."""
    return (
        "--seglab-- offloads c-eth0\n"
        + ETHTOOL.format(gro=gro)
        + "--seglab-- sysctls\n"
        + f"/proc/sys/net/ipv4/tcp_timestamps:{timestamps}\n"
        + "/proc/sys/net/ipv4/tcp_wmem:4096\t16384\t4194304\n"
        + '--seglab-- links\n[{"ifname":"lo","mtu":65536},{"ifname":"c-eth0","mtu":1480}]\n'
        + "--seglab-- routes\n10.64.0.0/10 via 10.128.0.2 dev c-eth0 onlink initcwnd 10 \n\n"
    )


def test_what_was_printed_is_understood() -> None:
    """Sysctls without their tabs, offloads by ethtool's short names, MTUs, routes."""
    state = host_setup.parse_state(printed())
    assert state.sysctls == PLAN.sysctls
    assert state.offloads == {
        "c-eth0": dict.fromkeys(("rx", "tx", "sg", "tso", "gso", "gro"), "off")
    }
    assert state.links == {"lo": 65536, "c-eth0": 1480}
    assert state.routes == ["10.64.0.0/10 via 10.128.0.2 dev c-eth0 onlink initcwnd 10"]
    assert [*host_setup.deviations("client", PLAN, state)] == []


@pytest.mark.parametrize(
    ("route", "segments"), [("initcwnd 10", 10), ("initcwnd 3 congctl cubic", 3), ("onlink", None)]
)
def test_the_initial_window_is_that_of_the_route(route: str, segments: int | None) -> None:
    """A route that says nothing leaves the window to the kernel, and the row without a number."""
    state = replace(host_setup.parse_state(printed()), routes=[f"10.64.0.0/10 dev c-eth0 {route}"])
    assert host_setup.initcwnd(state) == segments


@pytest.mark.parametrize("narrow", ["c-eth0", "r-eth0", "r-eth1", "s-eth0", None])
def test_the_mtu_of_the_path_is_that_of_its_narrowest_interface(narrow: str | None) -> None:
    """By what the hosts say, each of the four can be the narrowest; loopback is none of them."""
    devices = {"client": ["c-eth0"], "router": ["r-eth0", "r-eth1"], "server": ["s-eth0"]}
    states = {
        host: replace(
            host_setup.parse_state(printed()),
            links={"lo": 500} | {name: 1400 if name == narrow else 1480 for name in names},
        )
        for host, names in devices.items()
    }
    assert host_setup.path_mtu(states) == (1400 if narrow else 1480)


@pytest.mark.parametrize(
    ("state", "named"),
    [
        (
            host_setup.parse_state(printed(timestamps="1")),
            "client: sysctl net.ipv4.tcp_timestamps is '1', '0' was asked for",
        ),
        (
            host_setup.parse_state(printed(gro="on")),
            "client: offload gro at c-eth0 is 'on', 'off' was asked for",
        ),
        (
            host_setup.parse_state(printed(gro="on [requested off]")),
            "client: offload gro at c-eth0 is 'on', 'off' was asked for",
        ),
    ],
)
def test_each_deviation_is_named(state: HostState, named: str) -> None:
    """What the kernel did otherwise: where, what is, and what was asked for."""
    assert [*host_setup.deviations("client", PLAN, state)] == [named]


@pytest.mark.parametrize("cut", ["offloads", "sysctls"])
def test_what_was_not_read_back_is_no_proof(cut: str) -> None:
    """A part of the output is missing: each thing in it counts as a deviation."""
    state = replace(host_setup.parse_state(printed()), **{cut: {}})
    found = [*host_setup.deviations("client", PLAN, state)]
    assert len(found) == (len(host_setup.OFFLOADS) if cut == "offloads" else len(PLAN.sysctls))
    assert all("is None" in line for line in found)


@pytest.mark.parametrize(
    ("errors", "explained"),
    [
        (
            "RTNETLINK answers: No such file or directory\nCommand failed -:2\n",
            "RTNETLINK answers: No such file or directory "
            "(ip route add 10.64.0.0/10 via 10.128.0.2 dev c-eth0 congctl nosuch)",
        ),
        (
            "sh: 3: cannot create /proc/sys/net/ipv4/x: Directory nonexistent",
            "sh: 3: cannot create /proc/sys/net/ipv4/x: Directory nonexistent",
        ),
        ("", "no reason given"),
    ],
)
def test_a_script_that_failed_is_explained(errors: str, explained: str) -> None:
    """The program's own words, with the line of the batch that it stumbled over."""
    assert host_setup.explain(PLAN, errors) == explained


@pytest.mark.parametrize("name", sorted(registry.networks()))
def test_scripts_are_shell(name: str) -> None:
    """Every script of every network parses, sets what its plan says, and reads it back."""
    for plan in host_setup.host_plans(registry.network(name)).values():
        for script in (host_setup.set_up_script(plan), host_setup.read_back_script(plan)):
            checked = subprocess.run(
                ["sh", "-n"], input=script, text=True, capture_output=True, check=False
            )
            assert (checked.returncode, checked.stderr) == (0, "")
        for sysctl, value in plan.sysctls.items():
            path = "/proc/sys/" + sysctl.replace(".", "/")
            assert f"echo '{value}' > {path}\n" in host_setup.set_up_script(plan)
            assert path in host_setup.read_back_script(plan)
        for device in plan.devices:
            switches = "rx off tx off sg off tso off gso off gro off"
            assert f"ethtool -K {device} {switches}" in host_setup.set_up_script(plan)
            assert f"ethtool -k {device}\n" in host_setup.read_back_script(plan)


def test_what_the_issue_of_segmentation_hangs_on_is_pinned() -> None:
    """The client's plan has each setting by which two machines could cut differently."""
    client = host_setup.host_plans(registry.network("vb2014"))["client"]
    for name in ("autocorking", "base_mss", "congestion_control", "mtu_probing", "timestamps"):
        assert f"net.ipv4.tcp_{name}" in client.sysctls
    assert client.sysctls["net.ipv4.tcp_no_metrics_save"] == "1"
    assert "net.ipv4.route.mtu_expires" in client.sysctls
    assert any("initcwnd 10" in line for line in client.batch)
    assert any("mtu 1480" in line for line in client.batch)


def test_an_algorithm_that_the_sysctl_refuses_goes_by_the_route() -> None:
    """Reno and bbr may be set in a namespace; cubic is restricted, but a route takes it."""
    network = registry.network("vb2014")
    cubic = replace(network, client=replace(network.client, congestion_control="cubic"))
    client = host_setup.host_plans(cubic)["client"]
    assert client.sysctls["net.ipv4.tcp_congestion_control"] == "reno"
    assert any(line.endswith("initcwnd 10 congctl cubic") for line in client.batch)


@pytest.mark.parametrize("name", ["ethernet", "ipv6-ethernet"])
def test_only_a_kernels_own_client_takes_the_sessions_addresses(name: str) -> None:
    """With the simulator's TCP, the client's kernel has no such route, and so answers nothing."""
    network = registry.networks()[name]
    for tcp, routes in (("kernel", 1), ("simulator", 0)):
        client = replace(network.client, tcp=tcp)
        batch = host_setup.host_plans(replace(network, client=client))["client"].batch
        assert sum(line.startswith("route add local ") for line in batch) == routes
