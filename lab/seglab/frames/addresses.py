"""The addresses of a lab: every session has a pair of its own, which is never used again.

Linux keeps what it learns about a path (path-MTU exceptions, TCP metrics) under the address of
the other side. Since no other session has its addresses, no session inherits what another learned.
The hosts have local routes to the whole ranges of client and server addresses (AnyIP), so that no
single address needs to be configured.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

RAW_PORT = 2007
SMTP_PORT = 25

PORTS: Final = {"raw": RAW_PORT, "smtp": SMTP_PORT}
"""The port of the lab's server for each protocol."""

CLIENT_PORTS: Final = (32_768, 60_999)
"""The first and the last port that a client may have (``net.ipv4.ip_local_port_range``)."""

MACS: Final = {
    "c-eth0": "02:00:00:00:00:01",
    "r-eth0": "02:00:00:00:00:02",
    "r-eth1": "02:00:00:00:00:03",
    "s-eth0": "02:00:00:00:00:04",
}
"""The Ethernet address of each interface."""

ETHERNET_MTU: Final = 1500
"""The MTU of the router and the server, unless the client has a larger one."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a lab in one version of IP.

    Attributes:
        version: 4 or 6.
        clients: the range from which sessions take their client's address.
        servers: the range from which sessions take their server's address.
        client_link: the address of the client's interface itself.
        router_access_link: the address of the router's interface towards the client.
        router_core_link: the address of the router's interface towards the server.
        server_link: the address of the server's interface itself.
    """

    version: int
    clients: IPv4Network | IPv6Network
    servers: IPv4Network | IPv6Network
    client_link: str
    router_access_link: str
    router_core_link: str
    server_link: str

    def client(self, flow: int) -> str:
        """Return the client's address in session number ``flow`` of a lab, counted from 1."""
        return str(self.clients[flow])

    def server(self, flow: int) -> str:
        """Return the server's address in session number ``flow`` of a lab, counted from 1."""
        return str(self.servers[flow])

    def flow_of_server(self, address: str) -> int:
        """Return the number of the session that a server's address belongs to."""
        return int(ip_address(address)) - int(self.servers.network_address)


IPV4 = Addresses(
    4,
    ip_network("10.0.0.0/10"),
    ip_network("10.64.0.0/10"),
    "10.128.0.1",
    "10.128.0.2",
    "10.128.1.1",
    "10.128.1.2",
)
IPV6 = Addresses(
    6,
    ip_network("fd00:1::/64"),
    ip_network("fd00:2::/64"),
    "fd00:3::1",
    "fd00:3::2",
    "fd00:4::1",
    "fd00:4::2",
)
BY_VERSION = {4: IPV4, 6: IPV6}
