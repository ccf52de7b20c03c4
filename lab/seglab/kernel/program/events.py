"""The kernel's trace events that show what a program does to its mail socket."""

from typing import Final

CALLS: Final = {
    "sys_enter_write": ("fd", "count", None),
    "sys_enter_writev": ("fd", None, None),
    "sys_enter_pwritev2": ("fd", None, None),
    "sys_enter_sendto": ("fd", "len", "flags"),
    "sys_enter_sendmsg": ("fd", None, "flags"),
    "sys_enter_sendmmsg": ("fd", None, "flags"),
    "sys_enter_sendfile64": ("out_fd", "count", None),
    "sys_enter_splice": ("fd_out", "len", None),
    "sys_enter_io_uring_enter": ("fd", None, None),
}
"""The calls that write, by their events: the fields with descriptor, length asked for, and flags.

``flags`` of splice(2) are no flags of the socket, so they are left out.
"""

OPTIONS: Final = {"sys_enter_setsockopt": "set", "sys_enter_getsockopt": "get"}
"""The calls that set or ask for an option, by their events."""

STATE: Final = "inet_sock_set_state"
SENT: Final = "sock_send_length"
RECEIVED: Final = "tcp_rcv_space_adjust"
DESTROYED: Final = "tcp_destroy_sock"

REQUIRED: Final = (
    f"sock/{STATE}",
    f"sock/{SENT}",
    f"tcp/{RECEIVED}",
    f"tcp/{DESTROYED}",
    *(f"syscalls/{name}" for name in ("sys_enter_write", "sys_enter_sendto", "sys_enter_sendmsg")),
)
"""Events without which nothing can be recorded; ``sock_send_length`` is there since Linux 6.3."""

WANTED: Final = (
    *REQUIRED,
    *(f"syscalls/{name}" for name in (*CALLS, *OPTIONS) if f"syscalls/{name}" not in REQUIRED),
)
"""All events that are recorded where the kernel has them."""

TCP_OPTIONS: Final = {
    1: "TCP_NODELAY",
    2: "TCP_MAXSEG",
    3: "TCP_CORK",
    4: "TCP_KEEPIDLE",
    5: "TCP_KEEPINTVL",
    6: "TCP_KEEPCNT",
    7: "TCP_SYNCNT",
    9: "TCP_DEFER_ACCEPT",
    10: "TCP_WINDOW_CLAMP",
    11: "TCP_INFO",
    12: "TCP_QUICKACK",
    13: "TCP_CONGESTION",
    18: "TCP_USER_TIMEOUT",
    23: "TCP_FASTOPEN",
    25: "TCP_NOTSENT_LOWAT",
    30: "TCP_FASTOPEN_CONNECT",
}
"""Names of options of TCP (``include/uapi/linux/tcp.h``); others are ``TCP_option_N``."""

NUMBERS: Final = frozenset(TCP_OPTIONS) - {11, 13}
"""Those of ``TCP_OPTIONS`` whose value is a number."""
