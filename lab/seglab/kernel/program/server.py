"""The server of a lab that is a program: it starts it, and reports what it reads.

It speaks the same language with the parent as the lab's own server: ``ready`` once the program
accepts connections at the port, or ``failed`` with the reason; then ``connection`` for each
connection that has ended; and ``pong`` for each ``ping``. Its records of connections have what the
kernel's tracing saw: the reads, and all calls that read (``seglab.kernel.program.reads``).

When the program ends, this part ends with it, and says how. The sessions that ran have failed then,
and the engine starts another lab for those that wait.
"""

import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from seglab.core.reading import spans
from seglab.kernel import lab_process
from seglab.kernel.channel import Channel, ChannelMessage
from seglab.kernel.client_start import refusal
from seglab.kernel.program import instance, view
from seglab.kernel.program.calls import Event
from seglab.kernel.program.cell import Cell
from seglab.kernel.program.first import Command
from seglab.kernel.program.reads import WANTED, ServedConnection, ServerWatch
from seglab.kernel.program.recorder import Recorder, RecorderError

_LOOK_S: Final = 0.02
_STOP_LIMIT_S: Final = 2.0
_OUTPUT_MAX_BYTES: Final = 4096
_LISTEN: Final = "0A"


class _FailedError(Exception):
    """The program does not serve, or not any more; the message says why."""


class ProgramServer:
    """A program that serves in the lab.

    Args:
        channel: to the parent.
        config: the parent's first message: the program's ``job``, the ``port`` that it is to
            serve, the sockets of the machine that it must not see (``hidden``), and the name of
            the trace ``instance``, and how long the program may take to start
            (``start_limit_s``).

    Raises:
        OSError: the program cannot be shut in, or the instance cannot be used.
        TracingRefusedError: tracefs cannot be mounted.
    """

    def __init__(self, channel: Channel, config: ChannelMessage) -> None:
        job = config["job"]
        self._channel = channel
        self._port: int = config["port"]
        self._name: str = job["name"]
        self._start_limit_s: float = config["start_limit_s"]
        instance.mount_tracing()
        self._recorder = Recorder(config["instance"], WANTED)
        self._watch = ServerWatch(self._port)
        self._kept: list[Event] = []
        self._tail = b""
        self._lines = b""
        self._outputs: list[int] = []
        self._announcement = f"seglab-server-{os.urandom(8).hex()}".encode()
        self._recorder.listen()
        command = Command(
            argv=job["argv"],
            environment=job["environment"],
            folder=job["folder"],
            message=b"",
            client=config["client"],
            server=config["server"],
            hidden=config["hidden"],
            announcement=self._announcement,
            layers=job["layers"],
            files=job["equipment"]["files"],
            accounts=job["equipment"]["accounts"],
            hostname=view.SERVER_NAME,
        )
        self._cell = Cell(command, self._recorder.marker)
        self._outputs = [self._cell.output]

    def start(self) -> None:
        """Start the program, and return once it accepts connections.

        Raises:
            _FailedError: it does not.
        """
        end = time.monotonic() + self._start_limit_s
        while not _listening(self._port):
            if time.monotonic() > end:
                words = f"did not listen on port {self._port} within {self._start_limit_s:g} s"
                raise _FailedError(f"{self._name} {words}{self._last_printed()}")
            self._wait()
            self._look()
            self._recorder.drain()
        self._take_events()
        self._watch = ServerWatch(self._port)

    def run(self) -> None:
        """Report what the program reads until the parent closes the channel.

        Raises:
            _FailedError: the program has ended.
        """
        while not self._channel.ended:
            self._wait()
            for connection in self._take_events():
                self._tell({"connection": self._record(connection)})
            self._look()

    def stop(self) -> None:
        """End the program, and all that it started."""
        self._cell.stop()
        end = time.monotonic() + _STOP_LIMIT_S
        with suppress(OSError):
            while os.read(self._cell.reports, 1 << 16) and time.monotonic() < end:
                pass
        self._read_output()
        self._cell.kill()

    def _wait(self) -> None:
        """Wait until there may be something to do, and answer the parent."""
        watched: list[Any] = [self._channel.fileno(), self._cell.reports, *self._outputs]
        ready, _, _ = select.select(watched, [], [], _LOOK_S)
        if self._channel.fileno() in ready:
            for message in self._channel.drain():
                if "ping" in message:
                    self._tell({"pong": message["ping"]})

    def _look(self) -> None:
        """See what has become of the program."""
        self._read_output()
        gone = False
        with suppress(BlockingIOError):
            while chunk := os.read(self._cell.reports, 1 << 16):
                self._lines += chunk
            gone = True
        *lines, self._lines = self._lines.split(b"\n")
        for line in lines:
            match msgspec.json.decode(line):
                case {"waiting": True}:
                    self._recorder.begin(self._announcement)
                    self._cell.open_gate()
                case {"ended": code}:
                    how = lab_process.how_it_ended(code)
                    raise _FailedError(f"{self._name} {how}{self._last_printed()}")
                case {"failed": reason}:
                    raise _FailedError(str(reason))
                case {"full": True}:
                    raise _FailedError(f"{self._name} filled the space that it has for files")
        if gone:
            raise _FailedError(f"the first process of {self._name}'s namespaces ended")

    def _read_output(self) -> None:
        """Pass on what the program prints to the run's log, and keep the end of it."""
        for descriptor in list(self._outputs):
            with suppress(BlockingIOError):
                while chunk := os.read(descriptor, 1 << 16):
                    self._tail = (self._tail + chunk)[-_OUTPUT_MAX_BYTES:]
                    words = chunk.decode("utf-8", "backslashreplace")
                    print(words, end="", file=sys.stderr, flush=True)
                self._outputs = []  # nobody is left who could print

    def _last_printed(self) -> str:
        """Return words for the last line that was printed; empty without one."""
        self._read_output()
        last = self._tail.decode("utf-8", "replace").strip().splitlines()[-1:]
        return f" and last printed: {last[0]}" if last else ""

    def _take_events(self) -> list[ServedConnection]:
        """Return the connections that have ended, as far as the order of events is known.

        Each processor has its own buffer. What happened before the first of them is emptied is in
        them all; what happened later waits for the next time.
        """
        until_ns = time.monotonic_ns()
        found = sorted([*self._kept, *self._recorder.take()], key=lambda event: event.t_ns)
        self._kept = [event for event in found if event.t_ns >= until_ns]
        return self._watch.take(event for event in found if event.t_ns < until_ns)

    def _record(self, connection: ServedConnection) -> ChannelMessage:
        return {
            "local": connection.local,
            "peer": connection.peer,
            "reads": spans(connection.calls),
            "calls": msgspec.to_builtins(connection.calls),
            "options": connection.options,
        }

    def _tell(self, message: ChannelMessage) -> None:
        with suppress(OSError):  # the parent is gone; the channel's end will end the loop
            self._channel.send(message)


def _listening(port: int) -> bool:
    """Whether a socket of this network namespace listens on a port."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                    return True
    return False


def serve(fd: int) -> int:
    """Serve as the first message says until the channel ends; return the exit status."""
    channel = Channel.from_fd(fd)
    config = channel.receive()
    if config is None:
        return 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the lab decides what Ctrl-C means
    if reason := refusal(config["host_netns"], "s-eth0"):
        channel.send({"failed": reason})
        return 2
    server: ProgramServer | None = None
    try:
        server = ProgramServer(channel, config)
        server.start()
        channel.send({"ready": True})
        server.run()
    except (_FailedError, RecorderError, instance.TracingRefusedError, OSError) as error:
        with suppress(OSError):  # the parent is gone already
            channel.send({"failed": str(error)})
        return 1
    finally:
        if server is not None:
            server.stop()
    return 0
