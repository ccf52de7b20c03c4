"""Records what the threads of one program do to sockets, with an instance of the kernel's tracing.

A new program announces itself: its first process writes a line into the instance's
``trace_marker``, and the kernel notes the thread that wrote it, by the number that it has in the
kernel's own first namespace. That number goes to ``set_event_pid``, and so do those of all threads
and processes that it starts (``event-fork``). So the recorder needs no process's number from any
namespace, and no other program of the machine is recorded.

The buffer is emptied twice a second, so a program that writes much does not fill it.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from seglab.kernel.program import events, option_values
from seglab.kernel.program.calls import Event
from seglab.kernel.program.instance import TRACING
from seglab.kernel.program.option_values import OptionValues
from seglab.kernel.program.ring_buffer import EventFormat, LostEventsError, RawEvent
from seglab.kernel.program.ring_buffer import events as events_of

DRAIN_S: Final = 0.5
_SETTING: Final = "sys_enter_setsockopt"
_IPPROTO_TCP: Final = 6
_PAGE_BYTES: Final = 1 << 16


class RecorderError(Exception):
    """What a program does cannot be recorded; the message says why."""


class Recorder:
    """The recorder of one program at a time.

    Args:
        name: of the instance, which somebody else made and removes.
        wanted: the events that are recorded where the kernel has them.

    Attributes:
        marker: a descriptor of ``trace_marker``, for the program's first process.
        watches: whether it takes listeners of the program's calls; it does not.

    Raises:
        OSError: the instance cannot be used.
    """

    watches = False

    def __init__(self, name: str, wanted: Sequence[str] = events.WANTED) -> None:
        self._folder = TRACING / "instances" / name
        self.marker = os.open(self._folder / "trace_marker", os.O_WRONLY | os.O_CLOEXEC)
        self._formats: dict[int, EventFormat] = {}
        for event in wanted:
            with suppress(FileNotFoundError):  # not every kernel has all of them
                form = EventFormat.parse((TRACING / "events" / event / "format").read_text())
                self._formats[form.type_id] = form
        text = (TRACING / "events/ftrace/print/format").read_text()
        self._marked = EventFormat.parse(text).type_id
        self._pipes = [
            os.open(path / "trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            for path in sorted((self._folder / "per_cpu").glob("cpu[0-9]*"))
        ]
        self._values: OptionValues | None = None
        with suppress(OSError, StopIteration):  # not every kernel allows it
            by_name = (n for n, form in self._formats.items() if form.name == _SETTING)
            self._values = OptionValues(next(by_name))
        self._found: list[Event] = []
        self._lost = False
        self._dropped = 0
        self._set("set_event_pid", "0")  # nobody: without a number all would be recorded
        for event in wanted:
            with suppress(FileNotFoundError):
                self._set(f"events/{event}/enable", "1")

    def begin(self, announcement: bytes) -> None:
        """Find the thread that wrote ``announcement``, and record it from here on.

        Raises:
            RecorderError: no thread has written it.
        """
        self._set("tracing_on", "0")  # while the list of threads is empty, it would record all
        marks = (raw for raw in self._take() if raw.type_id == self._marked)
        thread = next((raw.thread for raw in marks if announcement in raw.data), None)
        if thread is None:
            raise RecorderError("the program did not announce itself to the recorder")
        self._found.clear()
        self._lost = False
        if self._values is not None:
            self._values.take()
        self._set("set_event_pid", str(thread))
        self._set("tracing_on", "1")

    def listen(self) -> None:
        """Let announcements in; a program is to follow."""
        self._take()
        self._set("set_event_pid", "0")
        self._set("tracing_on", "1")

    def drain(self) -> None:
        """Take what the buffer holds, so that it does not fill."""
        for raw in self._take():
            if form := self._formats.get(raw.type_id):
                self._found.append(Event(raw.t_ns, raw.thread, form.name, form.read(raw.data)))

    def take(self) -> list[Event]:
        """Return what happened since ``begin`` or the last call, and continue.

        Raises:
            RecorderError: the buffer was full, and events were lost.
        """
        self.drain()
        found, self._found = self._found, []
        self._check_whole()
        return found

    def end(self) -> list[Event]:
        """Stop recording, and return what happened since ``begin``.

        Raises:
            RecorderError: the buffer was full, and events were lost.
        """
        self._set("tracing_on", "0")
        self.drain()
        found, self._found = self._with_values(self._found), []
        self._check_whole()
        return found

    def _check_whole(self) -> None:
        if self._lost or self._overrun():
            raise RecorderError("the recorder lost events: the program wrote faster than it reads")

    def _with_values(self, found: list[Event]) -> list[Event]:
        """Return the events, with the value at each that sets an option of TCP."""
        setting = sorted(
            (event for event in found if event.name == _SETTING),
            key=lambda event: event.t_ns,
        )
        setting = [event for event in setting if event.fields["level"] == _IPPROTO_TCP]
        calls = [(event.t_ns, event.thread, event.fields["optname"]) for event in setting]
        noted = () if self._values is None else self._values.take()
        values = dict(zip(map(id, setting), option_values.values_of(calls, noted), strict=True))
        return [
            event._replace(fields={**event.fields, "value": values[id(event)]})
            if id(event) in values
            else event
            for event in found
        ]

    def _take(self) -> list[RawEvent]:
        found: list[RawEvent] = []
        for pipe in self._pipes:
            while page := self._page(pipe):
                try:
                    found += events_of(page)
                except LostEventsError:
                    self._lost = True
        return found

    @staticmethod
    def _page(pipe: int) -> bytes:
        try:
            return os.read(pipe, _PAGE_BYTES)
        except BlockingIOError:
            return b""

    def _overrun(self) -> bool:
        """Whether events did not fit since the last look, by the buffer's own count."""
        total = 0
        for path in (self._folder / "per_cpu").glob("cpu[0-9]*"):
            for line in (path / "stats").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in ("overrun", "dropped events", "commit overrun"):
                    total += int(value)
        before, self._dropped = self._dropped, total
        return total > before

    def _set(self, name: str, value: str) -> None:
        Path(self._folder / name).write_text(value)
