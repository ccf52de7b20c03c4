"""From trace events to what a server program read, and from that to a reader's parameters."""

from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from synthetic import record

from seglab.core.reading import ServerCall, ServerReading, SetOption, spans
from seglab.core.trace import Read, Segment
from seglab.kernel.program.calls import Event
from seglab.kernel.program.reads import ServedConnection, ServerWatch
from seglab.validation.reading import Pace, derive, pace

SERVER, CLIENT, PORT = "10.64.0.1", "10.0.0.1", 25
EAGAIN = 11


class Story:
    """The events of a server, in order; each is a microsecond after the one before."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, name: str, thread: int = 1, **fields: Any) -> "Story":
        """Add an event."""
        self.events.append(Event(1000 * (1 + len(self.events)), thread, name, fields))
        return self

    def wait(self, name: str = "poll", thread: int = 1) -> "Story":
        """Wait by a call, and return from it."""
        return self.tell(f"sys_enter_{name}", thread).tell(f"sys_exit_{name}", thread, ret=1)

    def read(
        self,
        sk: int,
        result: int,
        size: int = 4096,
        thread: int = 1,
        peer: tuple[str, int] = (CLIENT, 40_000),
        flags: int = 0,
        six: bool = False,
    ) -> "Story":
        """Read from a socket; where bytes came, the kernel says whose they are."""
        self.tell("sys_enter_read", thread, fd=9, count=size)
        if result > 0:
            packed = [ip_address(one).packed for one in (SERVER, peer[0])]
            mapped = [b"\0" * 10 + b"\xff\xff" + one for one in packed]
            self.tell(
                "tcp_rcv_space_adjust", thread,
                skaddr=sk, family=10 if six else 2, sport=PORT, dport=peer[1],
                saddr=packed[0], daddr=packed[1], saddr_v6=mapped[0], daddr_v6=mapped[1],
            )  # fmt: skip
        return self.tell("sock_recv_length", thread, sk=sk, ret=result, flags=flags)

    def close(self, sk: int) -> "Story":
        """Close a socket."""
        return self.tell("inet_sock_set_state", skaddr=sk, sport=PORT, newstate=9)

    @property
    def ended(self) -> list[ServedConnection]:
        """The connections that have ended."""
        return ServerWatch(PORT).take(self.events)


def test_reads_have_their_place_in_the_stream() -> None:
    """Bytes are numbered as they are read; a peek and a try that finds nothing move nothing."""
    story = Story().read(7, -EAGAIN).read(7, 100, flags=2).read(7, 100).read(7, 4096).close(7)
    (connection,) = story.ended
    assert (connection.local, connection.peer) == ((SERVER, PORT), (CLIENT, 40_000))
    assert [(c.result, c.peek) for c in connection.calls] == [
        (-EAGAIN, False),
        (100, True),
        (100, False),
        (4096, False),
    ]
    assert [span[1:] for span in spans(connection.calls)] == [(0, 100), (100, 4196)]


def test_connections_side_by_side_are_kept_apart() -> None:
    """Each thread's call belongs to the socket that it read, also where two are under way."""
    story = Story()
    story.tell("sys_enter_read", 1, fd=5, count=8191)
    story.read(8, 20, thread=2, peer=("10.0.0.2", 40_001))
    story.tell(
        "tcp_rcv_space_adjust", 1,
        skaddr=7, family=2, sport=PORT, dport=40_000,
        saddr=ip_address(SERVER).packed, daddr=ip_address(CLIENT).packed,
        saddr_v6=bytes(16), daddr_v6=bytes(16),
    )  # fmt: skip
    story.tell("sock_recv_length", 1, sk=7, ret=30, flags=0).close(7).close(8)
    one, other = story.ended
    assert (one.peer[0], one.calls[0].result, one.calls[0].asked_bytes) == (CLIENT, 30, 8191)
    assert one.calls[0].began_ns == 1000, "it waited in the call while the other one read"
    assert (other.peer[0], other.calls[0].result) == ("10.0.0.2", 20)


def test_an_address_in_the_kernel_is_used_again() -> None:
    """A new connection at the address of an old one is another one, also without its close."""
    story = Story().read(7, 10).read(7, 20, peer=("10.0.0.2", 40_000)).close(7)
    assert [(c.peer[0], c.calls[0].result) for c in story.ended] == [(CLIENT, 10), ("10.0.0.2", 20)]


def test_a_socket_of_ipv6_that_carries_ipv4() -> None:
    """A server that listens on ``::`` sees mapped addresses; the lab's are plain."""
    (connection,) = Story().read(7, 10, six=True).close(7).ended
    assert (connection.local[0], connection.peer[0]) == (SERVER, CLIENT)


def test_other_ports_and_files_are_nobodys_business() -> None:
    """Reads of files and of other sockets leave nothing."""
    story = Story().tell("sys_enter_read", fd=3, count=10).tell("sys_enter_poll")
    story.tell("sock_recv_length", sk=3, ret=5, flags=0)
    story.tell("inet_sock_set_state", skaddr=3, sport=PORT + 1, newstate=7)
    assert story.ended == []


def reading(story: Story, payload: tuple[int, int]) -> ServerReading:
    """What a run folder has of a story, read back."""
    (connection,) = story.close(7).ended
    made = ServerReading("x-server", "1", payload, tuple(connection.calls))
    return msgspec.json.decode(msgspec.json.encode(made), type=ServerReading)


def test_poll_and_read_is_an_event_loop() -> None:
    """Postfix's smtpd waits by poll before each read, also where the last one filled its buffer."""
    story = Story()
    for size in (50, 4096, 4096, 1000):
        story.wait().read(7, size)
    found = derive([reading(story, (50, 50 + 2 * 4096 + 1000))])
    assert (found.reader.kind, found.reader.buffer_bytes) == ("event-loop", 4096)
    assert found.waits == {"poll": 3}, "the commands before the message do not count"
    assert (found.filled, found.read_on) == (2, 0)


def test_a_read_that_blocks_is_a_recv_loop() -> None:
    """Exim waits in the read itself; a wait of long ago says nothing."""
    story = Story().wait("pselect6")
    for size in (50, 8191, 2000, 900):
        story.read(7, size, size=8191)
    found = derive([reading(story, (50, 50 + 8191 + 2900))])
    assert (found.reader.kind, found.reader.buffer_bytes) == ("recv-loop", 8191)
    assert found.waits == {"blocks": 2, "reads on": 1}
    assert (found.filled, found.read_on) == (1, 1)


def test_a_thread_that_is_told_elsewhere() -> None:
    """Go tries first, and its netpoller waits in another thread: the read follows readiness."""
    story = Story()
    for size in (50, 1448, 1448):
        story.read(7, -EAGAIN).wait("epoll_pwait", thread=2).read(7, size)
    found = derive([reading(story, (50, 2946))])
    assert (found.reader.kind, found.waits) == ("event-loop", {"told elsewhere": 2})


def test_a_program_that_tries_first() -> None:
    """A read that follows a short one and does not block belongs to one that is told."""
    story = Story().read(7, 50)
    story.read(7, -EAGAIN).wait("epoll_pwait").read(7, 2896).read(7, 1448).read(7, 100)
    found = derive([reading(story, (50, 50 + 4444))])
    assert (found.reader.kind, found.waits) == (
        "event-loop",
        {"epoll_pwait": 1, "tries first": 2},
    )


def test_a_buffer_that_still_holds_a_line() -> None:
    """OpenSMTPD asks for what its buffer has room for; the buffer is what it asks for at first."""
    story = Story()
    for size, asked in ((50, 65536), (1448, 65536), (900, 65490), (100, 65472), (100, 65500)):
        story.wait().read(7, size, size=asked)
    assert derive([reading(story, (50, 2598))]).reader.buffer_bytes == 65536


def test_one_large_read_is_no_buffer() -> None:
    """A size that one read of a hundred asks for is not the buffer's."""
    story = Story().wait().read(7, 50)
    for asked in (*[4096] * 99, 1 << 20):
        story.wait().read(7, 10, size=asked)
    assert derive([reading(story, (50, 1050))]).reader.buffer_bytes == 4096


def test_nothing_comes_of_nothing() -> None:
    """Calls whose sizes the trace does not show, and no sessions, are an error, not a guess."""
    call = ServerCall(0, 1, "recvmsg", None, 10, waited="poll")
    for given in ([], [ServerReading("x-server", "1", (0, 10), (call,))]):
        with pytest.raises(ValueError, match="no call"):
            derive(given)


def test_a_receive_buffer_that_is_set_is_noted() -> None:
    """SO_RCVBUF (SOL_SOCKET 1, 8) bounds what can merge, so it must not go unseen."""
    made = reading(Story().wait().read(7, 10), (0, 10))
    assert not derive([made]).sets_rcvbuf
    options = (SetOption(6, 1), SetOption(1, 8))
    assert derive([msgspec.structs.replace(made, options=options)]).sets_rcvbuf


def arriving(*times_us: int, resent: int | None = None) -> tuple[Segment, ...]:
    """Segments of 100 bytes that arrive then; one may come a second time, after all others."""
    found = [
        Segment(0, 1000 * at, 100 * number, 100 * (number + 1))
        for number, at in enumerate(times_us)
    ]
    if resent is not None:
        found.append(Segment(1, 1000 * max(times_us) + 1, 100 * resent, 100 * (resent + 1)))
    return tuple(found)


def reading_at(*reads: tuple[int, int, int]) -> tuple[Read, ...]:
    """Reads: when in microseconds, and their ranges."""
    return tuple(Read(1000 * at, start, end) for at, start, end in reads)


def paced(segments: tuple[Segment, ...], *reads: tuple[int, int, int]) -> Pace:
    """The pace of one session."""
    total = reads[-1][2]
    return pace([record(segments=segments, reads=reading_at(*reads), payload_bytes=total)])


def test_an_idle_server_takes_so_long_to_wake() -> None:
    """From the arrival of the read's first byte to the read; the first read has none before it."""
    found = paced(arriving(10, 8000, 16_000), (60, 0, 100), (8070, 100, 200), (16_090, 200, 300))
    assert found == Pace(wake_us=80.0, wakes=2, turn_us=None, turns=0)


def test_a_busy_server_takes_so_long_for_a_turn() -> None:
    """Something was there already when it read before, or came soon after; not a while after."""
    found = paced(arriving(10, 20, 130), (60, 0, 100), (100, 100, 200), (150, 200, 300))
    assert found == Pace(wake_us=None, wakes=0, turn_us=45.0, turns=2)
    found = paced(
        arriving(10, 20, 30, 900), (60, 0, 100), (100, 100, 200), (150, 200, 300), (990, 300, 400)
    )
    assert found == Pace(wake_us=None, wakes=0, turn_us=45.0, turns=2)


def test_a_byte_behind_a_gap_arrives_when_the_gap_is_closed() -> None:
    """What came before its predecessor cannot be read until that is there, once or again."""
    late = paced(arriving(10, 20_000, 30), (60, 0, 100), (20_050, 100, 300))
    assert late == Pace(wake_us=50.0, wakes=1, turn_us=None, turns=0)
    again = paced(arriving(10, 10_000, resent=0), (60, 0, 100), (10_040, 100, 200))
    assert again == Pace(wake_us=40.0, wakes=1, turn_us=None, turns=0)


def test_no_pace_of_one_read() -> None:
    """It says nothing about what the server did before."""
    assert paced(arriving(10), (60, 0, 100)) == Pace(None, 0, None, 0)
