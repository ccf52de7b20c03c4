"""A session's script, and what the simulator needs of it, made once for sessions that share it."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Final

from seglab.confined.own_sender import sender as sender_named
from seglab.core.kept import Kept
from seglab.errors import InputError
from seglab.experiment.plan import SessionSpec
from seglab.mail.header_layout import HeaderLayout, header_layout
from seglab.sender.script import ScriptError, SlowSenderError, make_script, needed_for_s, waits_s
from seglab.sender.sender import Sender
from seglab.sender.steps import Step, Write
from seglab.simulator.rehearsal import rehearsed

KEPT: Final = 32
"""How many scripts a process keeps. Sessions of one message follow each other in a plan."""

_slow: dict[tuple[str, str], str] = {}
"""Why a sender with these parameters is too slow: all its sessions fail for that, without a try."""


_kept: dict[tuple[object, ...], "Script"] = {}
"""The scripts that were made last, by what they follow from."""

_text: Kept[object, str] = Kept(repr)


_last: list[tuple[SessionSpec, "Script"]] = []
"""The script that was asked for last, and for which session."""


class Script:
    """The steps of a session, and what follows from them.

    Attributes:
        steps: what the sender does, in order.
        stream: all bytes that it writes.
        payload: the range of the payload in the stream.
        sha256: of the payload, in hexadecimal.
        layout: where the message's header fields are; ``None`` for raw TCP.
        turns: what the server answers to the stream (``simulator.rehearsal``).
    """

    __slots__ = ("_waits_s", "layout", "payload", "sha256", "steps", "stream", "turns")

    def __init__(self, steps: Sequence[Step], protocol: str) -> None:
        self.steps = steps
        writes = [step for step in steps if isinstance(step, Write)]
        self.stream = b"".join(step.data for step in writes)
        spans = []
        at = 0
        for step in writes:
            end = at + len(step.data)
            if step.payload:
                spans.append((at, end))
            at = end
        self.payload = (spans[0][0], spans[-1][1]) if spans else (0, 0)
        payload = self.stream[slice(*self.payload)]
        self.sha256 = hashlib.sha256(payload).hexdigest()
        self.layout: HeaderLayout | None = header_layout(payload) if protocol == "smtp" else None
        self.turns = rehearsed(protocol, self.stream)
        self._waits_s = waits_s(steps)

    def needed_s(self, round_trip_s: float, bw_mbit: float | None) -> float:
        """Return how many seconds a session takes by itself (``seglab.sender.script.needed_s``)."""
        return needed_for_s(self._waits_s, len(self.stream), round_trip_s, bw_mbit)


def script_of(spec: SessionSpec) -> Script:
    """Return the script of a session.

    Raises:
        ScriptError: there is no such sender, or it does not make its steps.
    """
    if _last and _is_same(spec, _last[0][0]):
        return _last[0][1]
    parameters = _text(spec.parameters)
    who = spec.sender, parameters
    if who in _slow:
        raise SlowSenderError(_slow[who])
    key = *who, spec.sender_path, _text(spec.message), spec.message_seed
    found = _kept.get(key)
    if found is None:
        try:
            found = _made(spec)
        except SlowSenderError as error:
            _slow[who] = str(error)
            raise
        if len(_kept) == KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = found
    _last[:] = [(spec, found)]
    return found


def _is_same(spec: SessionSpec, other: SessionSpec) -> bool:
    """Whether two sessions have one script, as is seen without a look into values."""
    return (
        spec.message_seed == other.message_seed
        and spec.message is other.message
        and spec.parameters is other.parameters
        and spec.sender == other.sender
        and spec.sender_path == other.sender_path
        and spec.protocol == other.protocol
    )


def _made(spec: SessionSpec) -> Script:
    try:
        sender = _sender(spec.sender, spec.sender_path)
    except InputError as error:
        raise ScriptError(str(error)) from error
    steps = make_script(sender, spec.parameters, spec.message, spec.message_seed)
    return Script(steps, spec.protocol)


@cache
def _sender(name: str, path: str | None) -> Sender:
    return sender_named(name, path)
