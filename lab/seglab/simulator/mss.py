"""The MSS in force: from the path's MTU, the peer's option and window, and MTU probing.

``tcp_sync_mss`` sets the MSS, and ``tcp_current_mss`` asks before every transmission whether the
path's MTU has changed: a remembered fall expires (``route.mtu_expires``), and then the segments
grow again without any event.
"""

from typing import Final

from seglab.simulator.clock import NEVER, TICK_NS
from seglab.simulator.state import DEFAULT_MSS, TcpState

MSS_MIN: Final = 48  # net.ipv4.tcp_min_snd_mss
_TCP_HEADER: Final = 20
_IPV6_MTU_MIN: Final = 1280
_GSO_MAX_BYTES: Final = 65_536 - 257  # sk_dst_gso_max_size: less MAX_TCP_HEADER and one
_HALF_MIN_BYTES: Final = 68


def from_mtu(tp: TcpState, mtu: int) -> int:
    """``tcp_mtu_to_mss``: the payload bytes of a full segment in a packet of ``mtu`` bytes."""
    size = min(mtu - tp.ip_header_len - _TCP_HEADER, tp.mss_clamp)
    return max(size, MSS_MIN) - (tp.header_len - _TCP_HEADER)


def to_mtu(tp: TcpState, mss: int) -> int:
    """``tcp_mss_to_mtu``: the packet's bytes with ``mss`` bytes of payload."""
    return mss + tp.header_len + tp.ip_header_len


def half_window(tp: TcpState, size: int) -> int:
    """``tcp_bound_to_half_wnd``: no more than half of the largest window that was offered."""
    largest = tp.max_window
    cutoff = largest >> 1 if largest > DEFAULT_MSS else largest
    if cutoff and size > cutoff:
        return max(cutoff, _HALF_MIN_BYTES - tp.header_len)
    return size


def start_probing(tp: TcpState) -> None:
    """``tcp_mtup_init``: the range in which MTU probing searches (RFC 4821)."""
    tp.search_high = tp.mss_clamp + _TCP_HEADER + tp.ip_header_len
    tp.search_low = to_mtu(tp, tp.settings.base_mss)
    tp.probe_size = 0


def sync(tp: TcpState, mtu: int) -> int:
    """``tcp_sync_mss``: bring the MSS in line with the path's MTU, and return it."""
    tp.search_high = min(tp.search_high, mtu)
    size = half_window(tp, from_mtu(tp, mtu))
    tp.pmtu_cookie = mtu
    if tp.probing:
        size = min(size, from_mtu(tp, tp.search_low))
    tp.mss = size
    return size


def current(tp: TcpState, now_ns: int) -> int:
    """``tcp_current_mss``: the payload bytes of a full segment that leaves now.

    An IPv4 route shows by itself that what it learned has expired (``ipv4_mtu``).
    """
    if now_ns >= tp.path_mtu_expires_ns and tp.settings.ip_version == 4:
        forget_path_mtu(tp)
    size = tp.mss
    if tp.path_mtu != tp.pmtu_cookie:
        size = sync(tp, tp.path_mtu)
    if tp.sacks or tp.dsack:
        size -= sack_bytes(tp)
    return size


def forget_path_mtu(tp: TcpState) -> None:
    """Take the MTU of the host's own link again, since what a router reported has expired."""
    tp.path_mtu = tp.settings.mtu
    tp.path_mtu_expires_ns = NEVER


def sack_bytes(tp: TcpState) -> int:
    """Return the bytes of the SACK option that a segment carries now (tcp_established_options)."""
    room = 40 - tp.option_len - 4
    blocks = min(len(tp.sacks) + (tp.dsack is not None), room // 8)
    return 4 + 8 * blocks if blocks else 0


def size_goal(tp: TcpState, mss: int) -> int:
    """``tcp_xmit_size_goal``: how many bytes a buffer grows to."""
    limit = half_window(tp, _GSO_MAX_BYTES)
    goal = tp.gso_segs * mss
    if limit < goal or limit >= goal + mss:
        tp.gso_segs = limit // mss
        goal = tp.gso_segs * mss
    return max(goal, mss)


def learn_path_mtu(tp: TcpState, now_ns: int, mtu: int) -> None:
    """Remember the MTU that a router reported (``__ip_rt_update_pmtu``, ``rt6_do_update_pmtu``).

    It expires by jiffies, so up to 4 ms before its time is over; over IPv6, one jiffy later.
    """
    old = tp.path_mtu
    least = tp.settings.min_pmtu if tp.settings.ip_version == 4 else _IPV6_MTU_MIN
    if mtu > old:
        return
    mtu = max(mtu, min(old, least))
    lasts_ns = tp.settings.pmtu_expires_s * 1_000_000_000
    if mtu == old and now_ns < tp.path_mtu_expires_ns - lasts_ns // 2:
        return
    tp.path_mtu = mtu
    expires_j = tp.jiffies(now_ns + lasts_ns) + (tp.settings.ip_version == 6)
    tp.path_mtu_expires_ns = expires_j * TICK_NS - tp.phase_ns
