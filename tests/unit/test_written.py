"""How a message was written, by its write calls alone."""

from itertools import accumulate, pairwise

import pytest

from seglab.core.trace import HeaderField, Write
from seglab.core.written import style_of, terminator_of
from seglab.experiment.registry import senders
from seglab.mail.header_layout import header_layout
from seglab.mail.message import MessageSpec
from seglab.sender import steps
from seglab.sender.script import make_script


def writes(*lengths: int) -> list[Write]:
    """Write calls of these lengths, one after the other."""
    return [Write(0, a, b) for a, b in pairwise(accumulate((0, *lengths)))]


EMULATED = {
    name: sender
    for name, sender in senders().items()
    if sender.protocol == "smtp" and name != "timed_writes"
}
"""Senders whose style shows in where they cut; that of ``timed_writes`` shows in when."""

CASES = [
    (name, terminator_bytes)
    for name in EMULATED
    for terminator_bytes in (0, 3, 5)
    if (name, terminator_bytes) != ("line_by_line", 0)  # its last line is the dot, by itself
]


@pytest.mark.parametrize(("name", "terminator_bytes"), CASES)
def test_emulators_are_named_as_they_are(name: str, terminator_bytes: int) -> None:
    """The function that names a program's style names an emulator's style as its label does."""
    sender = EMULATED[name]
    parameters = sender.resolve({"terminator_bytes": terminator_bytes})
    for seed in range(20):
        script = make_script(sender, parameters, MessageSpec(payload_bytes=9000), seed)
        data = [s.data for s in script if isinstance(s, steps.Write) and s.payload]
        payload = b"".join(data)
        layout = header_layout(payload)
        calls = writes(*map(len, data))
        assert terminator_of(calls, len(payload)) == sender.terminator_for(parameters)
        found = style_of(calls, len(payload), layout.header_end, layout.fields)
        assert found == sender.style_for(parameters), [len(piece) for piece in data]


FIELDS = (HeaderField("Subject", 0, 20), HeaderField("To", 20, 40))


@pytest.mark.parametrize(
    ("lengths", "style", "terminator"),
    [
        ((900,), "single_write", "with_body"),
        ((897, 3), "single_write", "own_write"),
        ((20, 880), "custom_headers", "with_body"),
        ((40, 855, 5), "headers_then_body", "own_write"),
        ((42, 858), "headers_then_body", "with_body"),
        ((512, 388), "fixed_buffer", "with_body"),
        ((20, 20, 2, 800, 55, 3), "line_by_line", "own_write"),
        ((300, 77, 500, 23), "unknown", "with_body"),
        ((13, 887), "unknown", "with_body"),
    ],
)
def test_styles(lengths: tuple[int, ...], style: str, terminator: str) -> None:
    """Where the writes end says the style."""
    calls = writes(*lengths)
    assert (style_of(calls, 900, 40, FIELDS), terminator_of(calls, 900)) == (style, terminator)


@pytest.mark.parametrize("lengths", [(), (500,)])
def test_a_message_that_was_not_all_written(lengths: tuple[int, ...]) -> None:
    """Nothing is said of it."""
    calls = writes(*lengths)
    assert (style_of(calls, 900, 40, FIELDS), terminator_of(calls, 900)) == ("unknown", None)
