"""The contract of every sender that is registered, and each one's own way of writing."""

import re
from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.core.labels import STYLES
from seglab.core.parameters import Flag, HeaderNames, Integer, Number, Parameters, Sizes, Word
from seglab.errors import InputError
from seglab.experiment import registry
from seglab.mail.kinds import KINDS
from seglab.mail.message import Message, MessageSpec, generate
from seglab.sender.sender import Sender
from seglab.sender.steps import Expect, Step, Wait, Write

HEADERS = ("Subject", "from", "To", "Date", "Message-ID", "Received", "X-None")
SENDERS = [*registry.senders().values()]
SMTP_SENDERS = [sender for sender in SENDERS if sender.protocol == "smtp"]


def named(sender: Sender) -> str:
    """A sender as a test's id."""
    return sender.name


every_sender = pytest.mark.parametrize("sender", SENDERS, ids=named)
every_smtp_sender = pytest.mark.parametrize("sender", SMTP_SENDERS, ids=named)


def some_values(sender: Sender) -> st.SearchStrategy[dict[str, Any]]:
    """Any values for some of a sender's parameters."""
    strategies: dict[str, st.SearchStrategy[Any]] = {}
    for name, parameter in sender.parameters.items():
        match parameter:
            case Flag():
                strategies[name] = st.booleans()
            case Integer(choices=choices) if choices:
                strategies[name] = st.sampled_from(choices)
            case Integer(minimum=low, maximum=high):
                strategies[name] = st.integers(low, min(high, 10_000))
            case Number(minimum=low, maximum=high):
                strategies[name] = st.floats(low, high)
            case Word(choices=choices):
                strategies[name] = st.sampled_from(choices)
            case HeaderNames():
                names = st.sampled_from(HEADERS)
                strategies[name] = st.lists(names, min_size=1, max_size=4, unique=True)
            case Sizes():
                strategies[name] = st.lists(st.integers(1, 3000), min_size=1, max_size=8)
    return st.fixed_dictionaries({}, optional=strategies)


def some_spec(data: st.DataObject) -> MessageSpec:
    """A message of any kind, not much longer than the shortest or as long as usual."""
    kind = data.draw(st.sampled_from([*KINDS]))
    least = 400 + KINDS[kind].body_min_bytes
    return MessageSpec(kind=kind, payload_bytes=data.draw(st.integers(least, least + 8000)))


def session(data: st.DataObject, sender: Sender) -> tuple[dict[str, Any], Message, list[Step]]:
    """A sender's steps with some parameters and a message of some length."""
    parameters = sender.resolve(data.draw(some_values(sender)))
    message = sender.message_for(parameters, some_spec(data), data.draw(st.integers(0, 2**64 - 1)))
    return parameters, message, [*sender.steps(message, parameters)]


def writes(steps: list[Step]) -> list[bytes]:
    """What the write calls hand over."""
    return [step.data for step in steps if isinstance(step, Write)]


@every_sender
@given(st.data())
def test_pieces_join_to_the_message(sender: Sender, data: st.DataObject) -> None:
    """Whatever the parameters, the writes are the message's bytes: all, once, in order."""
    _, message, steps = session(data, sender)
    assert b"".join(writes(steps)) == message.wire
    assert all(step.payload for step in steps if isinstance(step, Write))


@every_sender
@given(st.data())
def test_steps_are_deterministic(sender: Sender, data: st.DataObject) -> None:
    """The same message and parameters give the same steps, however often they are made."""
    parameters, message, steps = session(data, sender)
    assert [*sender.steps(message, parameters)] == steps


@every_sender
@given(st.data())
def test_waits_stand_between_writes(sender: Sender, data: st.DataObject) -> None:
    """A payload neither begins nor ends with a pause, and no sender awaits a reply within it."""
    _, _, steps = session(data, sender)
    assert not isinstance(steps[0], Wait)
    assert not isinstance(steps[-1], Wait)
    assert not any(isinstance(step, Expect) for step in steps)


@every_smtp_sender
@given(st.data())
def test_terminator_declared_is_terminator_written(sender: Sender, data: st.DataObject) -> None:
    """An own write of the end of data is declared as one, with its length; no other is."""
    parameters, _, steps = session(data, sender)
    last = writes(steps)[-1]
    if sender.terminator_for(parameters) == "own_write":
        assert last == {5: b"\r\n.\r\n", 3: b".\r\n"}[parameters["terminator_bytes"]]
    else:
        assert parameters["terminator_bytes"] == 0


@every_smtp_sender
@given(st.data())
def test_pauses_stand_between_all_writes(sender: Sender, data: st.DataObject) -> None:
    """Each two writes have the gap between them, and the end of data its own pause before it.

    That one is only there where the end of data has a write of its own.
    """
    parameters, _, steps = session(data, sender)
    pauses = [0.0]
    for step in steps:
        if isinstance(step, Write):
            pauses.append(0.0)
        elif isinstance(step, Wait):
            pauses[-1] += step.seconds
    _, *between, _ = pauses
    expected = [parameters["gap_ms"] / 1000] * (len(writes(steps)) - 1)
    if parameters["terminator_bytes"]:
        expected[-1] += parameters["end_wait_ms"] / 1000
    assert between == pytest.approx(expected)


@every_smtp_sender
@pytest.mark.parametrize("terminator_bytes", [0, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_every_sender_sends_every_kind(sender: Sender, terminator_bytes: int, kind: str) -> None:
    """No sender fails on any kind of mail of usual length, and none but line by line floods."""
    parameters = sender.resolve({"terminator_bytes": terminator_bytes})
    message = sender.message_for(parameters, MessageSpec(kind=kind, payload_bytes=8000), 1)
    written = writes([*sender.steps(message, parameters)])
    assert b"".join(written) == message.wire
    assert len(message.wire) == 8000
    assert len(written) <= (400 if sender.style == "line_by_line" else 10)


@every_smtp_sender
def test_default_terminator(sender: Sender) -> None:
    """With a message of usual length, the default ground truth is what is written."""
    steps = [*sender.steps(generate(1, MessageSpec()), sender.defaults)]
    alone = writes(steps)[-1] in (b"\r\n.\r\n", b".\r\n")
    assert sender.terminator == ("own_write" if alone else "with_body")


@every_sender
def test_declaration(sender: Sender) -> None:
    """A sender says who it is in the words that all parts of the lab share."""
    assert sender.name.isidentifier()
    assert sender.style in STYLES
    assert sender.style == sender.style_for(sender.defaults)
    assert "\n" not in sender.summary
    assert sender.summary
    assert sender.source
    assert (sender.terminator is None) == (sender.protocol == "raw")
    assert sender.resolve({}) == sender.resolve(sender.defaults) == sender.defaults


def _text_writes(parameters: Parameters, steps: list[Step]) -> list[bytes]:
    """The writes without an end of data that has one for itself."""
    return writes(steps)[:-1] if parameters.get("terminator_bytes") else writes(steps)


def _is_single_write(_message: Message, parameters: Parameters, steps: list[Step]) -> None:
    assert len(_text_writes(parameters, steps)) == 1


def _is_relay(message: Message, parameters: Parameters, steps: list[Step]) -> None:
    own, rest = _text_writes(parameters, steps)
    assert own.startswith(b"Received: ")
    assert message.headers.startswith(own)
    assert rest[:1] not in (b" ", b"\t")


def _is_headers_then_body(message: Message, parameters: Parameters, steps: list[Step]) -> None:
    headers, *body = _text_writes(parameters, steps)
    assert headers == message.headers + b"\r\n" * parameters["with_empty_line"]
    if parameters["body_lines"]:
        assert all(line.endswith(b"\r\n") and line.count(b"\r\n") == 1 for line in body[:-1])
        return
    if parameters["parts"] != "together" and b"boundary=" in message.headers:
        assert sum(text.lstrip(b"\r\n").startswith(b"--") for text in body) > 1
        return
    *whole, last = map(len, body)
    assert set(whole) <= {parameters["body_buffer_bytes"]}
    assert last > 0
    assert last <= (parameters["body_buffer_bytes"] or last)


def _is_distinct_from(message: Message, parameters: Parameters, steps: list[Step]) -> None:
    (own,) = (text for text in _text_writes(parameters, steps) if text.startswith(b"From: "))
    assert own in message.fields
    assert len(_text_writes(parameters, steps)) == (2 if message.headers.startswith(own) else 3)


def _is_custom_headers(message: Message, parameters: Parameters, steps: list[Step]) -> None:
    ends = {0, *accumulate(map(len, _text_writes(parameters, steps)))}
    wanted = {name.lower() for name in parameters["headers"]}
    start, alone = 0, False
    for field in message.fields:
        name, _, value = field.partition(b":")
        end, before = start + len(field), alone
        alone = name.decode().lower() in wanted
        if alone and parameters["part"] == "value":
            assert {end - len(value), end - 2} <= ends
        elif alone and not parameters["together"]:
            assert {start, end} <= ends
        elif parameters["part"] == "field" and alone != before:
            assert start in ends
        start = end
    if parameters["body_apart"]:
        body_start = message.header_end + 2
        assert body_start in ends
        behind = [b - a for a, b in pairwise(sorted(end for end in ends if end >= body_start))]
        assert {*behind[:-1]} <= {parameters["body_buffer_bytes"]}


def _is_line_by_line(_message: Message, parameters: Parameters, steps: list[Step]) -> None:
    written = _text_writes(parameters, steps)
    *whole, last = written
    if parameters["header"] != "lines" or parameters["dots_apart"]:
        assert all(text.endswith((b"\r\n", b"\n.")) or text == b"." for text in whole)
        return
    assert all(text.endswith(b"\r\n") for text in whole)
    assert all(text.count(b"\r\n") == parameters["lines"] for text in whole)
    dots = 0 if parameters["terminator_bytes"] else 1
    assert last.count(b"\r\n") - dots <= parameters["lines"]


def _is_fixed_buffer(message: Message, parameters: Parameters, steps: list[Step]) -> None:
    pieces = _text_writes(parameters, steps)
    size = parameters.get("buffer_bytes") or parameters["writes"][0]
    past = parameters.get("overlong") == "past" and message.content_start < message.header_end
    if past and len(b"".join(pieces)) - message.content_start > size:
        if message.content_start:
            own, *pieces = pieces
            assert message.headers.startswith(own)
        assert b"".join(pieces).lower().startswith(b"content-")
    fills = parameters.get("fills", "bytes")
    if parameters.get("mss_multiple"):
        assert len(pieces) == 1
        return
    *whole, last = map(len, pieces)
    if fills == "lines":
        lines = [piece.count(b"\n") for piece in pieces]
        assert all(n == 1 or len(piece) <= size for n, piece in zip(lines, pieces, strict=True))
        assert all(piece.endswith((b"\n", b"\n.")) or piece == b"." for piece in pieces[:-1])
    elif fills == "lines_over":
        assert all(len(p) >= size > p.rstrip().rfind(b"\n") for p in pieces[:-1])
    elif fills == "unstuffed":
        bare = len(re.sub(rb"\n\.\.", b"\n.", b"".join(pieces)))
        assert len(pieces) == -(-bare // size)
    elif fills == "characters":
        assert set(whole) <= {size, size + 1}
        assert not any(a.endswith(b"\r") and b.startswith(b"\n") for a, b in pairwise(pieces))
    else:
        assert set(whole) <= {size}
        assert 0 < last <= size


def _is_timed_writes(_message: Message, parameters: Parameters, steps: list[Step]) -> None:
    texts = len(_text_writes(parameters, steps))
    at = [n for n, step in enumerate(steps) if isinstance(step, Write)][texts - 1]
    pauses = [step.seconds for step in steps[:at] if isinstance(step, Wait)]
    assert len(pauses) in (0, texts - 1)
    assert set(pauses) <= {parameters["gap_ms"] / 1000}


PROPERTIES: Mapping[str, Callable[[Message, Parameters, list[Step]], None]] = {
    "single_write": _is_single_write,
    "relay": _is_relay,
    "headers_then_body": _is_headers_then_body,
    "distinct_from": _is_distinct_from,
    "custom_headers": _is_custom_headers,
    "line_by_line": _is_line_by_line,
    "fixed_buffer": _is_fixed_buffer,
    "timed_writes": _is_timed_writes,
}
"""What makes each style what it is; a style without an entry fails its senders."""


@every_sender
@given(st.data())
def test_style_is_what_is_written(sender: Sender, data: st.DataObject) -> None:
    """The ground truth of who wrote holds of the very writes, whatever the parameters."""
    parameters, message, steps = session(data, sender)
    PROPERTIES[sender.style_for(parameters)](message, parameters, steps)


@pytest.mark.parametrize(
    ("given_", "style"),
    [
        ({"writes": [5120]}, "single_write"),
        ({"writes": [5120], "gap_ms": 100}, "single_write"),
        ({"writes": [5120, 5120]}, "fixed_buffer"),
        ({"writes": [2048, 2048, 100]}, "fixed_buffer"),
        ({"writes": [5120, 5120], "gap_ms": 100}, "timed_writes"),
        ({"writes": [100, 5000]}, "timed_writes"),
        ({"writes": [100, 200, 100]}, "timed_writes"),
    ],
)
def test_style_of_raw_writes(given_: dict[str, Any], style: str) -> None:
    """What the raw writer's buffers are called follows from their sizes and the gap."""
    sender = registry.sender("raw_writes")
    assert sender.style_for(sender.resolve(given_)) == style


def test_scenario_3_steps() -> None:
    """The paper's third client: 5 KB, 100 ms, 5 KB."""
    sender = registry.sender("raw_writes")
    parameters = sender.resolve({"writes": [5120, 5120], "gap_ms": 100})
    first, pause, second = sender.steps(
        sender.message_for(parameters, MessageSpec(), 1), parameters
    )
    assert isinstance(first, Write)
    assert isinstance(second, Write)
    assert (len(first.data), pause, len(second.data)) == (5120, Wait(0.1), 5120)


def test_listing_6_writes() -> None:
    """The template bot's default: headers of 520 bytes, the body, and five bytes alone."""
    sender = registry.sender("headers_then_body")
    message = generate(1, MessageSpec(payload_bytes=4750, header_bytes=520))
    assert [*map(len, writes([*sender.steps(message, sender.defaults)]))] == [520, 4225, 5]


def test_listing_6_with_the_empty_line_and_a_buffer_for_the_body() -> None:
    """PHP's mail() on Windows: headers, 1024 bytes at a time, and the end of data alone."""
    sender = registry.sender("headers_then_body")
    parameters = sender.resolve({"with_empty_line": True, "body_buffer_bytes": 1024})
    message = generate(1, MessageSpec(payload_bytes=4000, header_bytes=520))
    sizes = [*map(len, writes([*sender.steps(message, parameters)]))]
    assert sizes == [522, 1024, 1024, 1024, 401, 5]


def test_listing_8_writes() -> None:
    """The simple bot's message begins with its From header, which has a write of its own."""
    sender = registry.sender("distinct_from")
    spec = MessageSpec(kind="newsletter", payload_bytes=4000, value_bytes={"From": 40})
    own, rest = writes(
        [*sender.steps(sender.message_for(sender.defaults, spec, 1), sender.defaults)]
    )
    assert own.startswith(b"From: ")
    assert (len(own), len(rest)) == (5 + 40 + 2, 3953)


def test_listing_9_writes() -> None:
    """The tailored headers' default: up to 'Subject:', the value, the headers' rest, the body."""
    sender = registry.sender("custom_headers")
    spec = MessageSpec(
        kind="stock_tip",
        payload_bytes=8677,
        header_bytes=610,
        value_at={"Subject": 399},
        value_bytes={"Subject": 29},
    )
    message = sender.message_for(sender.defaults, spec, 1)
    start, value, rest, body = writes([*sender.steps(message, sender.defaults)])
    assert [*map(len, (start, value, rest, body))] == [399, 29, 184, 848 + 4 * 1460 + 1377]
    assert start.startswith(b"MIME-Version: 1.0\r\nX-Received: by ")
    assert start.endswith(b"\r\nSubject:")
    assert rest.startswith(b"\r\nFrom: ")
    assert rest.endswith(b"\r\n\r\n")
    boundary = rest.removesuffix(b"\r\n\r\n")[-28:]
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(boundary + b"--\r\n.\r\n")


@pytest.mark.parametrize(
    ("given_", "sizes"),
    [
        ({"headers": ["B"], "part": "value"}, [8, 2, 20, 9]),
        ({"headers": ["b"], "part": "field", "body_apart": False}, [6, 6, 27]),
        ({"headers": ["B", "C"], "part": "field", "body_apart": False}, [6, 6, 10, 17]),
        (
            {"headers": ["C", "B"], "part": "field", "together": True, "body_apart": False},
            [6, 16, 17],
        ),
        ({"headers": ["A", "D"], "part": "field", "together": True}, [6, 16, 6, 2, 9]),
        ({"headers": ["X"], "body_apart": False}, [39]),
    ],
)
def test_custom_headers_groups(given_: dict[str, Any], sizes: list[int]) -> None:
    """Any header, its value alone, or a group of neighbours, has a write of its own."""
    sender = registry.sender("custom_headers")
    message = Message(b"A: a\r\nB: b\r\nC: c\r\n d\r\nD: d\r\n", b"body\r\n")
    parameters = sender.resolve(given_)
    assert len(message.wire) == 39
    assert [*map(len, writes([*sender.steps(message, parameters)]))] == sizes


def test_line_by_line_writes() -> None:
    """Each line is a write; the dot's line is the last one, as msmtp writes it."""
    sender = registry.sender("line_by_line")
    message = Message(b"A: b\r\n\tc\r\n", b"one\r\n.two\r\n")
    assert writes([*sender.steps(message, sender.defaults)]) == [
        b"A: b\r\n",
        b"\tc\r\n",
        b"\r\n",
        b"one\r\n",
        b"..two\r\n",
        b".\r\n",
    ]


def test_2048_writer() -> None:
    """The fan club's default: 2048, 2048, and the rest with the end of data in it."""
    sender = registry.sender("fixed_buffer")
    message = generate(1, MessageSpec(payload_bytes=5000))
    assert [*map(len, writes([*sender.steps(message, sender.defaults)]))] == [2048, 2048, 904]
    assert sender.nodelay


def test_timed_writes_parts() -> None:
    """The parts differ by one byte at most, with a pause between each two."""
    sender = registry.sender("timed_writes")
    parameters = sender.resolve({"pieces": 3, "gap_ms": 50})
    steps = [*sender.steps(generate(1, MessageSpec(payload_bytes=1000)), parameters)]
    assert [len(s.data) if isinstance(s, Write) else s for s in steps] == [
        333,
        Wait(0.05),
        333,
        Wait(0.05),
        334,
    ]


def test_relay_refuses_a_message_that_no_relay_touched() -> None:
    """Without a Received header on top there is nothing that the relay could have added."""
    sender = registry.sender("relay")
    message = Message(b"From: <a@b.example>\r\n", b"hi\r\n")
    with pytest.raises(ValueError, match="Received"):
        next(sender.steps(message, sender.defaults))


@pytest.mark.parametrize(
    ("sender", "given_", "message"),
    [
        (
            "raw_writes",
            {"gap": 1},
            "raw_writes: unknown parameter 'gap'; did you mean 'gap_ms'?",
        ),
        (
            "raw_writes",
            {"gap_ms": "70 parsecs"},
            "raw_writes.gap_ms: expected a number from 0 to 60000, found '70 parsecs'",
        ),
        (
            "raw_writes",
            {"nodelay": 1},
            "raw_writes.nodelay: expected true or false, found 1",
        ),
        (
            "fixed_buffer",
            {"buffer_bytes": 0},
            "fixed_buffer.buffer_bytes: expected a whole number from 1 to 1048576, found 0",
        ),
        (
            "fixed_buffer",
            {"buffer_bytes": True},
            "fixed_buffer.buffer_bytes: expected a whole number from 1 to 1048576, found true",
        ),
        (
            "custom_headers",
            {"part": "name"},
            "custom_headers.part: expected one of value, field, found 'name'",
        ),
        (
            "custom_headers",
            {"headers": ["Subject", "SUBJECT"]},
            "custom_headers.headers: expected a list of 1 to 50 different names of header fields, "
            "such as 'Subject', of letters, digits and hyphens, found ['Subject', 'SUBJECT']",
        ),
        (
            "relay",
            {"terminator_bytes": 4},
            "relay.terminator_bytes: expected one of 0, 3, 5, found 4",
        ),
    ],
)
def test_bad_parameters(sender: str, given_: dict[str, Any], message: str) -> None:
    """A wrong name or value is refused in one line that says where, what and what instead."""
    with pytest.raises(InputError) as caught:
        registry.sender(sender).resolve(given_)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "sizes", [[], [0], [-1], [1.5], ["1"], [True], 5, [2**24, 1], [1] * 65_537, [10**5000]]
)
def test_bad_sizes(sizes: object) -> None:
    """Sizes of writes are whole numbers of bytes that a session can carry."""
    with pytest.raises(InputError, match=r"^raw_writes.writes: expected a list of 1 to 65536"):
        registry.sender("raw_writes").resolve({"writes": sizes})


@given(st.floats(allow_nan=True) | st.integers() | st.booleans() | st.none())
def test_number_in_its_range_or_refused(value: object) -> None:
    """A number parameter never lets infinity, NaN or a boolean through."""
    number = Number(1, 0, 10, "")
    try:
        checked = number.check(value)
    except ValueError:
        assert isinstance(value, bool) or value is None or not 0 <= value <= 10  # type: ignore[operator]
    else:
        assert 0 <= checked <= 10
