"""What the simulator does not model: it refuses such a network by name."""

from typing import Final

from seglab.networks.network import Network

CONGESTION_CONTROLS: Final = ("cubic", "reno")
"""The algorithms that the simulator's TCP has."""

MIN_PMTU_BYTES: Final = 552
"""Below this MTU, Linux no longer follows a router, and lets it fragment (``route.min_pmtu``)."""


def refusal(network: Network) -> str | None:
    """Return why the simulator cannot carry sessions over a network; ``None`` where it can."""
    algorithm = network.client.congestion_control
    if algorithm not in CONGESTION_CONTROLS:
        return _words(
            network,
            f"congestion control {algorithm!r} (it has {' and '.join(CONGESTION_CONTROLS)})",
        )
    router = network.router
    mtus = [change.mtu for change in router.schedule]
    if router.mtu is not None and not router.mss_clamp:
        mtus.append(router.mtu)
    narrowest = min(mtus, default=network.mtu)
    if network.ip_version == 4 and narrowest < min(network.mtu, MIN_PMTU_BYTES):
        return _words(
            network,
            f"a router with an MTU of {narrowest}: below {MIN_PMTU_BYTES} Linux lets it fragment",
        )
    return None


def _words(network: Network, what: str) -> str:
    return f"network {network.name}: the simulator does not model {what}; use --engine kernel"
