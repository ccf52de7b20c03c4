"""An answer of several styles is right only where each could have given the very same sizes."""

import hashlib
import json
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from synthetic import MS, record

from seglab.classification.classifier import Classifier, Verdict
from seglab.commands.evaluate import evaluate_run, over
from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.core.trace import HeaderField, Read, Segment, Write, first_sent, sizes
from seglab.errors import InputError
from seglab.evaluation import evaluate
from seglab.evaluation.judging import judge
from seglab.evaluation.lines import line_ends, payload_of
from seglab.evaluation.sender_tcp import sender_tcp_of
from seglab.evaluation.table import lines
from seglab.frames.pcapng import CapturedPacket, write

FIELDS = (HeaderField("Received", 0, 77), HeaderField("From", 77, 120))
LINES = (50, 77, 120, 122, *range(200, 5000, 100), 5120)


def spans(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Ranges of these sizes, from 0 on."""
    return list(pairwise([0, *accumulate(sizes)]))


def session(
    writes: tuple[int, ...],
    segments: tuple[int, ...],
    reads: tuple[int, ...] = (),
    style: str = "single_write",
    **changes: Any,
) -> SessionRecord:
    """A mail of 5120 bytes that was written, cut and read in pieces of these sizes."""
    cut, read = spans(segments), spans(reads or segments)
    known = {
        "style": style,
        "terminator": "with_body",
        "writes": tuple(Write(i, a, b) for i, (a, b) in enumerate(spans(writes))),
        "segments": tuple(
            Segment(10 * MS + i, 80 * MS + i, a, b, psh=b == 5120) for i, (a, b) in enumerate(cut)
        ),
        "reads": tuple(Read(90 * MS + i, a, b) for i, (a, b) in enumerate(read)),
        "header_end": 120,
        "header_fields": FIELDS,
    }
    return record(**(known | changes))


ONE = session((5120,), (1440, 1440, 1440, 800))
RELAY = session((77, 5043), (77, 1440, 1440, 1440, 723), style="relay")


def answer(*styles: str, **known: Any) -> Verdict:
    """A classifier's answer."""
    return Verdict(id="x", style=styles[0] if len(styles) == 1 else styles, **known)


def credited(
    found: SessionRecord, *styles: str, layer: Layer = "segments", **known: Any
) -> str | None:
    """What the answer counts as."""
    return judge(found, layer, answer(*styles, **known), lambda _: LINES).credited


def test_one_style_is_right_or_wrong() -> None:
    """No witness is asked for."""
    assert credited(RELAY, "relay") == "relay"
    assert credited(RELAY, "timed_writes") == "timed_writes"


def test_no_answer_is_an_abstention() -> None:
    """Also a verdict without a style."""
    assert judge(ONE, "segments", None).credited is None
    assert judge(ONE, "segments", Verdict(id="x", style=None)).credited is None
    assert judge(ONE, "segments", Verdict(id="x", style=())).credited is None


def test_a_set_of_what_could_have_been_is_right() -> None:
    """A buffer that is larger than the message writes once; a first line may be a field."""
    assert credited(ONE, "single_write", "fixed_buffer") == "single_write"
    assert credited(RELAY, "relay", "custom_headers") == "relay"


@pytest.mark.parametrize(
    ("found", "styles", "impossible"),
    [
        (ONE, ("single_write", "relay"), "relay"),
        (ONE, ("timed_writes", "single_write"), "timed_writes"),
        (ONE, ("single_write", "fixed_buffer", "headers_then_body"), "headers_then_body"),
        (RELAY, ("relay", "single_write"), "single_write"),
        (RELAY, ("relay", "headers_then_body"), "headers_then_body"),
        (RELAY, ("relay", "timed_writes"), "timed_writes"),
    ],
)
def test_a_set_with_an_impossible_member_is_wrong(
    found: SessionRecord, styles: tuple[str, ...], impossible: str
) -> None:
    """It counts as that member, although the truth is in it."""
    judgement = judge(found, "segments", answer(*styles), lambda _: LINES)
    assert judgement.credited == impossible
    assert judgement.impossible == (impossible,)


def test_a_set_without_the_truth_is_wrong() -> None:
    """However possible its members are."""
    assert credited(ONE, "fixed_buffer", "line_by_line") == "fixed_buffer"


def test_nagle_joins_the_lines_after_the_first() -> None:
    """A relay's only trace is its first piece; so is that of one who writes by lines."""
    assert credited(RELAY, "relay", "line_by_line") == "relay"


def test_nagle_joins_whatever_follows_a_first_short_piece() -> None:
    """So the From header behind it may have been a write, or all pieces of 77 bytes."""
    assert credited(RELAY, "relay", "distinct_from") == "relay"
    assert credited(RELAY, "relay", "fixed_buffer") == "relay"


def test_without_its_lines_a_message_settles_nothing() -> None:
    """The set is wrong, and is counted as one that could not be verified."""
    judgement = judge(RELAY, "segments", answer("relay", "line_by_line"))
    assert judgement.credited == "line_by_line"
    assert judgement.unknown == ("line_by_line",)


def test_a_false_witness_does_no_harm_where_another_holds() -> None:
    """And a true one is taken where the search would not find it."""
    witnesses = {"fixed_buffer": (4000,)}
    assert credited(ONE, "single_write", "fixed_buffer", witnesses=witnesses) == "single_write"
    halves = session((2560, 2560), (1440, 1120, 1440, 1120), style="timed_writes")
    witnesses = {"fixed_buffer": (2560,)}
    assert credited(halves, "timed_writes", "fixed_buffer", witnesses=witnesses) == "timed_writes"


def test_reads_leave_more_open() -> None:
    """One read of all may hold any boundary that can show, but 4320 is no union of a relay's."""
    merged = session((5120,), (1440, 1440, 1440, 800), (5120,))
    styles = ("single_write", "relay", "fixed_buffer", "timed_writes", "distinct_from")
    assert credited(merged, *styles, layer="reads") == "single_write"
    split = session((5120,), (1440, 1440, 1440, 800), (4320, 800))
    assert credited(split, "single_write", "relay", layer="reads") == "relay"


def test_the_path_does_the_same_to_the_same_segments() -> None:
    """A session that was cut again is judged by what was sent at first."""
    cut_anew = replace(
        ONE,
        segments=(
            Segment(1 * MS, None, 0, 1440, dropped=True, drop_reason="router"),
            Segment(2 * MS, None, 1440, 2880, dropped=True, drop_reason="router"),
            Segment(3 * MS, None, 2880, 4320, dropped=True, drop_reason="router"),
            Segment(4 * MS, 80 * MS, 4320, 5120, psh=True),
            *(
                Segment((9 + i) * MS, (90 + i) * MS, a, b, retransmission=True)
                for i, (a, b) in enumerate(spans((1348, 92, 1348, 92, 1348, 92)))
            ),
        ),
        path_condition="pmtu_fall",
    )
    assert sizes(first_sent(cut_anew.segments)) == [1440, 1440, 1440, 800]
    assert sender_tcp_of(cut_anew).full_sizes(0) == {1440}
    assert credited(cut_anew, "single_write", "fixed_buffer") == "single_write"
    assert credited(cut_anew, "single_write", "relay") == "relay"


def always(*styles: str) -> Classifier:
    """A classifier that has one answer."""
    return Classifier("always", "one answer", lambda _: answer(*styles, boundaries=(77,)))


SESSIONS = (
    session((5120,), (1440, 1440, 1440, 800), network="a"),
    session((77, 5043), (77, 1440, 1440, 1440, 723), style="relay", network="a"),
    session((77, 5043), (77, 948, 948, 948, 948, 948, 303), style="relay", network="b", mss=948,
            mtu=988, path_condition="small_mss"),
    record(status="failed", error="x"),
)  # fmt: skip


def test_an_evaluation_counts_each_session_once() -> None:
    """By network, by path condition and on all; a failed session is left out."""
    found = evaluate(always("relay"), SESSIONS, layers=("segments",))
    (layer,) = found.layers
    assert (found.sessions, found.left_out) == (3, 1)
    assert layer.whole.style.counts == {("relay", "relay"): 2, ("single_write", "relay"): 1}
    assert layer.networks["a"].style.right == 1
    assert layer.networks["b"].style.right == 1
    assert layer.conditions["steady"].style.total == 2
    assert layer.whole.boundaries.found == 2
    assert layer.whole.boundaries.named_right == 2
    assert layer.whole.boundaries.named == 3
    assert (layer.invariance.pairs, layer.invariance.same) == (1, 1)
    assert [mistake.truth for mistake in layer.mistakes] == ["single_write"]


def test_sets_are_counted_with_their_size() -> None:
    """Their mean, how many were right, how many had an impossible member."""
    found = evaluate(always("relay", "single_write"), SESSIONS, layers=("segments", "reads"))
    assert [layer.layer for layer in found.layers] == ["segments", "reads"]
    whole = found.layers[0].whole
    assert (whole.sets, whole.sets_right, whole.sets_impossible) == (3, 0, 3)
    assert whole.mean_set_size == 2


def test_the_tables_hold_nothing_that_a_terminal_obeys() -> None:
    """Names in a stored run may be anybody's."""
    hostile = record(network="\x1b[2Jx", style="\x07single")
    text = "\n".join(lines(evaluate(always("relay"), [hostile])))
    assert text.replace("\n", "").isprintable()
    assert "\\x1b[2Jx" in text


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    """One line, and no traceback."""
    with pytest.raises(InputError, match="no run is stored here"):
        evaluate_run(tmp_path / "none", always("relay"), as_json=False)


def test_a_network_that_no_session_went_over() -> None:
    """It is named, instead of an evaluation of nothing."""
    with pytest.raises(InputError, match=r"no session over network 'gprs\\x1b'; known: dsl"):
        over([replace(stored(), network="dsl")], ["gprs\x1b"])
    assert len(over([replace(stored(), network=name) for name in ("dsl", "3g")], ["3g"])) == 1


def capture(payload: bytes, *, lost: bool = False) -> bytes:
    """A server's capture of an SMTP dialogue with this payload."""
    pieces = [b"EHLO a\r\n", b"DATA\r\n", payload[:60], payload[60:], b"QUIT\r\n"]
    ends = [0, *accumulate(map(len, pieces))]
    packets = [
        CapturedPacket(i, False, b"headers" + piece, f"data {start}:{end}, sent 1.000 ms before")
        for i, (piece, (start, end)) in enumerate(zip(pieces, pairwise(ends), strict=True))
    ]
    packets.append(CapturedPacket(9, True, b"headersreply", "data 0:5, arrived after 1.000 ms"))
    return write([p for i, p in enumerate(packets) if not (lost and i == 2)], "s-eth0")


PAYLOAD = b"Subject: x\r\n\r\n" + b"line\r\n" * 20 + b".\r\n"


def stored(payload: bytes = PAYLOAD) -> SessionRecord:
    """A record with this payload's hash."""
    digest = hashlib.sha256(payload).hexdigest()
    return record(payload_bytes=len(payload), payload_sha256=digest, terminator="with_body")


def test_lines_come_from_the_sessions_capture() -> None:
    """The payload begins behind DATA; its hash says that it is the one."""
    found = payload_of(capture(PAYLOAD), stored())
    assert found == PAYLOAD
    assert line_ends(PAYLOAD)[:3] == (12, 14, 20)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x0a\x0d\x0d\x0a",
        capture(PAYLOAD)[:-250],
        capture(PAYLOAD, lost=True),
        capture(PAYLOAD.replace(b"line", b"lime")),
        b"\x06\x00\x00\x00\x00\x00\x00\x00" * 8,
        b"\xff" * 400,
    ],
    ids=["empty", "head", "cut", "a hole", "another mail", "blocks of no length", "noise"],
)
def test_what_is_not_that_capture_has_no_lines(data: bytes) -> None:
    """None, rather than wrong ones."""
    assert payload_of(data, stored()) is None


def test_an_evaluation_as_json() -> None:
    """All that the tables show, and the mistakes."""
    found = json.loads(json.dumps(evaluate(always("relay"), SESSIONS).to_dict()))
    assert found["classifier"] == "always"
    segments = found["layers"][0]
    assert segments["all"]["style"]["matrix"]["single_write"] == {"relay": 1}
    assert segments["networks"]["b"]["mtu"] == 988
    assert segments["mistakes"][0]["sizes"] == [1440, 1440, 1440, 800]
