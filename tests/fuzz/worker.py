"""A process that makes and examines inputs, so that a crash or a hang of it is a finding as well.

The process gets a number and answers twice: with the input of that number, and with what is wrong
about it. Between the two it may die or hang; whoever asked then has the input.
"""

import contextlib
import resource
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

from fuzz.kind import Kind, Problem, case_random, examine

HANG_S: Final = 120.0
"""After how many seconds without an answer a process counts as hanging. An input may take a
twelfth of that in processor time; the rest is for a busy machine."""

ADDRESS_SPACE_BYTES: Final = 8 << 30
"""More than this and an allocation fails, before the machine is short of memory."""


class Worker:
    """A process for the inputs of one kind; it is started again where it has ended.

    Args:
        kind: its name.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_work, args=(there, self._kind), daemon=True)
        self._process.start()
        there.close()

    def case(self, seed: int, number: int) -> tuple[bytes, Problem | None]:
        """Make the input of that number, and return it with what is wrong about it."""
        self._here.send((seed, number))
        try:
            if not self._here.poll(HANG_S):
                return b"", self._ended("hangs while it makes an input")
            data = self._here.recv()
        except (EOFError, ConnectionError):
            return b"", self._ended("died while it made an input")
        if isinstance(data, Problem):
            return b"", data
        return data, self._answer()

    def examine(self, data: bytes) -> Problem | None:
        """Return what is wrong about an input."""
        self._here.send(data)
        return self._answer()

    def _answer(self) -> Problem | None:
        try:
            if not self._here.poll(HANG_S):
                return self._ended(f"hangs: no answer in {HANG_S:g} s")
            answer: Problem | None = self._here.recv()
        except (EOFError, ConnectionError):
            return self._ended("died")
        return answer

    def _ended(self, what: str) -> Problem:
        self._process.join(1)
        code = self._process.exitcode
        self.close()
        self._start()
        text = f"{what}, exit code {code}" if code is not None else what
        return Problem(text, f"the process {text}")

    def close(self) -> None:
        """End the process."""
        self._here.close()
        self._process.kill()
        self._process.join()


def _work(connection: Connection, name: str) -> None:
    from fuzz.kinds import KINDS  # noqa: PLC0415 - in the process that needs them

    kind = KINDS[name]
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while True:
            asked = connection.recv()
            if not isinstance(asked, bytes):
                try:
                    asked = _made(kind, *asked)
                except Exception as error:
                    connection.send(Problem("the fuzzer itself", f"no input: {error!r}"))
                    continue
                connection.send(asked)
            connection.send(examine(kind, asked))


def _made(kind: Kind, seed: int, number: int) -> bytes:
    return kind.make(case_random(kind.name, seed, number))
