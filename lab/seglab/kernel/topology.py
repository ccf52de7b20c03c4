"""The lab's topology in Mininet; no other module imports Mininet.

    client c-eth0 -- w-c0 [wire] w-r0 -- r-eth0 router r-eth1 -- w-r1 [wire] w-s0 -- s-eth0 server

``client``, ``router`` and ``server`` are network namespaces of their own; ``wire`` stands in the
lab's root namespace, where one process forwards every frame (``seglab.kernel.wire``).

Mininet's ``clean.cleanup()`` kills by pattern and its ``fixLimits()`` raises host-wide sysctls:
neither is ever called.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _stand_in_for_distutils() -> Iterator[None]:
    """Give Mininet the one name of ``distutils`` that it imports.

    Mininet compares versions of Open vSwitch with it, which the lab never needs. Newer Pythons have
    no distutils, and the one of setuptools takes longer to import than a host takes to start.
    """
    names = "distutils", "distutils.version"
    saved = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules[name] = ModuleType(name)
    sys.modules["distutils.version"].StrictVersion = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


with _stand_in_for_distutils():
    from mininet.link import Intf, Link
    from mininet.log import setLogLevel
    from mininet.net import Mininet
    from mininet.node import Host, Node
    from mininet.topo import Topo

HOSTS = ("client", "router", "server")

_LINKS = (
    ("client", "c-eth0", "w-c0"),
    ("router", "r-eth0", "w-r0"),
    ("router", "r-eth1", "w-r1"),
    ("server", "s-eth0", "w-s0"),
)


class LabIntf(Intf):  # type: ignore[misc]  # Mininet has no types
    """An interface that Mininet does not configure, since the host's script does."""

    def config(self, **_params: object) -> dict[str, object]:
        """Leave the interface as the kernel made it."""
        return {}


class LabHost(Host):  # type: ignore[misc]
    """A host that Mininet does not configure and gives no address, since its script does."""

    def config(self, **_params: object) -> dict[str, object]:
        """Leave the host as the kernel made it."""
        return {}


class WireNode(Node):  # type: ignore[misc]
    """The place where all links meet: the lab's root namespace."""

    def __init__(self, name: str, **params: object) -> None:
        super().__init__(name, inNamespace=False, **params)

    def config(self, **_params: object) -> dict[str, object]:
        """Leave the root namespace as it is."""
        return {}


class LabTopo(Topo):  # type: ignore[misc]
    """Client, router and server, with each link through the wire."""

    def build(self) -> None:
        """Describe the nodes and the links; nothing is started."""
        for name in HOSTS:
            self.addHost(name)
        self.addHost("wire", cls=WireNode)
        for host, host_end, wire_end in _LINKS:
            self.addLink(host, "wire", intfName1=host_end, intfName2=wire_end)


def start() -> Mininet:
    """Make the namespaces and interfaces, without any address or route; return the network."""
    setLogLevel("error")
    Mininet.inited = True  # keeps Mininet.init() from raising host-wide limits
    return Mininet(
        topo=LabTopo(), host=LabHost, link=Link, intf=LabIntf, switch=None, controller=None
    )
