"""The client of a lab whose network asks for the simulator's TCP: many sessions, one packet socket.

The kernel's own client opens sockets, and this kernel's TCP makes segments of what is written. Here
the simulator's TCP makes them, and they leave as whole frames by a packet socket at ``c-eth0``. The
rest of the lab is the same: the wire, the router, and the server with its kernel's TCP.

The client's own kernel takes no part. Its host has no route that would make the sessions' addresses
its own (``host_setup``), so it drops what comes for them, without a reset and without a message.
Nothing can leave the lab: the interface's other end is the lab's wire.

The socket is opened before the client shuts itself in, which forbids such sockets from then on. A
session only gets frames between the lab's server and its own address, and sends only to that server
(``check_peer``).
"""

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address

import msgspec

from seglab.frames.headers import parse_ip, quoted_addresses
from seglab.kernel import packet_socket
from seglab.kernel.channel import Channel, ChannelMessage
from seglab.kernel.client_session import SessionError, check_peer, not_begun
from seglab.kernel.model_session import ModelSession
from seglab.kernel.wake_up import sharpen_timers
from seglab.networks.network import Network
from seglab.sender import steps
from seglab.sender.script import ScriptError, SlowSenderError
from seglab.simulator.client import NEVER

INTERFACE = "c-eth0"
_FRAME_MOST = 65_535 + 18
_BATCH = 32
_PROBE_NS = 10_000_000


class ModelClient:
    """The sessions of the lab, in one loop.

    Args:
        channel: the channel to the parent.
        wire: a packet socket at the client's interface.
        network: the lab's network.
        steps_of: makes the steps of a job's sender.

    Attributes:
        sessions: the sessions under way, by their client's address.
        slow: the senders that took too long to make their steps, by name and parameters.
    """

    def __init__(
        self,
        channel: Channel,
        wire: socket.socket,
        network: Network,
        steps_of: Callable[[ChannelMessage], Sequence[steps.Step]],
    ) -> None:
        self.channel = channel
        self.wire = wire
        self.network = network
        self.steps_of = steps_of
        self.sessions: dict[bytes, ModelSession] = {}
        self.slow: dict[tuple[str, str], SlowSenderError] = {}
        self._probe_ns = NEVER

    def run(self) -> None:
        """Carry out the parent's jobs until it closes the channel."""
        waiting = [self.channel.fileno(), self.wire.fileno()]
        while not self.channel.ended:
            ready, _, _ = select.select(waiting, [], [], self._timeout_s())
            if waiting[1] in ready:
                self._read_wire()
            if waiting[0] in ready:
                for message in self.channel.drain():
                    if "ping" in message:
                        self._tell({"pong": message["ping"]})
                    else:
                        self._start(message["job"])
            self._wake()

    def _start(self, job: ChannelMessage) -> None:
        """Begin a session; report one that cannot begin as failed."""
        began_ns = time.monotonic_ns()
        who = job["sender"], str(job["parameters"])
        try:
            if who in self.slow:
                raise self.slow[who]
            check_peer(job["server"])
            session = ModelSession(
                job, self.steps_of(job), self.network, self._send, self._read_wire
            )
        except (ScriptError, SessionError) as error:
            if isinstance(error, SlowSenderError) and who not in self.slow:
                self.slow[who] = error
                for running in self.sessions.values():
                    running.postpone(time.monotonic_ns() - began_ns)
            self._tell({"result": not_begun(job["flow"], began_ns, str(error))})
            return
        self.sessions[ip_address(job["client"]).packed] = session
        self._probe_ns = min(self._probe_ns, time.monotonic_ns() + _PROBE_NS)
        session.begin()

    def _read_wire(self) -> None:
        """Give the frames that have come to their sessions."""
        for _ in range(_BATCH):
            try:
                frame = self.wire.recv(_FRAME_MOST)
            except BlockingIOError:
                return
            ip = parse_ip(frame)
            if ip is None:
                continue
            session = self.sessions.get(ip.destination)
            if session is None or (
                session.addresses[1] != ip.source and quoted_addresses(frame) != session.addresses
            ):
                continue
            session.take(frame)
            self._settle(session)

    def _wake(self) -> None:
        """Do what is due in every session, and note by how much it is late."""
        now_ns = time.monotonic_ns()
        if self._probe_ns <= now_ns:
            for session in self.sessions.values():
                session.note_late(self._probe_ns, now_ns)
            self._probe_ns = now_ns + _PROBE_NS if self.sessions else NEVER
        for session in list(self.sessions.values()):
            due_ns = session.wake_ns
            if due_ns <= now_ns:
                session.note_late(due_ns, now_ns)
                session.wake()
            self._settle(session)

    def _settle(self, session: ModelSession) -> None:
        """Report a session that has ended, and drop one that is over."""
        if session.ended and not session.reported:
            session.reported = True
            self._tell({"result": session.result()})
        if session.over:
            self.sessions.pop(session.addresses[0], None)

    def _send(self, frame: bytes) -> None:
        """Write a frame; one that the interface does not take is lost, as on a full queue."""
        with suppress(OSError):
            self.wire.send(frame)

    def _tell(self, message: ChannelMessage) -> None:
        """Send the parent a message; if it is gone, the channel's end will end the loop."""
        with suppress(OSError):
            self.channel.send(message)

    def _timeout_s(self) -> float | None:
        due_ns = min((session.wake_ns for session in self.sessions.values()), default=NEVER)
        due_ns = min(due_ns, self._probe_ns)
        return None if due_ns >= NEVER else max(0, due_ns - time.monotonic_ns()) / 1e9


def opened(network: ChannelMessage) -> tuple[socket.socket, Network]:
    """Open the packet socket, and read the network from the parent's first message.

    Raises:
        OSError: packet sockets are not allowed here.
    """
    sharpen_timers()
    return packet_socket.bound_to(INTERFACE), msgspec.convert(network, Network)
