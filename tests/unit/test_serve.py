"""The server as a process: inside a lab, and as the command ``seglab serve``."""

import contextlib
import hashlib
import json
import re
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from serving import PATIENCE_S, read_all

from seglab.commands.serve import serve
from seglab.errors import EnvironmentLacksError, InputError
from seglab.kernel.channel import Channel
from seglab.server.listening import Listener, listen

# Inside a lab ----------------------------------------------------------------------------


@contextlib.contextmanager
def in_lab(config: dict[str, Any]) -> Iterator[tuple[Channel, subprocess.Popen[bytes]]]:
    channel, inherited = Channel.pair()
    command = [sys.executable, "-m", "seglab.kernel.server", "--fd", str(inherited.fileno())]
    process = subprocess.Popen(command, pass_fds=[inherited.fileno()])
    inherited.close()
    try:
        channel.send({"config": config})
        yield channel, process
    finally:
        channel.close()
        process.kill()
        process.wait(PATIENCE_S)


def listener(**changes: Any) -> dict[str, Any]:
    reader = {"kind": "event-loop", "buffer_bytes": 65536}
    return {"host": "127.0.0.1", "port": 0, "protocol": "raw", "reader": reader, **changes}


def receive(channel: Channel) -> dict[str, Any]:
    message = channel.receive()
    assert message is not None, "the server is gone"
    return message


def test_lab_mode_reports_each_connection() -> None:
    """Two listeners with a reader each; a record a connection, by the contract with the lab."""
    smtp = listener(protocol="smtp", reader={"kind": "recv-loop", "buffer_bytes": 4096})
    with in_lab({"listeners": [listener(), smtp], "limits": {"idle_s": 30}}) as (channel, process):
        raw_at, smtp_at = receive(channel)["ready"]
        with socket.create_connection((raw_at["host"], raw_at["port"])) as client:
            client.sendall(b"x" * 10)
            local = client.getsockname()
        record = receive(channel)["connection"]
        assert record["peer"] == list(local)
        assert record["local"] == [raw_at["host"], raw_at["port"]]
        assert [read[1:] for read in record["reads"]] == [[0, 10]]
        assert record["payloads"] == [[0, 10]]
        assert record["sha256"] == [hashlib.sha256(b"x" * 10).hexdigest()]
        assert (record["ended"], record["refused"]) == ("eof", None)
        with smtplib.SMTP(smtp_at["host"], smtp_at["port"], timeout=PATIENCE_S) as mailer:
            mailer.sendmail("a@b.c", "d@e.f", "hello")
        record = receive(channel)["connection"]
        ((start, end),) = record["payloads"]
        assert end - start == len(b"hello\r\n.\r\n")
        assert record["ended"] == "quit"
        channel.close()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"listeners": [listener(host="192.0.2.1")]}, "192.0.2.1"),
        ({"listeners": [listener(protocol="smpt")]}, "did you mean 'smtp'"),
        ({"listeners": [listener(reader={"kind": "poll"})]}, "reader kind"),
        ({"listeners": [listener()], "limits": {"idel_s": 1}}, "did you mean 'idle_s'"),
        ({"listeners": [{"host": "127.0.0.1"}]}, "'port' is missing"),
        ({}, "'listeners' is missing"),
    ],
)
def test_lab_mode_says_why_it_failed(config: dict[str, Any], named: str) -> None:
    """A server that cannot start says so in one line."""
    with in_lab(config) as (channel, process):
        reason = receive(channel)["failed"]
        assert named in reason
        assert "\n" not in reason
        assert process.wait(PATIENCE_S) == 1


def test_lab_mode_stops_at_sigterm() -> None:
    """SIGTERM ends the server after it reported the connections that were open."""
    with in_lab({"listeners": [listener()]}) as (channel, process):
        (at,) = receive(channel)["ready"]
        with socket.create_connection((at["host"], at["port"])):
            socket.create_connection((at["host"], at["port"])).close()
            assert receive(channel)["connection"]["number"] == 2  # so the first stands as well
            process.send_signal(signal.SIGTERM)
            record = receive(channel)["connection"]
            assert (record["number"], record["ended"]) == (1, "shutdown")
            assert process.wait(PATIENCE_S) == 0


def test_lab_mode_does_not_wait_for_a_busy_lab() -> None:
    """While the lab reads no records, the server goes on reading; none of them is lost."""
    count = 10
    tiny = listener(reader={"kind": "event-loop", "buffer_bytes": 1})
    with in_lab({"listeners": [tiny]}) as (channel, process):
        (at,) = receive(channel)["ready"]
        for _ in range(count):
            with socket.create_connection((at["host"], at["port"]), PATIENCE_S) as client:
                client.sendall(b"x" * 3000)
                client.shutdown(socket.SHUT_WR)
                assert read_all(client) == b""
        process.send_signal(signal.SIGTERM)
        records = [receive(channel)["connection"] for _ in range(count)]
        assert [len(record["reads"]) for record in records] == [3000] * count
        assert process.wait(PATIENCE_S) == 0


# The command -----------------------------------------------------------------------------


def test_command_logs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """`serve` says when it is ready, appends lines as they come, and logs open connections."""
    out = tmp_path / "reads.jsonl"
    code = "from seglab.commands.serve import serve; serve()"
    command = [sys.executable, "-c", code, "--port", "0", "--protocol", "raw", "-v"]
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        ready = process.stderr.readline()
        match = re.match(r"listening on (\S+) port ([0-9]+) \(raw, event-loop", ready)
        assert match is not None, ready
        address = (match[1], int(match[2]))
        with socket.create_connection(address) as client:
            client.sendall(b"hello")
        assert "eof" in process.stderr.readline()
        assert json.loads(out.read_text())["payloads"] == [[0, 5]]
        with socket.create_connection(address) as client:
            with socket.create_connection(address) as last:
                last.sendall(b"x")
            process.stderr.readline()  # both were accepted, in this order
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
            assert read_all(client) == b""
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        process.stderr.close()
    ended = [json.loads(line)["ended"] for line in out.read_text().splitlines()]
    assert ended == ["eof", "eof", "shutdown"]


def serving(*arguments: str) -> subprocess.Popen[str]:
    """``seglab serve`` at a free port, which its first line on standard error names."""
    code = "from seglab.commands.serve import serve; serve()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_command_ends_with_its_reader() -> None:
    """`serve | head` ends quietly once nobody reads the log any more."""
    process = serving()
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        port = int(process.stderr.readline().split()[4])
        process.stdout.close()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"QUIT\r\n")
            read_all(client)
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "kind", "buffer_bytes"),
    [
        (["--reader", "postfix"], "event-loop", 4096),  # VSTREAM_BUFSIZE
        (["--reader", "exim"], "recv-loop", 8191),  # one byte less than its buffer
        (["--reader", "exim", "--buffer-bytes", "1000"], "recv-loop", 1000),
    ],
)
def test_command_reads_as_a_named_reader(
    arguments: list[str], kind: str, buffer_bytes: int
) -> None:
    """No read is larger than the named server's buffer, or than the one that is asked for."""
    process = serving("--protocol", "raw", *arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        ready = process.stderr.readline()
        assert ready.endswith(f"(raw, {kind}, {buffer_bytes}-byte buffer)\n")
        with socket.create_connection(("127.0.0.1", int(ready.split()[4]))) as client:
            client.sendall(bytes(100_000))
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b""
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        reads = [(start, end) for _, start, end in json.loads(process.stdout.read())["reads"]]
    assert max(end - start for start, end in reads) == buffer_bytes
    assert reads[-1][1] == 100_000


def test_command_refuses_a_taken_port() -> None:
    """A port in use is one line that says what to do, and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(serve, ["--port", str(port)])
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 2
    assert f"127.0.0.1 port {port} is in use" in str(result.exception)


def test_privileged_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that needs a right the user lacks is exit code 3."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(EnvironmentLacksError, match=r"port 25: .*run as root") as caught:
        listen(Listener(port=25))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "70000"], "port"),
        (["--buffer-bytes", "0"], "buffer_bytes"),
        (["--idle-s", "0"], "idle_s"),
        (["--reader", "recv-loop", "--turn-us", "5"], "turn_us"),
        (["--reader", "exim", "--turn-us", "5"], "turn_us"),
        (["--reader", "exmi"], "did you mean 'exim'"),
        (["--host", "192.0.2.1"], "not an address of this machine"),
        (["--out", "/nonexistent/x"], "cannot open the log"),
    ],
)
def test_command_names_bad_input(arguments: list[str], named: str) -> None:
    """Bad options are one line that names the option."""
    result = CliRunner().invoke(serve, ["--port", "0", *arguments])
    assert isinstance(result.exception, InputError)
    assert named in str(result.exception)
