"""The logging server in virtual time: the protocols of ``seglab.server``, and both kinds of reader.

Theory of operation
-------------------
The protocols are the real server's own (``seglab.server.smtp``, ``seglab.server.session``): they do
no input or output. What they answer to a script was mostly found before the session (``turns``, see
``rehearsal.py``). This module decides when the server reads, as ``seglab.server.loop`` (event
loop) and ``seglab.server.threads`` (blocking ``recv``) do:

    state       it waits for                          and then
    listening   a connection                          sends the greeting
    asleep      bytes, or the stream's end            reads
    busy        the end of its own turn               reads on where there is something to read
    held back   the pace of ``wake_us``, ``turn_us``  reads
    lingering   the client's end, two seconds long    closes
    closed      nothing

A reader that is asleep needs a while to wake up, which ``HostTimes`` draws. Bytes that arrive in
that while are part of the same read. A reader that is busy reads at the end of its turn.

``wake`` notes in ``noticing_ns`` when the server will notice what happened, and ``run`` does what
there is to do then.
"""

from collections.abc import Sequence
from typing import Final

from seglab.experiment.reader import Reader
from seglab.server.connection import MESSAGE_LOG_BYTES, READ_LOG_BYTES
from seglab.server.session import Output, ProtocolSession, RawSession, ReceivedPayload
from seglab.server.smtp import SmtpSession
from seglab.simulator.carried import DOWN, Outlet
from seglab.simulator.client import NEVER
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.host_times import (
    EVENT_LOOP_TURN,
    EVENT_LOOP_WAKE,
    RECV_LOOP_TURN,
    RECV_LOOP_WAKE,
    HostTimes,
)
from seglab.simulator.rehearsal import LIMITS, Turn

_LOG_MOST_BYTES: Final[int] = LIMITS.log_bytes
_READ_BYTES: Final[int] = READ_LOG_BYTES
_READS_A_TURN = 32  # as in seglab.server.loop
_LINGER_NS = 2_000_000_000
_IDLE_NS: Final[int] = int(LIMITS.idle_s * 1e9)
_LISTENING, _OPEN, _LINGERING, _CLOSED = range(4)


def _next_turn(turns: Sequence[Turn] | None, taken: int) -> int:
    """Return where in the client's stream the protocol has something to say the next time."""
    return NEVER if turns is None or taken == len(turns) else turns[taken].end


class Server:
    """The server's program of one session.

    Args:
        protocol: ``raw`` or ``smtp``.
        reader: how it reads.
        tcp: the server's end of the connection.
        times: how long it takes.
        stream: the client's stream, of which it reads what has arrived.
        turns: what the protocol answers to the stream; ``None`` lets it read each piece.
        outlet: takes the segments that leave.

    Attributes:
        replies: the server's own stream, as far as it is written.
        reads: each read: when it returned, and its range in the client's stream.
        messages: the payloads that have ended.
        session: the protocol's side of the connection.
        noticing_ns: when the server notices what has happened; ``NEVER`` where nothing has.
        deadline_ns: when it stops waiting for the client; ``NEVER`` where it does not wait.
        accepted: whether there was a connection.
    """

    __slots__ = (
        "_active_ns",
        "_busy_until_ns",
        "_log_bytes",
        "_next_turn",
        "_outlet",
        "_pending",
        "_position",
        "_ready_ns",
        "_size",
        "_state",
        "_stream",
        "_tcp",
        "_times",
        "_turn_kind",
        "_turn_ns",
        "_turn_reads",
        "_turns",
        "_turns_taken",
        "_wake_kind",
        "_wake_ns",
        "_woken",
        "accepted",
        "deadline_ns",
        "messages",
        "noticing_ns",
        "reads",
        "replies",
        "session",
    )

    def __init__(
        self,
        protocol: str,
        reader: Reader,
        tcp: TcpEndpoint,
        times: HostTimes,
        stream: bytes,
        turns: Sequence[Turn] | None,
        outlet: Outlet,
    ) -> None:
        self.session: ProtocolSession = (
            SmtpSession(LIMITS) if protocol == "smtp" else RawSession(LIMITS)
        )
        self._size: int = reader.buffer_bytes
        self._turn_ns: int = int(reader.turn_us * 1000)
        self._wake_ns: int = int(reader.wake_us * 1000)
        in_loop = reader.kind == "event-loop"
        self._wake_kind = EVENT_LOOP_WAKE if in_loop else RECV_LOOP_WAKE
        self._turn_kind = EVENT_LOOP_TURN if in_loop else RECV_LOOP_TURN
        self._tcp = tcp
        self._times = times
        self._stream = stream
        self._turns = turns
        self._turns_taken = 0
        self._next_turn = _next_turn(turns, 0)
        self._outlet = outlet
        self._state = _LISTENING
        self._position = 0
        self._pending = 0  # bytes of replies that TCP has not taken
        self._log_bytes = 0
        self._turn_reads = 0
        self._active_ns = 0
        self._busy_until_ns = 0
        self.noticing_ns = NEVER
        self.deadline_ns = NEVER
        self._ready_ns = 0
        self._woken = False
        self.accepted = False
        self.replies = bytearray()
        self.reads: list[tuple[int, int, int]] = []
        self.messages: list[ReceivedPayload] = []

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self._state == _CLOSED

    @property
    def _logs_too_much(self) -> bool:
        return self._log_bytes > _LOG_MOST_BYTES

    def wake(self, now_ns: int) -> None:
        """Let the server notice soon what has happened at ``now_ns``, if it waits for that."""
        if self.noticing_ns != NEVER or self._state == _CLOSED:
            return
        tcp = self._tcp
        if self._state == _LISTENING:
            if tcp.established:
                self.noticing_ns = now_ns + self._times.draw(self._wake_kind)
            return
        if self._pending:
            wanted = tcp.writable > 0 or tcp.error is not None
        else:
            wanted = bool(tcp.unread or tcp.peer_closed or tcp.error is not None)
        if not wanted:
            return
        if now_ns < self._busy_until_ns:
            self.noticing_ns = self._busy_until_ns
        else:
            self.noticing_ns = now_ns + self._times.draw(self._wake_kind)

    def run(self, now_ns: int) -> None:
        """Do what there is to do at ``now_ns``, until the server waits again."""
        if self.deadline_ns <= now_ns:
            self.deadline_ns = NEVER
            self._time_is_up(now_ns)
        if self.noticing_ns > now_ns:
            return
        self.noticing_ns = NEVER
        if self._state == _LISTENING:
            self._accept(now_ns)
        elif self._state == _CLOSED:
            return
        elif self._tcp.error is not None:
            self._finish(now_ns, "reset")
            return
        elif self._pending:
            self._write(now_ns)
        elif self._wake_ns or self._turn_ns:
            self._read_in_turn(now_ns)
        else:
            self._read(now_ns)
        self._continue(now_ns)

    def _continue(self, now_ns: int) -> None:
        """See to it that what is left to do is done when the turn is over."""
        if self.noticing_ns == NEVER and self._state != _CLOSED:
            self.wake(now_ns)

    def _accept(self, now_ns: int) -> None:
        self._state = _OPEN
        self.accepted = True
        self._active_ns = now_ns
        self.deadline_ns = now_ns + _IDLE_NS
        self._busy_until_ns = now_ns + self._times.draw(self._turn_kind)
        if self.session.greeting:
            self._reply(now_ns, self.session.greeting)

    def _read_in_turn(self, now_ns: int) -> None:
        """Read at the reader's own pace (``Server._readable_in_turn`` of the real one)."""
        if self._turn_reads == 0:
            if self._wake_ns and not self._woken and now_ns >= self._ready_ns:
                self._woken = True
                self._ready_ns = now_ns + self._wake_ns
            if now_ns < self._ready_ns:
                self.noticing_ns = self._ready_ns
                return
            self._woken = False
        self._read(now_ns)
        if self._turn_reads == 0:
            self._ready_ns = now_ns + self._turn_ns

    def _read(self, now_ns: int) -> None:
        """Carry out one ``recv``; where it filled the buffer, the next one follows in this turn."""
        tcp = self._tcp
        self._busy_until_ns = now_ns + self._times.draw(self._turn_kind)
        if not tcp.unread:
            self._turn_reads = 0
            if tcp.peer_closed:
                self._end_of_stream(now_ns)
            return
        read = tcp.read(now_ns, self._size)
        start = self._position
        self._position = end = start + read
        self._active_ns = now_ns
        again = read == self._size
        if tcp.out:
            self._outlet.send(now_ns, DOWN, tcp.out)
        if self._state != _LINGERING:
            self.reads.append((now_ns, start, end))
            again = self._received(now_ns, start, end) and again
        self._turn_reads += 1
        if again and self._turn_reads < _READS_A_TURN and self._state != _CLOSED:
            self.noticing_ns = self._busy_until_ns
        else:
            self._turn_reads = 0

    def _received(self, now_ns: int, start: int, end: int) -> bool:
        """Answer what was read; return whether to read again."""
        self._log_bytes += _READ_BYTES
        if end < self._next_turn and self._turns is not None and not self._logs_too_much:
            return True
        session = self.session
        replies, messages = self._answer(start, end)
        if messages:
            self.messages.extend(messages)
            for message in messages:
                self._log_bytes += MESSAGE_LOG_BYTES + sum(map(len, message.recipients))
        if session.ended is not None:
            if replies:  # held for a moment, so that it leaves in one segment with the FIN
                self._reply(now_ns, replies, more=True)
            self._end(now_ns)
            return False
        if replies:
            self._reply(now_ns, replies)
        if self._logs_too_much:
            self._refuse(now_ns, "limit log_bytes", "too much to log")
            return False
        return not self._pending

    def _answer(self, start: int, end: int) -> Output:
        """Return the protocol's replies to what was read, and the messages that ended."""
        session, turns = self.session, self._turns
        if turns is None:
            return session.feed(self._stream[start:end])
        replies = b""
        messages: Sequence[ReceivedPayload] = ()
        while self._next_turn <= end:
            turn = turns[self._turns_taken]
            self._turns_taken += 1
            self._next_turn = _next_turn(turns, self._turns_taken)
            replies = replies + turn.reply if replies else turn.reply
            messages = [*messages, *turn.messages] if messages else turn.messages
            session.ended, session.refused = turn.ended, turn.refused
        return replies, messages

    def _reply(self, now_ns: int, replies: bytes, *, more: bool = False) -> None:
        self.replies += replies
        tcp = self._tcp
        self._pending = len(replies) - tcp.write(now_ns, len(replies), more)
        self._outlet.send(now_ns, DOWN, tcp.out)

    def _write(self, now_ns: int) -> None:
        """Write what TCP did not take of the last replies."""
        self._pending -= self._tcp.write(now_ns, self._pending)
        self._outlet.send(now_ns, DOWN, self._tcp.out)
        self._active_ns = now_ns
        if not self._pending and self.session.ended is not None:
            self._end(now_ns)

    def _refuse(self, now_ns: int, ended: str, text: str) -> None:
        """End the session from the server's side, with the reply that says why."""
        if self.session.ended is not None or self._pending:
            self.session.stop(ended, text)
            self._finish(now_ns, ended)
            return
        reply = self.session.stop(ended, text)
        if reply:
            self._reply(now_ns, reply)
        self._end(now_ns)

    def _end(self, now_ns: int) -> None:
        """Close after QUIT, or end the own direction and wait for the client, once all is sent."""
        if self._pending:
            return
        if self.session.ended == "quit":
            self._finish(now_ns, "quit")
            return
        self._state = _LINGERING
        self.deadline_ns = now_ns + _LINGER_NS
        self._outlet.send(now_ns, DOWN, self._tcp.close(now_ns))

    def _end_of_stream(self, now_ns: int) -> None:
        if self._state == _OPEN:
            self.messages.extend(self.session.end_of_stream())
        self._finish(now_ns, "eof")

    def _finish(self, now_ns: int, ended: str) -> None:
        if self.session.ended is None:
            self.session.ended = ended
        already = self._state == _LINGERING
        self._state = _CLOSED
        self.noticing_ns = self.deadline_ns = NEVER
        if not already and self._tcp.error is None:
            self._outlet.send(now_ns, DOWN, self._tcp.close(now_ns))

    def _time_is_up(self, now_ns: int) -> None:
        """The client has been idle for too long, or has not closed after a refusal."""
        if self._state == _LINGERING:
            self._finish(now_ns, "reset")
        elif now_ns < self._active_ns + _IDLE_NS:
            self.deadline_ns = self._active_ns + _IDLE_NS
        elif self._state == _OPEN:
            self._refuse(now_ns, "idle", f"idle for {LIMITS.idle_s:g} s")
