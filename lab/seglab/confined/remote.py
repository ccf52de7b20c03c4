"""A user's own sender as a ``Sender`` whose functions are questions to its worker.

The worker may be anyone's code, so whatever it answers is checked: its size, its time, its types,
and that a style is a style. A worker that ends or is silent is replaced at the next question.
"""

import os
import socket
import subprocess
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from seglab.confined import exchange
from seglab.confined.exchange import DescribedSender, GoneError, StoredStep
from seglab.core.labels import STYLES, Style
from seglab.core.launching import environment, python_command, unshare_command
from seglab.core.parameters import PAYLOAD_MAX_BYTES, Parameters
from seglab.core.text import one_line
from seglab.errors import InputError
from seglab.mail.message import Message
from seglab.sender.script import MAKING_LIMIT_S, STEPS_MAX
from seglab.sender.sender import Sender
from seglab.sender.steps import Step

_GRACE_S: Final = 10.0
"""How much longer than its limit a worker may be silent, on a busy machine, before it has hung."""

_END_LIMIT_S: Final = 5.0
_KEPT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LC_ALL", "LD_LIBRARY_PATH")
"""What a worker gets of the environment, which may hold passwords."""


class SenderFaultError(InputError):
    """What a sender did wrong."""


class SenderWorker:
    """One sender's file, and the process that runs it.

    Args:
        path: of the file, for messages and tracebacks.
        source: what the file holds.
    """

    def __init__(self, path: str, source: bytes) -> None:
        self._path = path
        self._source = source
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._end: weakref.finalize[..., SenderWorker] | None = None
        self._known: dict[tuple[str, bytes], Any] = {}
        self._slow: dict[bytes, SenderFaultError] = {}

    def sender(self) -> Sender:
        """Load the file, and return its sender.

        Raises:
            InputError: the file has no sender that can be used.
        """
        with self._lock:
            described = self._load()
        try:
            parameters = exchange.parameters_from(described.parameters)
        except (ValueError, KeyError) as error:
            raise InputError(f"{self._path}: SENDER.{one_line(str(error))}") from error
        return Sender(
            name=described.name,
            summary=one_line(described.summary),
            source=one_line(described.source),
            style=described.style,
            parameters=parameters,
            steps=self.steps,
            protocol=described.protocol,
            first_header=described.first_header,
            relays=described.relays,
            style_of=self.style if described.has_style_of else None,
            payload_bytes_of=self.payload_bytes if described.has_payload_bytes_of else None,
        )

    def style(self, parameters: Parameters) -> Style:
        """Return the style with these parameters.

        Raises:
            SenderFaultError: the sender did not say.
        """
        style = self._remembered("style", parameters)
        if style not in STYLES:
            raise SenderFaultError(
                f"{self._path}: style_of: expected one of {', '.join(STYLES)}, "
                f"found {one_line(repr(style), 60)}"
            )
        return cast("Style", style)

    def payload_bytes(self, parameters: Parameters) -> int:
        """Return the payload's length with these parameters, in bytes.

        Raises:
            SenderFaultError: the sender did not say.
        """
        size = self._remembered("payload_bytes", parameters)
        if type(size) is not int or not 1 <= size <= PAYLOAD_MAX_BYTES:
            raise SenderFaultError(
                f"{self._path}: payload_bytes_of: expected 1 to {PAYLOAD_MAX_BYTES}, "
                f"found {one_line(repr(size), 60)}"
            )
        return size

    def steps(self, message: Message, parameters: Parameters) -> Iterator[Step]:
        """Return the steps of the payload.

        Raises:
            SenderFaultError: the sender raised, took too long, or yielded something that is no
                step. A sender that was too slow is not asked again with the same parameters.
        """
        key = exchange.encoded(dict(parameters))
        with self._lock:
            if key in self._slow:
                raise self._slow[key]
            parts = (message.headers, message.body, message.wire)
            question = {"steps": dict(parameters), "message": parts}
            try:
                stored = self._ask(question, MAKING_LIMIT_S)
            except _SlowError as error:
                self._slow[key] = error
                raise
        try:
            steps = msgspec.convert(stored, list[StoredStep])
            if len(steps) > STEPS_MAX:
                raise ValueError("too many")
            return iter([exchange.step_from(step) for step in steps])
        except ValueError as error:
            with self._lock:
                self._stop()
            reason = one_line(str(error))
            raise SenderFaultError(f"the sender yielded what is no step: {reason}") from error

    def _remembered(self, kind: str, parameters: Parameters) -> Any:
        """Ask for what follows from the parameters alone, once for each of them."""
        key = kind, exchange.encoded(dict(parameters))
        with self._lock:
            if key not in self._known:
                question = {kind: dict(parameters)}
                self._known[key] = self._ask(question, MAKING_LIMIT_S)
            return self._known[key]

    # The process, whose lock the caller holds -----------------------------------------------

    def _load(self) -> DescribedSender:
        """Start a worker, and let it load the file."""
        for confined in (True, False):
            try:
                self._start(confined=confined)
                break
            except GoneError as error:
                self._stop()
                if not confined:
                    raise InputError(f"{self._path}: no process can be started for it") from error
        question = {"load": self._source, "path": self._path}
        try:
            answer = self._ask(question, exchange.LOADING_LIMIT_S)
            return msgspec.convert(answer, DescribedSender)
        except SenderFaultError as error:
            self._stop()
            raise InputError(str(error)) from error
        except msgspec.ValidationError as error:
            self._stop()
            raise InputError(f"{self._path}: SENDER: {one_line(str(error))}") from error

    def _start(self, *, confined: bool) -> None:
        """Start a process, in namespaces of its own or, where there are none, without.

        Raises:
            GoneError: it did not come up.
        """
        ours, theirs = socket.socketpair()
        read_end, lifeline = os.pipe()
        program = [*python_command("seglab.confined.worker"), "--fd", str(theirs.fileno())]
        program += ["--lifeline", str(read_end), *([] if confined else ["--open"])]
        command = unshare_command(program) if confined else program
        try:
            process = subprocess.Popen(
                command,
                env={name: value for name, value in environment().items() if name in _KEPT},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), read_end],
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            os.close(lifeline)
            ours.close()
            raise GoneError(str(error)) from error
        finally:
            theirs.close()
            os.close(read_end)
        self._channel = ours
        self._end = weakref.finalize(self, _end, process, lifeline, ours)
        exchange.receive(ours, exchange.LOADING_LIMIT_S + _GRACE_S)

    def _ask(self, question: dict[str, Any], limit_s: float) -> Any:
        """Return the worker's answer.

        Raises:
            SenderFaultError: the sender failed.
        """
        kind = next(iter(question))
        who = self._path if kind == "load" else "the sender"
        if self._channel is None:
            self._load()
        assert self._channel is not None
        try:
            self._channel.settimeout(limit_s + _GRACE_S)
            exchange.send(self._channel, exchange.encoded(question))
            answer = exchange.receive(self._channel, limit_s + _GRACE_S)
        except GoneError as error:
            self._stop()
            gone = "its process ended" if kind == "load" else "ended its process"
            raise _SlowError(f"{who}{':' if kind == 'load' else ''} {gone}") from error
        except BaseException:  # nobody will wait for the answer, which must not come next time
            self._stop()
            raise
        if kind in answer:
            return answer[kind]
        words = one_line(str(answer.get("fault", "answered nothing")), None)[:400]
        fault = _SlowError if answer.get("slow") is True else SenderFaultError
        raise fault(f"{who}{':' if kind == 'load' else ''} {words}")

    def _stop(self) -> None:
        """End the process; the next question starts another one."""
        if self._end is not None:
            self._end()
        self._channel = self._end = None


class _SlowError(SenderFaultError):
    """The sender took too long, or ended its process."""


def _end(process: subprocess.Popen[bytes], lifeline: int, channel: socket.socket) -> None:
    """End a worker: its first process ends with the lifeline, and all others with that."""
    channel.close()
    os.close(lifeline)
    try:
        process.wait(_END_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
