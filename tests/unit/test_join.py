"""From what client, server and wire saw of a session to its record."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from frames import CLIENT_ISN, MS, SERVER_ISN, Recorder, tcp_frame

from seglab.core.record import SessionRecord
from seglab.engine.record import failed_record
from seglab.errors import EnvironmentLacksError
from seglab.experiment import plan, registry
from seglab.experiment.serving import ServerProgram
from seglab.kernel import join
from seglab.kernel.reports import SessionReports

NETWORK = registry.network("vb2014")
SPEC = plan.plan(registry.scenario("scenario-1"), seed=1, sessions=1)[0]
COMMANDS = 100
"""Bytes of SMTP commands before the payload."""

PAYLOAD = 2000
SHA256 = hashlib.sha256(b"payload").hexdigest()
T0_NS = 5 * MS


def outcome(*, client: Any = None, connection: Any = None, wire: Any = None) -> SessionReports:
    """A good session: 100 bytes of commands, 2000 of payload in one write, two segments, reads."""
    recorder = Recorder()
    recorder.handshake(6 * MS)
    recorder.data(200 * MS, 0, COMMANDS)
    recorder.data(300 * MS, COMMANDS, COMMANDS + 1440)
    recorder.data(301 * MS, COMMANDS + 1440, COMMANDS + PAYLOAD)
    written = {
        "flow": 1,
        "t0_ns": T0_NS,
        "t_end_ns": 700 * MS,
        "writes": [[199 * MS, 0, COMMANDS], [299 * MS, COMMANDS, COMMANDS + PAYLOAD]],
        "payload": [COMMANDS, COMMANDS + PAYLOAD],
        "sha256": SHA256,
        "mss": 1440,
        "timestamps": False,
        "error": None,
    }
    read = {
        "reads": [[280 * MS, 0, COMMANDS], [380 * MS, COMMANDS, COMMANDS + PAYLOAD]],
        "sha256": [SHA256],
        "refused": None,
    }
    carried = {"flow": 1, "frames": recorder.records, "queued": 0, "kernel_drops": 0, "late_ns": 0}
    return SessionReports(
        flow=1,
        client=written | (client or {}),
        connection=None if connection is False else read | (connection or {}),
        wire=carried | (wire or {}),
    )


def record(seen: SessionReports) -> SessionRecord:
    """The session's record."""
    return join.assemble(SPEC, NETWORK, seen, wall_offset_ns=0).record


def test_three_layers_of_one_stream_on_one_clock() -> None:
    """Ranges count from the payload's first byte, times from the session's beginning."""
    found = record(outcome())
    assert (found.status, found.error) == ("complete", None)
    assert [(w.t_ns, w.start, w.end) for w in found.writes] == [(294 * MS, 0, 2000)]
    assert [(s.t_sent_ns, s.start, s.end) for s in found.segments] == [
        (295 * MS, 0, 1440),
        (296 * MS, 1440, 2000),
    ]
    assert [(r.t_ns, r.start, r.end) for r in found.reads] == [(375 * MS, 0, 2000)]
    assert found.payload_bytes == 2000
    assert found.duration_ns == 695 * MS
    assert found.session_id == SPEC.session_id
    assert found.seed == SPEC.seed


def test_what_reaches_over_the_payloads_edge_is_clipped() -> None:
    """A read that holds the last command too, and a QUIT behind the payload, lose those parts."""
    end = COMMANDS + PAYLOAD
    found = record(
        outcome(
            client={
                "writes": [
                    [199 * MS, 0, COMMANDS],
                    [299 * MS, COMMANDS, end],
                    [600 * MS, end, end + 6],
                ]
            },
            connection={"reads": [[390 * MS, 0, COMMANDS + 1440], [391 * MS, 1540, end + 6]]},
        )
    )
    assert found.error is None
    assert [(w.start, w.end) for w in found.writes] == [(0, 2000)]
    assert [(r.start, r.end) for r in found.reads] == [(0, 1440), (1440, 2000)]


def test_captures_of_both_ends_are_named_after_the_session() -> None:
    """Each capture's path in the run folder is in the record, and in what is to be written."""
    result = join.assemble(SPEC, NETWORK, outcome(), wall_offset_ns=0)
    assert {result.record.captures.client, result.record.captures.server} == set(result.captures)
    for path, data in result.captures.items():
        assert path.startswith(f"wire/{SPEC.session_id}.")
        assert data.startswith(b"\x0a\x0d\x0d\x0a")  # pcapng's section header block


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client": {"error": "time limit reached"}}, "time limit reached"),
        ({"connection": False}, "the server has no record of the connection"),
        ({"connection": {"refused": "552 too large"}}, "the server refused: 552 too large"),
        (
            {"connection": {"sha256": [hashlib.sha256(b"other").hexdigest()]}},
            "the server received other bytes than were written",
        ),
        ({"connection": {"sha256": []}}, "the server received other bytes than were written"),
        (
            {"wire": {"kernel_drops": 3}},
            "the wire was too slow: the kernel dropped 3 frames unseen",
        ),
        (
            {"connection": {"reads": [[380 * MS, 0, COMMANDS + 1440]]}},
            "reads end at 1440, the payload at 2000",
        ),
        (
            {"connection": {"reads": [[1 * MS, 0, COMMANDS + PAYLOAD]]}},
            "read 0:2000 holds bytes from 0 that had not arrived",
        ),
    ],
)
def test_what_is_not_whole_is_failed_with_its_reason(changes: Any, reason: str) -> None:
    """Whatever is wrong, the session is kept, and says so in one line."""
    found = record(outcome(**changes))
    assert (found.status, found.error) == ("failed", reason)
    assert found.payload_bytes == 2000


def test_the_senders_error_counts_before_what_follows_from_it() -> None:
    """A session that broke off has no record at the server either: the cause is named."""
    found = record(outcome(client={"error": "connect: Connection refused"}, connection=False))
    assert found.error == "connect: Connection refused"


def test_a_segment_above_the_mss_refuses_the_run() -> None:
    """Then an offload cut it, not TCP: no session of this lab would be worth anything."""
    recorder = Recorder()
    recorder.handshake(6 * MS)
    recorder.data(300 * MS, 0, 2000)
    with pytest.raises(EnvironmentLacksError, match=r"segment 0:2000\(2000\) exceeds the MSS 1440"):
        record(outcome(wire={"frames": recorder.records}))


def test_a_row_has_what_a_real_server_offers() -> None:
    """As its reply to EHLO said; in two segments, of which one was lost and sent again."""
    replies = b"220 mx ESMTP\r\n250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
    seen = outcome()
    recorder = Recorder()
    recorder.records = list(seen.wire["frames"])
    for n, (start, end, lost) in enumerate(((0, 30, "access"), (30, 90, None), (0, 60, None))):
        frame = tcp_frame(
            seq=SERVER_ISN + 1 + start,
            payload=replies[start:end],
            ack=CLIENT_ISN + 1,
            back=True,
        )
        recorder.sent((100 + n) * MS, frame, direction=1, lost=lost and f"loss on {lost}")
    spec = replace(SPEC, protocol="smtp", reader=ServerProgram("mx-server", "1", ("mx",)))
    seen = replace(seen, wire=seen.wire | {"frames": recorder.records})
    assert join.assemble(spec, NETWORK, seen, 0).record.offers == ("PIPELINING", "CHUNKING")
    usual = replace(SPEC, protocol="smtp")
    assert join.assemble(usual, NETWORK, seen, 0).record.offers == ("PIPELINING",)


def test_a_session_that_never_connected() -> None:
    """No byte, no frame: a record without layers, and the MSS that the network promises."""
    nothing = {"writes": [], "payload": [0, 0], "mss": 0, "error": "connect: timed out"}
    found = record(outcome(client=nothing, connection=False, wire={"frames": []}))
    assert (found.writes, found.segments, found.reads) == ((), (), ())
    assert (found.mss, found.payload_bytes, found.status) == (1440, 0, "failed")


def test_a_session_that_its_lab_did_not_live_to_finish() -> None:
    """All that was planned, nothing that was seen, and why."""
    found = failed_record(SPEC, NETWORK, "kernel", "the wire was killed (SIGKILL)")
    assert (found.status, found.error) == ("failed", "the wire was killed (SIGKILL)")
    assert (found.style, found.mtu, found.engine) == ("single_write", 1480, "kernel")
    assert found.captures.client is None


def test_the_lab_is_told_enough_to_make_the_session_again() -> None:
    """Client and wire get the session's own seeds, so that it can run alone as in the crowd."""
    job = join.client_job(SPEC, 12.5)
    assert (job["message_seed"], job["time_limit_s"]) == (SPEC.message_seed, 12.5)
    assert job["parameters"] == dict(SPEC.parameters)
    assert join.wire_order(replace(SPEC, seed=77))["seed"] == 77
