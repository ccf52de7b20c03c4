"""From trace events to the write calls of each connection, and to the session's report."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import pytest

from seglab.kernel.program.calls import Event, ProgramSeen, program_seen
from seglab.kernel.program.option_values import OptionSet, values_of
from seglab.kernel.program.order import complete, environment, filled
from seglab.kernel.program.reports import client_report, connection_of_message

SERVER, PORT = "10.64.0.1", 25


class Story:
    """The events of a program, in order; each is a microsecond after the one before."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, name: str, thread: int = 1, **fields: Any) -> "Story":
        """Add an event."""
        self.events.append(Event(1000 * (1 + len(self.events)), thread, name, fields))
        return self

    def connect(self, sk: int, address: str = SERVER, port: int = PORT) -> "Story":
        """Begin a connection."""
        packed = ip_address(address).packed
        six = len(packed) == 16
        return self.tell(
            "inet_sock_set_state",
            skaddr=sk, newstate=2, protocol=6, family=10 if six else 2, sport=0, dport=port,
            daddr=b"\0" * 4 if six else packed,
            daddr_v6=packed if six else b"\0" * 10 + b"\xff\xff" + packed,
        )  # fmt: skip

    def write(self, sk: int, *results: int, fd: int = 3, thread: int = 1) -> "Story":
        """Begin a call of write; the socket takes its bytes in these steps."""
        self.tell("sys_enter_write", thread, fd=fd, count=sum(results))
        for result in results:
            self.tell("sock_send_length", thread, sk=sk, ret=result)
        return self

    @property
    def seen(self) -> ProgramSeen:
        """What comes of it, whatever order the events are given in."""
        return program_seen(self.events[::-1], SERVER, PORT)


def test_steps_of_one_call_are_one_write() -> None:
    """A call that the kernel does page by page is one; each call begins at its own time."""
    story = Story().connect(7).write(7, 4096, 4096, 808).write(7, 5)
    (connection,) = story.seen.connections
    assert [(c.t_ns, c.start, c.end, c.asked_bytes) for c in connection.calls] == [
        (2000, 0, 9000, 9000),
        (6000, 9000, 9005, 5),
    ]
    assert connection.written == 9005


def test_two_threads_at_once() -> None:
    """Each thread's bytes belong to its own call."""
    story = Story().connect(7)
    story.tell("sys_enter_write", 1, fd=3, count=10)
    story.tell("sys_enter_sendto", 2, fd=3, len=20, flags=0x8000)
    story.tell("sock_send_length", 2, sk=7, ret=20)
    story.tell("sock_send_length", 1, sk=7, ret=10)
    (connection,) = story.seen.connections
    assert [(c.name, c.start, c.end, c.flags) for c in connection.calls] == [
        ("sendto", 0, 20, 0x8000),
        ("write", 20, 30, None),
    ]


def test_a_partial_write_and_a_refused_one() -> None:
    """What was taken counts; EAGAIN is a call of no bytes with its error."""
    story = Story().connect(7)
    story.tell("sys_enter_write", fd=3, count=100).tell("sock_send_length", sk=7, ret=60)
    story.tell("sys_enter_write", fd=3, count=40).tell("sock_send_length", sk=7, ret=-11)
    story.write(7, 40)
    (connection,) = story.seen.connections
    assert [(c.result, c.asked_bytes) for c in connection.calls] == [(60, 100), (-11, 40), (40, 40)]


def test_options_go_with_the_descriptor() -> None:
    """Those set before the first write count, and none goes over to the next connection."""
    story = Story()
    story.tell("sys_enter_setsockopt", fd=3, level=6, optname=1, value=1)
    story.tell("sys_enter_setsockopt", fd=3, level=1, optname=1)  # SOL_SOCKET: not TCP's
    story.connect(7).write(7, 10)
    story.tell("sys_enter_getsockopt", fd=3, level=6, optname=2)
    story.tell("inet_sock_set_state", skaddr=7, newstate=4, sport=4001)
    story.tell("sys_enter_setsockopt", fd=3, level=6, optname=3)
    story.connect(9).write(9, 20)
    first, second = story.seen.connections
    assert [option[1:] for option in first.options] == [
        ("TCP_NODELAY", "set", 1),
        ("TCP_MAXSEG", "get", None),
    ]
    assert [option[1:] for option in second.options] == [("TCP_CORK", "set", None)]
    assert first.client_port == 4001


def test_a_socket_address_may_be_used_again() -> None:
    """The kernel gives the memory of a socket to the next one."""
    story = Story().connect(7).write(7, 10)
    story.tell("tcp_destroy_sock", skaddr=7, sport=4001)
    story.connect(7).write(7, 20)
    story.tell("tcp_rcv_space_adjust", skaddr=7, sport=4002)
    assert [(c.written, c.client_port) for c in story.seen.connections] == [(10, 4001), (20, 4002)]


@pytest.mark.parametrize(("address", "port"), [("10.64.0.1", 587), ("192.0.2.1", 25), ("::1", 25)])
def test_elsewhere(address: str, port: int) -> None:
    """Other servers and ports are named, and their bytes are not the mail's."""
    seen = Story().connect(7, address, port).write(7, 10).seen
    assert (seen.connections, seen.elsewhere) == ([], [f"{address} port {port}"])


def test_bytes_without_a_call() -> None:
    """What a thread sends of which no call is known is ``unknown``."""
    (connection,) = Story().connect(7).tell("sock_send_length", sk=7, ret=9).seen.connections
    assert [(c.name, c.result) for c in connection.calls] == [("unknown", 9)]


def test_values_of_options_are_told_only_for_sure() -> None:
    """Calls of one thread and option get theirs in order, unless some were not noted."""
    noted = [OptionSet(5, 1, 3, 1), OptionSet(6, 2, 3, 9), OptionSet(8, 1, 3, 0)]
    calls = [(4, 1, 3), (5, 2, 3), (7, 1, 3)]
    assert values_of(calls, noted) == [1, 9, 0]
    assert values_of([*calls, (9, 1, 3)], noted) == [None, 9, None, None]
    assert values_of(calls, ()) == [None, None, None]


# The session's report --------------------------------------------------------------------------


def log(port: int, *payloads: tuple[int, int], accept: int = 0, end: int = 9) -> dict[str, Any]:
    """The server's record of a connection that read 100 bytes."""
    return {
        "peer": (SERVER, port), "local": (SERVER, PORT), "payloads": list(payloads),
        "unfinished": None, "t_accept_ns": accept, "t_end_ns": end, "reads": [(5, 0, 100)],
    }  # fmt: skip


def error_of(
    connections: Iterable[dict[str, Any]] = (log(4001, (30, 90)),), written: int = 100, **given: Any
) -> str | None:
    """The error of a session of which this was seen."""
    result = {
        "flow": 1, "t0_ns": 0, "t_end_ns": 10, "exit_code": 0, "output": "", "left": [],
        "error": None, "recorded": True, "elsewhere": [], "notes": [],
        "connections": [{"port": 4001, "written": written, "options": [], "calls": []}],
    } | given  # fmt: skip
    logged = list(connections)
    report = client_report(result, logged, connection_of_message(logged), [])
    error: str | None = report["error"]
    return error


def test_a_good_session() -> None:
    """It has no error."""
    assert error_of() is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"written": 40}, "saw 40 bytes written, and the server read 100"),
        ({"connections": []}, "never connected"),
        ({"connections": [log(4001)]}, "no message reached"),
        ({"connections": [log(4001, (30, 60), (70, 90))]}, "2 messages over 1 connections"),
        ({"connections": [log(4001, (30, 90)), log(4002, accept=3)]}, "had 2 connections at once"),
        ({"left": ["queue"]}, "left processes behind: queue"),
        ({"exit_code": -11}, r"was killed \(SIGSEGV\)"),
        ({"error": "time limit reached"}, "time limit reached"),
    ],
)
def test_what_fails_a_session(given: dict[str, Any], words: str) -> None:
    """Each fault is named."""
    assert re.search(words, error_of(**given) or "")


def test_a_connection_after_another_is_no_fault() -> None:
    """A program may try again, as long as one message arrives in the end."""
    assert error_of([log(4002, accept=0, end=2), log(4001, (30, 90), accept=3)]) is None


def test_placeholders() -> None:
    """Each is filled in once; other braces stay, and so do braces in what was filled in."""
    assert filled("smtp://{host}:{port} {x} {}", {"host": "{port}", "port": "25"}) == (
        "smtp://{port}:25 {x} {}"
    )
    job = {"argv": ["a", "{message}"], "environment": {"A": "b"}, "values": {"message": "/m"}}
    job["equipment"] = {"files": [["/etc/a", "{message}"]], "accounts": [], "variables": []}
    done = complete(job, SERVER, PORT)
    assert done["argv"] == ["a", "/m"]
    assert done["equipment"]["files"] == {"/etc/a": "/m"}
    assert done["environment"] == {
        "A": "b", "SEGLAB_HOST": SERVER, "SEGLAB_PORT": "25", "SEGLAB_MESSAGE": "/m",
    }  # fmt: skip


def test_proxies_are_left_out() -> None:
    """A proxy would lead away from the lab's server."""
    own = {"HTTP_PROXY": "x", "all_proxy": "x", "PROXY": "x", "PROXYING": "stays"}
    assert set(environment(own)) == {"PROXYING", "TMPDIR"}
