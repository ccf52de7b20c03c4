"""The process in which a user's own sender runs: ``python -m seglab.confined.worker``.

It is two processes. The first one, process 1 of namespaces of its own, only waits: when its parent
closes the lifeline, or the second one ends, it ends, and the kernel ends whatever is left. The
second one shuts itself in, reads the sender's source from the channel, and answers questions:

    question                                   answer
    (started)                                  {"ready": True}
    {"load": source, "path": its path}         {"load": the attributes of the sender}
    {"style": parameters}                      {"style": the style with these parameters}
    {"payload_bytes": parameters}              {"payload_bytes": the payload's length}
    {"steps": parameters, "message": parts}    {"steps": the steps of the payload}

An answer may be ``{"fault": words}`` instead, with ``slow`` where the time was over. The code that
is asked can change this process as it likes, so nobody believes these answers more than its own.
"""

import argparse
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from seglab.confined import exchange, view
from seglab.confined.confinement import Confinement, confine
from seglab.confined.exchange import DescribedSender
from seglab.mail.message import Message
from seglab.sender.registry import sender_in
from seglab.sender.script import MAKING_LIMIT_S, ScriptError, listed
from seglab.sender.sender import Sender

_REASON_MAX = 300
_LIMITS = {
    "load": (exchange.LOADING_LIMIT_S, "be loaded"),
    "steps": (MAKING_LIMIT_S, "make its steps"),
}


class _TimeIsUpError(BaseException):  # no Exception: a sender must not catch it
    """The time for an answer is over."""


class _FaultError(Exception):
    """What a sender did wrong, in words."""


def main() -> None:
    """Wait for the end of the lifeline, with the worker beside it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--open", action="store_true", help="there are no namespaces here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os.close(arguments.lifeline)
        _work(socket.socket(fileno=arguments.fd), sees_all=arguments.open)
    os.close(arguments.fd)
    _wait(arguments.lifeline, pid)


def _wait(lifeline: int, pid: int) -> NoReturn:
    """Wait until the worker ends, or the lifeline; leave nothing behind."""
    signal.signal(signal.SIGCHLD, lambda *_: os._exit(0))
    if os.waitpid(pid, os.WNOHANG)[0] == 0:  # else it ended before the handler was there
        select.select([lifeline], [], [])
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _work(channel: socket.socket, *, sees_all: bool) -> NoReturn:
    """Shut this process in, and answer until the other side ends."""
    try:
        folders = None if sees_all else view.python_folders()
        confine(Confinement(folders, sockets="none", bounded=True))
        exchange.send(channel, exchange.encoded({"ready": True}))
        answers = Answers()
        while True:
            exchange.send(channel, answers.to(exchange.receive(channel)))
    except BaseException:  # nothing may return into the code of the process that forked it
        os._exit(1)


class Answers:
    """The answers about one sender."""

    def __init__(self) -> None:
        self._sender: Sender | None = None

    def to(self, question: Mapping[str, Any]) -> bytes:
        """Return the answer to a question, encoded; it takes a limited time."""
        kind = next(iter(question))
        answer: Callable[[Mapping[str, Any]], object] = {
            "load": self._load,
            "style": self._style,
            "payload_bytes": self._payload_bytes,
            "steps": self._steps,
        }[kind]
        limit_s, what = _LIMITS.get(kind, (MAKING_LIMIT_S, "answer"))
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            return exchange.encoded({kind: answer(question)})
        except _TimeIsUpError:
            fault = {"fault": f"took more than {limit_s:g} s to {what}", "slow": True}
        except _FaultError as error:
            fault = {"fault": str(error)}
        except BaseException as error:  # a sender may be anyone's code, and raise SystemExit
            fault = {"fault": f"raised {_in_words(error)}"}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return exchange.encoded(fault)

    def _load(self, question: Mapping[str, Any]) -> DescribedSender:
        path = question["path"]
        module = ModuleType("seglab_own_sender")
        module.__file__ = path
        sys.modules[module.__name__] = module
        try:
            exec(compile(question["load"], path, "exec"), vars(module))  # noqa: S102, its purpose
        except Exception as error:
            raise _FaultError(f"cannot be imported: {_in_words(error)}") from error
        try:
            one = self._sender = sender_in(module)
        except ValueError as error:
            raise _FaultError(str(error)) from error
        return DescribedSender(
            name=one.name,
            summary=one.summary,
            source=one.source,
            style=one.style,
            parameters=exchange.stored_parameters(dict(one.parameters)),
            protocol=one.protocol,
            first_header=one.first_header,
            relays=one.relays,
            has_style_of=one.style_of is not None,
            has_payload_bytes_of=one.payload_bytes_of is not None,
        )

    def _style(self, question: Mapping[str, Any]) -> str:
        one = self._loaded()
        return one.style_for(one.resolve(question["style"]))

    def _payload_bytes(self, question: Mapping[str, Any]) -> int:
        one = self._loaded()
        assert one.payload_bytes_of is not None
        return one.payload_bytes_of(one.resolve(question["payload_bytes"]))

    def _steps(self, question: Mapping[str, Any]) -> list[exchange.StoredStep]:
        one = self._loaded()
        parameters = one.resolve(question["steps"])
        message = Message(*question["message"])
        try:
            made = listed(one.steps(message, parameters))
        except ScriptError as error:
            raise _FaultError(str(error).removeprefix("the sender ")) from error
        return [exchange.stored_step(step) for step in made]

    def _loaded(self) -> Sender:
        assert self._sender is not None, "load comes first"
        return self._sender


def _in_words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_REASON_MAX]


def _ring(_number: int, _frame: object) -> None:
    raise _TimeIsUpError


if __name__ == "__main__":
    main()
