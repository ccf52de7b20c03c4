"""What decides how an endpoint of the simulator behaves, as a frozen value."""

from typing import Final

import msgspec

ALGORITHMS: Final = ("reno", "cubic")
"""The congestion control algorithms that the simulator models."""


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one host and one socket, as ``kernel/host_setup.py`` pins them for Linux.

    Attributes:
        mtu: of the host's own interface, in bytes.
        ip_version: 4 or 6.
        timestamps: whether it offers and takes TCP timestamps (RFC 7323).
        sack: whether it offers and takes selective acknowledgements (RFC 2018).
        wscale: whether it offers and takes window scaling (RFC 7323).
        initcwnd: the initial congestion window in segments (RFC 6928).
        congestion_control: ``reno`` or ``cubic``.
        nodelay: whether TCP_NODELAY is set from the beginning.
        autocorking: ``net.ipv4.tcp_autocorking``; it only matters with ``device_queue_ns``.
        device_queue_ns: how long a sent frame stays in the queue of the device. A veth pair hands
            a frame over at once.
        send_buffer_bytes: the middle value of ``tcp_wmem``.
        send_buffer_max_bytes: the last value of ``tcp_wmem``.
        receive_buffer_bytes: the middle value of ``tcp_rmem``.
        receive_buffer_max_bytes: the last value of ``tcp_rmem``.
        mtu_probing: ``net.ipv4.tcp_mtu_probing``: 0 never, 1 after a black hole, 2 always.
        base_mss: ``net.ipv4.tcp_base_mss``.
        min_rto_ms: ``net.ipv4.tcp_rto_min_us`` in milliseconds.
        pmtu_expires_s: ``net.ipv4.route.mtu_expires``.
        min_pmtu: ``net.ipv4.route.min_pmtu``.
        slow_start_after_idle: ``net.ipv4.tcp_slow_start_after_idle``.
        send_window_bytes: the most bytes in flight where a window counts bytes (``window.py``);
            ``None`` leaves the window to Linux.
        tick_phase_ns: where in a jiffy of 4 ms (or in a larger wheel's step) the session begins.
        clock_ms: what the clock of the timestamp option shows when virtual time is 0. Where in
            this millisecond that is, ``tick_phase_ns`` says.
        personality: whose TCP it is: ``linux``, or an unchecked one (``personality.py``).
    """

    mtu: int = 1500
    ip_version: int = 4
    timestamps: bool = True
    sack: bool = True
    wscale: bool = True
    initcwnd: int = 10
    congestion_control: str = "reno"
    nodelay: bool = False
    autocorking: bool = True
    device_queue_ns: int = 0
    send_buffer_bytes: int = 16_384
    send_buffer_max_bytes: int = 4_194_304
    receive_buffer_bytes: int = 131_072
    receive_buffer_max_bytes: int = 6_291_456
    mtu_probing: int = 0
    base_mss: int = 1024
    min_rto_ms: int = 200
    pmtu_expires_s: int = 600
    min_pmtu: int = 552
    slow_start_after_idle: bool = True
    send_window_bytes: int | None = None
    tick_phase_ns: int = 0
    clock_ms: int = 0
    personality: str = "linux"
