"""What every sender has to keep to, as checks that its author can run.

Each check takes a sender, and raises ``AssertionError`` with what is wrong. It tries the sender
with drawn parameters and with generated mail of every kind. The draws are the same in every run.

``seglab.testing.parametrize_with_sender_checks`` makes a test of each check.
"""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, Final

from seglab.core.labels import STYLES, TERMINATORS
from seglab.core.parameters import (
    Flag,
    HeaderNames,
    Integer,
    Number,
    Parameter,
    Parameters,
    Sizes,
    Word,
)
from seglab.errors import InputError
from seglab.mail.kinds import KINDS
from seglab.mail.message import Message, MessageSpec
from seglab.sender.registry import NAME
from seglab.sender.sender import Sender, smtp_parameters
from seglab.sender.steps import SetOption, Step, Wait, Write

DRAWS: Final = 25
"""How many sessions a check tries, beside one with the default parameters."""

_SIZE_BYTES = 8000
_HEADERS = ("Subject", "From", "To", "Date", "Message-ID", "Received", "X-None")
_ENDS = {5: b"\r\n.\r\n", 3: b".\r\n"}


def check_declaration(sender: Sender) -> None:
    """Name, labels and parameters are declared in the words that all parts of the lab share."""
    assert NAME.fullmatch(sender.name), f"name: {sender.name!r} cannot be a part of a file's name"
    for name, text in (("summary", sender.summary), ("source", sender.source)):
        assert text, f"{name}: expected one line of text, found none"
        assert text.isprintable(), f"{name}: expected one line of text"
    assert sender.style in STYLES, f"style: expected one of {', '.join(STYLES)}"
    if sender.protocol == "smtp":
        missing = [name for name in smtp_parameters() if name not in sender.parameters]
        assert not missing, f"parameters: {', '.join(missing)} missing; add **smtp_parameters()"
    else:
        assert "nodelay" in sender.parameters, "parameters: add **nodelay_parameter(...)"
    for name, parameter in sender.parameters.items():
        try:
            parameter.check(parameter.default)
        except ValueError as error:
            raise AssertionError(f"parameters: {name}: the default is not {error}") from error


def check_writes(sender: Sender) -> None:
    """The pieces that are written join to the message: all of its bytes, once, in order."""
    for parameters, message, steps in _sessions(sender):
        written = b"".join(step.data for step in steps if isinstance(step, Write))
        at = next(
            (n for n, (a, b) in enumerate(zip(written, message.wire, strict=False)) if a != b),
            min(len(written), len(message.wire)),
        )
        assert written == message.wire, (
            f"with {_shown(sender, parameters)}: {len(written)} bytes are written of a message "
            f"of {len(message.wire)}; they differ from byte {at} on"
        )


def check_steps(sender: Sender) -> None:
    """The steps are writes of the payload, with waits and socket options between them."""
    for parameters, _, steps in _sessions(sender):
        given = f"with {_shown(sender, parameters)}"
        for step in steps:
            assert isinstance(step, Write | Wait | SetOption), f"{given}: {step!r:.60} is no step"
            assert not isinstance(step, Write) or step.payload, (
                f"{given}: a write is not of the payload"
            )
        assert steps, f"{given}: there is no step"
        assert not isinstance(steps[0], Wait), f"{given}: the first step is a wait"
        assert not isinstance(steps[-1], Wait), f"{given}: the last step is a wait"


def check_same_again(sender: Sender) -> None:
    """The same message and parameters give the same steps: nothing is drawn, and no clock read."""
    for parameters, message, steps in _sessions(sender):
        again = [*sender.steps(message, parameters)]
        assert again == steps, f"with {_shown(sender, parameters)}: made again, the steps differ"


def check_labels(sender: Sender) -> None:
    """The style and the terminator that are declared are those of what is written."""
    for parameters, _, steps in _sessions(sender):
        given = f"with {_shown(sender, parameters)}"
        style = sender.style_for(parameters)
        assert style in STYLES, f"{given}: style_of: expected one of {', '.join(STYLES)}"
        written = [step.data for step in steps if isinstance(step, Write)]
        terminator = sender.terminator_for(parameters)
        if terminator is None:
            continue
        assert terminator in TERMINATORS, f"{given}: terminator: {terminator!r}"
        size = parameters["terminator_bytes"]
        if size:
            assert written[-1] == _ENDS[size], (
                f"{given}: the last write has {len(written[-1])} bytes, and is not the end of data"
            )
            written.pop()
        if style == "single_write":
            assert len(written) == 1, f"{given}: single_write, but {len(written)} writes"
        elif style in ("relay", "headers_then_body"):
            assert len(written) > 1, f"{given}: {style}, but one write"


def check_every_kind_of_mail(sender: Sender) -> None:
    """The sender sends every kind of generated mail, or refuses it with a ``ValueError``."""
    if sender.payload_bytes_of is not None:
        return
    for kind in KINDS:
        message = sender.message_for(
            sender.defaults, MessageSpec(kind=kind, payload_bytes=_SIZE_BYTES), 1
        )
        written = [s.data for s in sender.steps(message, sender.defaults) if isinstance(s, Write)]
        assert b"".join(written) == message.wire, f"{kind}: the writes do not join to the message"


CHECKS: Final[Mapping[str, Callable[[Sender], None]]] = {
    "declaration": check_declaration,
    "writes": check_writes,
    "steps": check_steps,
    "same-again": check_same_again,
    "labels": check_labels,
    "every-kind-of-mail": check_every_kind_of_mail,
}
"""All checks, by the name of the test that each becomes."""


def _sessions(sender: Sender) -> Iterator[tuple[Parameters, Message, list[Step]]]:
    """Yield sessions of a sender: with its default parameters, then with drawn ones."""
    draw = Random(2014)
    kinds = [*KINDS]
    for number in range(DRAWS + 1):
        drawn = {name: _value(draw, one) for name, one in sender.parameters.items()}
        try:
            parameters = sender.resolve(drawn if number else {})
        except InputError as error:
            raise AssertionError(str(error)) from error
        kind = kinds[number % len(kinds)]
        size = 400 + KINDS[kind].body_min_bytes + int(draw.random() * _SIZE_BYTES)
        spec = MessageSpec(kind=kind, payload_bytes=size)
        message = sender.message_for(parameters, spec, number)
        yield parameters, message, [*sender.steps(message, parameters)]


def _value(draw: Random, parameter: Parameter) -> Any:  # noqa: PLR0911 -- one for each type
    """A value that the parameter takes."""
    match parameter:
        case Flag():
            return draw.random() < 0.5
        case Integer(choices=choices) if choices:
            return choices[int(draw.random() * len(choices))]
        case Integer(minimum=low, maximum=high):
            return low + int(draw.random() * (min(high, low + 10_000) - low + 1))
        case Number(minimum=low, maximum=high):
            return low + draw.random() * (high - low)
        case Word(choices=words):
            return words[int(draw.random() * len(words))]
        case HeaderNames():
            return [name for name in _HEADERS if draw.random() < 0.4] or ["Subject"]
        case Sizes():
            return [1 + int(draw.random() * 3000) for _ in range(1 + int(draw.random() * 8))]


def _shown(sender: Sender, parameters: Parameters) -> str:
    """The parameters that are not the defaults, in words."""
    other = {
        name: value for name, value in parameters.items() if value != sender.defaults.get(name)
    }
    return ", ".join(f"{name}={value!r}" for name, value in other.items()) or "the defaults"
