"""What a classifier has started ends with it, wherever it went."""

import os
import select
import subprocess
import sys

import pytest

from seglab.core.observation import Observation
from seglab.runners.program import ProgramRunner

PROGRAM = """
import json, subprocess, sys
code = "import time; print(1, flush=True); time.sleep(600)"
null, pipe = subprocess.DEVNULL, subprocess.PIPE
child = subprocess.Popen(
    [sys.executable, "-c", code], stdin=null, stdout=pipe, stderr=null, start_new_session=True
)
child.stdout.readline()
for line in sys.stdin:
    print(json.dumps({"style": None, "evidence": [str(child.pid)]}), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no pidfd_open")
def test_a_child_in_a_session_of_its_own_ends_too() -> None:
    """The process group does not have it; other processes go on."""
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    runner = ProgramRunner([sys.executable, "-c", PROGRAM])
    with runner:
        (answer,) = runner.ask([Observation(id="x", sizes=(5,))])
        child = int(answer.evidence[0])  # type: ignore[union-attr]
        process = os.pidfd_open(child)
    try:
        ended, _, _ = select.select([process], [], [], 10)
        assert ended, "the child is still there"
        assert bystander.poll() is None
    finally:
        if not ended:
            os.kill(child, 9)
        os.close(process)
        bystander.communicate(b"\n")
