"""Asks a classifier that is a program of its own, in any language: ``cmd:PROGRAM ARGS``.

Theory of operation
-------------------
The program gets one observation a line on its standard input, as JSON. It prints one verdict a
line on its standard output, or ``null`` to abstain, in the same order, and flushes each line. What
it prints on standard error is kept: the last line for messages, all of it in a file if the user
names one.

One loop (``_converse``) serves the three pipes with ``select``, and none of them ever blocks. So a
program may read everything before it answers, or fill its standard error, and nothing is stuck.

``answers`` counts the answers to the current call of ``ask``, ``asked`` counts the questions that
were put into ``outgoing``. Always: ``len(answers) <= asked <= len(answers) + AHEAD``.

================ ====================================================================
the loop waits   until
================ ====================================================================
to write         while ``outgoing`` holds bytes; otherwise while at most half of
                 ``AHEAD`` questions are unanswered and there are more to ask
to read          always, on standard output and standard error
================ ====================================================================

The time limit counts from the last answer, or from the call where there is none yet. So it holds
for one answer, and for the first one it includes the program's start.

The program fails when it is too late, ends, closes its standard output, prints something that is
no verdict, prints the id of another observation, or prints more lines than it got. The first such
reason is kept in ``_broken``: each later call of ``ask`` raises it again. A broken pipe on
standard input alone is no failure, since a program may have read all that it needs; the missing
answers show it.

A line ``{"raised": "..."}`` is an answer: the classifier raised an exception, and can be asked
further. ``seglab.runners.worker_main`` sends such lines.

The program leads a process group of its own. ``close`` closes its standard input, gives it
``_LEAVE_S`` seconds to end by itself, and kills the group, with everything that it has started.
Until then the program's exit status is looked at without collecting it (``WNOWAIT``). So its
process id cannot be given to another process, and ``killpg`` cannot hit a stranger's group. What
left the group by ``setsid`` is found by its environment, see ``seglab.runners.descendants``.
"""

import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import msgspec

from seglab.classification.answer import Answer, ClassifierFailedError, Raised
from seglab.classification.reference import PROGRAM_PREFIX
from seglab.classification.registry import as_verdict
from seglab.core.observation import Observation
from seglab.core.text import count, safe, shorten
from seglab.errors import InputError
from seglab.runners.descendants import Descendants

AHEAD: Final = 256
"""How many questions may be unanswered at a time."""

LINE_MAX: Final = 4 << 20
"""The longest answer, in bytes, unless the message has very many sizes."""

LINE_MAX_A_SIZE: Final = 256
"""How many bytes of an answer each size may need: offsets, probabilities and witnesses."""

STDERR_MAX: Final = 16 << 20
"""How many bytes of standard error are kept in a file."""

_TAIL: Final = 4096
_CHUNK: Final = 1 << 16
_LEAVE_S: Final = 1.0
_WAIT_MAX_S: Final = 3600.0


class ProgramRunner:
    """A program that answers questions, until ``close`` ends it.

    Attributes:
        name: the reference that names the program.
        summary: what it is, in one line for people.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        time_limit_s: float = 10.0,
        stderr: Path | None = None,
    ) -> None:
        """Start the program.

        Args:
            command: program and arguments; a text is split as a shell would, but no shell runs.
            time_limit_s: for one answer; the first one includes the program's start. It may be
                infinite.
            stderr: a file that gets what the program prints on standard error.

        Raises:
            InputError: the program cannot be started, or the file cannot be written.
        """
        argv = _argv(command) if isinstance(command, str) else list(command)
        self.name = f"{PROGRAM_PREFIX}{command if isinstance(command, str) else shlex.join(argv)}"
        self.summary = "a program"
        self._command = command
        self._time_limit_s = time_limit_s
        self._stderr_path = stderr
        self._stderr: BinaryIO | None = None
        self._kept = 0
        self._tail = b""
        self._lines = bytearray()
        self._searched = 0
        self._answered = 0
        self._broken: str | None = None
        self._others: list[ProgramRunner] = []
        self._descendants = Descendants()
        if stderr is not None:
            try:
                self._stderr = stderr.open("ab")
            except OSError as error:
                raise InputError(f"{stderr}: cannot be written: {error.strerror}") from error
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=self._descendants.environment,
                start_new_session=True,
            )
        except OSError as error:
            self._close_stderr()
            raise InputError(
                f"{PROGRAM_PREFIX}{shlex.join(argv)}: cannot be started: {error.strerror or error}"
            ) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._errors = self._process.stderr.fileno()
        for fd in (self._stdin, self._stdout, self._errors):
            os.set_blocking(fd, False)

    def restarted(self) -> "ProgramRunner":
        """Return the same program, started once more; it ends when this one is closed."""
        other = ProgramRunner(self._command, self._time_limit_s, self._stderr_path)
        self._others.append(other)
        return other

    def ask(self, observations: Sequence[Observation]) -> list[Answer]:
        """Return an answer to each observation, in order.

        Raises:
            ClassifierFailedError: the program ended, hung, or printed something that is no
                answer; the error has the answers before that.
        """
        if self._broken is not None:
            raise ClassifierFailedError(self._broken)
        answers: list[Answer] = []
        try:
            with selectors.DefaultSelector() as selector:
                self._converse(selector, observations, answers)
        except ClassifierFailedError as error:
            self._broken = error.reason
            error.answered = answers
            raise
        return answers

    def kill(self) -> None:
        """End the program at once; a call of ``ask`` in another thread then raises."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):  # nothing of the process group is left
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the program and everything that it has started."""
        for other in self._others:
            other.close()
        process = self._process
        if process.returncode is None:
            assert process.stdin
            process.stdin.close()
            self._wait(_LEAVE_S if self._broken is None else 0)
            self.kill()
            process.wait()
            self._descendants.kill()
        self._drain_errors()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe
            pipe.close()
        self._close_stderr()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _converse(
        self,
        selector: selectors.BaseSelector,
        observations: Sequence[Observation],
        answers: list[Answer],
    ) -> None:
        asked, outgoing = 0, memoryview(b"")
        if observations:
            with suppress(BlockingIOError):  # there is nothing to read, as it should be
                self._listen(observations, answers, asked)
        last = time.monotonic()
        selector.register(self._stdout, selectors.EVENT_READ)
        selector.register(self._errors, selectors.EVENT_READ)
        selector.register(self._stdin, selectors.EVENT_WRITE)
        deaf = False
        while len(answers) < len(observations):
            left = last + self._time_limit_s - time.monotonic()
            if left <= 0:
                raise ClassifierFailedError(self._late(observations[len(answers)]))
            ready = {key.fd for key, _ in selector.select(min(left, _WAIT_MAX_S))}
            if self._errors in ready and not self._drain_errors():
                selector.unregister(self._errors)
            if self._stdout in ready:
                before = len(answers)
                self._listen(observations, answers, asked)
                if len(answers) > before:
                    last = time.monotonic()
            if self._stdin in ready:
                if not outgoing:
                    stop = min(len(observations), len(answers) + AHEAD)
                    lines = [observation.to_json() for observation in observations[asked:stop]]
                    asked, outgoing = stop, memoryview(b"".join(line + b"\n" for line in lines))
                try:
                    outgoing = outgoing[os.write(self._stdin, outgoing[:_CHUNK]) :]
                except BrokenPipeError:
                    deaf = True
            waiting = not outgoing and (
                asked == len(observations) or asked - len(answers) > AHEAD // 2
            )
            _watch(selector, self._stdin, wanted=not waiting and not deaf)
        if self._lines:
            raise _surplus(bytes(self._lines))

    def _listen(
        self, observations: Sequence[Observation], answers: list[Answer], asked: int
    ) -> None:
        """Read what the program has printed, and append the answers in it to ``answers``."""
        data = os.read(self._stdout, _CHUNK)
        self._lines += data
        while (end := self._lines.find(b"\n", self._searched)) >= 0:
            line = bytes(self._lines[:end])
            del self._lines[: end + 1]
            self._searched = 0
            if len(answers) >= asked:
                raise _surplus(line)
            answers.append(self._answer(line, observations[len(answers)]))
            self._answered += 1
        self._searched = len(self._lines)
        if len(self._lines) > LINE_MAX:
            sizes = max(map(len, (one.sizes for one in observations)), default=0)
            if len(self._lines) > (limit := max(LINE_MAX, LINE_MAX_A_SIZE * sizes)):
                raise ClassifierFailedError(
                    f"printed {limit >> 20} MB without a line's end: {_shown(bytes(self._lines))}"
                )
        if not data and len(answers) < len(observations):
            raise ClassifierFailedError(self._ended(observations[len(answers)]))

    def _answer(self, line: bytes, observation: Observation) -> Answer:
        where = f"answer {self._answered + 1}"
        try:
            value = _decoded(line) if line.strip() else None
        except (ValueError, RecursionError):  # also msgspec's errors, and those of UTF-8
            raise ClassifierFailedError(
                f"{where} is no JSON: {_shown(line)}; expected a verdict a line, or null"
            ) from None
        if isinstance(value, dict) and value.setdefault("id", observation.id) != observation.id:
            raise ClassifierFailedError(
                f"{where} is for id {_shown(str(value['id']).encode())}, expected"
                f" {observation.id!r}: answers come in the order of the questions"
            )
        if isinstance(value, dict) and isinstance(value.get("raised"), str):
            return Raised(safe(value["raised"][:400]))
        try:
            verdict = as_verdict(observation, value)
        except InputError as error:
            raise ClassifierFailedError(f"{where}: {safe(str(error))}") from None
        return None if verdict is None else verdict.about(observation)

    def _late(self, observation: Observation) -> str:
        return (
            f"no answer {self._answered + 1} within {self._time_limit_s:g} s"
            f" ({len(observation.sizes)} sizes); does it flush its output after each line?"
            f"{self._last_words()}"
        )

    def _ended(self, _observation: Observation) -> str:
        """Say how the program ended, without the answer to this observation."""
        return f"{self._how()} after {count(self._answered, 'answer')}{self._last_words()}"

    def _how(self) -> str:
        self._wait(_LEAVE_S)
        self._drain_errors()
        status = self._exit_status()
        if status is None:
            return "closed its standard output"
        if status < 0:
            return f"was killed by {_signal_name(-status)}"
        return f"exited with status {status}"

    def _wait(self, seconds: float) -> None:
        """Give the program time to end by itself; its exit status is not collected."""
        until = time.monotonic() + seconds
        while self._exit_status() is None and (left := until - time.monotonic()) > 0:
            self._drain_errors()
            time.sleep(min(0.005, left))

    def _exit_status(self) -> int | None:
        """Return its exit status, minus a signal's number, or ``None``; it stays a zombie."""
        found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _drain_errors(self) -> bool:
        """Read its standard error until nothing is there; return whether it is still open."""
        try:
            while data := os.read(self._errors, _CHUNK):
                self._tail = (self._tail + data)[-_TAIL:]
                self._on_stderr(data)
                if self._stderr is not None and self._kept < STDERR_MAX:
                    self._stderr.write(data[: STDERR_MAX - self._kept])
                    self._kept += len(data)
        except BlockingIOError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def _on_stderr(self, data: bytes) -> None:
        """Do something with what the program printed on standard error: here, nothing."""

    def _last_words(self) -> str:
        lines = [line for line in self._tail.splitlines() if line.strip()]
        return f"; its last words: {_shown(lines[-1])}" if lines else ""

    def _close_stderr(self) -> None:
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None


def _watch(selector: selectors.BaseSelector, fd: int, *, wanted: bool) -> None:
    """Wait from now on, or no longer, for this descriptor to take bytes."""
    if wanted and fd not in selector.get_map():
        selector.register(fd, selectors.EVENT_WRITE)
    elif not wanted and fd in selector.get_map():
        selector.unregister(fd)


def _argv(command: str) -> list[str]:
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{PROGRAM_PREFIX}{command}: {error}") from error
    if not argv:
        raise InputError(
            f"{PROGRAM_PREFIX} names no program: expected {PROGRAM_PREFIX}PROGRAM ARGS"
        )
    if shutil.which(argv[0]) is None:
        raise InputError(
            f"{PROGRAM_PREFIX}{command}: {argv[0]} cannot be started: no such program,"
            " or not executable"
        )
    return argv


def _decoded(line: bytes) -> Any:
    """Decode a line of JSON, also with NaN and infinity, so that the checks can report them."""
    try:
        return msgspec.json.decode(line)
    except msgspec.MsgspecError:
        if b"NaN" in line or b"Infinity" in line:
            return json.loads(line)
        raise


def _surplus(line: bytes) -> ClassifierFailedError:
    return ClassifierFailedError(f"printed a line more than it was asked for: {_shown(line)}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _shown(text: bytes) -> str:
    """Foreign bytes as they may be printed: short, in one line, no control characters."""
    return safe(shorten(text[:500].decode("utf-8", "replace"), 120))
