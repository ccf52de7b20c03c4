"""The first message that the parent sends to each process of a lab: pure."""

from collections.abc import Mapping

import msgspec

from seglab.experiment.offers import Offers
from seglab.experiment.reader import Reader
from seglab.frames.addresses import PORTS
from seglab.kernel import host_setup
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.host_setup import HostPlan
from seglab.networks.network import Network

_WIRE_ENDS = {"access": ("w-c0", "w-r0"), "core": ("w-r1", "w-s0")}


def scripts(plans: Mapping[str, HostPlan]) -> ChannelMessage:
    """Return the init process's first message: how it sets each host up and reads it back."""
    return {
        "set_up": {name: host_setup.set_up_script(plan) for name, plan in plans.items()},
        "read_back": {name: host_setup.read_back_script(plan) for name, plan in plans.items()},
    }


def client_config(network: Network, host_netns: int) -> ChannelMessage:
    """Return the client's first message: where it must not run, and what its own TCP is like.

    Only a client with the simulator's TCP gets the network; the kernel's own TCP is set up on its
    host (``host_setup``).
    """
    config: ChannelMessage = {"host_netns": host_netns}
    if network.client.tcp == "simulator":
        config["network"] = msgspec.to_builtins(network)
    return config


def server_config(reader: Reader, offers: Offers, ip_version: int) -> ChannelMessage:
    """Return the server's first message: where it listens, how it reads, and what it offers."""
    how = {"reader": msgspec.to_builtins(reader), "offers": msgspec.to_builtins(offers)}
    everywhere = "0.0.0.0" if ip_version == 4 else "::"  # noqa: S104, in the lab alone
    listeners = [
        {"host": everywhere, "port": port, "protocol": protocol, **how}
        for protocol, port in PORTS.items()
    ]
    return {"config": {"listeners": listeners, "limits": {}}}


def wire_config(network: Network) -> ChannelMessage:
    """Return the wire's first message: the ends and the parameters of each link."""
    links = [
        {
            "name": name,
            "a": a,
            "b": b,
            "a_to_b": msgspec.to_builtins(getattr(network, name).up),
            "b_to_a": msgspec.to_builtins(getattr(network, name).down),
        }
        for name, (a, b) in _WIRE_ENDS.items()
    ]
    return {"config": {"links": links}}


def path_facts(network: Network) -> ChannelMessage:
    """Return the part of every client's job that depends on the network alone."""
    return {
        "round_trip_s": network.round_trip_s,
        "bw_mbit": network.slowest_mbit,
        "send_window_bytes": network.client.send_window_bytes,
    }
