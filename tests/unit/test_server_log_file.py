"""The file of ``seglab serve --out``: torn lines, and rotation."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from serving import PATIENCE_S, read_all

from seglab.logs import observations
from seglab.server.log_file import LogFile
from seglab.server.logs import session_line


def refuse(text: str) -> None:
    """Fail at any warning."""
    pytest.fail(text)


def test_a_torn_line_costs_one_record(tmp_path: Path) -> None:
    """What is written after it is read back whole; whole files get no empty line."""
    path = tmp_path / "reads.log"
    torn = '{"number": 1, "reads": [[1, 0'
    path.write_text(f"{session_line(1, (77, 5))}\n{torn}")
    for number in (2, 3):
        with LogFile(path, refuse) as log:
            log.write(session_line(number, (1440, number)) + "\n")
    found = [one.sizes for one in observations(path.read_bytes().splitlines(), "log")]
    assert found == [(77, 5), (1440, 2), (1440, 3)]
    assert len(path.read_text().splitlines()) == 4


def test_a_log_that_cannot_be_opened_again_goes_on(tmp_path: Path) -> None:
    """A warning says so, and no line is lost."""
    folder = tmp_path / "logs"
    folder.mkdir()
    warnings: list[str] = []
    with LogFile(folder / "a.log", warnings.append) as log:
        folder.rename(tmp_path / "old")
        log.reopen()
        log.write("x\n")
        log.write("y\n")
    assert (tmp_path / "old" / "a.log").read_text() == "x\ny\n"
    assert len(warnings) == 1
    assert "cannot open the log again: No such file" in warnings[0]


def test_a_hangup_opens_the_file_again(tmp_path: Path) -> None:
    """A log that was renamed keeps its lines, and the next ones are in a new file."""
    out, old = tmp_path / "reads.log", tmp_path / "reads.log.1"
    code = "from seglab.commands.serve import serve; serve()"
    options = ["--port", "0", "--protocol", "raw", "--log-format", "sessions", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        port = int(process.stderr.readline().split("port ")[1].split()[0])

        def send(size: int) -> None:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
                client.sendall(b"x" * size)
                client.shutdown(socket.SHUT_WR)
                assert read_all(client) == b""

        send(10)
        while not out.read_text():
            send(10)
        out.rename(old)
        process.send_signal(signal.SIGHUP)
        while not out.exists():  # the signal may come after the next line
            send(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert "(1) 10" in old.read_text()
    assert "(1) 20" in out.read_text()
    assert out.read_text().endswith("\n")
