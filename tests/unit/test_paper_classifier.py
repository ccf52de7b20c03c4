"""The paper's rules name the paper's own rows as the paper does."""

import pytest

from seglab.classification.classifier import Verdict
from seglab.classification.registry import classifier
from seglab.core.observation import Observation
from seglab.core.trace import HeaderField
from seglab.reproduction.paper import paper
from seglab.reproduction.separation import NAMED_AS_ONE_BLOCK

PAPER = classifier("paper")

NAMES = {
    3: ("single_write", "with_body", "steady"),
    4: ("single_write", "with_body", "steady"),
    5: ("relay", "with_body", "steady"),
    6: ("headers_then_body", "own_write", "steady"),
    7: ("single_write", "own_write", "steady"),
    9: ("custom_headers", "with_body", "steady"),
    10: ("single_write", "with_body", "fluctuating"),
    11: ("single_write", "with_body", "small_mss"),
    12: ("fixed_buffer", "with_body", "steady"),
    13: ("single_write", "with_body", "pmtu_fall"),
}
"""The paper's names for its listings, on the three axes of the ground truth."""

FIELDS = {
    5: (HeaderField("Received", 0, 77), HeaderField("Date", 77, 114)),
    6: (HeaderField("Received", 0, 200), HeaderField("Content-Disposition", 487, 520)),
    9: (HeaderField("Subject", 391, 430), HeaderField("From", 430, 480)),
}
"""Where the listings' printed text has the header fields that its sizes are about."""

HEADER_END = {5: 290, 6: 520, 9: 610}


def verdict(*sizes: int, **known: object) -> Verdict:
    """The paper's verdict on these sizes."""
    found = PAPER(Observation.from_dict({"id": "x", "sizes": sizes, **known}))
    assert found is not None
    return found


def fields(*spans: tuple[str, int, int]) -> list[dict[str, object]]:
    """Header fields as JSON has them."""
    return [{"name": name, "start": start, "end": end} for name, start, end in spans]


def axes(found: Verdict | None) -> tuple[object, object, object]:
    """What a verdict says on the three axes."""
    assert found is not None
    return found.style, found.terminator, found.path_condition


@pytest.mark.parametrize("number", NAMES)
def test_a_listing_has_the_papers_name(number: int) -> None:
    """With what the listing's own text shows of the headers, where its rule asks for them."""
    sizes = paper().listings[number].sizes
    assert sizes is not None
    observation = Observation(
        id=str(number),
        sizes=sizes,
        header_end=HEADER_END.get(number),
        fields=FIELDS.get(number),
    )
    found = PAPER(observation)
    assert axes(found) == NAMES[number]
    assert found is not None
    assert any(f"Listing {number}" in line for line in found.evidence)


@pytest.mark.parametrize("number", sorted({*NAMES} - {5}))
def test_sizes_alone_name_a_listing(number: int) -> None:
    """Of all listings but the relay's, whose header nobody can name by its length."""
    sizes = paper().listings[number].sizes
    assert sizes is not None
    assert axes(PAPER(Observation(id="x", sizes=sizes))) == NAMES[number]


def test_sizes_alone_leave_open_whose_first_piece_it_is() -> None:
    """A short segment before standard ones: Listing 5 or Listing 8."""
    assert verdict(77, 2896, 329).style == ("relay", "distinct_from")


def test_listing_8_by_its_description() -> None:
    """Its rows are lost: the From header first, then multiples of 1440 and a remainder."""
    found = verdict(47, 1440, 2880, 600, mss=1440, fields=fields(("From", 0, 47)), header_end=300)
    assert axes(found) == ("distinct_from", "with_body", "steady")
    assert found.boundaries == (47,)


@pytest.mark.parametrize("sizes", paper().scenarios[1].sessions)
def test_scenario_1_is_one_write(sizes: tuple[int, ...]) -> None:
    """Sizes are multiples of the base MSS, and the remainder."""
    assert verdict(*sizes, mss=1440).style == "single_write"


@pytest.mark.parametrize("number", range(1, 13))
def test_scenario_2_is_one_block_where_the_paper_says_so(number: int) -> None:
    """Its text names six sessions as a single block of 10 KB, and the others as two chunks."""
    found = verdict(*paper().scenarios[2].sessions[number - 1], mss=1440)
    if number in NAMED_AS_ONE_BLOCK:
        assert axes(found) == ("single_write", "with_body", "steady")
        assert found.boundaries == ()
    else:
        assert found.style == ("fixed_buffer", "timed_writes")
        assert found.boundaries == (5120,)


@pytest.mark.parametrize("sizes", paper().scenarios[3].sessions)
def test_scenario_3_is_two_transports(sizes: tuple[int, ...]) -> None:
    """By the pause where times are known; by their sizes two chunks, with a pause or without."""
    assert verdict(*sizes, mss=1440).styles == ("fixed_buffer", "timed_writes")
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    times = [100_000_000 * (end > 5120) + index for index, end in enumerate(ends)]
    assert 5120 in ends
    found = verdict(*sizes, mss=1440, t_ns=times)
    assert found.style == "timed_writes"
    assert found.boundaries == (5120,)


def test_the_first_segment_cut_again_is_one_write() -> None:
    """Listing 13: 1388 and 72 were a segment of 1460."""
    assert verdict(1388, 72, 1388, 1388, 991).recut == ((0, 1460),)


def test_an_empty_line_may_be_with_the_headers() -> None:
    """It is two bytes more, and the headers are still by themselves."""
    found = verdict(522, 1440, 1440, 100, mss=1440, header_end=520)
    assert found.style == "headers_then_body"


def test_no_rule_no_answer() -> None:
    """Short segments within the body are none of the paper's patterns."""
    assert PAPER(Observation(id="x", sizes=(1448, 700, 33, 1448, 901, 1448, 12), mss=1448)) is None


def test_encrypted_bytes_are_left_alone() -> None:
    """Sizes of TLS records say nothing of writes to a socket in the clear."""
    assert PAPER(Observation(id="x", sizes=(1448, 1448, 100), mss=1448, encrypted=True)) is None
