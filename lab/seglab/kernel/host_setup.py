"""Sets everything that decides how a host cuts its writes into segments, and reads it back.

This module only writes scripts and reads what they printed; the lab's init process runs them.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seglab.frames.addresses import BY_VERSION, ETHERNET_MTU, MACS, Addresses
from seglab.networks.client import ClientTcp
from seglab.networks.network import Network, Router

OFFLOADS = ("rx", "tx", "sg", "tso", "gso", "gro")
"""The offloads that are off at every end of every link, by their names in ``ethtool -K``."""

_READ_BACK = {
    "rx": "rx-checksumming",
    "tx": "tx-checksumming",
    "sg": "scatter-gather",
    "tso": "tcp-segmentation-offload",
    "gso": "generic-segmentation-offload",
    "gro": "generic-receive-offload",
}
_MARK = "--seglab--"
_PROC = "/proc/sys/"

WIRE_MTU = 65535
"""The MTU of the interfaces at the wire, which is the largest that veth takes."""

_COMMON_SYSCTLS = {
    "net.ipv4.tcp_autocorking": "1",
    "net.ipv4.tcp_base_mss": "1024",
    "net.ipv4.tcp_congestion_control": "reno",
    "net.ipv4.tcp_ecn": "0",
    "net.ipv4.tcp_fastopen": "0",
    "net.ipv4.tcp_mtu_probing": "0",
    "net.ipv4.tcp_no_metrics_save": "1",
    "net.ipv4.tcp_sack": "1",
    "net.ipv4.tcp_slow_start_after_idle": "1",
    "net.ipv4.tcp_timestamps": "1",
    "net.ipv4.tcp_window_scaling": "1",
    "net.ipv4.tcp_wmem": "4096 16384 4194304",
    "net.ipv4.tcp_rmem": "4096 131072 6291456",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.ipv4.ip_no_pmtu_disc": "0",
    "net.ipv4.route.mtu_expires": "600",
    "net.ipv4.route.min_pmtu": "552",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
}
_NO_IPV6_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
_IPV6_SYSCTLS = {
    "net.ipv6.conf.all.disable_ipv6": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv6.conf.default.dad_transmits": "0",
    "net.ipv6.conf.default.router_solicitations": "0",
}
_FORWARDING = {
    4: {"net.ipv4.ip_forward": "1", "net.ipv4.icmp_ratelimit": "0"},
    6: {"net.ipv6.conf.all.forwarding": "1", "net.ipv6.icmp.ratelimit": "0"},
}


@dataclass(frozen=True, slots=True)
class HostPlan:
    """How one host of the lab is set up.

    Attributes:
        sysctls: the value of each sysctl by its name, in the form in which it is read back.
        batch: lines for ``ip -batch``.
        devices: its interfaces, whose offloads are switched off.
        rules: rules for ``nft``; empty for none.
    """

    sysctls: Mapping[str, str]
    batch: tuple[str, ...]
    devices: tuple[str, ...]
    rules: str = ""


@dataclass(frozen=True, slots=True)
class HostState:
    """What was really in force on one host, read back after it was set up.

    Attributes:
        sysctls: the value of each sysctl by its name.
        offloads: ``on`` or ``off`` by interface and offload.
        links: the MTU of each interface.
        routes: the lines of ``ip route``.
        rules: the lines of ``nft list ruleset``.
    """

    sysctls: dict[str, str] = field(default_factory=dict)
    offloads: dict[str, dict[str, str]] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    routes: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    def to_manifest(self) -> dict[str, object]:
        """Return the state as ``run.json`` has it."""
        return {
            "sysctls": self.sysctls,
            "offloads": self.offloads,
            "mtu": self.links,
            "routes": self.routes,
            "rules": self.rules,
        }


def host_plans(network: Network) -> dict[str, HostPlan]:
    """Return the plans of the three hosts and of the wire's ends, by the node's name."""
    at = BY_VERSION[network.ip_version]
    client = network.client
    far_mtu = max(ETHERNET_MTU, network.mtu)
    client_sysctls, route = _client_tcp(at, client)
    return {
        "client": HostPlan(
            _sysctls(at) | client_sysctls,
            (
                *_interface(at, "c-eth0", network.mtu, at.client_link),
                *_own_addresses(at, client),
                _neighbour(at.router_access_link, "r-eth0", "c-eth0"),
                f"route add {at.servers} via {at.router_access_link} dev c-eth0 onlink {route}",
            ),
            ("c-eth0",),
        ),
        "router": HostPlan(
            _sysctls(at) | _FORWARDING[at.version],
            (
                *_interface(at, "r-eth0", far_mtu, at.router_access_link),
                *_interface(at, "r-eth1", network.router.mtu or far_mtu, at.router_core_link),
                _neighbour(at.client_link, "c-eth0", "r-eth0"),
                _neighbour(at.server_link, "s-eth0", "r-eth1"),
                f"route add {at.clients} via {at.client_link} dev r-eth0 onlink",
                f"route add {at.servers} via {at.server_link} dev r-eth1 onlink",
            ),
            ("r-eth0", "r-eth1"),
            _rules(network.router),
        ),
        "server": HostPlan(
            _sysctls(at) | {"net.core.somaxconn": "4096", "net.ipv4.tcp_max_syn_backlog": "4096"},
            (
                *_interface(at, "s-eth0", far_mtu, at.server_link),
                f"route add local {at.servers} dev lo",
                _neighbour(at.router_core_link, "r-eth1", "s-eth0"),
                f"route add {at.clients} via {at.router_core_link} dev s-eth0 onlink",
            ),
            ("s-eth0",),
        ),
        "wire": HostPlan(
            {},
            tuple(f"link set {end} mtu {WIRE_MTU} up" for end in ("w-c0", "w-r0", "w-r1", "w-s0")),
            ("w-c0", "w-r0", "w-r1", "w-s0"),
        ),
    }


def _own_addresses(at: Addresses, client: ClientTcp) -> tuple[str, ...]:
    """Return the route that makes the sessions' addresses the client's own, if they are.

    Without it the kernel of the client drops what comes for them, and answers nothing. That is as
    it has to be where the simulator's TCP takes and answers these frames
    (``seglab.kernel.model_client``).
    """
    return (f"route add local {at.clients} dev lo",) if client.tcp == "kernel" else ()


def session_route(at: Addresses, flow: int, mtu: int) -> str:
    """Return lines for the router's ``ip -batch`` that set and show the MTU of a session's path.

    A forwarding router honours the MTU of a route (``ip_dst_mtu_maybe_forward``,
    ``ip6_dst_mtu_maybe_forward``), so that each session can have a schedule of its own.
    """
    server = at.server(flow)
    route = f"{server} via {at.server_link} dev r-eth1 onlink mtu {mtu}"
    return f"route replace {route}\nroute show {server}\n"


def program_route(at: Addresses, client: ClientTcp, flow: int) -> str:
    """Return a script for the client by which a program's connections have the session's address.

    A program binds its socket to no address, so the route to the session's server says which one
    it gets. IPv6 takes only an address that an interface has (``ip6_route_info_create_nh``).
    """
    own, server = at.client(flow), at.server(flow)
    _, options = _client_tcp(at, client)
    lines = [f"ip -6 address add {own}/128 dev lo nodad"] if at.version == 6 else []
    lines.append(
        f"ip -{at.version} route replace {server} via {at.router_access_link} dev c-eth0 onlink "
        f"src {own} {options}"
    )
    return "\n".join(["set -e", *lines, ""])


def _client_tcp(at: Addresses, client: ClientTcp) -> tuple[dict[str, str], str]:
    """Return the sysctls of the client's TCP, and the options of its route.

    Inside a network namespace the sysctl takes only algorithms that are not restricted
    (``tcp_set_default_congestion_control``), and a route takes any.
    """
    route = f"initcwnd {client.initcwnd}"
    default = client.congestion_control
    if default not in ("reno", "bbr"):
        route += f" congctl {default}"
        default = "reno"
    sysctls = {
        "net.ipv4.tcp_timestamps": "1" if client.timestamps else "0",
        "net.ipv4.tcp_sack": "1" if client.sack else "0",
        "net.ipv4.tcp_congestion_control": default,
        "net.ipv4.tcp_mtu_probing": str(client.mtu_probing),
    }
    expires = str(client.pmtu_expires_s)
    if expires != _COMMON_SYSCTLS["net.ipv4.route.mtu_expires"]:
        # without root the kernel does not show this one of IPv6 (ipv6_route_sysctl_init)
        sysctls |= {f"net.ipv{at.version}.route.mtu_expires": expires}
    return sysctls, route


def _sysctls(at: Addresses) -> dict[str, str]:
    """Return the sysctls of every host; IPv6 is off where the network does not use it."""
    return _COMMON_SYSCTLS | (_IPV6_SYSCTLS if at.version == 6 else _NO_IPV6_SYSCTLS)


def _rules(router: Router) -> str:
    """Return the router's nftables rules; empty where it has none."""
    chains = []
    if router.mss_clamp:
        chains.append(
            "chain clamp {\n  type filter hook forward priority mangle;\n"
            "  tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n}"
        )
    if not router.icmp:
        chains.append(
            "chain silent {\n  type filter hook output priority filter;\n"
            "  icmp type destination-unreachable drop\n  icmpv6 type packet-too-big drop\n}"
        )
    return "\n".join(["table inet seglab {", *chains, "}"]) if chains else ""


def set_up_script(plan: HostPlan) -> str:
    """Return the shell script that sets a host up."""
    lines = ["set -eu"]
    lines += [f"echo '{value}' > {_proc_path(name)}" for name, value in plan.sysctls.items()]
    lines += [
        f"ethtool -K {device} {' '.join(f'{name} off' for name in OFFLOADS)} >/dev/null"
        for device in plan.devices
    ]
    lines += ["ip -batch - <<'BATCH'", *plan.batch, "BATCH"]
    if plan.rules:
        lines += ["nft -f - <<'RULES'", plan.rules, "RULES"]
    return "\n".join(lines) + "\n"


def read_back_script(plan: HostPlan) -> str:
    """Return the shell script that prints what is in force, once the whole lab is set up."""
    lines = ["set -eu"]
    if plan.rules:
        lines += [f"echo {_MARK} rules", "nft list ruleset"]
    for device in plan.devices:
        lines += [f"echo {_MARK} offloads {device}", f"ethtool -k {device}"]
    if plan.sysctls:
        lines += [f"echo {_MARK} sysctls", f"grep -H '' {' '.join(map(_proc_path, plan.sysctls))}"]
    lines += [
        f"echo {_MARK} links",
        "ip -json link",
        f"echo {_MARK} routes",
        "ip route show table all",
        "ip -6 route show table all",
    ]
    return "\n".join(lines) + "\n"


def parse_state(output: str) -> HostState:
    """Read what the script of ``read_back_script`` printed."""
    state = HostState()
    for block in output.split(_MARK)[1:]:
        head, _, body = block.strip().partition("\n")
        kind, _, name = head.partition(" ")
        if kind == "offloads":
            state.offloads[name] = _parse_offloads(body)
        elif kind == "sysctls":
            state.sysctls.update(_parse_sysctls(body))
        elif kind == "links":
            state.links.update({link["ifname"]: link["mtu"] for link in json.loads(body)})
        else:
            lines = [line.strip() for line in body.splitlines() if line.strip()]
            (state.rules if kind == "rules" else state.routes).extend(lines)
    return state


def deviations(host: str, plan: HostPlan, state: HostState) -> Iterable[str]:
    """Yield a line for each setting that is not in force as it was asked for."""
    for name, value in plan.sysctls.items():
        found = state.sysctls.get(name)
        if found != value:
            yield f"{host}: sysctl {name} is {found!r}, {value!r} was asked for"
    for device in plan.devices:
        offloads = state.offloads.get(device, {})
        for offload in OFFLOADS:
            found = offloads.get(offload)
            if found != "off":
                yield f"{host}: offload {offload} at {device} is {found!r}, 'off' was asked for"


def path_mtu(states: Mapping[str, HostState]) -> int:
    """Return the largest packet that all hosts of the path carry, by what was read back."""
    ends = {"client": ("c-eth0",), "router": ("r-eth0", "r-eth1"), "server": ("s-eth0",)}
    return min(states[host].links[device] for host, devices in ends.items() for device in devices)


def initcwnd(client: HostState) -> int | None:
    """Return the initial congestion window of the client's route to the server, in segments.

    Returns:
        ``None`` where no route says it, so that the kernel's own default is in force.
    """
    found = re.search(r"\binitcwnd (\d+)", "\n".join(client.routes))
    return None if found is None else int(found[1])


def explain(plan: HostPlan, errors: str) -> str:
    """Return the first error of a failed script, with the line of the batch that failed."""
    lines = [line.strip() for line in errors.strip().splitlines()]
    failed = re.search(r"Command failed -:(\d+)", errors)
    if failed is None:
        return lines[0] if lines else "no reason given"
    return f"{lines[0]} (ip {plan.batch[int(failed[1]) - 1]})"


def _interface(at: Addresses, device: str, mtu: int, address: str) -> tuple[str, ...]:
    """Return the batch lines of an interface with one address.

    The address can be used at once, without duplicate address detection.
    """
    length, at_once = (32, "") if at.version == 4 else (128, " nodad")
    return (
        "link set lo up",
        f"link set {device} addrgenmode none",
        f"link set {device} address {MACS[device]} mtu {mtu} up",
        f"address add {address}/{length} dev {device}{at_once}",
    )


def _neighbour(address: str, device: str, via: str) -> str:
    return f"neigh replace {address} lladdr {MACS[device]} dev {via} nud permanent"


def _proc_path(sysctl: str) -> str:
    return _PROC + sysctl.replace(".", "/")


def _parse_sysctls(text: str) -> dict[str, str]:
    values = {}
    for line in text.splitlines():
        path, _, value = line.partition(":")
        values[path.removeprefix(_PROC).replace("/", ".")] = " ".join(value.split())
    return values


def _parse_offloads(text: str) -> dict[str, str]:
    values = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(": ")
        values[name] = value.split(" ")[0]
    return {short: values.get(long, "absent") for short, long in _READ_BACK.items()}
