"""Observations: what they refuse, how they cross JSON, and what they show of a record."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import MS, record

from seglab.core.observation import SIZES_MAX, Layer, Observation, sizes_of
from seglab.core.trace import HeaderField, Read, Segment, Write
from seglab.errors import InputError


def test_offsets_follow_from_sizes() -> None:
    """Each size ends where the next begins."""
    found = Observation(id="x", sizes=(1448, 600, 952))
    assert found.ends == (1448, 2048, 3000)
    assert found.total_bytes == 3000


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"sizes": (0,)}, "at least one byte"),
        ({"sizes": (-5,)}, "at least one byte"),
        ({"sizes": (1 << 41,)}, "at least one byte"),
        ({"sizes": (1,) * (SIZES_MAX + 1)}, "at most 1000000"),
        ({"sizes": (5, 5), "push": (True,)}, "`push` has 1 values for 2 sizes"),
        ({"sizes": (5,), "t_ns": (1, 2)}, "`t_ns` has 2 values for 1 sizes"),
        ({"sizes": (5,), "retransmission": ()}, "`retransmission` has 0 values for 1 sizes"),
        ({"sizes": (5,), "mss": 0}, "`mss` is 0"),
        ({"sizes": (5,), "t_ns": (10**400,)}, "`t_ns` is beyond"),
        ({"sizes": (5,), "rtt_ns": -(10**400)}, "`rtt_ns` is beyond"),
        ({"sizes": (5,), "header_end": -1}, "`header_end` is -1"),
    ],
)
def test_what_cannot_be_is_refused(known: dict[str, Any], words: str) -> None:
    """The message names the field and what was found."""
    with pytest.raises(ValueError, match=words):
        Observation(id="x", **known)


FULL = Observation(
    id="run/1",
    sizes=(77, 1448),
    layer="segments",
    mss=1448,
    timestamps=True,
    push=(True, None),
    t_ns=(5, 9),
    header_end=120,
    fields=(HeaderField("Received", 0, 77),),
    retransmission=(False, True),
    rtt_ns=40 * MS,
    complete=True,
    source="a.pcap",
    client="10.0.0.1:5",
    server="[::1]:25",
    notes=("2 segments were not captured",),
)


def test_what_is_empty_is_known() -> None:
    """No sizes and no header fields are something else than unknown ones, also as JSON."""
    empty = Observation(id="a", sizes=(), push=(), t_ns=(), header_end=0, fields=())
    assert Observation.from_json(empty.to_json()) == empty
    none = Observation(id="a", sizes=(5,))
    assert Observation.from_json(none.to_json()) == none
    assert none.to_json() == b'{"id":"a","sizes":[5],"layer":"reads"}'


@pytest.mark.parametrize("found", [FULL, Observation(id="x", sizes=(3,))], ids=["all", "least"])
def test_a_line_of_json_gives_the_same_observation(found: Observation) -> None:
    """Both ways, whether much is known or little."""
    assert Observation.from_json(found.to_json()) == found
    assert Observation.from_dict(found.to_dict()) == found
    assert b"\n" not in found.to_json()


def test_what_is_unknown_is_not_in_the_line() -> None:
    """Absent means unknown, as null does."""
    known = Observation(id="x", sizes=(3,)).to_json()
    assert {*msgspec.json.decode(known)} <= {"id", "sizes", "layer"}
    line = '{"id": "x", "sizes": [3], "mss": null, "a_key_of_tomorrow": 1}'
    assert Observation.from_json(line) == Observation(id="x", sizes=(3,))


def test_arrays_become_plain_values() -> None:
    """NumPy's arrays and numbers are taken, and cross JSON as others do."""
    known = {
        "sizes": np.array([1448, 600], dtype=np.uint16),
        "push": np.array([False, True]),
        "t_ns": np.array([5, 9]),
        "mss": np.int64(1448),
    }
    plain = {"sizes": (1448, 600), "push": (False, True), "t_ns": (5, 9), "mss": 1448}
    expected = Observation(id="x", **plain)
    scalars = Observation(id="x", **{**plain, "sizes": tuple(known["sizes"])})
    for found in (
        Observation(id="x", **known),
        Observation.from_dict({"id": "x", **known}),
        scalars,
    ):
        assert found == expected
        assert Observation.from_json(found.to_json()) == expected
    of_list = Observation.from_dict({"id": "x", "sizes": [*known["sizes"]]})
    assert of_list.sizes == (1448, 600)
    with pytest.raises(ValueError, match="each of `sizes` is a whole number"):
        Observation(id="x", sizes=np.array([1448.5]))  # type: ignore[arg-type]


def test_an_unknown_key_of_a_mapping_is_refused() -> None:
    """A line of JSON may come from a later version; a mapping in Python is misspelled."""
    with pytest.raises(InputError, match="unknown key 'size'; did you mean 'sizes'"):
        Observation.from_dict({"id": "x", "size": [3]})


def test_encrypted_stays_in_the_line() -> None:
    """False says nothing, true does."""
    assert b"encrypted" not in Observation(id="x", sizes=(3,)).to_json()
    assert b'"encrypted":true' in Observation(id="x", sizes=(3,), encrypted=True).to_json()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{}", "id"),
        ('{"id": "x"}', "sizes"),
        ('{"id": "x", "sizes": ["5"]}', "sizes"),
        ('{"id": "x", "sizes": [5], "layer": "frames"}', "layer"),
        ('{"id": "x", "sizes": [0]}', "at least one byte"),
        ("[" * 100_000, "not an observation"),
        ("not json", "not an observation"),
    ],
)
def test_a_line_that_is_none_is_an_input_error(line: str, words: str) -> None:
    """One line for the user, which says at which key."""
    with pytest.raises(InputError, match=words) as caught:
        Observation.from_json(line)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_noise_raises_nothing_else(line: bytes) -> None:
    """Whatever a file holds."""
    try:
        Observation.from_json(line)
    except InputError:
        return


MAIL = record(
    payload_bytes=3000,
    mss=1448,
    mtu=1500,
    timestamps=True,
    terminator="with_body",
    writes=(Write(0, 0, 3000),),
    header_end=100,
    header_fields=(HeaderField("From", 0, 100),),
    segments=(
        Segment(1 * MS, None, 0, 1448, dropped=True),
        Segment(2 * MS, 30 * MS, 1448, 2896),
        Segment(3 * MS, 31 * MS, 2896, 3000, psh=True),
        Segment(9 * MS, 40 * MS, 0, 1448, retransmission=True),
        Segment(10 * MS, 41 * MS, 1448, 2896, retransmission=True),
    ),
    reads=(Read(42 * MS, 0, 3000),),
)


def test_a_records_segments_are_those_that_arrived() -> None:
    """Each byte by the segment that first brought it, in stream order, without the truth."""
    found = Observation.of_record(MAIL, "segments")
    assert found.sizes == (1448, 1448, 104)
    assert found.t_ns == (40 * MS, 30 * MS, 31 * MS)
    assert found.push == (False, False, True)
    assert found.retransmission == (True, False, False)
    assert (found.mss, found.timestamps, found.header_end) == (1448, True, 100)
    assert found.fields == (HeaderField("From", 0, 100),)


def test_a_records_reads() -> None:
    """Sizes and times, and nothing of the segments."""
    found = Observation.of_record(MAIL, "reads")
    assert (found.sizes, found.t_ns) == ((3000,), (42 * MS,))
    assert found.push is None
    assert found.retransmission is None


def test_raw_tcp_has_no_header() -> None:
    """And none of its fields is known to be absent."""
    found = Observation.of_record(record(), "reads")
    assert (found.header_end, found.fields) == (None, None)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(0, 100), st.booleans()),
        min_size=1,
        max_size=20,
    )
)
def test_each_byte_is_seen_once(drawn: list[tuple[int, int, int, bool]]) -> None:
    """However segments overlap: together the sizes are what has arrived at all."""
    segments = tuple(
        Segment(i, None if lost else 1000 + at, start, start + size)
        for i, (start, size, at, lost) in enumerate(drawn)
    )
    arrived = {
        byte
        for segment in segments
        if segment.t_arrived_ns is not None
        for byte in range(segment.start, segment.end)
    }
    found = Observation.of_record(record(segments=segments), "segments")
    assert found.total_bytes == len(arrived)


@pytest.mark.parametrize("layer", ["segments", "reads"])
def test_plain_sizes_of_a_record(layer: Layer) -> None:
    """A byte counts where it arrived first: not where it was lost, and not when it came again."""
    stored = record(
        payload_bytes=300,
        mss=150,
        segments=(
            Segment(1, None, 0, 100, psh=False, dropped=True, drop_reason="loss on core"),
            Segment(2, 5, 100, 200, psh=False),
            Segment(10, 12, 0, 150, psh=False, retransmission=True),
            Segment(11, 13, 200, 300, psh=True),
        ),
        reads=(Read(14, 0, 200), Read(15, 200, 300)),
    )
    expected = {"segments": [100, 100, 100], "reads": [200, 100]}[layer]
    assert sizes_of(stored, layer) == expected
    assert Observation.of_record(stored, layer).sizes == tuple(expected)
