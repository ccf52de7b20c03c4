"""Labs make their trace instances in turns, so that none removes what another is just making."""

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commanding import DEADLINE_S, trace_instances, wait_until
from trying import skip_without_rights

from seglab.core import launching

HOLDER = """
import sys
from seglab.kernel.program import instance

instance.mount_tracing()
with instance.taking_turns():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def python(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of Python as the lab starts them; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=launching.environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], DEADLINE_S)[0], "it printed nothing"
    return process.stdout.readline()


def waits(process: subprocess.Popen[str]) -> bool:
    """Whether a process waits for a lock, as the kernel lists it; it must not go on without."""
    assert not select.select([process.stdout], [], [], 0)[0], "it did not wait"
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(words[1:3] == ["->", "FLOCK"] and words[5] == str(process.pid) for words in lines)


def let_go(holder: subprocess.Popen[str]) -> None:
    """Let it end by itself."""
    assert holder.stdin is not None
    holder.stdin.close()


@pytest.mark.parametrize("end", [let_go, subprocess.Popen.kill])
def test_a_second_one_waits(end: Callable[[subprocess.Popen[str]], None]) -> None:
    """It makes nothing while another one has its turn, and goes on when that ends or is killed."""
    skip_without_rights()
    with python("-c", HOLDER) as holder:
        assert line_of(holder) == "held\n"
        with python("-m", "seglab.kernel.program.instance") as second:
            wait_until(lambda: waits(second), "it waits for its turn")
            assert trace_instances([second.pid]) == set()
            end(holder)
            made = json.loads(line_of(second))["instance"]
            assert trace_instances([second.pid]) == {made}
            let_go(second)
            assert second.wait(DEADLINE_S) == 0
            assert trace_instances([second.pid]) == set()
