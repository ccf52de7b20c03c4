"""A soak of ``seglab serve``: many connections of many kinds, and whether it stays as it is.

    python benchmarks/soak.py [--connections 100000] [--at-once 50] [--seconds 3600] [--json]

A server of its own gets connections over loopback. While they come, its resident memory, its open
descriptors and its threads are sampled. At the end these must hold, else the exit code is 1:

- Memory is flat: after the warm-up, the line of least squares through the samples rises by at most
  ``RISE_KIB`` in 10 000 connections, and no sample is above the median by more than ``PEAK_SHARE``.
- Descriptors are flat: there are never more than at the start and one for each open connection, and
  at the end as many as at the start.
- The log has a line for each connection, and as many accepted messages as clients were told.

Clients are drawn by a seed, from ``KINDS``: good mail, mail that comes slowly, connections that are
dropped or reset anywhere, clients that say nothing until the server closes, and hostile lines.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from statistics import linear_regression, median
from typing import Any, Final, NamedTuple

from common import machine, machine_line

SERVE = [sys.executable, "-c", "from seglab.cli import main; main()", "serve", "--port", "0"]
LIMITS: Final = {"--idle-s": "3", "--message-bytes": "200000", "--errors": "20"}
"""Limits of the server that some clients run into, in seconds that a soak can wait for."""

WARM_UP: Final = 0.1
"""The share of connections after which memory has to be flat. Python's allocator, the buffers and
the code of rare paths reach their size before."""

RISE_KIB: Final = 100.0
"""The most that memory may rise in 10 000 connections: 10 bytes a connection, which is less than
the smallest object of Python, so a leak of one object for each connection is seen."""

PEAK_SHARE: Final = 0.25
"""How far the highest sample may be above the median: what the open connections hold varies."""

SAMPLE_S: Final = 0.5
CLIENT_S: Final = 60.0
ROUND: Final = 10_000
_LINE = b"word " * 14 + b"\r\n"


class Sample(NamedTuple):
    """What the kernel says of the server after so many connections."""

    connections: int
    rss_kib: int
    descriptors: int
    threads: int


class Client:
    """A client's connection.

    Attributes:
        random: what it does is drawn from this.
        accepted: how many messages the server said it had accepted.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, random: Random
    ) -> None:
        self.random = random
        self.accepted = 0
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def reply(self) -> bytes:
        """Return the code of the next reply."""
        while True:
            line = await self._reader.readuntil(b"\n")
            if line[3:4] != b"-":
                return line[:3]

    async def say(self, *lines: bytes) -> bytes:
        """Send lines one by one, and return the last reply's code."""
        code = b""
        for line in lines:
            await self.send(line + b"\r\n")
            code = await self.reply()
        return code

    async def greet(self) -> None:
        """Take the greeting, and say EHLO."""
        await self.reply()
        await self.say(b"EHLO client.example")

    async def envelope(self) -> None:
        """Say MAIL, RCPT and DATA."""
        await self.say(b"MAIL FROM:<a@client.example>", b"RCPT TO:<b@mx.example>", b"DATA")

    async def end(self, data: bytes = b"\r\n.\r\n") -> None:
        """Send the end of a message, and take the reply."""
        await self.send(data)
        self.accepted += await self.reply() == b"250"

    def reset(self) -> None:
        """Close at once, and have the kernel send RST."""
        self._writer.transport.abort()

    async def rest(self) -> None:
        """Read until the server closes."""
        while await self._reader.read(65536):
            pass


def _body(random: Random, most: int = 20_000) -> bytes:
    return b"Subject: soak\r\n\r\n" + _LINE * random.randint(1, most // len(_LINE))


async def _good(client: Client) -> None:
    """Mail as most of it is: one message or some, each command after a reply."""
    await client.greet()
    for _ in range(client.random.choice((1, 1, 1, 2, 5))):
        await client.envelope()
        await client.send(_body(client.random))
        await client.end()
    await client.say(b"QUIT")


async def _pipelined(client: Client) -> None:
    """All commands of the envelope at once, and the message in pieces."""
    await client.greet()
    await client.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<b@mx.example>\r\n" * 20 + b"DATA\r\n")
    for _ in range(22):
        await client.reply()
    data = _body(client.random) + b"\r\n.\r\n"
    for at in range(0, len(data), 700):
        await client.send(data[at : at + 700])
    client.accepted += await client.reply() == b"250"
    await client.say(b"RSET", b"NOOP", b"QUIT")


async def _slow(client: Client) -> None:
    """A message whose bytes come a few at a time."""
    await client.greet()
    await client.envelope()
    data = _body(client.random, 300) + b"\r\n.\r\n"
    for at in range(0, len(data), 40):
        await client.send(data[at : at + 40])
        await asyncio.sleep(client.random.uniform(0.001, 0.05))
    client.accepted += await client.reply() == b"250"
    await client.say(b"QUIT")


async def _silent(client: Client) -> None:
    """Nothing, or half a message, until the server's patience ends."""
    await client.greet()
    if client.random.random() < 0.5:
        await client.envelope()
        await client.send(_body(client.random))
    await client.rest()


async def _dropped(client: Client) -> None:
    """A connection that ends anywhere before a message does, by FIN or RST."""
    random = client.random
    if random.random() < 0.8:
        await client.greet()
        if random.random() < 0.8:
            await client.envelope()
            await client.send(_body(random)[: random.randint(0, 5000)])
    if random.random() < 0.5:
        client.reset()


async def _hostile(client: Client) -> None:
    """Lines that are too long, no text, or no commands; messages above the limits."""
    random = client.random
    await client.greet()
    how = random.randrange(6)
    if how == 0:
        await client.send(b"X" * random.randint(500, 200_000))
    elif how == 1:
        await client.send(random.randbytes(3000).replace(b"\n", b"") + b"\r\n")
    elif how == 2:
        await client.send(b"NO SUCH COMMAND\r\n" * 100)  # more than the limit of errors
        await client.rest()
    elif how == 3:
        await client.envelope()
        await client.send(_LINE * 4000)  # more than the limit of a message
        await client.end()
        await client.say(b"QUIT")
    elif how == 4:
        await client.envelope()
        await client.send(b"a\n.\nb\r.\rc\0\r\n..\r\n" * 100)  # no end of data is in it
        await client.end()
    else:
        await client.send(b"EHLO x\r\n" * 20_000)  # replies that nobody reads
        client.reset()


KINDS: Final[dict[Callable[[Client], Awaitable[None]], int]] = {
    _good: 50,
    _pipelined: 15,
    _slow: 5,
    _silent: 1,
    _dropped: 17,
    _hostile: 12,
}
"""Each kind of client and how many of a hundred there are."""

MUST_SUCCEED: Final = {_good, _pipelined, _slow}


class Soak:
    """Connections to one server, and what was seen of it meanwhile.

    Args:
        pid: of the server.
        port: where it listens.
        options: of the command.

    Attributes:
        done: how many connections were made.
        accepted: how many messages the server said it had accepted.
        kinds: how many clients there were of each kind.
        failed: how many clients did not get what they must, by kind and reason.
        samples: of the server, in order.
    """

    def __init__(self, pid: int, port: int, options: argparse.Namespace) -> None:
        self.done = 0
        self.accepted = 0
        self.kinds: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self._pid = pid
        self._port = port
        self._options = options
        self._begun = 0

    async def run(self) -> float:
        """Make all connections; returns how many seconds that took."""
        begun = time.monotonic()
        self.samples.append(self._sample())
        sampling = asyncio.create_task(self._keep_sampling())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.seconds):
                await asyncio.gather(*(self._clients() for _ in range(self._options.at_once)))
        seconds = time.monotonic() - begun
        sampling.cancel()
        await self._settled()
        return seconds

    async def _clients(self) -> None:
        """Be one client after another, until there were enough in all."""
        while self._begun < self._options.connections:
            number = self._begun
            self._begun += 1
            random = Random(f"{self._options.seed}/{number}")
            (kind,) = random.choices(list(KINDS), KINDS.values())
            self.kinds[kind.__name__.strip("_")] += 1
            try:
                await self._one(kind, random, number)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                if kind in MUST_SUCCEED:
                    self.failed[f"{kind.__name__.strip('_')}: {type(error).__name__}"] += 1
            self.done += 1

    async def _one(
        self, kind: Callable[[Client], Awaitable[None]], random: Random, number: int
    ) -> None:
        async with asyncio.timeout(CLIENT_S):
            # Many source addresses, so that closed connections do not use up the ports of one.
            source = (f"127.0.1.{number % 200 + 1}", 0)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=source
            )
            client = Client(reader, writer, random)
            try:
                await kind(client)
            finally:
                self.accepted += client.accepted
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _keep_sampling(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            self.samples.append(self._sample())

    async def _settled(self) -> None:
        """Wait until the server has closed what it lingers on, and sample it once more."""
        until = time.monotonic() + CLIENT_S
        first = self.samples[0].descriptors
        while (last := self._sample()).descriptors > first and time.monotonic() < until:
            await asyncio.sleep(SAMPLE_S)
        self.samples.append(last)

    def _sample(self) -> Sample:
        process = Path(f"/proc/{self._pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        descriptors = len(os.listdir(process / "fd"))  # noqa: PTH208 - names are enough
        rss = int(status["VmRSS"].split()[0])
        return Sample(self.done, rss, descriptors, int(status["Threads"]))


def judged(soak: Soak, connections: int, logged: Counter[str]) -> dict[str, Any]:
    """Return what was measured, and in ``faults`` which of the rules do not hold."""
    warm = [one for one in soak.samples if one.connections >= WARM_UP * connections]
    resident = [one.rss_kib for one in warm]
    counts = [one.connections for one in warm]
    slope = linear_regression(counts, resident).slope * ROUND if len(set(counts)) > 1 else 0.0
    middle, highest = median(resident), max(resident)
    first, last = soak.samples[0], soak.samples[-1]
    most = max(one.descriptors for one in soak.samples)
    rules = {
        f"memory rises by {slope:.0f} KiB in {ROUND} connections": slope <= RISE_KIB,
        f"memory rose to {highest} KiB, median {middle:.0f}": highest <= middle * (1 + PEAK_SHARE),
        f"{last.descriptors} descriptors, {first.descriptors} at the start": (
            last.descriptors == first.descriptors
        ),
        f"{logged['lines']} lines for {soak.done} connections": logged["lines"] == soak.done,
        f"{logged['mails']} mails in the log, {soak.accepted} accepted": (
            logged["mails"] == soak.accepted
        ),
        f"clients failed: {dict(soak.failed)}": not soak.failed,
        f"{soak.done} connections of {connections} in time": soak.done == connections,
    }
    return {
        "connections": soak.done,
        "kinds": dict(soak.kinds),
        "mails": soak.accepted,
        "rss_start_kib": first.rss_kib,
        "rss_warm_kib": warm[0].rss_kib,
        "rss_median_kib": middle,
        "rss_max_kib": highest,
        "rss_end_kib": last.rss_kib,
        "slope_kib": slope,
        "descriptors": {"start": first.descriptors, "most": most, "end": last.descriptors},
        "threads": max(one.threads for one in soak.samples),
        "ended": {key: value for key, value in logged.items() if key not in ("lines", "mails")},
        "curve": [(one.connections, one.rss_kib) for one in soak.samples],
        "faults": [words for words, holds in rules.items() if not holds],
    }


def read_log(path: Path) -> Counter[str]:
    """Return how many lines and accepted mails a log has, and how its connections ended."""
    found: Counter[str] = Counter()
    with path.open("rb") as file:
        for line in file:
            values = json.loads(line)
            found["lines"] += 1
            found["mails"] += sum(one["reply"].startswith("250") for one in values["envelopes"])
            found[values["ended"]] += 1
    return found


def main() -> int:
    """Run the soak, print what came of it, and return 1 if a rule does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3600.0, help="end after that time")
    parser.add_argument("--reader", choices=("event-loop", "recv-loop"), default="event-loop")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = machine()
    with tempfile.TemporaryDirectory(prefix="seglab-soak-") as folder:
        log = Path(folder, "log")
        limits = [word for pair in LIMITS.items() for word in pair]
        command = [*SERVE, "--out", str(log), "--reader", options.reader, *limits]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr
            port = int(server.stderr.readline().split(" port ")[1].split()[0])
            soak = Soak(server.pid, port, options)
            found["seconds"] = asyncio.run(soak.run())
            server.send_signal(signal.SIGTERM)
            rest = server.communicate()[1]
        found |= judged(soak, options.connections, read_log(log))
        found["log_bytes"] = log.stat().st_size
    if server.returncode or rest:
        found["faults"].append(f"the server ended with {server.returncode}: {rest[-300:]}")
    print(json.dumps(found) if options.json else _words(found))
    return 1 if found["faults"] else 0


def _words(found: dict[str, Any]) -> str:
    descriptors = found["descriptors"]
    rate = found["connections"] / found["seconds"]
    lines = [
        machine_line(found),
        f"{found['connections']} connections in {found['seconds']:.0f} s, {rate:.0f}/s: "
        + ", ".join(f"{count} {kind}" for kind, count in found["kinds"].items()),
        f"{found['mails']} mails; ended: "
        + ", ".join(f"{count} {how}" for how, count in sorted(found["ended"].items())),
        f"memory: {found['rss_start_kib']} KiB at the start, {found['rss_warm_kib']} after the "
        f"warm-up, median {found['rss_median_kib']:.0f}, most {found['rss_max_kib']}, "
        f"{found['rss_end_kib']} at the end; {found['slope_kib']:+.1f} KiB in {ROUND} connections",
        f"descriptors: {descriptors['start']} at the start, {descriptors['most']} at most, "
        f"{descriptors['end']} at the end; {found['threads']} threads at most",
        *(f"FAULT: {fault}" for fault in found["faults"]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
