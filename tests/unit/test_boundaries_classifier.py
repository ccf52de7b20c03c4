"""The classifier that infers where writes ended, on sizes worked out by hand."""

import random
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglab.classification.classifier import Verdict
from seglab.classifiers.boundaries import SIZES_LOOKED_AT, classify
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.core.observation import Observation
from seglab.core.trace import HeaderField
from seglab.reproduction import paper

RECEIVED = HeaderField("Received", 0, 150)
FROM = HeaderField("From", 150, 190)
SUBJECT = HeaderField("Subject", 190, 240)
LAYOUT = {"header_end": 240, "fields": (RECEIVED, FROM, SUBJECT)}


def verdict(*sizes: int, **known: Any) -> Verdict:
    """The verdict on these sizes: segments of an Ethernet path, unless something else is said."""
    known = {"layer": "segments", "mss": 1448, "complete": True} | known
    return classify(Observation(id="x", sizes=sizes, **known))


def segments_of(writes: list[int], mss: int) -> list[int]:
    """The segments of writes, each cut by itself."""
    sizes: list[int] = []
    for size in writes:
        sizes += [mss] * (size // mss) + ([size % mss] if size % mss else [])
    return sizes


@pytest.mark.parametrize("mss", [524, 920, 1208, 1440, 1448, 1460, 4300, 8948])
@pytest.mark.parametrize("buffer", [1024, 2048, 4096])
def test_a_buffer_is_found_at_any_mss(buffer: int, mss: int) -> None:
    """Whatever the MSS, a short segment every so many bytes is that buffer; each end is found."""
    writes = [buffer] * 3 + [buffer // 3]
    found = verdict(*segments_of(writes, mss), mss=mss)
    assert found.styles[0] == "fixed_buffer"
    assert found.buffer == buffer
    assert found.boundaries == tuple(accumulate(writes[:-1]))


@pytest.mark.parametrize("mss", [524, 920, 1440, 1448, 4300])
def test_a_single_write_at_any_mss(mss: int) -> None:
    """Full segments and a rest are one write, or a buffer that was never full; no boundary."""
    found = verdict(*segments_of([5 * mss + 300], mss), mss=mss)
    assert found.styles[0] == "single_write"
    assert {*found.styles} <= {"single_write", "fixed_buffer"}
    assert found.boundaries == ()


def test_a_relay_writes_its_own_field_first() -> None:
    """The Received field alone, then the rest."""
    found = verdict(150, *segments_of([6000], 1448), **LAYOUT)
    assert found.styles[0] == "relay"
    assert "headers_then_body" not in found.styles
    assert found.boundaries == (150,)


@pytest.mark.parametrize("with_empty_line", [0, 2])
def test_headers_then_body(with_empty_line: int) -> None:
    """A boundary after the header block, with or without the empty line, and a terminator."""
    start = 240 + with_empty_line
    found = verdict(start, *segments_of([6000], 1448), 5, **LAYOUT)
    assert found.style == "headers_then_body"
    assert found.terminator == "own_write"
    assert found.boundaries == (start, start + 6000)


@pytest.mark.parametrize(
    ("sizes", "mss"),
    [
        ([1448] * 45 + [120] + [1448] * 39 + [1128], 1448),
        ([524] * 186 + [200] + [524] * 48 + [64], 524),
        ([8948] * 7 + [84] + [8948] * 3 + [8588] + [8948] * 2 + [6832], 8948),
    ],
)
def test_a_peers_window_that_ends_within_a_segment(sizes: list[int], mss: int) -> None:
    """One write of 120 kB stays one, although segments at the window's end are short.

    The receiver offered 65280, 97664 and 62720 bytes: multiples of 128, its scale.
    """
    found = verdict(*sizes, mss=mss)
    assert found.styles[0] == "single_write"
    assert found.boundaries == ()


def test_a_short_segment_before_a_windows_end() -> None:
    """No window ends before 64 KiB, so there a write did."""
    found = verdict(*[1448] * 40, 120, *[1448] * 44, 1128)
    assert "single_write" not in found.styles
    assert 40 * 1448 + 120 in found.boundaries


def test_a_body_that_a_buffer_has_no_room_for() -> None:
    """The fields before the body's own, then full segments: a single field, or a buffer's rest.

    The body's fields (Content-) go with the body, past the buffer that holds the others. At another
    field's end no buffer is flushed.
    """
    content = HeaderField("Content-Type", 240, 280)
    layout = {"header_end": 280, "fields": (RECEIVED, FROM, SUBJECT, content)}
    found = verdict(240, *segments_of([25_000], 1448), **layout)
    assert {"fixed_buffer", "custom_headers"} <= {*found.styles}
    assert found.boundaries == (240,)
    other = verdict(190, *segments_of([25_000], 1448), **layout)
    assert "fixed_buffer" not in other.styles


def test_distinct_from() -> None:
    """Boundaries before and after the From header."""
    found = verdict(150, 40, *segments_of([6000], 1448), **LAYOUT)
    assert "distinct_from" in found.styles
    assert found.boundaries == (150, 190)


def test_a_subject_by_itself() -> None:
    """Boundaries around another header, or around its value, are a template's."""
    for start, end in ((190, 240), (198, 238)):
        found = verdict(start, end - start, *segments_of([6000], 1448), **LAYOUT)
        assert found.styles[0] == "custom_headers"
        assert found.boundaries == (start, end)


def test_lines() -> None:
    """Many short writes of the length of lines."""
    lines = [47, 68, 35, 41, 46, 45, 35, 50, 46, 39]
    assert verdict(*lines, *segments_of([4000], 1448)).style == "line_by_line"


def test_pauses_tell_parts_from_a_buffer() -> None:
    """Equal parts after a silence, before which a full segment follows, were written in time."""
    sizes = [1448, 600, 1448, 600, 1448, 600]
    ms = 1_000_000
    paused = verdict(*sizes, t_ns=tuple(ms * t for t in (0, 1, 101, 102, 202, 203)))
    assert paused.styles[0] == "timed_writes"
    at_once = verdict(*sizes, t_ns=tuple(ms * t for t in range(6)))
    assert at_once.styles[0] == "fixed_buffer"


def test_a_segment_cut_anew_is_no_boundary() -> None:
    """After the path's MTU fell, what was one segment arrives as two: Listing 13."""
    found = verdict(
        1388, 72, 1388, 72, 1388, 1388, 991, mss=1460, retransmission=(True,) * 4 + (False,) * 3
    )
    assert found.styles[0] == "single_write"
    assert found.path_condition == "pmtu_fall"
    assert found.boundaries == ()
    assert found.recut == ((0, 1460), (1460, 2920))


def test_a_path_that_recovers_fluctuates() -> None:
    """Full segments that shrink and grow again."""
    sizes = (1400, 536, 536, 328, 536, 536, 328, 1400, 1400, 700)
    again = (False, *(True,) * 6, False, False, False)
    assert verdict(*sizes, mss=1400, retransmission=again).path_condition == "fluctuating"


def test_small_and_steady_paths() -> None:
    """A path below IPv6's least MTU is small."""
    assert verdict(524, 524, 300, mss=524).path_condition == "small_mss"
    assert verdict(1208, 1208, 300, mss=1208).path_condition == "steady"


def test_lines_are_lines_where_a_path_fell() -> None:
    """Writes of several lines over 1400, then 536 bytes: what was cut again ends no line."""
    writes, cut = (820, 1290, 960, 880, 1190, 410), (536, 424, 536, 344, 536, 536, 118)
    found = verdict(
        *writes[:2], *cut, writes[5], mss=1400, timestamps=False, header_end=550,
        push=(*(True,) * 2, *(False, True) * 2, False, False, True, True),
        retransmission=(*(False,) * 3, *(True,) * 6, False),
    )  # fmt: skip
    assert sum(cut) == sum(writes[2:5])
    assert "line_by_line" in found.styles


def test_reads_of_a_write_in_a_tunnel() -> None:
    """Segments of 1448 bytes that a tunnel cut to 1348 and 100: ends 100, 200... short of whole."""
    mss, fall = 1448, 100
    ends = (6 * mss - 2 * fall, 17 * mss - 7 * fall, 23 * mss - 5 * fall, 40000)
    sizes = [end - start for start, end in pairwise((0, *ends))]
    found = verdict(*sizes, layer="reads", mss=mss, **LAYOUT)
    assert "single_write" in found.styles
    assert "line_by_line" not in found.styles
    assert found.path_condition == "pmtu_fall"
    assert found.boundaries == ()


def test_reads_may_go_on_amid_a_cut_segment() -> None:
    """A read of two whole segments may begin and end within ones that were cut to 1408 and 20."""
    mss, header, level = 1428, 612, 1408
    reads = (header, 2 * mss, level, mss - level + mss + level, mss - level + mss, 2 * level)
    assert reads[3] == 2 * mss
    found = verdict(*reads, layer="reads", mss=mss, header_end=610, fields=LAYOUT["fields"])
    assert "headers_then_body" in found.styles
    assert "line_by_line" not in found.styles


def test_a_last_read_joins_no_lines_for_nothing() -> None:
    """Two fields, what is around them, and a body in one read: no writer by lines sends that."""
    names = "Received", "Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "X-Mailer"
    ends = 0, 150, 190, 240, 285, 325, 400, 450, 503
    fields = tuple(HeaderField(*one) for one in zip(names, ends, ends[1:], strict=False))
    found = verdict(
        190, 50, 45, 40, 180, 2500, layer="reads", mss=4300, header_end=503, fields=fields
    )
    assert "custom_headers" in found.styles


@pytest.mark.parametrize("most", [1460, 5000, 60000])
def test_many_random_reads_are_no_lines(most: int) -> None:
    """A hundred random sizes have no style, whatever a fallen path could have cut."""
    draw = random.Random(most)
    sizes = [draw.randint(1, most) for _ in range(100)]
    assert verdict(*sizes, layer="reads").style is None


def test_reads_are_unions() -> None:
    """The end of a write is inferred inside a read: 1440 800 1440 3680 is 5120 and 2240."""
    found = verdict(1440, 1440, 1440, 2240, 1440, 2240, layer="reads", mss=1440)
    assert 5120 in found.boundaries
    assert {*found.styles} <= {"fixed_buffer", "timed_writes"}


def test_one_read_of_everything_says_nothing() -> None:
    """No style can be ruled out that the reader may have joined."""
    found = verdict(5120, layer="reads", mss=1440)
    assert len(found.styles) > 1
    assert found.boundaries == ()


def test_segments_merged_by_offload_are_taken_apart() -> None:
    """A capture with offload on shows the same writes."""
    found = verdict(2048, 2048, 2048, 700, mss=1448)
    assert (found.styles[0], found.buffer) == ("fixed_buffer", 2048)


@pytest.mark.parametrize("scenario", ["1", "2", "3"])
def test_the_papers_scenarios(scenario: str) -> None:
    """Each printed session: the writes' own boundary where it shows, and never another one."""
    expected = paper.published(f"scenarios.{scenario}")
    writes = {"1": [5120], "2": [5120, 5120], "3": [5120, 5120]}[scenario]
    inner = {*accumulate(writes[:-1])}
    for sizes in expected.sessions:
        found = classify(Observation(id="x", sizes=tuple(sizes), complete=True))
        assert {*found.boundaries} <= inner
        if scenario == "1":
            assert "single_write" in found.styles
        elif inner & {*accumulate(sizes)}:
            assert {*found.boundaries} == inner
            assert {*found.styles} <= {"fixed_buffer", "timed_writes"}


def test_over_loopback_a_window_is_no_buffer() -> None:
    """Half the peer's window bounds the segments of one write, and grows; no path fell."""
    found = verdict(32768, 32768, 47616, 47616, 39277, mss=65483)
    assert found.styles[0] == "single_write"
    assert found.path_condition == "steady"
    assert found.boundaries == ()


def test_a_readers_buffer_is_not_the_senders() -> None:
    """Reads of 64 KiB are as large as the server's own buffer."""
    found = verdict(65536, 65536, 65536, 3437, layer="reads", mss=1448)
    assert found.styles[0] == "single_write"
    assert found.buffer is None


def test_what_a_set_says_is_possible() -> None:
    """Each member of a set has a witness, and every short segment ends where its writes do."""
    found = verdict(150, *segments_of([6000], 1448))
    assert len(found.styles) > 1
    assert {*found.witnesses} == {*found.styles}
    assert all(150 in ends for ends in found.witnesses.values())


def test_it_says_why_it_abstains() -> None:
    """Encryption, nothing seen, and noise."""
    assert "encrypted" in verdict(1448, 300, encrypted=True).evidence[0]
    assert "no sizes" in verdict().evidence[0]
    noise = verdict(700, 30, 1201, 88, 499, 1300, 211, 900, 43, 1100, 77, 650)
    assert noise.style is None
    assert "no style" in noise.evidence[0]


def test_writes_of_no_style_have_ends() -> None:
    """Where no style is named, the ends of the writes that show are, and the path."""
    writes = [313, 902, 77, 1548, 640, 2205, 1300, 51]
    found = verdict(*segments_of(writes, 1448))
    assert found.style is None
    assert found.boundaries == tuple(accumulate(writes[:-1]))
    assert found.path_condition == "steady"
    assert found.confidence is None


@pytest.mark.parametrize("layer", ["segments", "reads"])
def test_one_short_piece_is_no_proof_of_a_buffer(layer: str) -> None:
    """One odd size may be a buffer's, but ends that no size shows are not claimed for it."""
    found = verdict(807, 1440, 1440, 1440, 1440, 1113, mss=1440, layer=layer)
    assert "line_by_line" in found.styles
    assert found.boundaries == (807,)


def test_an_odd_buffer_that_shows_again_and_again() -> None:
    """A buffer of any size is found once its size comes again."""
    found = verdict(*segments_of([807] * 4 + [500], 1440), mss=1440)
    assert (found.styles[0], found.buffer) == ("fixed_buffer", 807)


def test_explanations_name_the_mtu() -> None:
    """1440 bytes: MTU 1480 without timestamps, or 1492 with, and IPv6's 1500."""
    found = verdict(1440, 1440, 300, mss=1440, client="192.0.2.1:5000")
    assert found.explanations == ((1480, False), (1492, True))
    found = verdict(1440, 1440, 300, mss=1440, timestamps=True, client="192.0.2.1:5000")
    assert found.explanations == ((1492, True),)
    found = verdict(1440, 1440, 300, mss=1440, client="[2001:db8::1]:5000")
    assert found.explanations == ((1500, False), (1512, True))


def test_a_long_message_is_looked_at_where_it_begins() -> None:
    """Time does not grow with what comes after the first sizes; the verdict says so."""
    sizes = segments_of([2048] * SIZES_LOOKED_AT, 1448)
    found = verdict(*sizes)
    assert found.buffer == 2048
    assert found.boundaries[-1] <= sum(sizes[:SIZES_LOOKED_AT])
    looked_at = f"only the first {SIZES_LOOKED_AT} and the last of {len(sizes)} sizes"
    assert looked_at in found.evidence[-1]


OBSERVATIONS = st.builds(
    Observation,
    id=st.just("x"),
    sizes=st.lists(st.integers(1, 5000) | st.integers(16000, 70000), max_size=12).map(tuple),
    layer=st.sampled_from(["segments", "reads"]),
    mss=st.none() | st.integers(1, 70000),
    timestamps=st.none() | st.booleans(),
    header_end=st.none() | st.integers(0, 3000),
    complete=st.none() | st.booleans(),
)


@settings(deadline=None, max_examples=50)
@given(OBSERVATIONS)
def test_any_sizes_have_a_sound_verdict(observation: Observation) -> None:
    """Known words, boundaries inside the message and rising, probabilities within bounds."""
    found = classify(observation)
    assert {*found.styles} <= {*STYLES}
    assert found.terminator is None or found.terminator in TERMINATORS
    assert found.path_condition is None or found.path_condition in PATH_CONDITIONS
    assert list(found.boundaries) == sorted({*found.boundaries})
    assert all(0 < end < observation.total_bytes for end in found.boundaries)
    assert len(found.boundary_confidence) == len(found.boundaries)
    assert all(0 <= share <= 1 for share in (*found.boundary_confidence, found.confidence or 0))
    assert found.evidence


@settings(deadline=None, max_examples=50)
@given(OBSERVATIONS)
def test_a_verdict_is_repeatable(observation: Observation) -> None:
    """The same observation has the same verdict."""
    assert classify(observation) == classify(observation)
