"""Classifiers of other languages: asked in order, held to the time, ended with their children."""

import shlex
import sys
import time
from pathlib import Path

import pytest
from ending import gone

from seglab.classification.answer import ClassifierFailedError, Raised
from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.errors import InputError
from seglab.runners.open import open_runner
from seglab.runners.program import AHEAD, ProgramRunner

PRELUDE = "import json, os, sys, time\nread = sys.stdin.readline\n"
ECHO = """
for line in sys.stdin:
    told = json.loads(line)
    print(json.dumps({"id": told["id"], "style": "relay", "buffer": told["sizes"][0]}), flush=True)
"""


def observations(count, sizes=(150, 1448, 900)):
    return [Observation(id=f"o{n}", sizes=(n + 1, *sizes), mss=1448) for n in range(count)]


def program(text):
    """The command of a Python program."""
    return shlex.join([sys.executable, "-c", PRELUDE + text])


def failure(text, count=3, limit_s=10.0):
    """How a program fails, and what it answered before."""
    runner = ProgramRunner(program(text), limit_s)
    with runner, pytest.raises(ClassifierFailedError) as caught:
        runner.ask(observations(count))
    assert "\n" not in caught.value.reason
    return caught.value


def test_answers_in_order() -> None:
    """Each observation gets its own answer, and several calls go to the same program."""
    with ProgramRunner(program(ECHO)) as runner:
        first = runner.ask(observations(1000))
        again = runner.ask(observations(3))
    assert [v.buffer for v in first if isinstance(v, Verdict)] == list(range(1, 1001))
    assert again == first[:3]


def test_all_forms_of_an_answer() -> None:
    """A verdict with or without an id, a style, several styles, null, and an empty line."""
    lines = ['{"style": "relay"}', '"relay"', '["single_write", "relay"]', "null", ""]
    text = f"for line in {lines!r}:\n    read()\n    print(line, flush=True)"
    with ProgramRunner(program(text)) as runner:
        one, two, several, none, empty = runner.ask(observations(5))
    assert isinstance(one, Verdict)
    assert isinstance(two, Verdict)
    assert isinstance(several, Verdict)
    assert (one.id, one.style, two.style) == ("o0", "relay", "relay")
    assert several.styles == ("relay", "single_write")
    assert none is None
    assert empty is None


def test_large_answers_before_reading_on() -> None:
    """A program whose answers fill its pipe while we fill ours is no deadlock."""
    text = """
for line in sys.stdin:
    evidence = ["x" * 100_000]
    print(json.dumps({"style": "relay", "evidence": evidence}), flush=True)
"""
    big = tuple([1448] * 3000)
    with ProgramRunner(program(text)) as runner:
        assert len(runner.ask(observations(AHEAD + 50, big))) == AHEAD + 50


def test_reader_of_many_lines_before_it_answers() -> None:
    """A program may read ahead: as many questions as are let go ahead of the answers."""
    text = """
while True:
    held = [read() for _ in range(100)]
    print("null\\n" * len(held), end="", flush=True)
"""
    with ProgramRunner(program(text)) as runner:
        assert runner.ask(observations(300)) == [None] * 300


def test_flood_on_standard_error(tmp_path: Path) -> None:
    """What it says on standard error does not stop it, and is kept."""
    text = """
for line in sys.stdin:
    sys.stderr.write("y" * 50_000 + "\\n")
    print("null", flush=True)
"""
    kept = tmp_path / "stderr.txt"
    with ProgramRunner(program(text), stderr=kept) as runner:
        assert runner.ask(observations(20)) == [None] * 20
    assert kept.stat().st_size == 20 * 50_001


def test_not_started() -> None:
    """A program that is not there, is none, or is not named, is bad input."""
    with pytest.raises(InputError, match=r"cmd:no-such-program x: .* no such program"):
        ProgramRunner("no-such-program x")
    with pytest.raises(InputError, match="names no program"):
        ProgramRunner("  ")
    with pytest.raises(InputError, match="No closing quotation"):
        ProgramRunner("awk 'x")


def test_broken_program(tmp_path: Path) -> None:
    """A file that is executable but no program is an error of one line."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00\x01")
    broken.chmod(0o755)
    with pytest.raises(InputError, match="cannot be started: Exec format error"):
        ProgramRunner(str(broken))


def test_exit_in_the_middle() -> None:
    """An exit is reported with its status and last words; the answers before it are kept."""
    error = failure(
        "read()\nprint('null', flush=True)\nread()\nprint('\\x1b[31mno table', file=sys.stderr)\n"
        "sys.exit(4)"
    )
    assert error.reason.startswith("exited with status 4 after 1 answer; its last words: ")
    assert error.reason.endswith("no table")
    assert "\x1b" not in error.reason
    assert error.answered == [None]


def test_killed_by_a_signal() -> None:
    """A crash is reported by its signal."""
    assert "killed by SIGKILL" in failure("os.kill(os.getpid(), 9)").reason


def test_closes_its_output_and_stays() -> None:
    """A program that lives on without its output is not waited for."""
    assert "closed its standard output" in failure("os.close(1)\ntime.sleep(60)").reason


def test_exit_without_reading() -> None:
    """A program that ends without reading, while questions are written, is reported too."""
    runner = ProgramRunner("true")
    with runner, pytest.raises(ClassifierFailedError, match="exited with status 0"):
        runner.ask(observations(50, (1448,) * 20_000))


def test_hang() -> None:
    """No answer within the time limit: told with the likeliest reason, and the program is ended."""
    error = failure("read()\nprint('null', flush=True)\ntime.sleep(60)", limit_s=0.5)
    assert error.reason.startswith("no answer 2 within 0.5 s")
    assert "flush" in error.reason
    assert error.answered == [None]


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("hello \\x07", "answer 1 is no JSON: hello \\x07"),
        ("[" * 100_000, "answer 1 is no JSON"),
        ("\\xff", "answer 1 is no JSON"),
        ("7", "the classifier returned int"),
        ('{"style": 7}', "not a verdict"),
        ('{"id": "o1", "style": "relay"}', "answer 1 is for id o1, expected 'o0'"),
        ('{"id": 1}', "answer 1 is for id 1"),
    ],
)
def test_rubbish(printed, words) -> None:
    """Each kind of rubbish is one line, without control characters."""
    text = f"read()\nsys.stdout.buffer.write(b'''{printed}\\n''')\nsys.stdout.flush()\nread()"
    reason = failure(text).reason
    assert words in reason
    assert reason.isprintable()


def test_endless_line() -> None:
    """Output without an end of line is not collected for ever."""
    text = "read()\nwhile True:\n    sys.stdout.write('x' * 65536)"
    assert "without a line's end" in failure(text).reason


def test_more_answers_than_questions() -> None:
    """Two lines for one question fail at once, and the second is no later answer."""
    text = "for line in sys.stdin:\n    print('null\\nnull', flush=True)"
    with ProgramRunner(program(text)) as runner:
        asking = (runner.ask([one]) for one in observations(100))
        with pytest.raises(ClassifierFailedError, match="printed a line more"):
            list(asking)


def test_asked_after_a_failure() -> None:
    """A program that has failed is not asked again."""
    with ProgramRunner("true") as runner:
        for _ in range(2):
            with pytest.raises(ClassifierFailedError, match="exited"):
                runner.ask(observations(1))


def test_children_end_as_well() -> None:
    """The program's own children end with it, whatever it does about its end."""
    text = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
read()
print(json.dumps({"style": None, "buffer": child.pid}), flush=True)
while True:
    time.sleep(600)
"""
    with ProgramRunner(program(text)) as runner:
        (verdict,) = runner.ask(observations(1))
        assert isinstance(verdict, Verdict)
        child = verdict.buffer
        assert child is not None
        assert not gone(child)
    until = time.monotonic() + 10
    while not gone(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert gone(child)


def test_fresh_is_another_process() -> None:
    """After a restart, the program knows nothing of earlier questions."""
    text = """
for number, line in enumerate(sys.stdin, 1):
    print(json.dumps({"style": "relay", "buffer": number}), flush=True)
"""
    with ProgramRunner(program(text)) as runner:
        runner.ask(observations(5))
        (verdict,) = runner.restarted().ask(observations(1))
    assert isinstance(verdict, Verdict)
    assert verdict.buffer == 1


def test_raised() -> None:
    """A program may say that it failed at one message, and go on."""
    text = "read()\nprint('{\"raised\": \"no \\\\u001btable\"}', flush=True)\nread()\nprint('null')"
    with ProgramRunner(program(text)) as runner:
        assert runner.ask(observations(2)) == [Raised("no \\x1btable"), None]


SLOW = '''
import os
import time


def classify(observation):
    """Slow, talkative, and now and then wrong."""
    time.sleep(0.02)
    print("working")
    if observation.sizes[0] % 50 == 0:
        raise ValueError("no fifties")
    return {"style": "relay", "buffer": observation.sizes[0], "evidence": [str(os.getpid())]}
'''


def test_slow_classifier_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes answer, in order; what one raises is the answer to that message."""
    (tmp_path / "slow_of_test.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    asked = observations(400)
    with open_runner("slow_of_test:classify", processes=2, pool_min_work_s=0.5) as runner:
        answers = runner.ask(asked)
    assert runner.name == "slow_of_test:classify"
    verdicts = {n: a for n, a in enumerate(answers) if isinstance(a, Verdict)}
    assert [verdict.buffer for verdict in verdicts.values()] == [n + 1 for n in verdicts]
    failed = {n: a.reason for n, a in enumerate(answers) if isinstance(a, Raised)}
    assert {*failed} == {*range(49, 400, 50)}
    assert {*failed.values()} == {"ValueError: no fifties (slow_of_test.py, line 11)"}
    assert len({verdict.evidence for verdict in verdicts.values()}) == 3
    assert sum(isinstance(a, Verdict) for a in answers[:64]) == 63


def test_shared_classifier_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends is reported, with the answers before it, in order."""
    (tmp_path / "dying_of_test.py").write_text(
        "import os\n\n\ndef classify(observation):\n"
        "    if observation.sizes[0] == 300:\n        os._exit(3)\n    return 'relay'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    asking = open_runner("dying_of_test:classify", processes=2, pool_min_work_s=0)
    with asking as runner, pytest.raises(ClassifierFailedError, match="status 3") as caught:
        runner.ask(observations(400))
    assert 64 + 128 <= len(caught.value.answered) < 300
