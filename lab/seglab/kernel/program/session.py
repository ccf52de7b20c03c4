"""One session of a program, as the client sees it: pure but for the pipes of its cell.

Theory of operation
-------------------
A program that sends the message itself begins when its gate opens. A daemon is started first, and
its session begins when the message is handed over:

    starting   the gate is closed, or the program is not ready yet (``ready``)
    working    it has the message; the session's clock runs
    done       what says that it is done (``done``) has happened

A session is over when

    the program has ended, and all that it started with it
    it is done, and it has no connection to the server, or had one for ``LINGER_S`` longer
    the program has ended, nothing says when it is done, and what it left behind has had no
    connection for ``LINGER_S``: the rest is ended, and the session failed
    the time limit is reached, or a pattern takes too long: everything is ended, and the session
    failed

What ``ready`` and ``done`` say is a regular expression for what the program prints, or a command of
the shell that succeeds. A daemon with nothing of the kind is done when the server has the message.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from seglab.kernel import lab_process
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.client_session import check_peer
from seglab.kernel.program.cell import Cell
from seglab.kernel.program.condition import Condition, SlowPatternError
from seglab.kernel.program.first import CHECK_DONE, CHECK_READY, SEND, Command

OUTPUT_MAX_BYTES: Final = 4096
"""How many of the last bytes that a program printed are kept."""

LINGER_S: Final = 2.0
"""How long a process that is left behind may have no connection to the server."""

_SEARCHED_MAX_BYTES: Final = 1 << 16
_START_LIMIT_S: Final = 30.0


class Session:
    """One program under way.

    Attributes:
        cell: where it runs.
        job: the parent's order.
        began_ns: when it was made.
        t0_ns: when its gate opened, or a daemon was handed the message; ``None`` before.
        deadline_ns: when it is ended if it has not by itself.
        exit_code: its exit code, once it has ended.
        ended_ns: when it ended.
        done_ns: when it was done, where something says so.
        busy_ns: when it, or what it left behind, last had a connection to the server.
        error: why it failed, as far as is known.
        notes: what was noticed and is no failure.
        tail: the last bytes that it printed.
        left: the names of the processes that it left behind.
        outputs: the descriptor with what it prints, while somebody can print.
        listeners: the socket with the listeners of its calls, where they are watched.
        opened: whether its gate has opened.
    """

    def __init__(
        self, job: ChannelMessage, hidden: list[str], marker: int | None, *, watched: bool = False
    ) -> None:
        check_peer(job["server"])
        self.job = job
        self.announcement = f"seglab-{job['flow']}-{os.urandom(8).hex()}".encode()
        self._ready = Condition("ready", job["ready"])
        self._done = Condition("done", job["done"])
        command = Command(
            argv=job["argv"],
            environment=job["environment"],
            folder=job["folder"],
            message=job["content"],
            client=job["client"],
            server=job["server"],
            hidden=hidden,
            announcement=self.announcement,
            layers=job["layers"],
            files=job["equipment"]["files"],
            accounts=job["equipment"]["accounts"],
            send=job["send"],
            ready=self._ready.command,
            done=self._done.command,
        )
        self.began_ns = time.monotonic_ns()
        self.t0_ns: int | None = None
        self.deadline_ns = self.began_ns + int(_START_LIMIT_S * 1e9)
        self.exit_code: int | None = None
        self.ended_ns: int | None = None
        self.done_ns: int | None = None
        self.busy_ns = 0
        self.error: str | None = None
        self.notes: list[str] = []
        self.left: list[str] = []
        self.tail = b""
        self._searched = b""
        self._lines = b""
        self._arrived = False
        self._started = False
        self.cell = Cell(command, marker, watched=watched)
        self.outputs = [self.cell.output]
        self.listeners = [] if self.cell.listeners is None else [self.cell.listeners]
        self.opened = False

    @property
    def is_daemon(self) -> bool:
        """Whether the message is handed to it by a command of its own."""
        return self.job["send"] is not None

    @property
    def ends_when_done(self) -> bool:
        """Whether something says when it is done."""
        return self.is_daemon or self._done.given

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
                self._searched = (self._searched + chunk)[-_SEARCHED_MAX_BYTES:]
            self.outputs = []  # nobody is left who could print

    def take_listeners(self) -> list[int]:
        """Return the listeners that have come since the last call."""
        found: list[int] = []
        for sock in list(self.listeners):
            with suppress(BlockingIOError):
                while True:
                    data, descriptors, _, _ = socket.recv_fds(sock, 1, 1)
                    if not data:
                        self.listeners = []
                        break
                    found += descriptors
        return found

    def open_gate(self) -> None:
        """Let the program begin."""
        now_ns = time.monotonic_ns()
        if not self.is_daemon:
            self.t0_ns = now_ns
        self.deadline_ns = now_ns + self._limit_ns()
        self.opened = True
        self.cell.open_gate()

    def take(self, report: dict[str, Any]) -> None:
        """Note what ``first`` reports."""
        match report:
            case {"started": True}:
                self._started = True
                if self.is_daemon and self._ready.command is not None:
                    self.cell.order(CHECK_READY)
                elif not self.is_daemon and self._done.command is not None:
                    self.cell.order(CHECK_DONE)
            case {"ended": code, "t_ns": t_ns}:
                self.exit_code = code
                self.ended_ns = self.busy_ns = t_ns
            case {"sent": 0}:
                pass
            case {"sent": code}:
                how = lab_process.how_it_ended(code)
                self.error = f"the command that hands the message over {how}{self.last_printed()}"
            case {"held": "ready"}:
                self._ready.holds = True
            case {"held": "done"}:
                self._done.holds = True
            case {"full": True}:
                self.notes.append("the program filled the space that it has for files")
            case {"failed": reason}:
                self.error = reason

    def arrived(self) -> None:
        """Note that the server has a message."""
        self._arrived = True

    def hand_over(self) -> None:
        """Hand a daemon the message if it is ready and does not have it."""
        if not self.is_daemon or self.t0_ns is not None or not self._started:
            return
        if self._ready.given and not self._is_met(self._ready):
            return
        self._searched = b""
        self.t0_ns = time.monotonic_ns()
        self.deadline_ns = self.t0_ns + self._limit_ns()
        self.cell.order(SEND)
        if self._done.command is not None:
            self.cell.order(CHECK_DONE)

    def is_over(self, now_ns: int, connected: Callable[[], bool]) -> bool:
        """Whether the session is over while something still runs; ``error`` and ``left`` say how.

        Args:
            now_ns: the time.
            connected: says whether it has a connection to the server.
        """
        if now_ns >= self.deadline_ns:
            self.error = f"time limit reached; {self._what_it_does()}"
            return True
        if self.error is not None:
            return True
        if self.ends_when_done:
            if self.done_ns is None and self.t0_ns is not None and self._is_done():
                self.done_ns = now_ns
            if self.done_ns is None:
                return False
            return now_ns - self.done_ns > LINGER_S * 1e9 or not connected()
        if self.ended_ns is None:
            return False
        if connected():
            self.busy_ns = now_ns
        return now_ns - self.busy_ns > LINGER_S * 1e9

    def alone(self) -> None:
        """Note that nothing of it is left."""
        if self.is_daemon and self.t0_ns is None and self.error is None:
            how = lab_process.how_it_ended(self.exit_code or 0)
            self.error = f"the program {how} before it was ready{self.last_printed()}"

    def last_printed(self) -> str:
        """Return words for the last line that was printed; empty without one."""
        self.read_output()
        last = self.tail.decode("utf-8", "replace").strip().splitlines()[-1:]
        return f" and last printed: {last[0]}" if last else ""

    def _is_done(self) -> bool:
        return self._is_met(self._done) if self._done.given else self._arrived

    def _is_met(self, condition: Condition) -> bool:
        try:
            return condition.is_met(self._searched)
        except SlowPatternError as error:
            self.error = str(error)
            return False

    def _what_it_does(self) -> str:
        if self.t0_ns is None:
            return "the program was not ready"
        if self.ends_when_done:
            came = "had" if self._arrived else "had not"
            return f"the program was not done, and the server {came} got the message"
        return "the program was still running" if self.ended_ns is None else "a process was left"

    def _limit_ns(self) -> int:
        return int(self.job["time_limit_s"] * 1e9)
