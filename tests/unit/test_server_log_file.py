"""The file of ``seglab serve --out``: torn lines, and rotation."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from serving import PATIENCE_S, read_all

from seglab.classification.inputs import read, sources
from seglab.classification.rotated import oldest_first
from seglab.commands.serve import serve
from seglab.errors import InputError
from seglab.logs import observations
from seglab.server import log_file
from seglab.server.log_file import LogFile, Rotation
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
        log.begin()
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


def written(path: Path, records: int, rotation: Rotation, first: int = 1) -> None:
    """Write records of two lines each, as the events of a payload are."""
    with LogFile(path, refuse, rotation) as log:
        for number in range(first, first + records):
            log.begin()
            log.write(f"{number} a\n")
            log.write(f"{number} b\n")


def lines_of(folder: Path) -> list[str]:
    """All lines of a log's files, oldest first."""
    files = oldest_first(sorted(folder.iterdir()))
    return [line for file in files for line in file.read_text().splitlines()]


def both(numbers: range) -> list[str]:
    """The lines of these records."""
    return [f"{number} {line}" for number in numbers for line in "ab"]


def test_a_log_is_rotated_by_its_size(tmp_path: Path) -> None:
    """No record is lost, torn or in two files, until there are as many files as are kept."""
    written(tmp_path / "a.log", 9, Rotation(size_bytes=16, keep=4))
    # A record has 8 bytes, so each file has two; nine records are in four files and the log.
    assert {file.name: file.stat().st_size for file in tmp_path.iterdir()} == {
        "a.log": 8, "a.log.1": 16, "a.log.2": 16, "a.log.3": 16, "a.log.4": 16,
    }  # fmt: skip
    assert lines_of(tmp_path) == both(range(1, 10))
    written(tmp_path / "a.log", 2, Rotation(size_bytes=16, keep=4), first=10)
    assert lines_of(tmp_path) == both(range(3, 12))
    assert len([*tmp_path.iterdir()]) == 5


class Crash(Exception):  # noqa: N818 -- stands for kill -9
    """What ends a server in the middle of a rotation."""


@pytest.mark.parametrize("steps", range(5))
def test_a_crash_in_the_middle_of_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After any number of its steps, the next server goes on, and nothing is lost."""
    rotation = Rotation(size_bytes=16, keep=8)
    written(tmp_path / "a.log", 8, rotation)
    done = 0
    replace = Path.replace

    def one_step(self: Path, target: Path) -> Path:
        nonlocal done
        if done == steps:
            raise Crash
        done += 1
        return replace(self, target)

    def no_step(*_: object) -> int:
        raise Crash

    with monkeypatch.context() as crash:
        crash.setattr(Path, "replace", one_step)
        with LogFile(tmp_path / "a.log", refuse, rotation) as log:
            crash.setattr(log_file, "_opened", no_step)  # after the last renaming
            with pytest.raises(Crash):
                log.begin()
    assert lines_of(tmp_path) == both(range(1, 9)) or not (tmp_path / "a.log").exists()
    written(tmp_path / "a.log", 6, rotation, first=9)
    assert lines_of(tmp_path) == both(range(1, 15))


def test_a_log_that_another_program_has_renamed_is_opened_again(tmp_path: Path) -> None:
    """Two programs that rotate one log do not rename it twice."""
    with LogFile(tmp_path / "a.log", refuse, Rotation(size_bytes=2, keep=3)) as log:
        log.write("1\n")
        (tmp_path / "a.log").rename(tmp_path / "a.log.1")
        log.begin()
        log.write("2\n")
    assert {file.name for file in tmp_path.iterdir()} == {"a.log", "a.log.1"}
    assert lines_of(tmp_path) == ["1", "2"]


def test_a_log_that_cannot_be_rotated_goes_on(tmp_path: Path) -> None:
    """A warning says why, once until the file has grown by as much again; no line is lost."""
    (tmp_path / "a.log.1").mkdir()
    (tmp_path / "a.log.1" / "x").touch()
    warnings: list[str] = []
    with LogFile(tmp_path / "a.log", warnings.append, Rotation(size_bytes=6, keep=1)) as log:
        for _ in range(7):
            log.begin()
            log.write("x\n")
    assert (tmp_path / "a.log").read_text() == "x\n" * 7
    assert len(warnings) == 2  # at 6 and at 12 bytes
    assert "cannot rotate the log: Is a directory" in warnings[0]


def test_what_cannot_be_rotated_is_refused(tmp_path: Path) -> None:
    """A pipe has no size, and nothing else to be renamed."""
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="no regular file"):
        LogFile(tmp_path / "pipe", refuse, Rotation(1, 1))
    os.close(reading)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.log a.log.1 a.log.2", "a.log.2 a.log.1 a.log"),
        ("a.log a.log.1 a.log.10.gz a.log.2.gz", "a.log.10.gz a.log.2.gz a.log.1 a.log"),
        ("x.pcap a.log b.log a.log.1 b.log.1", "x.pcap a.log.1 a.log b.log.1 b.log"),
        # Without the log itself they may be anything, such as numbered mails.
        ("a.1 a.2 a.10", "a.1 a.2 a.10"),
        ("- a.log.1 a", "- a.log.1 a"),
    ],
)
def test_files_of_a_rotated_log_are_read_oldest_first(given: str, expected: str) -> None:
    """Their numbers say how old they are; whatever is no such file stays where it is."""
    assert [str(path) for path in oldest_first(map(Path, given.split()))] == expected.split()


def count_lines(folder: Path) -> int:
    """How many lines a log's files have; 0 while the server renames one of them."""
    try:
        return len(lines_of(folder))
    except FileNotFoundError:
        return 0


def start_server(out: Path, *options: str) -> tuple[subprocess.Popen[str], int]:
    """Start ``seglab serve`` on a free port; return its process and port."""
    code = "from seglab.commands.serve import serve; serve()"
    always = ["--port", "0", "--protocol", "raw", "--log-format", "sessions", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *always, *options], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    return process, int(process.stderr.readline().split("port ")[1].split()[0])


def test_servers_that_are_killed_while_they_rotate(tmp_path: Path) -> None:
    """With a rotation every few connections, each message is in the files once, in order."""
    out = tmp_path / "reads.log"
    sent = []
    for server in range(2):
        process, port = start_server(out, "--rotate-mib", "0.00005", "--keep", "99")  # 52 bytes
        try:
            for number in range(20):
                sent.append(1000 * (server + 1) + number)
                with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
                    client.sendall(b"x" * sent[-1])
                    client.shutdown(socket.SHUT_WR)
                    assert read_all(client) == b""
            until = time.monotonic() + PATIENCE_S
            while count_lines(tmp_path) < len(sent):
                assert time.monotonic() < until
                time.sleep(0.01)
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
    assert len([*tmp_path.iterdir()]) > 8
    found = [
        sum(observation.sizes)
        for source in sources(tmp_path, refuse)
        for observation in read(source, layer="reads", protocol="raw", warn=refuse)
    ]
    assert found == sent


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rotate-mib", "1"], "--rotate-mib needs --out"),
        (["--out", "a.log", "--keep", "2"], "--keep needs --rotate-mib"),
    ],
)
def test_options_that_mean_nothing_alone(
    options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused in one line, and no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        CliRunner().invoke(
            serve, ["--port", "0", *options], standalone_mode=False, catch_exceptions=False
        )
    assert [*tmp_path.iterdir()] == []
