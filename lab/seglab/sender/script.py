"""The steps of one session, made before it begins, and what the session needs by them.

An engine makes all steps of a sender before the session begins. So the time that the sender's code
takes is not in the trace, and a sender that fails, hangs or has no end harms no other session.
"""

import reprlib
import signal
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from seglab.errors import InputError
from seglab.sender import steps
from seglab.sender.sender import Mail, Sender
from seglab.sender.smtp import session

MAKING_LIMIT_S: Final = 2.0
STEPS_MAX: Final = 1_000_000

_REASON_MAX = 300
_ROUND_TRIPS = 20
"""How many round trips a session needs at most where nothing is lost.

They are for the handshake, the SMTP dialogue, slow start, and the end of the connection.
"""


class ScriptError(Exception):
    """A sender does not make the steps of a session; the message says why."""


class SlowSenderError(ScriptError):
    """The sender takes too long to make its steps, or makes too many."""


class _TimeIsUpError(BaseException):  # no Exception: a sender must not catch it
    """The time for making steps is over."""


def make_script(
    sender: Sender, parameters: Mapping[str, object], mail: Mail, message_seed: int
) -> list[steps.Step]:
    """Make the steps of a session from its seed.

    Args:
        sender: makes them.
        parameters: of the sender; those that are left out have their defaults.
        mail: what it sends.
        message_seed: the message's own seed.

    Raises:
        ScriptError: the sender raised, took too long, or yielded something that is no step.
    """
    try:
        resolved = sender.resolve(parameters)
        message = sender.message_for(resolved, mail, message_seed)
        with _limited():
            script = listed(session(sender, message, resolved))
        _refuse_second_message(script)
        return script
    except ScriptError:
        raise
    except InputError as error:
        raise ScriptError(str(error)) from error
    except _TimeIsUpError as error:
        raise SlowSenderError(
            f"the sender took more than {MAKING_LIMIT_S:g} s to make its steps"
        ) from error
    except Exception as error:  # a sender may be anyone's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_REASON_MAX]
        raise ScriptError(f"the sender raised {reason}") from error


def listed(made: Iterable[steps.Step]) -> list[steps.Step]:
    """Return the steps that a sender makes, as a list.

    Raises:
        ScriptError: there are too many, or one is no step.
    """
    script = list(islice(made, STEPS_MAX + 1))
    if len(script) > STEPS_MAX:
        raise SlowSenderError(f"the sender yielded more than {STEPS_MAX} steps")
    for step in script:
        if type(step) is steps.Write and type(step.data) is bytes:
            continue
        if not isinstance(step, steps.Step) or (
            isinstance(step, steps.Write) and not isinstance(step.data, bytes)
        ):
            raise ScriptError(f"the sender yielded {reprlib.repr(step)}, which is no step")
    return script


def _refuse_second_message(script: Iterable[steps.Step]) -> None:
    """Refuse a sender whose payload goes on behind a command: a row has room for one message.

    Raises:
        ScriptError: there is such a write.
    """
    began = over = False
    for step in script:
        if not isinstance(step, steps.Write):
            continue
        if step.payload and over:
            raise ScriptError(
                "the sender writes payload, a command, and payload again; a session carries one "
                "message, so send the second one in a session of its own"
            )
        began |= step.payload
        over = began and not step.payload


def needed_s(script: Collection[steps.Step], round_trip_s: float, bw_mbit: float | None) -> float:
    """Return how many seconds a session takes by itself; its time limit comes on top of that.

    They are the sender's own waits, the round trips, and the slowest link's time for the bytes.

    Args:
        script: the session's steps.
        round_trip_s: of the path.
        bw_mbit: the rate of the slowest link; ``None`` where no link has one.
    """
    written_bytes = sum(len(step.data) for step in script if isinstance(step, steps.Write))
    return needed_for_s(waits_s(script), written_bytes, round_trip_s, bw_mbit)


def needed_for_s(
    waits_s: float, written_bytes: int, round_trip_s: float, bw_mbit: float | None
) -> float:
    """Return what ``needed_s`` does, for steps that wait and write so much."""
    carrying_s = written_bytes * 8 / (bw_mbit * 1e6) if bw_mbit else 0.0
    return waits_s + _ROUND_TRIPS * round_trip_s + carrying_s


def waits_s(script: Iterable[steps.Step]) -> float:
    """Return how many seconds a sender waits by itself, all its pauses together."""
    return float(sum(step.seconds for step in script if isinstance(step, steps.Wait)))


@contextmanager
def _limited() -> Iterator[None]:
    """Stop the code in this block after ``MAKING_LIMIT_S``, where the system has such a timer.

    Windows has none, and Python delivers signals to its main thread only: elsewhere a sender that
    hangs holds up whoever waits for its steps.
    """
    timer: Any = getattr(signal, "setitimer", None)
    if timer is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    timer(signal.ITIMER_REAL, MAKING_LIMIT_S)
    try:
        yield
    finally:
        timer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _ring(_number: int, _frame: object) -> None:
    raise _TimeIsUpError
