"""Daemons in a lab: when they are handed the message, when they are done, and what goes wrong."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from trying import PYTHON, RECORDERS, Planned, Programs, left_of, run, skip_without_rights

from seglab.core.trace import sizes
from seglab.kernel.program.lab import RecorderName

DAEMON = """
def serve(then=None):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("/run/daemon")
    listening.listen()
    print("daemon started", flush=True)
    while True:
        asking, _ = listening.accept()
        global mail
        mail = b"".join(iter(lambda: asking.recv(65536), b""))
        asking.close()
        then and then()
        send()
        open("/run/sent", "w")
        print("delivered", flush=True)
assert sys.stdin.read() == ""
"""
HAND_OVER = f"""{PYTHON} -c {
    shlex.quote('''
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/run/daemon")
s.sendall(sys.stdin.buffer.read())
''')
} {{from}}"""

GOOD: dict[str, tuple[str, dict[str, str]]] = {
    "printing": ("time.sleep(0.5); serve()", {"ready": "/^daemon start/"}),
    "commanded": (
        "time.sleep(0.5); serve()",
        {"ready": "test -S /run/daemon", "done": "test -e /run/sent"},
    ),
    "forking": ("if os.fork() == 0: time.sleep(0.5); serve()", {"ready": "/daemon started/"}),
    "slow": ("serve(lambda: time.sleep(3))", {"ready": "/started/", "done": "/delivered/"}),
    "parent": (
        "os.fork() or time.sleep(1000); serve()",
        {"ready": "/started/", "done": "test -e /run/sent"},
    ),
}
BAD: dict[str, tuple[str, dict[str, str], str]] = {
    "never_ready": ("time.sleep(1000)", {"ready": "false"}, r"limit reached; .* was not ready"),
    "mute": ("time.sleep(1000)", {"ready": "/x/"}, r"limit reached; .* was not ready"),
    "endless_pattern": (
        "print('a' * 60, flush=True); time.sleep(1000)",
        {"ready": "/(a+)+!/"},
        r"ready /\(a\+\)\+!/: still searched after .* in the \d+ bytes",
    ),
    "stillborn": (
        "sys.exit('no licence')",
        {"ready": "false"},
        r"ended with status 1 before it was ready and last printed: no licence",
    ),
    "never_done": (
        "serve()",
        {"ready": "/started/", "done": "false"},
        r"limit reached; the program was not done, and the server had got the message",
    ),
    "swallowing": (
        "serve(lambda: time.sleep(1000))",
        {"ready": "/started/"},
        r"limit reached; the program was not done, and the server had not got the message",
    ),
    "refusing": (
        "time.sleep(1000)",
        {"ready": "true"},
        r"hands the message over ended with status 1 and last printed: .*No such file",
    ),
    "dying": (
        "serve(lambda: os.kill(os.getpid(), signal.SIGKILL))",
        {"ready": "/started/"},
        r"no message reached|never connected to the server; the program was killed \(SIGKILL\)",
    ),
}


@pytest.fixture(autouse=True)
def _privileged() -> None:
    """Skip where programs cannot be recorded."""
    skip_without_rights()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """What makes programs."""
    return Programs(tmp_path)


@pytest.mark.parametrize("recorder", RECORDERS)
def test_daemons(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, recorder: RecorderName
) -> None:
    """They have the message once they are ready, and end once they are done, with nothing left."""
    mark = f"SEGLAB_TEST_MARK={os.urandom(8).hex()}"
    monkeypatch.setenv(*mark.split("="))
    specs: Planned = []
    for name, (code, how) in GOOD.items():
        specs += programs.planned(name, DAEMON + code, send=HAND_OVER, **how)
    for name, record in run(specs, recorder=recorder).items():
        assert record.error is None, f"{name}: {record.error}: {record.output}"
        assert sum(sizes(record.writes)) == record.payload_bytes > 5000
        assert record.writes[0].t_ns >= 0
        assert record.exit_code == (0 if name == "forking" else None)
    assert left_of(mark) == []


def test_bad_days_of_daemons(programs: Programs) -> None:
    """Each that misbehaves is marked with the reason, and the others go on."""
    specs: Planned = []
    for name, (code, how, _) in BAD.items():
        specs += programs.planned(name, DAEMON + code, send=HAND_OVER, **how)
    records = run(specs, time_limit_s=4.0)
    for name, (_, _, pattern) in BAD.items():
        assert records[name].status == "failed", name
        assert re.search(pattern, records[name].error or ""), f"{name}: {records[name].error}"


def test_the_clock_begins_when_the_message_is_handed_over(programs: Programs) -> None:
    """The time that a daemon takes to be ready is in no session."""
    how: dict[str, Any] = {"send": HAND_OVER, "ready": "/started/"}
    (record,) = run(programs.planned("late", f"{DAEMON}time.sleep(2.5); serve()", **how)).values()
    assert record.error is None, record.output
    assert record.writes[0].t_ns < 2e9


def test_a_program_that_leaves_its_work_to_others(programs: Programs) -> None:
    """With ``done`` it may wait longer than without, and leave processes behind."""
    code = """
        if os.fork() == 0:
            time.sleep(3)
            send()
            print("delivered", flush=True)
            time.sleep(1000)
        """
    specs = [
        *programs.planned("patient", code, done="/delivered/"),
        *programs.planned("impatient", code),
    ]
    records = run(specs)
    assert records["patient"].error is None, records["patient"].error
    assert re.search("never connected", records["impatient"].error or "")
