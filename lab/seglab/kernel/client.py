"""The client of a lab: drives senders over real sockets and records each write call.

The client is one process with one epoll loop, which carries any number of sessions side by side. A
write behaves as a blocking one does: what the socket's buffer cannot take yet follows as soon as
there is room, before the sender's next step, and it stays one write.

The client makes all steps of a sender before the session begins. So the time that the sender's code
takes is not in the trace, and a sender that fails, hangs or has no end harms no other session.

The client refuses to speak anywhere but inside its lab (``seglab.kernel.client_start``). Before it
looks at the first job it shuts itself in (``seglab.confined.confinement``): it needs no privilege
and no file but Python's and the installed senders'. What else a session needs comes with its job:
the bytes of a user's own mail, and the steps of a user's own sender, whose code never runs here.
"""

import argparse
import heapq
import os
import resource
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from seglab.confined import exchange, view
from seglab.confined.confinement import Confinement, confine
from seglab.confined.seccomp import Sockets
from seglab.errors import InputError
from seglab.kernel.channel import Channel, ChannelMessage
from seglab.kernel.client_session import ClientSession, SessionError, not_begun
from seglab.kernel.client_start import RefusedError, served
from seglab.mail.stored import mail_of
from seglab.sender import steps
from seglab.sender.named import sender as sender_named
from seglab.sender.replies import ReplyError
from seglab.sender.script import ScriptError, SlowSenderError, make_script

_WINDOW_LOOK_NS = 1_000_000
_PROBE_NS = 10_000_000


class Client:
    """The sessions of the lab, in one loop.

    Attributes:
        channel: the channel to the parent.
        sessions: the sessions under way, by their sockets' descriptors.
        timers: a heap of what is to be done later: when, a session's number and its descriptor,
            and what (``deadline``, ``wait``, ``window`` or ``probe``).
        probing: whether there is a ``probe`` among the timers. It is due again and again while
            sessions run, so that the client notices when the machine does not let it run.
        slow: the senders that took too long to make their steps, by name and parameters.
        delayed_ns: how long slow senders have held up all sessions so far. This time does not
            count towards the time limits of the other sessions.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.sessions: dict[int, ClientSession] = {}
        self.timers: list[tuple[int, int, int, str]] = []
        self.slow: dict[tuple[str, str], SlowSenderError] = {}
        self.delayed_ns = 0
        self.probing = False
        self.epoll = select.epoll()
        self.waiting = [channel.fileno(), self.epoll.fileno()]

    def run(self) -> None:
        """Carry out the parent's jobs until it closes the channel."""
        while not self.channel.ended:
            ready, _, _ = select.select(self.waiting, [], [], self._timeout_s())
            if self.waiting[0] in ready:
                for message in self.channel.drain():
                    if "ping" in message:
                        self.tell({"pong": message["ping"]})
                    else:
                        self.start(message["job"])
            if self.waiting[1] in ready:
                for fd, events in self.epoll.poll(0):
                    if session := self.sessions.get(fd):
                        self.guarded(session, self.on_event, events)
                        session.looks.append(time.monotonic_ns())
            self._run_timers()

    def start(self, job: ChannelMessage) -> None:
        """Begin a session; report one that cannot begin as failed."""
        began_ns = time.monotonic_ns()
        who = job["sender"], str(job["parameters"])
        try:
            if who in self.slow:  # all sessions have waited for this sender once already
                raise self.slow[who]
            script = steps_of(job)
            session = ClientSession(job, script, time.monotonic_ns())
        except (ScriptError, OSError) as error:
            if isinstance(error, SlowSenderError):
                self.slow[who] = error
                self.delayed_ns += time.monotonic_ns() - began_ns
            reason = f"socket: {error.strerror}" if isinstance(error, OSError) else str(error)
            self.tell({"result": not_begun(job["flow"], began_ns, reason)})
            return
        fd = session.sock.fileno()
        self.sessions[fd] = session
        self.epoll.register(fd, select.EPOLLOUT)
        session.delayed_ns = self.delayed_ns
        heapq.heappush(self.timers, (session.deadline_ns, session.flow, fd, "deadline"))
        if not self.probing:
            self.probing = True
            self.probe(time.monotonic_ns())
        self.guarded(session, ClientSession.connect)

    def guarded(
        self, session: ClientSession, action: Callable[..., None], *arguments: object
    ) -> None:
        """Call a method for a session; an error in it ends that session and no other."""
        try:
            action(session, *arguments)
        except (SessionError, ReplyError) as error:
            self.end(session, str(error))
        except OSError as error:
            self.end(session, f"socket: {error.strerror or error}")

    def on_event(self, session: ClientSession, events: int) -> None:
        """Continue a session whose socket has an event."""
        if not session.mss:
            session.connected()
            self.epoll.modify(session.sock.fileno(), select.EPOLLIN)
            self.advance(session)
            return
        if events & select.EPOLLOUT and session.unsent:
            session.push()
            if not session.unsent:
                self.epoll.modify(session.sock.fileno(), select.EPOLLIN)
                self.advance(session)
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            ended = session.read()
            if session.expected is not None and session.take_reply():
                self.advance(session)
            if ended and session.sock.fileno() >= 0:
                if not session.finishing:
                    raise SessionError("the server closed the connection early")
                self.end(session, None)

    def advance(self, session: ClientSession) -> None:
        """Take the sender's steps until one of them must wait, or none is left."""
        fd = session.sock.fileno()
        for step in session.script:
            if isinstance(step, steps.Write):
                session.write(step)
                if session.unsent:
                    self.wait_for_room(session)
                    return
            elif isinstance(step, steps.SetOption):
                session.set_option(step)
            elif isinstance(step, steps.Wait):
                due_ns = time.monotonic_ns() + int(step.seconds * 1e9)
                heapq.heappush(self.timers, (due_ns, session.flow, fd, "wait"))
                return
            else:
                session.expected = step.code
                if not session.take_reply():
                    return
        session.shut()

    def wait_for_room(self, session: ClientSession) -> None:
        """Continue a write later, when the socket's buffer, or the window, may have room."""
        fd = session.sock.fileno()
        if session.window_bytes is None:
            self.epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)
        else:  # there is no event for an acknowledgement
            due_ns = time.monotonic_ns() + _WINDOW_LOOK_NS
            heapq.heappush(self.timers, (due_ns, session.flow, fd, "window"))

    def on_window(self, session: ClientSession) -> None:
        """Continue a write that the window held up."""
        session.push()
        if session.unsent:
            self.wait_for_room(session)
        else:
            self.advance(session)

    def probe(self, now_ns: int) -> None:
        """Be late or in time once more, a little later than ``now_ns``, while sessions run."""
        self.probing = bool(self.sessions)
        if self.probing:
            heapq.heappush(self.timers, (now_ns + _PROBE_NS, 0, -1, "probe"))

    def note_late(self, due_ns: int, now_ns: int) -> None:
        """Note in each session under way that the client did at ``now_ns`` what was due before.

        The sessions that began after ``due_ns`` were late only from their own beginning on.
        """
        for running in self.sessions.values():
            running.late_ns = max(running.late_ns, now_ns - max(due_ns, running.t0_ns))

    def end(self, session: ClientSession, error: str | None) -> None:
        """Close the session's socket and tell the parent how it ended."""
        fd = session.sock.fileno()
        if self.sessions.pop(fd, None) is None:
            return
        self.epoll.unregister(fd)
        if error is not None:
            session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        session.sock.close()
        self.tell({"result": session.result(error)})

    def tell(self, message: ChannelMessage) -> None:
        """Send the parent a message; if it is gone, the channel's end will end the loop."""
        with suppress(OSError):
            self.channel.send(message)

    def _timeout_s(self) -> float | None:
        if not self.timers:
            return None
        return max(0, self.timers[0][0] - time.monotonic_ns()) / 1e9

    def _run_timers(self) -> None:
        now_ns = time.monotonic_ns()
        while self.timers and self.timers[0][0] <= now_ns:
            due_ns, flow, fd, kind = heapq.heappop(self.timers)
            if kind == "probe":
                self.note_late(due_ns, now_ns)
                self.probe(now_ns)
                continue
            session = self.sessions.get(fd)
            if session is None or session.flow != flow:
                continue  # the session is over, and another one may have its descriptor
            if kind != "deadline":
                session.late_ns = max(session.late_ns, now_ns - due_ns)
            if kind == "wait":
                self.guarded(session, self.advance)
            elif kind == "window":
                self.guarded(session, self.on_window)
            elif late_ns := self.delayed_ns - session.delayed_ns:
                session.delayed_ns = self.delayed_ns
                heapq.heappush(self.timers, (due_ns + late_ns, flow, fd, kind))
            else:
                self.end(session, "time limit reached")


def steps_of(job: ChannelMessage) -> list[steps.Step]:
    """Make the steps of the job's sender from the seed, so that no payload has to travel.

    The job of a user's own sender brings them along: its code never runs here.

    Raises:
        ScriptError: there is no such sender, or it does not make its steps.
    """
    if "refused" in job:
        raise ScriptError(job["refused"])
    if "script" in job:
        return [exchange.step_from(step) for step in job["script"]]
    try:
        sender = sender_named(job["sender"])
        mail = mail_of(job["message"])
    except InputError as error:
        raise ScriptError(str(error)) from error
    return make_script(sender, job["parameters"], mail, job["message_seed"])


def _client_of(channel: Channel, config: ChannelMessage) -> Callable[[], None]:
    """Return what carries the jobs out: over sockets, or with the simulator's TCP.

    What that needs of the system is opened and imported here, before the client shuts itself in.
    """
    if "network" not in config:
        return Client(channel).run
    from seglab.kernel import model_client  # noqa: PLC0415, other labs start without the simulator

    wire, network = model_client.opened(config["network"])
    return model_client.ModelClient(channel, wire, network, steps_of).run


def shut_in(channel: Channel, config: ChannelMessage) -> Callable[[], None]:
    """Return what carries the jobs out, once the client has shut itself in.

    Raises:
        RefusedError: it cannot be shut in.
    """
    run = _client_of(channel, config)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.environ.clear()  # it may hold passwords
    try:
        folders = [*view.python_folders(), *view.sender_folders()]
        sockets: Sockets = "none" if "network" in config else "tcp"
        confine(Confinement(folders, sockets, bounded=False))
    except OSError as error:
        raise RefusedError(f"it cannot be shut in: {error}") from error
    return run


def serve(fd: int) -> int:
    """Do the jobs that come over ``fd``, inside a lab; return the exit status."""
    return served(fd, shut_in)


def main() -> None:
    """Do the jobs of the parent at the other end of ``--fd``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    sys.exit(serve(parser.parse_args().fd))


if __name__ == "__main__":
    main()
