"""The state of one endpoint: what Linux keeps in ``struct tcp_sock`` and in its ``sk_buff`` queues.

Theory of operation
-------------------
The simulator's TCP is divided as Linux's is. All of its state is one object, ``TcpState``, and
modules of plain functions change it, each about one thing:

    module           its functions                                           in Linux
    ``mss``          the MSS from the path's MTU, and the range of probing   tcp_output.c
    ``rtt``          round trips, and the one timer of the sending half      tcp_input.c
    ``congestion``   Reno, how far the window is used, idle restart          tcp_cong.c
    ``cubic``        CUBIC with HyStart                                      tcp_cubic.c
    ``window``       the window that is offered, the receive buffer          tcp_input.c
    ``acknowledging``  when to acknowledge                                   tcp_input.c
    ``receive``      the receive queue, in order and out of order            tcp_input.c
    ``writing``      from write calls to buffers                             tcp.c
    ``transmit``     which buffers may leave; with ``nagle``, ``probing``    tcp_output.c
                     (larger segments) and ``byte_window`` (other stacks)
    ``output``       from a buffer to segments                               tcp_output.c
    ``marks``        what is known of each buffer in flight                  tcp_input.c
    ``tagging``      what a SACK block marks                                 tcp_input.c
    ``rack``         what is lost, told by time                              tcp_recovery.c
    ``resend``       sending again, cut at the MSS in force                  tcp_output.c
    ``recovery``     the states of loss recovery, and undoing it             tcp_input.c
    ``acks``         what an acknowledgement changes                         tcp_input.c
    ``timers``       what happens when nothing comes                         tcp_timer.c
    ``personality``  other stacks than Linux, unchecked
    ``handshake``    both SYNs, and what the connection begins with          tcp_minisocks.c
    ``endpoint``     the states, the end, and the interface to a session

Names are the kernel's (``snd_una``, ``packets_out``), so that each rule can be compared with the
function that it cites. All rules were read in or measured on Linux 6.18.

A function that sends appends segments to ``out``; the endpoint hands them over when it returns.
There is no clock and no queue of events: every function gets ``now_ns``, and timers are times in
``retransmit_ns``, ``delack_ns``, ``compressed_ns`` and ``device_ns``.

The queues
----------
    ``queue``   buffers that are not sent, in order; the last one is filled by later writes
    ``flight``  buffers that are sent and not acknowledged, in order (the retransmission queue)

A buffer holds several segments (TSO) and is cut at its MSS when it leaves. The invariant: the
ranges of ``flight`` and ``queue`` join without gaps from ``snd_una`` (or a little before it, inside
a segment) to ``write_seq``, and ``snd_nxt`` is where ``flight`` ends.
"""

from typing import Final

from seglab.core.tcpip import TIMESTAMPS_BYTES
from seglab.simulator.clock import NEVER
from seglab.simulator.cubic import Cubic
from seglab.simulator.personality import applied, personality
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.settings import EndpointSettings

# States of an endpoint. Closing is told by ``fin_queued`` and ``peer_closed``.
CLOSED: Final = 0
LISTEN: Final = 1
SYN_SENT: Final = 2
SYN_RECEIVED: Final = 3
ESTABLISHED: Final = 4

# What is known of a buffer in flight (TCPCB_* in include/net/tcp.h).
SACKED: Final = 1
RETRANSMITTED: Final = 2  # TCPCB_SACKED_RETRANS: sent again, and that copy may be under way
LOST: Final = 4
EVER_RETRANSMITTED: Final = 8
UNWATCHED: Final = 16  # RACK has found it lost, so it has left its list (tcp_tsorted_anchor)

# How far loss recovery is (enum tcp_ca_state).
CA_OPEN: Final = 0
CA_DISORDER: Final = 1
CA_CWR: Final = 2
CA_RECOVERY: Final = 3
CA_LOSS: Final = 4

# Bits of ``nonagle``.
NAGLE_OFF: Final = 1
NAGLE_CORK: Final = 2
NAGLE_PUSH: Final = 4

# What the one retransmission timer is waiting for (icsk_pending).
TIMER_NONE: Final = 0
TIMER_RTO: Final = 1
TIMER_LOSS_PROBE: Final = 2
TIMER_REORDERING: Final = 3
TIMER_WINDOW_PROBE: Final = 4

# What is known about an acknowledgement that is owed (icsk_ack.pending).
ACK_SCHEDULED: Final = 1
ACK_TIMER: Final = 2
ACK_PUSHED: Final = 4
ACK_PUSHED2: Final = 8
ACK_NOW: Final = 16

INFINITE_SSTHRESH: Final = 0x7FFFFFFF
INITIAL_RTO_JIFFIES: Final = 250  # TCP_TIMEOUT_INIT: 1 s (RFC 6298)
DEFAULT_MSS: Final = 536  # TCP_MSS_DEFAULT (RFC 9293)
BUFFER_BYTES: Final = 832  # the memory of an empty buffer in the send queue
OUT_OF_WINDOW_NS: Final = 500_000_000  # net.ipv4.tcp_invalid_ratelimit
INITIAL_SCALING_RATIO: Final = 128  # TCP_DEFAULT_SCALING_RATIO: half of a buffer is payload


class Buffer:
    """A range of the stream in one of the queues, which leaves as one or more segments.

    Attributes:
        start: its first byte.
        end: the byte after its last; a FIN is not in it.
        fin: 1 where a FIN follows, else 0.
        psh: whether its last segment has PSH.
        eor: whether nothing may be added to it (MSG_EOR).
        pcount: in how many segments it leaves.
        mss: where it is cut; 0 where it is one segment (``gso_size``).
        sacked: what is known of it: ``SACKED``, ``RETRANSMITTED``, ``LOST``, ...
        t_ns: when it was last sent.
        delivered: ``TcpState.delivered`` then; 0 once it is known to have arrived.
        order: how many buffers had been sent when it was last sent.
        extra: memory that is accounted to it beyond its bytes (``probing.py``).
    """

    __slots__ = (
        "delivered", "end", "eor", "extra", "fin", "mss", "order", "pcount", "psh", "sacked",
        "start", "t_ns",
    )  # fmt: skip

    def __init__(self, start: int, end: int, fin: int = 0) -> None:
        self.start = start
        self.end = end
        self.fin = fin
        self.psh = False
        self.eor = False
        self.pcount = 0
        self.mss = 0
        self.sacked = 0
        self.t_ns = 0
        self.delivered = 0
        self.extra = 0
        self.order = 0

    @property
    def end_seq(self) -> int:
        """The sequence number after it, in which a FIN counts."""
        return self.end + self.fin

    def count(self, mss: int) -> None:
        """``tcp_set_skb_tso_segs``: set in how many segments it leaves."""
        size = self.end - self.start
        if size <= mss:
            self.pcount = 1
            self.mss = 0
        else:
            self.pcount = -(-size // mss)
            self.mss = mss


class Received:
    """A range of the peer's stream that waits to be read, or for what is missing before it.

    Attributes:
        start: its first byte.
        end: the byte after its last one; a FIN counts only while something is missing before it.
        memory: what it takes of the receive buffer (``skb->truesize``).
        room: how many bytes could be added to it in the same memory (``skb_tailroom``).
    """

    __slots__ = ("end", "memory", "room", "start")

    def __init__(self, start: int, end: int, memory: int, room: int) -> None:
        self.start = start
        self.end = end
        self.memory = memory
        self.room = room


class TcpState:
    """Everything that one endpoint knows."""

    __slots__ = (  # noqa: RUF023 - what belongs together stands together
        # the endpoint
        "settings", "state", "out", "error", "phase_ns", "mstamp_ns", "clock_ns",
        "device_queue_ns", "min_rto_us", "restarts_after_idle",
        # the personality
        "rfc896", "counts_bytes", "whole_segments", "delack_fixed_j",
        # the handshake
        "first_syn_ns", "syn_retries", "answered_again",
        # options in force
        "timestamps", "sack_ok", "wscale_ok", "snd_wscale", "rcv_wscale", "header_len",
        "option_len", "ip_header_len", "advmss", "mss_clamp",
        # the path's MTU
        "mss", "pmtu_cookie", "path_mtu", "path_mtu_expires_ns",
        "probing", "search_low", "search_high", "probe_size", "probe_start", "probe_end",
        "probe_j",
        # sending
        "queue", "flight", "snd_una", "snd_nxt", "write_seq", "pushed_seq", "snd_sml", "snd_wnd",
        "snd_wl1", "max_window", "nonagle", "gso_segs", "sndbuf", "wmem_queued",
        "lsnd_j", "wstamp_ns", "fin_queued", "fin_acked", "device_bytes", "device_ns",
        "device_throttled", "softirq", "send_waits", "sends",
        # congestion
        "cwnd", "cwnd_cnt", "ssthresh", "is_cwnd_limited", "max_packets_out", "cwnd_usage_seq",
        "cwnd_used", "cwnd_j", "packets_out", "sacked_out", "lost_out", "retrans_out",
        "total_retrans", "pacing_rate", "cubic", "prior_cwnd", "prior_ssthresh",
        # loss recovery
        "ca_state", "high_seq", "undo_marker", "undo_retrans", "retrans_ns", "prr_delivered",
        "prr_out", "tlp_high_seq", "tlp_retrans", "frto", "retransmits", "backoff", "reordering",
        "reord_seen", "highest_sack", "sack_cache", "retransmit_hint", "rack_ns", "rack_end",
        "rack_rtt_us", "rack_advanced",
        "rack_steps", "rack_persist", "rack_delivered", "rate_delivered", "rate_ns",
        "rate_end", "dsack_seen", "dsack_dups", "delivered", "lost",
        "probes_out",
        # round trips
        "srtt_us", "mdev_us", "mdev_max_us", "rttvar_us", "rtt_seq", "min_rtt_us", "min_rtt_ns",
        "rto_j",
        # the retransmission timer
        "pending", "expires_j", "retransmit_ns",
        # receiving
        "rcv_nxt", "rcv_wup", "rcv_wnd", "copied_seq", "window_clamp", "rcv_ssthresh", "rcvbuf",
        "rmem_alloc", "received", "scaling_ratio", "rcv_mss", "last_seg_size", "ooo",
        "sacks", "dsack", "peer_fin_end", "peer_closed", "ts_recent",
        "rcv_tsecr", "ack_pending", "ato_j", "quick", "pingpong", "lrcv_j",
        "delack_j", "delack_ns", "compressed_ack", "compressed_ns", "compressed_rcv_nxt",
        "dup_acks", "rcv_rtt_us", "rcv_rtt_seq", "rcv_rtt_ns", "rcv_rtt_tsecr", "space",
        "space_seq", "space_ns", "last_oow_ns",
    )  # fmt: skip

    def __init__(self, settings: EndpointSettings) -> None:
        who = personality(settings.personality)
        self.settings = settings = applied(settings)
        self.rfc896: bool = who.rfc896
        self.counts_bytes: bool = who.counts_bytes or settings.send_window_bytes is not None
        self.whole_segments: bool = who.whole_segments
        self.delack_fixed_j: int = (who.delayed_ack_ms or 0) // 4
        self.state = CLOSED
        self.out: list[TcpSegment] = []
        self.error: str | None = None
        self.mstamp_ns = 0
        self.phase_ns: int = settings.tick_phase_ns
        self.clock_ns: int = settings.clock_ms * 1_000_000 + settings.tick_phase_ns % 1_000_000

        # settings that many segments ask for
        self.device_queue_ns: int = settings.device_queue_ns
        self.min_rto_us: int = settings.min_rto_ms * 1000
        self.restarts_after_idle: bool = settings.slow_start_after_idle

        self.first_syn_ns = 0
        self.syn_retries = 0
        self.answered_again = False

        self.timestamps: bool = settings.timestamps
        self.sack_ok: bool = settings.sack
        self.wscale_ok: bool = settings.wscale
        self.snd_wscale = 0
        self.rcv_wscale = 0
        self.option_len: int = TIMESTAMPS_BYTES if settings.timestamps else 0
        self.header_len: int = 20 + self.option_len
        self.ip_header_len = 20 if settings.ip_version == 4 else 40
        self.advmss: int = settings.mtu - self.ip_header_len - 20
        self.mss_clamp = DEFAULT_MSS

        self.mss = DEFAULT_MSS
        self.path_mtu: int = settings.mtu
        self.path_mtu_expires_ns = NEVER
        self.pmtu_cookie: int = settings.mtu
        self.probing = settings.mtu_probing > 1
        self.search_low = 0
        self.search_high = 0
        self.probe_size = 0
        self.probe_start = 0
        self.probe_end = 0
        self.probe_j = 0

        self.queue: list[Buffer] = []
        self.flight: list[Buffer] = []
        self.snd_una = 0
        self.snd_nxt = 0
        self.write_seq = 0
        self.pushed_seq = 0
        self.snd_sml = 0
        self.snd_wnd = 0
        self.snd_wl1 = 0
        self.max_window = 0
        self.nonagle = NAGLE_OFF if settings.nodelay else 0
        self.gso_segs = 0
        self.sndbuf: int = settings.send_buffer_bytes
        self.wmem_queued = 0
        self.lsnd_j = 0
        self.wstamp_ns = -NEVER
        self.fin_queued = False
        self.fin_acked = False
        self.device_bytes = 0
        self.device_ns = NEVER
        self.device_throttled = False
        self.softirq = False
        self.send_waits = False
        self.sends = 0

        self.cwnd: int = settings.initcwnd
        self.cwnd_cnt = 0
        self.ssthresh = INFINITE_SSTHRESH
        self.is_cwnd_limited = False
        self.max_packets_out = 0
        self.cwnd_usage_seq = 0
        self.cwnd_used = 0
        self.cwnd_j = 0
        self.packets_out = 0
        self.sacked_out = 0
        self.lost_out = 0
        self.retrans_out = 0
        self.total_retrans = 0
        self.pacing_rate = 1 << 62
        self.cubic: Cubic | None = None
        self.prior_cwnd = 0
        self.prior_ssthresh = 0

        self.ca_state = CA_OPEN
        self.high_seq = 0
        self.undo_marker: int | None = None
        self.undo_retrans = -1
        self.retrans_ns: int | None = None
        self.prr_delivered = 0
        self.prr_out = 0
        self.tlp_high_seq: int | None = None
        self.tlp_retrans = False
        self.frto = False
        self.retransmits = 0
        self.backoff = 0
        self.reordering = 3
        self.reord_seen = 0
        self.highest_sack: int | None = None
        self.sack_cache: list[tuple[int, int]] = []
        self.retransmit_hint: Buffer | None = None
        self.rack_ns = -1
        self.rack_end = -1
        self.rack_rtt_us = 0
        self.rack_advanced = False
        self.rack_steps = 1
        self.rack_persist = 0
        self.rack_delivered = 0
        self.rate_delivered = 0
        self.rate_ns = 0
        self.rate_end = 0
        self.dsack_seen = False
        self.dsack_dups = 0
        self.delivered = 0
        self.lost = 0
        self.probes_out = 0

        self.srtt_us = 0
        self.mdev_us = 0
        self.mdev_max_us = 0
        self.rttvar_us = 0
        self.rtt_seq = 0
        self.min_rtt_us = 0xFFFFFFFF
        self.min_rtt_ns = 0
        self.rto_j = INITIAL_RTO_JIFFIES

        self.pending = TIMER_NONE
        self.expires_j = 0
        self.retransmit_ns = NEVER

        self.rcv_nxt = 0
        self.rcv_wup = 0
        self.rcv_wnd = 0
        self.copied_seq = 0
        self.window_clamp = 0
        self.rcv_ssthresh = 0
        self.rcvbuf: int = settings.receive_buffer_bytes
        self.rmem_alloc = 0
        self.received: list[Received] = []
        self.scaling_ratio = INITIAL_SCALING_RATIO
        self.rcv_mss = DEFAULT_MSS
        self.last_seg_size = 0
        self.ooo: list[Received] = []
        self.sacks: list[tuple[int, int]] = []
        self.dsack: tuple[int, int] | None = None
        self.peer_fin_end = -1  # where its FIN ends, if one has come
        self.peer_closed = False
        self.ts_recent = 0
        self.rcv_tsecr = NO_STAMP
        self.ack_pending = 0
        self.ato_j = 0
        self.quick = 0
        self.pingpong = 0
        self.lrcv_j = 0
        self.delack_j = 0
        self.delack_ns = NEVER
        self.compressed_ack = 0
        self.compressed_ns = NEVER
        self.compressed_rcv_nxt = 0
        self.dup_acks = 0
        self.rcv_rtt_us = 0
        self.rcv_rtt_seq = 0
        self.rcv_rtt_ns = 0
        self.rcv_rtt_tsecr = NO_STAMP
        self.space = 0
        self.space_seq = 0
        self.space_ns = 0
        self.last_oow_ns = -NEVER

    @property
    def in_flight(self) -> int:
        """``tcp_packets_in_flight``: segments that are thought to be on their way."""
        return self.packets_out - self.sacked_out - self.lost_out + self.retrans_out

    def jiffies(self, now_ns: int) -> int:
        """Return the kernel's jiffies at a time."""
        return (now_ns + self.phase_ns) // 4_000_000

    def stamp_ms(self, now_ns: int) -> int:
        """Return what the clock of the timestamp option shows (``tcp_time_stamp_ms``).

        It is the monotonic clock, as jiffies are, and a session begins anywhere in a millisecond.
        """
        return (now_ns + self.clock_ns) // 1_000_000
