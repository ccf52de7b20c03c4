"""Programs of a few lines that the tests let a lab run, and how they are run."""

import asyncio
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from seglab.core.record import SessionRecord
from seglab.engine import EngineOptions
from seglab.experiment import registry
from seglab.experiment.plan import ProgramSession
from seglab.experiment.program import plan
from seglab.kernel import engine
from seglab.kernel.engine import KernelEngine
from seglab.kernel.program.lab import ProgramLab, RecorderName
from seglab.kernel.program.tracing import problem
from seglab.mail.message import MessageSpec
from seglab.networks.network import Network

RECORDERS: Sequence[RecorderName] = ("trace events", "notification")
PYTHON = os.path.realpath(sys.executable)

HEAD = """
import os, signal, smtplib, socket, sys, time
host, port, message = sys.argv[1], int(sys.argv[2]), sys.argv[3]
mail = open(message, "rb").read()
def send(connection=None):
    with connection or smtplib.SMTP(host, port) as server:
        server.sendmail("a@example.org", ["b@example.org"], mail)
def dialogue():
    s = socket.create_connection((host, port))
    replies = s.makefile("rb")
    replies.readline()
    for line in b"HELO a", b"MAIL FROM:<a@b.c>", b"RCPT TO:<d@e.f>", b"DATA":
        s.sendall(line + b"\\r\\n")
        replies.readline()
    return s, replies
"""

Planned = list[tuple[ProgramSession, Network]]


def skip_without_rights() -> None:
    """Skip where programs cannot be recorded."""
    if reason := problem():
        pytest.skip(reason)


class Programs:
    """Programs of a few lines, each in a file of its own.

    Args:
        folder: for their files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def planned(self, name: str, code: str, **how: Any) -> Planned:
        """The sessions of a program in Python; ``how`` is as for ``commanded``."""
        file = self._folder / f"{name}.py"
        file.write_text(HEAD + textwrap.dedent(code))
        command = [PYTHON, str(file), "{host}", "{port}", "{message}"]
        return self.commanded(name, command, **how)

    def commanded(
        self,
        name: str,
        command: Sequence[str],
        network: str = "ethernet",
        sessions: int = 1,
        size: int = 6000,
        **how: Any,
    ) -> Planned:
        """The sessions of a command; ``how`` is as for ``experiment.program.plan``."""
        return plan(
            command,
            [registry.network(network)],
            MessageSpec(payload_bytes=size),
            sessions=sessions,
            seed=7,
            name=name,
            sender_address="a@example.org",
            recipient="b@example.org",
            folder=self._folder,
            **how,
        )


def run(
    specs: Planned, time_limit_s: float = 60.0, recorder: RecorderName | None = None
) -> dict[str, SessionRecord]:
    """Carry the sessions out; their records by the program's name.

    Args:
        specs: the sessions.
        time_limit_s: for each.
        recorder: which recorder; ``None`` is the lab's choice.
    """

    class Chosen(ProgramLab):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options, recorder=recorder)

    records: list[SessionRecord] = []
    run_engine = KernelEngine(EngineOptions(time_limit_s=time_limit_s))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "ProgramLab", Chosen)
        asyncio.run(run_engine.run(specs, records.append))
    return {record.sender: record for record in records}


def left_of(mark: str) -> list[int]:
    """The processes that have a mark in their environment, this one excepted."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if pid != os.getpid() and _has(pid, mark)]


def _has(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
