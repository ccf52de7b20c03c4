"""Who has which address in a lab: a pair of its own for every session, never used again.

Linux keeps what it learns about a path (path-MTU exceptions, TCP metrics) under the address of
the other side. With addresses of its own, no session can inherit what another one learned.
The client's and the server's ranges are AnyIP local routes, so that no address is ever configured.
"""

from ipaddress import IPv4Network

CLIENTS = IPv4Network("10.0.0.0/10")
SERVERS = IPv4Network("10.64.0.0/10")
SESSIONS_PER_LAB = CLIENTS.num_addresses - 2

CLIENT_LINK = "10.128.0.1"
ROUTER_ACCESS_LINK = "10.128.0.2"
ROUTER_CORE_LINK = "10.128.1.1"
SERVER_LINK = "10.128.1.2"

RAW_PORT = 2007
SMTP_PORT = 25


def client_address(flow: int) -> str:
    """The client's address in session number ``flow`` of a lab, counted from 1."""
    return str(CLIENTS[flow])


def server_address(flow: int) -> str:
    """The server's address in session number ``flow`` of a lab, counted from 1."""
    return str(SERVERS[flow])


def flow_of_server(address: str) -> int:
    """The session number that a server address belongs to."""
    base = int(SERVERS.network_address)
    a, b, c, d = address.split(".")
    return ((int(a) << 24) | (int(b) << 16) | (int(c) << 8) | int(d)) - base
