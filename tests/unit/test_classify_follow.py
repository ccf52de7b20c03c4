"""``seglab classify --follow``: files that grow, are emptied, and are replaced."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from classifying_inputs import capture
from test_classify_command import COMMAND, FOLDER, OWN_STUB

from seglab.classification.tail import Tail
from seglab.commands import classify_input
from seglab.commands.classify_input import Input


def followed(log: Path, steps: list[Callable[[], object]]) -> list[tuple[str, tuple[int, ...]]]:
    """The messages of a growing file; each step happens when nothing new was found."""
    remaining = iter(steps)

    def wait() -> None:
        step = next(remaining, None)
        if step is None:
            source.stop()
        else:
            step()

    source = Input((log,), follow=True, wait=wait)
    return [(one.id, one.sizes) for one in source.observations()]


def append(log: Path, text: str) -> Callable[[], object]:
    """A step that adds to a log."""

    def step() -> None:
        with log.open("a") as file:
            file.write(text)

    return step


def nothing() -> None:
    """A step in which nothing happens."""


def test_follow_a_growing_log(tmp_path: Path) -> None:
    """Lines that are half there wait for their other half; the end gives what is under way."""
    log = tmp_path / "a.log"
    log.write_text("")
    assert followed(
        log,
        [
            append(log, "[1] (1) 77 (2)"),
            append(log, " 5\n[2] (1) 8"),
            append(log, "\n[3] (1) 9"),
        ],
    ) == [("1", (77, 5)), ("2", (8,)), ("3", (9,))]


def test_follow_events_without_a_successor(tmp_path: Path) -> None:
    """After a while without news, a message is taken to be over."""
    log = tmp_path / "a.log"
    log.write_text("[1][5] 'hello'\n")
    idle = [nothing] * classify_input.IDLE_POLLS
    found = followed(log, [*idle, append(log, "[1][6] 'hello!'\n[2][1] '.'\n"), *idle])
    assert found == [("1", (5,)), ("2", (6, 1))]
    halves = followed(log, [append(log, "[3][7] 'goes on'\n")])
    assert halves == [("1", (5,)), ("2", (6, 1, 7))]


def test_follow_survives_rotation_and_truncation(tmp_path: Path) -> None:
    """What the old file still held comes first; the new one is read from its beginning."""
    log, old = tmp_path / "a.log", tmp_path / "a.log.1"
    log.write_text("[1] (1) 5\n")

    def rotate() -> None:
        with log.open("a") as file:
            log.rename(old)
            file.write("[2] (1) 6\n")

    def truncate() -> None:
        log.write_text("[9] (1) 9\n")

    found = followed(
        log, [rotate, nothing, lambda: log.write_text("[1] (1) 7\n[2] (1) 8\n"), truncate]
    )
    assert found == [("1", (5,)), ("2", (6,)), ("1", (7,)), ("2", (8,)), ("9", (9,))]


def test_follow_a_growing_capture(tmp_path: Path) -> None:
    """A message is yielded as soon as the capture has all of it."""
    capture(tmp_path / "whole.pcap", (77, 1448, 5))
    data = (tmp_path / "whole.pcap").read_bytes()
    grown = tmp_path / "grown.pcap"
    grown.write_bytes(b"")

    def more(count: int) -> Callable[[], object]:
        return lambda: grown.write_bytes(data[:count])

    steps = [more(3), more(24), more(1000), more(len(data)), nothing]
    found = followed(grown, steps)
    assert [sizes for _, sizes in found] == [(77, 1448, 5)]


def test_follow_ends_with_a_summary_at_ctrl_c(tmp_path: Path) -> None:
    """As a user does it: the messages so far, the summary, exit code 0."""
    log = tmp_path / "a.log"
    log.write_text("[1] (1) 77 (2) 5\n[1][5] 'hello'\n")
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "classify", "--follow", *OWN_STUB, str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": FOLDER},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().split("\t")[3] == "relay"
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=30)
    assert out.split("\t")[-2] == "5", "the message that was under way"
    assert error == "2 messages: relay 1, no style 1, end of data by itself 1\n"
    assert process.returncode == 0


def test_what_is_written_just_before_a_rotation_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that came after the last look, and before the file was renamed, comes first."""
    path = tmp_path / "reads.log"
    path.write_bytes(b"1\n")
    tail = Tail(path)
    assert tail.poll() == (False, b"1\n")
    replaced = Tail._replaced

    def rotated_meanwhile(self: Tail) -> bool:
        if not (tmp_path / "reads.log.1").exists():
            with path.open("ab") as log:
                log.write(b"2\n")
            path.rename(tmp_path / "reads.log.1")
            path.write_bytes(b"3\n")
        return replaced(self)

    monkeypatch.setattr(Tail, "_replaced", rotated_meanwhile)
    assert tail.poll() == (False, b"2\n")
    assert tail.poll() == (True, b"3\n")
    tail.close()
