"""The client's program in virtual time: takes a sender's steps as the kernel engine's client does.

Theory of operation
-------------------
The program sleeps until something wakes it. Two things can: its connection (``wake`` notes when the
program will notice) and its own clock (a pause is over, the next write has taken its time).
``noticing_ns`` and ``resume_ns`` say when that will be, and ``run`` does what there is to do then.

    state        it waits for                                    and then
    connecting   the connection                                  takes the next step
    resuming     its own clock                                   takes the next step
    blocked      room in the send buffer, or in the window       writes the rest
    expecting    a whole reply                                   takes the next step
    finishing    the end of the server's stream                  ends the session
    ended        nothing

A write behaves as a blocking one does: what the buffer does not take follows as soon as there is
room, before the next step, and it stays one write.
"""

from collections.abc import Sequence
from typing import Final

from seglab.sender.replies import Replies, ReplyError
from seglab.sender.steps import Expect, SetOption, Step, Wait, Write, at_mss
from seglab.simulator.carried import UP, Outlet
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.host_times import (
    CLIENT_BARE_STEP,
    CLIENT_BURST_STEP,
    CLIENT_QUIET_STEP,
    CLIENT_STEP,
    CLIENT_WAKE,
    HostTimes,
)
from seglab.tcp.window import usable

NEVER: Final = 1 << 62

_READ_MOST = 1 << 16
_WINDOW_LOOK_NS = 1_000_000
_CONNECTING, _RESUMING, _BLOCKED, _EXPECTING, _FINISHING, _ENDED = range(6)


class Client:
    """The client's program of one session.

    Args:
        script: the steps that the sender takes.
        tcp: the client's end of the connection.
        times: how long its steps take.
        window_bytes: the size of a send window that counts bytes; ``None`` leaves it to TCP.
        stream: the server's stream, which grows.
        outlet: takes the segments that leave.
        bare: whether no link of the path does anything to a frame.

    Attributes:
        writes: each write call: when, and its range in the client's stream.
        noticing_ns: when the program notices what has happened; ``NEVER`` where nothing has.
        resume_ns: when it goes on by its own clock; ``NEVER`` where it does not.
        mss: the MSS in force when the connection stood; 0 before that.
        timestamps: whether the connection uses timestamps.
        ended_ns: when the session ended for the client; ``None`` before that.
        error: why it failed; ``None`` where it did not.
        in_turn: whether the program goes on after a step that takes a while, and does not sleep.
    """

    __slots__ = (
        "_bare",
        "_expected",
        "_left",
        "_more",
        "_outlet",
        "_position",
        "_replies",
        "_reply_end",
        "_script",
        "_state",
        "_stream",
        "_tcp",
        "_times",
        "_unsent",
        "_window_bytes",
        "_woken",
        "_written",
        "ended_ns",
        "error",
        "in_turn",
        "mss",
        "noticing_ns",
        "resume_ns",
        "timestamps",
        "writes",
    )

    def __init__(
        self,
        script: Sequence[Step],
        tcp: TcpEndpoint,
        times: HostTimes,
        window_bytes: int | None,
        stream: bytearray,
        outlet: Outlet,
        *,
        bare: bool = False,
    ) -> None:
        self._script = script
        self._tcp = tcp
        self._times = times
        self._window_bytes = window_bytes
        self._stream = stream
        self._outlet = outlet
        self._bare = bare
        self._state = _CONNECTING
        self._position = 0
        self._written = 0
        self._unsent = 0
        self._expected = 0
        self._replies = Replies()
        self._reply_end = 0
        self._left = 0
        self._more = False
        self._woken = False
        self.in_turn = False
        self.noticing_ns = NEVER
        self.resume_ns = NEVER
        self.writes: list[tuple[int, int, int]] = []
        self.mss = 0
        self.timestamps = False
        self.ended_ns: int | None = None
        self.error: str | None = None

    def wake(self, now_ns: int) -> None:
        """Let the program notice soon what has happened at ``now_ns``, if it waits for that."""
        if self.noticing_ns != NEVER or self._state == _ENDED:
            return
        tcp, state = self._tcp, self._state
        if state == _CONNECTING:
            wanted = tcp.established or tcp.error is not None
        else:
            wanted = bool(
                tcp.unread
                or tcp.peer_closed
                or tcp.error is not None
                or (state == _BLOCKED and self._window_bytes is None and tcp.writable > 0)
            )
        if wanted:
            self.noticing_ns = now_ns + self._times.draw(CLIENT_WAKE)

    def run(self, now_ns: int) -> None:
        """Do what there is to do at ``now_ns``, until the program waits again."""
        self.in_turn = False
        try:
            if self.noticing_ns <= now_ns:
                self.noticing_ns = NEVER
                self._woken = True
                self._times.begin()
                self._notice(now_ns)
            if self.resume_ns <= now_ns:
                self.resume_ns = NEVER
                if self._state == _BLOCKED:
                    self._push(now_ns)
                elif self._state == _RESUMING:
                    self._advance(now_ns)
            if self._woken and not self.in_turn:
                self._woken = False
                self._tcp.look()  # epoll does, before it waits again
            self.wake(now_ns)  # for what is still there to be noticed
        except ReplyError as error:
            self.fail(now_ns, str(error))

    def fail(self, now_ns: int, error: str) -> None:
        """End the session, which has failed."""
        self.error = error
        self._state = _ENDED
        self.noticing_ns = self.resume_ns = NEVER
        self.ended_ns = now_ns

    def _notice(self, now_ns: int) -> None:
        tcp = self._tcp
        if self._state == _CONNECTING:
            if tcp.error is not None:
                self.fail(now_ns, f"connect: {tcp.error}")
                return
            self.mss = tcp.mss
            self.timestamps = tcp.timestamps
            self._script = at_mss(self._script, tcp.mss)
            self._advance(now_ns)
            return
        if tcp.error is not None:
            self._read_last(now_ns)
            self.fail(now_ns, f"socket: {tcp.error}")
            return
        if self._state == _BLOCKED and self._window_bytes is None and tcp.writable > 0:
            self._push(now_ns)
        if tcp.unread:
            self._read(now_ns)
            self._outlet.send(now_ns, UP, tcp.out)
            if self._state == _EXPECTING and self._replies.take(self._expected):
                self._advance(now_ns)
        if not tcp.unread and tcp.peer_closed and self._state != _ENDED:
            if self._state == _FINISHING:
                self._state = _ENDED
                self.ended_ns = now_ns
            else:
                self.fail(now_ns, "the server closed the connection early")

    def _read(self, now_ns: int) -> None:
        """Read from the server."""
        start = self._reply_end
        self._reply_end = end = start + self._tcp.read(now_ns, _READ_MOST)
        self._replies.feed(self._stream[start:end])

    def _read_last(self, now_ns: int) -> None:
        """Read what had come before the connection failed, as a socket gives it before its error.

        Raises:
            ReplyError: it is a reply that says why.
        """
        if self._tcp.unread:
            self._read(now_ns)
        if self._state == _EXPECTING:
            self._replies.take(self._expected)

    def _advance(self, now_ns: int) -> None:
        """Take the sender's steps until one of them must wait, or none is left."""
        script, count = self._script, len(self._script)
        wrote = False
        while self._position < count:
            step = script[self._position]
            if isinstance(step, Write):
                if wrote:
                    break
                wrote = True
                self._position += 1
                if not self._write(now_ns, step):
                    return
            elif isinstance(step, Expect):
                self._position += 1
                self._expected = step.code
                self._state = _EXPECTING
                if not self._replies.take(step.code):
                    return
            elif isinstance(step, Wait):
                self._position += 1
                self._state = _RESUMING
                self._times.begin()
                self.resume_ns = now_ns + int(step.seconds * 1e9) + self._times.draw(CLIENT_WAKE)
                return
            else:
                if wrote:
                    break
                wrote = True
                self._position += 1
                self._set_option(now_ns, step)
        if wrote:
            self._resume_after_write(now_ns)
            return
        self._state = _FINISHING
        self._outlet.send(now_ns, UP, self._tcp.close(now_ns))

    def _write(self, now_ns: int, step: Write) -> bool:
        """Begin a write; return whether TCP took all of it."""
        self._more = step.more
        start = self._written
        self._unsent = size = len(step.data)
        self._written = start + size
        self.writes.append((now_ns, start, start + size))
        return self._hand_over(now_ns)

    def _resume_after_write(self, now_ns: int) -> None:
        """Let the write take its time before the next step."""
        self._state = _RESUMING
        self.in_turn = True
        times = self._times
        if not self._left:
            took_ns = times.draw(CLIENT_QUIET_STEP)
        elif self._bare:
            took_ns = times.follow(CLIENT_BARE_STEP)
        else:
            took_ns = times.follow(CLIENT_STEP if self._left == 1 else CLIENT_BURST_STEP)
        self.resume_ns = now_ns + took_ns

    def _set_option(self, now_ns: int, step: SetOption) -> None:
        tcp = self._tcp
        change = tcp.set_cork if step.name == "cork" else tcp.set_nodelay
        segments = change(now_ns, step.on)
        self._left = len(segments)
        self._outlet.send(now_ns, UP, segments)

    def _push(self, now_ns: int) -> None:
        """Continue a write that was held up, and then the sender's steps."""
        if self._hand_over(now_ns):
            self._advance(now_ns)

    def _hand_over(self, now_ns: int) -> bool:
        """Give TCP as much of the write as it, and a window in bytes, can take.

        Returns:
            Whether that is all of it. Otherwise the program is ``blocked``.
        """
        tcp = self._tcp
        self._left = 0
        while self._unsent:
            allowed = self._unsent
            if self._window_bytes is not None:
                allowed = usable(allowed, tcp.unacknowledged, self._window_bytes, self.mss)
                if not allowed:
                    break
            taken = tcp.write(now_ns, allowed, self._more)
            if tcp.out:
                self._left += len(tcp.out)
                self._outlet.send(now_ns, UP, tcp.out)
            if not taken:
                break
            self._unsent -= taken
        if not self._unsent:
            return True
        self._state = _BLOCKED
        if self._window_bytes is not None:  # there is no event for an acknowledgement
            self.resume_ns = now_ns + _WINDOW_LOOK_NS
        return False
