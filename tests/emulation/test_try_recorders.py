"""The two recorders of what programs write: what they see, and that the wire is as without them."""

import asyncio
import json
import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from commanding import inside
from commanding import seglab as run_seglab
from programs import need
from trying import PYTHON, RECORDERS, Planned, Programs, skip_without_rights

from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent, sizes
from seglab.kernel import join
from seglab.kernel.program import order
from seglab.kernel.program.lab import ProgramLab, RecorderName

MSG_MORE = 0x8000

CALLS = """
s, replies = dialogue()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
head, body = mail[:700], mail[700:]
s.send(head, socket.MSG_MORE)
os.write(s.fileno(), body[:300])
os.writev(s.fileno(), [body[300:400], body[400:450]])
s.sendmsg([body[450:460], body[460:600]])
rest = os.memfd_create("rest")
os.write(rest, body[600:])
os.sendfile(s.fileno(), rest, 0, 1000)
pipe_out, pipe_in = os.pipe()
os.splice(rest, pipe_in, 2000, offset_src=1000)
os.splice(pipe_out, s.fileno(), 2000)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
s.sendall(body[3600:])
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
s.sendall(b".\\r\\n")
assert replies.readline().startswith(b"250")
s.sendall(b"QUIT\\r\\n")
"""


@pytest.fixture(autouse=True)
def _privileged() -> None:
    """Skip where programs cannot be recorded."""
    skip_without_rights()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """What makes programs."""
    return Programs(tmp_path)


async def session(lab: ProgramLab, planned: Planned, repeat: int = 0) -> SessionRecord:
    """Carry out one of the planned sessions in a lab."""
    spec, network = planned[repeat]
    reports = await lab.session(order.of(spec, 30.0), join.wire_order(spec))
    return join.assemble(spec, network, reports, 0).record


@pytest.mark.parametrize("recorder", RECORDERS)
def test_each_write_is_recorded(programs: Programs, recorder: RecorderName) -> None:
    """Of every kind of call: its size, flags and result, and the layers agree as an emulator's."""
    planned = programs.planned("calls", CALLS)

    async def carry() -> SessionRecord:
        async with ProgramLab(planned[0][1], planned[0][0].reader, recorder=recorder) as lab:
            return await session(lab, planned)

    record = asyncio.run(carry())
    assert record.error is None, record.output
    lists = 150 if recorder == "notification" else None
    assert [(c.name, c.result, c.asked_bytes, c.flags) for c in record.calls] == [
        ("sendto", 700, 700, MSG_MORE),
        ("write", 300, 300, None),
        ("writev", 150, lists, None),
        ("sendmsg", 150, lists, 0),
        ("sendfile", 1000, 1000, None),
        ("splice", 2000, 2000, None),
        ("sendto", record.payload_bytes - 4303, record.payload_bytes - 4303, 0),
        ("sendto", 3, 3, 0),
    ]
    assert [(o.name, o.action, o.value) for o in record.options] == [
        ("TCP_NODELAY", "set", 1),
        ("TCP_MAXSEG", "get", None),
        ("TCP_CORK", "set", 1),
        ("TCP_CORK", "set", 0),
    ]
    assert record.nodelay
    assert record.trace.violations() == []
    assert (record.kind, record.exit_code, record.terminator) == ("program", 0, "own_write")
    assert sum(c.result for c in record.calls) == record.payload_bytes


STATIC = """
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static char reply[999];
static void say(int s, const char *line) { write(s, line, strlen(line)); read(s, reply, 999); }
int main(int many, char **given) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(25)};
    inet_pton(AF_INET, given[1], &at.sin_addr);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&at, sizeof at)) return 1;
    read(s, reply, 999);
    say(s, "HELO a\\r\\n");
    say(s, "MAIL FROM:<a@b.c>\\r\\n");
    say(s, "RCPT TO:<d@e.f>\\r\\n");
    say(s, "DATA\\r\\n");
    FILE *mail = fopen(given[2], "r");
    for (size_t n; (n = fread(reply, 1, 999, mail));) send(s, reply, n, MSG_MORE);
    say(s, ".\\r\\n");
    return 0;
}
"""


@pytest.mark.parametrize("recorder", RECORDERS)
def test_a_static_program(programs: Programs, tmp_path: Path, recorder: RecorderName) -> None:
    """It has no library that could be put in its way, and is recorded like any other."""
    need("gcc")
    (tmp_path / "mailer.c").write_text(STATIC)
    build = ["gcc", "-w", "-static", "-o", tmp_path / "mailer", tmp_path / "mailer.c"]
    subprocess.run(build, check=True)
    command = [str(tmp_path / "mailer"), "{host}", "{message}"]
    planned = programs.commanded("static", command, size=3000)

    async def carry() -> SessionRecord:
        async with ProgramLab(planned[0][1], planned[0][0].reader, recorder=recorder) as lab:
            return await session(lab, planned)

    record = asyncio.run(carry())
    assert record.error is None, record.output
    *pieces, last = record.calls
    assert {(c.name, c.flags) for c in pieces} == {("sendto", MSG_MORE)}
    assert [c.result for c in pieces[:3]] == [999, 999, 999]
    assert (last.name, last.result) == ("write", 3)


NON_BLOCKING = """
import select
s, replies = dialogue()
s.setblocking(False)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
left, refused = mail + b".\\r\\n", 0
while left:
    try:
        left = left[s.send(left):]
    except BlockingIOError:
        refused += 1
        select.select([], [s], [])
s.setblocking(True)
replies.readline()
print(refused)
"""


@pytest.mark.parametrize("recorder", RECORDERS)
def test_what_a_socket_takes_in_part(programs: Programs, recorder: RecorderName) -> None:
    """A call that was taken in part, or not at all, has what was taken; the sums agree."""
    planned = programs.planned("parts", NON_BLOCKING, size=200_000, network="dsl")

    async def carry() -> SessionRecord:
        async with ProgramLab(planned[0][1], planned[0][0].reader, recorder=recorder) as lab:
            return await session(lab, planned)

    record = asyncio.run(carry())
    assert record.error is None, record.output
    taken = [call.result for call in record.calls if call.result > 0]
    assert sum(taken) == record.payload_bytes
    assert len(taken) > 2
    assert len([c for c in record.calls if c.result < 0]) == int(record.output)
    assert {call.asked_bytes for call in record.calls[:1]} == {record.payload_bytes}


LINES = """
s, replies = dialogue()
for line in mail.splitlines(keepends=True):
    {pause}
    s.sendall(line)
s.sendall(b".\\r\\n")
replies.readline()
"""
SESSIONS = 8
NETWORK = "vb2014"
"""All lines are written within its round trip of 140 ms, also where a call takes a millisecond."""

DRAWS = 2000


@pytest.mark.timing
def test_the_recorders_leave_the_wire_as_it_is(programs: Programs) -> None:
    """With and without each of them a program that writes line by line has the same segments.

    A program whose calls each take a little longer is told apart by the same test, so the test
    would notice a recorder that slows the program down.
    """
    plain = programs.planned("lines", LINES.format(pause=""), sessions=SESSIONS, network=NETWORK)
    code = LINES.format(pause="time.sleep(0.002)")
    slowed = programs.planned("slowed", code, sessions=SESSIONS, network=NETWORK)
    network, reader = plain[0][1], plain[0][0].reader

    async def carry() -> dict[str, list[tuple[int, ...]]]:
        found: dict[str, list[tuple[int, ...]]] = {}
        async with (
            ProgramLab(network, reader, recorder="trace events") as traced,
            ProgramLab(network, reader, recorder="notification") as notified,
            ProgramLab(network, reader, recorded=False) as unrecorded,
        ):
            for repeat in range(SESSIONS):
                for name, lab, planned in (
                    ("traced", traced, plain),
                    ("notified", notified, plain),
                    ("unrecorded", unrecorded, plain),
                    ("slowed", unrecorded, slowed),
                ):
                    record = await session(lab, planned, repeat)
                    assert sum(sizes(record.reads)) > 5900, record.output
                    shown = tuple(sizes(first_sent(record.segments)))
                    found.setdefault(name, []).append(shown)
        return found

    found = asyncio.run(carry())
    without = found["unrecorded"]
    for name in ("traced", "notified"):
        p = permutation_p(found[name], without)
        assert p > 0.01, (name, Counter(found[name]), Counter(without))
    assert permutation_p(without, found["slowed"]) < 0.01, Counter(found["slowed"])


def permutation_p(
    one: Sequence[tuple[int, ...]],
    other: Sequence[tuple[int, ...]],
) -> float:
    """How likely two samples of one distribution differ as much as these, by permutation.

    The statistic is the distance between the mean numbers of segments, plus the total variation
    distance between the frequencies of whole sequences.
    """

    def distance(a: Sequence[tuple[int, ...]], b: Sequence[tuple[int, ...]]) -> float:
        x, y = Counter(a), Counter(b)
        variation = sum(abs(x[s] / len(a) - y[s] / len(b)) for s in x.keys() | y.keys()) / 2
        means = abs(sum(map(len, a)) / len(a) - sum(map(len, b)) / len(b))
        return variation + means

    seen = distance(one, other)
    pooled, chance, as_far = [*one, *other], random.Random(1), 0
    for _ in range(DRAWS):
        chance.shuffle(pooled)
        as_far += distance(pooled[: len(one)], pooled[len(one) :]) >= seen - 1e-12
    return (as_far + 1) / (DRAWS + 1)


def test_without_root(tmp_path: Path) -> None:
    """In a user namespace the program runs, writes where it may, and its calls are notified."""
    code = """if True:
        import os, smtplib, sys
        for place in "/etc/seglab-test", "/tmp/seglab-test", "/var/seglab-test", "/seglab-test":
            open(place, "w").write("x")
        assert os.system("echo x | cat > /dev/null") == 0
        with smtplib.SMTP(sys.argv[1], 25) as server:
            server.sendmail("a@example.org", ["b@example.org"], open(sys.argv[2], "rb").read())
    """
    out = tmp_path / "run"
    run = run_seglab(
        *("try", "--out", out, "--json", "--", PYTHON, "-c", code, "{host}", "{message}"),
        before=inside('exec "$@"'),
    )
    assert run.process.returncode == 0, run.err + run.out
    (tried,) = json.loads(run.out)["sessions"]
    assert (tried["writes"], tried["calls"][0]["name"]) == ([6000], "sendto")
    manifest = json.loads((out / "run.json").read_bytes())
    assert manifest["recorder"] == {"ethernet": {"client": "notification"}}
    assert not Path("/etc/seglab-test").exists()
    assert not Path("/seglab-test").exists()
