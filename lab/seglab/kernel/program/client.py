"""The client of a lab that runs programs: it takes the place of the emulating client.

It speaks the same language with the parent: ``job``, answered with ``result``, and ``ping``,
answered with ``pong``. One program runs at a time, since programs that share a network namespace
would meet at each other's ports. A job that comes meanwhile waits.

A session begins when the program's gate opens (``seglab.kernel.program.cell``). It is over when

    the program has ended, and all that it started with it
    the program has ended, what it left behind has no connection to the server, and
    ``_LINGER_S`` seconds have passed since it had one: the rest is ended, and the session failed
    the time limit is reached: everything is ended, and the session failed
"""

import json
import os
import select
import socket
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from seglab.kernel.channel import Channel, ChannelMessage
from seglab.kernel.client import refusal
from seglab.kernel.client_session import check_peer
from seglab.kernel.program import instance
from seglab.kernel.program.calls import program_seen
from seglab.kernel.program.cell import Cell, Command
from seglab.kernel.program.recorder import DRAIN_S, Recorder, RecorderError
from seglab.kernel.program.resolver import Resolver

OUTPUT_MAX_BYTES: Final = 4096
"""How many of the last bytes that a program printed are kept."""

_LINGER_S: Final = 2.0
_LOOK_S: Final = 0.1
_START_LIMIT_S: Final = 30.0
_STOP_LIMIT_S: Final = 5.0
_CLOSED: Final = ("06", "07")  # TIME_WAIT and CLOSE


class Session:
    """One program under way.

    Attributes:
        cell: where it runs.
        job: the parent's order.
        t0_ns: when its gate opened; ``None`` before.
        deadline_ns: when it is ended if it has not by itself.
        exit_code: its exit code, once it has ended.
        ended_ns: when it ended.
        busy_ns: when it, or what it left behind, last had a connection to the server.
        error: why it failed, as far as is known.
        tail: the last bytes that it printed.
        left: the names of the processes that it left behind.
        outputs: the descriptor with what it prints, while somebody can print.
    """

    def __init__(self, job: ChannelMessage, hidden: list[str], marker: int | None) -> None:
        check_peer(job["server"])
        self.job = job
        self.announcement = f"seglab-{job['flow']}-{os.urandom(8).hex()}".encode()
        command = Command(
            argv=job["argv"],
            environment=job["environment"],
            folder=job["folder"],
            message=job["content"],
            client=job["client"],
            server=job["server"],
            hidden=hidden,
            announcement=self.announcement,
        )
        self.began_ns = time.monotonic_ns()
        self.t0_ns: int | None = None
        self.deadline_ns = self.began_ns + int(_START_LIMIT_S * 1e9)
        self.exit_code: int | None = None
        self.ended_ns: int | None = None
        self.busy_ns = 0
        self.error: str | None = None
        self.left: list[str] = []
        self.tail = b""
        self._lines = b""
        self.cell = Cell(command, marker)
        self.outputs = [self.cell.output]

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports that have come since the last call; ``gone`` where none follows."""
        found: list[dict[str, Any]] = []
        with suppress(BlockingIOError):
            while chunk := os.read(self.cell.reports, 1 << 16):
                self._lines += chunk
            found.append({"gone": True})
        *lines, self._lines = self._lines.split(b"\n")
        return [*map(json.loads, lines), *found]

    def read_output(self) -> None:
        """Keep the end of what the program has printed."""
        with suppress(BlockingIOError):
            while chunk := os.read(self.cell.output, 1 << 16):
                self.tail = (self.tail + chunk)[-OUTPUT_MAX_BYTES:]
            self.outputs = []  # nobody is left who could print


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
        recorder: Recorder | None,
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
            watched = [self.channel.fileno(), self.resolver.fileno()]
            if session is not None:
                watched += [session.cell.reports, *session.outputs]
            timeout_s = None if session is None else _LOOK_S
            ready, _, _ = select.select(watched, [], [], timeout_s)
            if self.channel.fileno() in ready:
                for message in self.channel.drain():
                    self._take(message)
            if self.resolver.fileno() in ready:
                self.resolver.serve()
            if session is not None:
                self._look(session)
                if self.recorder and time.monotonic() - drained > DRAIN_S:
                    self.recorder.drain()
                    drained = time.monotonic()
        if self.session is not None:
            self.session.cell.kill()

    def _take(self, message: ChannelMessage) -> None:
        if "ping" in message:
            self._tell({"pong": message["ping"]})
        elif "job" in message:
            self.waiting.append(message["job"])

    def _begin(self, job: ChannelMessage) -> None:
        if self.recorder is not None:
            self.recorder.listen()
        self.resolver.server = job["server"]
        marker = None if self.recorder is None else self.recorder.marker
        self.session = Session(job, self.hidden, marker)

    def _look(self, session: Session) -> None:
        """See what has become of the session, and end it where it is over."""
        session.read_output()
        for report in session.reports():
            match report:
                case {"ready": True}:
                    self._open_gate(session)
                case {"ended": code, "t_ns": t_ns}:
                    session.exit_code = code
                    session.ended_ns = session.busy_ns = t_ns
                case {"alone": True} | {"gone": True} if session.ended_ns is not None:
                    self._end(session)
                    return
                case {"failed": reason}:
                    session.error = reason
                    self._end(session)
                    return
                case {"gone": True}:
                    session.error = "the first process of its namespaces ended"
                    self._end(session)
                    return
        now_ns = time.monotonic_ns()
        if now_ns >= session.deadline_ns:
            session.error = "time limit reached"
            if session.ended_ns is None:
                session.error += "; the program was still running"
            self._stop(session)
        elif session.ended_ns is not None:
            if _connected(session.job["server"]):
                session.busy_ns = now_ns
            elif now_ns - session.busy_ns > _LINGER_S * 1e9:
                self._stop(session)

    def _open_gate(self, session: Session) -> None:
        if self.recorder is not None:
            try:
                self.recorder.begin(session.announcement)
            except RecorderError as error:
                session.error = str(error)
        session.t0_ns = time.monotonic_ns()
        session.deadline_ns = session.t0_ns + int(session.job["time_limit_s"] * 1e9)
        if session.job.get("announced"):
            self._tell({"begun": session.job["flow"], "t0_ns": session.t0_ns})
        session.cell.open_gate()

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


def serve(fd: int) -> int:
    """Refuse to run outside a lab, or do the jobs that come over ``fd``; return the exit status."""
    channel = Channel.from_fd(fd)
    config = channel.receive()
    if config is None:
        return 0
    if reason := refusal(config["host_netns"]):
        channel.send({"refused": reason})
        return 2
    recorder = None
    if name := config["instance"]:
        try:
            instance.mount_tracing()
            recorder = Recorder(name)
        except (instance.TracingRefusedError, OSError) as error:
            channel.send({"refused": f"what programs write cannot be recorded: {error}"})
            return 2
    try:
        resolver = Resolver()
    except OSError as error:
        channel.send({"refused": f"there is no name server: {error}"})
        return 2
    channel.send({"ready": True})
    ProgramClient(channel, config["hidden"], recorder, resolver).run()
    return 0
