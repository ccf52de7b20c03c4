"""How each client of a lab starts: it refuses to speak outside, is prepared, and does its jobs."""

import socket
from collections.abc import Callable
from pathlib import Path

from seglab.kernel.channel import Channel, ChannelMessage

_CLIENT_INTERFACE = "c-eth0"


class RefusedError(Exception):
    """The client must not, or cannot, work here; the message says why."""


def served(fd: int, prepare: Callable[[Channel, ChannelMessage], Callable[[], None]]) -> int:
    """Do the jobs that come over ``fd``; return the exit status.

    Args:
        fd: the client's end of the channel, over which its configuration comes first.
        prepare: makes what carries the jobs out; may raise ``RefusedError``.
    """
    channel = Channel.from_fd(fd)
    config = channel.receive()
    if config is None:
        return 0
    try:
        if reason := refusal(config["host_netns"]):
            raise RefusedError(reason)
        run = prepare(channel, config)
    except RefusedError as error:
        channel.send({"refused": str(error)})
        return 2
    channel.send({"ready": True})
    run()
    return 0


def refusal(host_netns: int, interface: str = _CLIENT_INTERFACE) -> str | None:
    """Return why the client must not speak here; ``None`` inside a lab.

    The client speaks only in a network namespace that is not the host's and that has no interface
    but the lab's and no default route. It speaks only to the lab's own addresses (``check_peer``).
    A program that serves is held to the same, on the server's ``interface``.
    """
    if Path("/proc/self/ns/net").stat().st_ino == host_netns:
        return "this is the host's own network namespace"
    if others := {name for _, name in socket.if_nameindex()} - {"lo", interface}:
        return f"this network namespace has other interfaces: {', '.join(sorted(others))}"
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    if any(route[1] == "00000000" for route in routes):
        return "this network namespace has a default route"
    table = Path("/proc/net/ipv6_route")
    routes = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    if any(route[1] == "00" and route[-1] != "lo" for route in routes):
        return "this network namespace has a default route for IPv6"
    return None
