"""The client of a lab that runs programs: it takes the place of the emulating client.

It speaks the same language with the parent: ``job``, answered with ``result``, and ``ping``,
answered with ``pong``. The parent also says ``arrived`` when the server has got a message. One
program runs at a time, since programs that share a network namespace would meet at each other's
ports. A job that comes meanwhile waits.

``seglab.kernel.program.session`` says when a session begins and when it is over.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from seglab.kernel.channel import Channel, ChannelMessage
from seglab.kernel.client_start import RefusedError, served
from seglab.kernel.program import instance
from seglab.kernel.program.calls import program_seen
from seglab.kernel.program.recorder import DRAIN_S, Recorder, RecorderError
from seglab.kernel.program.resolver import Resolver
from seglab.kernel.program.session import Session
from seglab.kernel.program.watching import WatchingRecorder

_LOOK_S: Final = 0.1
_STOP_LIMIT_S: Final = 5.0
_CLOSED: Final = ("06", "07")  # TIME_WAIT and CLOSE


class ProgramClient:
    """Runs one program after the other.

    Args:
        channel: to the parent.
        hidden: sockets of the machine that no program must see.
        recorder: records what the programs write; ``None`` leaves that out.
        resolver: answers what they ask of names.
    """

    def __init__(
        self,
        channel: Channel,
        hidden: list[str],
        recorder: Recorder | WatchingRecorder | None,
        resolver: Resolver,
    ) -> None:
        self.channel = channel
        self.hidden = hidden
        self.recorder = recorder
        self.resolver = resolver
        self.session: Session | None = None
        self.waiting: deque[ChannelMessage] = deque()

    def run(self) -> None:
        """Carry out the parent's jobs until it closes the channel."""
        drained = time.monotonic()
        while not self.channel.ended:
            if self.session is None and self.waiting:
                self._begin(self.waiting.popleft())
            session = self.session
            watched: list[Any] = [self.channel.fileno(), self.resolver.fileno()]
            if session is not None:
                watched += [session.cell.reports, *session.outputs, *session.listeners]
            timeout_s = None if session is None else _LOOK_S
            ready, _, _ = select.select(watched, [], [], timeout_s)
            if self.channel.fileno() in ready:
                for message in self.channel.drain():
                    self._take(message)
            if self.resolver.fileno() in ready:
                self.resolver.serve()
            if session is not None:
                if isinstance(self.recorder, WatchingRecorder):
                    for listener in session.take_listeners():
                        self.recorder.attach(listener)
                self._look(session)
                # Before, its announcement is still to be found.
                if self.recorder and session.opened and time.monotonic() - drained > DRAIN_S:
                    self.recorder.drain()
                    drained = time.monotonic()
        if self.session is not None:
            self.session.cell.kill()

    def _take(self, message: ChannelMessage) -> None:
        if "ping" in message:
            self._tell({"pong": message["ping"]})
        elif "job" in message:
            self.waiting.append(message["job"])
        elif self.session is not None and message.get("arrived") == self.session.job["flow"]:
            self.session.arrived()

    def _begin(self, job: ChannelMessage) -> None:
        if self.recorder is not None:
            self.recorder.listen()
        self.resolver.server = job["server"]
        marker = None if self.recorder is None else self.recorder.marker
        watched = self.recorder is not None and self.recorder.watches
        self.session = Session(job, self.hidden, marker, watched=watched)

    def _look(self, session: Session) -> None:
        """See what has become of the session, and end it where it is over."""
        session.read_output()
        for report in session.reports():
            session.take(report)
            match report:
                case {"waiting": True}:
                    self._open_gate(session)
                case {"alone": True} | {"gone": True} if session.ended_ns is not None:
                    session.alone()
                    self._end(session)
                    return
                case {"gone": True} if session.error is None:
                    session.error = "the first process of its namespaces ended"
            if session.error is not None:
                self._end(session)
                return
        session.hand_over()
        if session.is_over(time.monotonic_ns(), lambda: _connected(session.job["server"])):
            self._stop(session)

    def _open_gate(self, session: Session) -> None:
        if self.recorder is not None:
            try:
                self.recorder.begin(session.announcement)
            except RecorderError as error:
                session.error = str(error)
                return
        session.open_gate()

    def _stop(self, session: Session) -> None:
        """End what is still there of a program, and say in the session's error what it was."""
        session.cell.stop()
        end = time.monotonic() + _STOP_LIMIT_S
        left: list[str] | None = None
        while left is None and time.monotonic() < end:
            select.select([session.cell.reports], [], [], _LOOK_S)
            for report in session.reports():
                if "left" in report or "gone" in report:
                    left = report.get("left", left)
                    end = 0.0
        if session.done_ns is None:
            session.left = left or []
        self._end(session)

    def _end(self, session: Session) -> None:
        """End the session, and tell the parent about it."""
        session.read_output()
        session.cell.kill()
        self.session = None
        result: ChannelMessage = {
            "flow": session.job["flow"],
            "t0_ns": session.t0_ns or session.began_ns,
            "t_end_ns": time.monotonic_ns(),
            "exit_code": session.exit_code,
            "output": session.tail.decode("utf-8", "replace"),
            "left": session.left,
            "notes": session.notes,
            "error": session.error,
            "recorded": self.recorder is not None,
        }
        if self.recorder is not None:
            result |= self._recorded(session)
        self._tell({"result": result})

    def _recorded(self, session: Session) -> ChannelMessage:
        assert self.recorder is not None
        try:
            found = self.recorder.end()
        except RecorderError as error:
            return {"error": session.error or str(error), "connections": [], "elsewhere": []}
        seen = program_seen(found, session.job["server"], session.job["port"])
        return {
            "connections": [
                {
                    "t_ns": connection.t_ns,
                    "port": connection.client_port,
                    "written": connection.written,
                    "options": connection.options,
                    "calls": [
                        (c.t_ns, c.name, c.start, c.end, c.asked_bytes, c.result, c.flags)
                        for c in connection.calls
                    ],
                }
                for connection in seen.connections
            ],
            "elsewhere": seen.elsewhere,
        }

    def _tell(self, message: ChannelMessage) -> None:
        with suppress(OSError):  # the parent is gone; the channel's end will end the loop
            self.channel.send(message)


def _connected(server: str) -> bool:
    """Return whether a connection to the server stands, or begins or ends, in this namespace."""
    six = ":" in server
    packed = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, server)
    words = [packed[at : at + 4][::-1].hex().upper() for at in range(0, len(packed), 4)]
    address = "".join(words)
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]:
                _, _, remote, state, *_ = line.split()
                if remote.rpartition(":")[0].endswith(address) and state not in _CLOSED:
                    return True
    return False


def prepared(channel: Channel, config: ChannelMessage) -> Callable[[], None]:
    """Return what runs the programs.

    Raises:
        RefusedError: what they write cannot be recorded, or they would have no name server.
    """
    recorder: Recorder | WatchingRecorder | None = None
    if config["watched"]:
        recorder = WatchingRecorder()
    elif name := config["instance"]:
        try:
            instance.mount_tracing()
            recorder = Recorder(name)
        except (instance.TracingRefusedError, OSError) as error:
            raise RefusedError(f"what programs write cannot be recorded: {error}") from error
    try:
        resolver = Resolver()
    except OSError as error:
        raise RefusedError(f"there is no name server: {error}") from error
    return ProgramClient(channel, config["hidden"], recorder, resolver).run


def serve(fd: int) -> int:
    """Do the jobs that come over ``fd``, inside a lab; return the exit status."""
    return served(fd, prepared)
