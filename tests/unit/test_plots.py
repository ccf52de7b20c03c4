"""Figures: what their layout computes, and what they show of every kind of data."""

from dataclasses import replace
from io import BytesIO
from itertools import accumulate, combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from drawn import shapes, svg_comments, texts, words
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as altered
from PIL import Image
from synthetic import MS, record, simulated

from seglab.core.trace import Read, Segment, Write
from seglab.plots.clock import clock
from seglab.plots.labels import Occupied, shared_numbers, spread
from seglab.plots.png import drawn, png
from seglab.plots.rendering import render
from seglab.plots.separation import Scale, curve
from seglab.plots.sequences import frequencies
from seglab.plots.sheet import Area, Sheet, box
from seglab.plots.style import BLUE, INK, ORANGE, PAPER, VERMILLION, WRITES, mixed, readable_on
from seglab.plots.svg import without_ground
from seglab.plots.timeline import timeline
from seglab.reproduction.scenarios import count_sequences
from seglab.reproduction.separation import PublishedSeparation, separation

instants = st.lists(st.integers(0, 10**12), min_size=1, max_size=40)


@given(instants)
def test_clock_keeps_the_order(events_ns):
    """Later instants are never further left, and all lie on the axis."""
    time = clock(events_ns)
    places = [time(t) for t in sorted(events_ns)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)


@given(instants)
def test_clock_has_few_breaks_and_names_their_length(events_ns):
    """Only pauses that are in the data are skipped, and at most four of them."""
    pauses = np.diff(sorted(set(events_ns))).tolist()
    breaks = clock(events_ns).breaks
    assert len(breaks) <= 4
    assert {b.lasts_ns for b in breaks} <= set(pauses)


def test_clock_passes_over_the_link_delay():
    """Two bursts of 1 ms, 70 ms apart, get all but the break of the axis."""
    time = clock([0, 500_000, 1_000_000, 71_000_000, 72_000_000])
    (pause,) = time.breaks
    assert pause.lasts_ns == 70_000_000
    assert time(1_000_000) - time(0) == pytest.approx(time(72_000_000) - time(71_000_000))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_spread_keeps_boxes_apart(places):
    """Boxes never overlap, stay in order and within the axis."""
    apart = 0.08
    found = spread(sorted(places), apart)
    assert all(gap >= apart - 1e-9 for gap in np.diff(found))
    assert min(found) >= apart / 2 - 1e-9
    assert max(found) <= 1 - apart / 2 + 1e-9


def test_spread_leaves_what_is_apart():
    """Places that do not collide are not moved."""
    assert spread([0.2, 0.5, 0.8], 0.1) == pytest.approx([0.2, 0.5, 0.8])


def _contrast(one, two):
    def luminance(colour):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", WRITES)
def test_sizes_are_legible_on_their_boxes(colour):
    """Text on each colour has the better contrast of the two inks, and at least 3.5 : 1."""
    best = max((INK, PAPER), key=lambda ink: _contrast(ink, colour))
    assert readable_on(colour) == best
    assert _contrast(best, colour) >= 3.5


LOST = replace(
    record(),
    segments=(
        Segment(0, None, 0, 1440, dropped=True, drop_reason="core: exact"),
        *record().segments[1:],
        Segment(30_000_000, 100_000_000, 0, 1440, retransmission=True),
    ),
)


def value(area, point):
    """What is at a point of the sheet, on the scales of an area."""
    (x, y), (left, low) = point, area.at(area.x[0], area.y[0])
    right, high = area.at(area.x[1], area.y[1])
    return (
        area.x[0] + (x - left) / (right - left) * (area.x[1] - area.x[0]),
        area.y[0] + (y - low) / (high - low) * (area.y[1] - area.y[0]),
    )


def lines_of(figure):
    """The lines of the segments over time: where each begins, and where it ends."""
    lines = [line for shape in shapes(figure) if shape.width == 1.7 for line in shape.outlines]
    return [tuple(value(figure.areas[0], end) for end in line) for line in lines]


def below_time(figure):
    """The texts below the upper area, from top to bottom: the times, and what they count."""
    upper, lower = figure.areas
    between = upper.top + upper.height, lower.top - 20
    shown = [word for word in words(figure) if between[0] < word.box[1] < between[1]]
    return [word.text for word in sorted(shown, key=lambda word: word.baseline)]


def overlap(one, other):
    """Whether two boxes have a part in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def flight(number, size=1448, **changes):
    """A session of one write in so many segments, a microsecond from each to the next."""
    segments = tuple(
        Segment(i * 1000, 20 * MS + i * 1000, i * size, (i + 1) * size) for i in range(number)
    )
    total = number * size
    fields = {
        "payload_bytes": total,
        "writes": (Write(0, 0, total),),
        "segments": segments,
        "reads": (Read(21 * MS, 0, total),),
    }
    return record(**(fields | changes))


def test_labels_of_segments_do_not_overlap():
    """Segments that start together: each label is on its line, and none covers another."""
    figure = timeline(flight(12))
    wire = figure.areas[0].top + figure.areas[0].height
    shown = [word for word in words(figure) if word.text == "1448" and word.size == 8.5]
    boxes = [word.box for word in shown]
    assert len(boxes) >= 4
    assert max(bottom for *_, bottom in boxes) < wire
    assert not [1 for one, other in combinations(boxes, 2) if overlap(one, other)]


def test_sizes_on_coinciding_lines_keep_the_order_of_the_stream():
    """Seven segments that leave and arrive together, behind one that arrives before them."""
    ends = [*accumulate([1440, 1440, 1440, 800] * 2)]
    arrive = [77 * MS, *[97 * MS + 450_000 + i for i in range(7)]]
    session = record(
        payload_bytes=10240,
        writes=(Write(0, 0, 5120), Write(25_000, 5120, 10240)),
        segments=tuple(
            Segment(3000 * i, at, start, end)
            for i, (at, start, end) in enumerate(zip(arrive, [0, *ends], ends, strict=False))
        ),
        reads=(Read(77 * MS + 650_000, 0, 1440), Read(98 * MS, 1440, 10240)),
    )
    sizes = [w for w in words(timeline(session)) if w.size == 8.5 and w.text in {"1440", "800"}]
    in_order = [word.text for word in sorted(sizes, key=lambda word: word.left)]
    assert in_order == ["1440", "1440", "1440", "800"] * 2


def test_many_equal_segments_share_a_number():
    """Where no box has room for its number, one text says the size and how often it occurs."""
    shown = texts(timeline(flight(42)))
    assert shown.count("1448 x 42") == 2  # over time, and over the stream
    assert "1448" not in shown


@pytest.mark.parametrize("number", [4096, 65_536])
def test_a_session_of_many_writes_is_drawn_in_bounds(number):
    """However many there are: a few hundred lines and boxes, and words on what is left out."""
    writes = tuple(Write(i * 1000, i * 7, i * 7 + 7) for i in range(number))
    segments = tuple(Segment(w.t_ns, w.t_ns + 70 * MS, w.start, w.end) for w in writes)
    reads = tuple(Read(71 * MS + i, i * 28, i * 28 + 28) for i in range(number // 4))
    session = record(
        payload_bytes=7 * number, writes=writes, segments=segments, reads=reads, mss=1440
    )
    figure = timeline(session)
    drawn = len(lines_of(figure))
    assert 100 <= drawn <= 400
    assert f"{drawn} of {number} segments are drawn" in below_time(figure)[-1]
    assert f"7 x {number}" in texts(figure)
    assert f"28 x {number // 4}" in texts(figure)
    assert sum(len(shape.outlines) for shape in shapes(figure)) < 4000


def test_writes_that_cannot_be_told_apart_are_counted():
    """Two hundred lines of a mail: one colour, and their number with the range of their sizes."""
    sizes = [20 + i % 50 for i in range(200)]
    ends = [*accumulate(sizes)]
    writes = tuple(Write(i, e - s, e) for i, (s, e) in enumerate(zip(sizes, ends, strict=True)))
    figure = timeline(flight(1, ends[-1], writes=writes))
    assert "200 of 20 to 69 bytes" in texts(figure)
    top = figure.areas[1].top
    faces = [shape for shape in shapes(figure) if shape.outlines[0][0][1] > top and shape.fill]
    assert {shape.fill for shape in faces} - {PAPER} == {WRITES[0]}


@pytest.mark.parametrize(
    ("sizes", "shared"),
    [
        ([], []),
        ([9], []),
        ([5, 5, 5], [(0, 2, "5 x 3")]),
        ([5, 7], [(0, 1, "2 of 5 to 7 bytes")]),
        ([1, 5, 5, 5, 2, 3], [(1, 3, "5 x 3"), (4, 5, "2 of 2 to 3 bytes")]),
    ],
)
def test_neighbours_share_a_number(sizes, shared):
    """Three of one size are a run; what is between runs is counted; one alone gets nothing."""
    assert [(s.first, s.last, s.texts[0]) for s in shared_numbers(sizes)] == shared


def test_what_is_taken_is_not_free():
    """Rectangles that touch are free of each other; those that overlap are not."""
    occupied = Occupied()
    assert occupied.take(1, 1, 2, 2)
    assert occupied.take(3, 1, 2, 2)
    assert not occupied.take(2, 1, 0.1, 0.1)
    assert len(occupied.taken) == 2


def test_the_ground_of_a_figure_can_be_left_out():
    """A page puts its own ground behind a figure; everything else of the figure stays."""
    whole = render(lambda: timeline(record()), ("svg",))["svg"]
    rest = without_ground(whole)
    assert b'id="ground"' in whole
    assert b'id="ground"' not in rest
    assert ElementTree.fromstring(rest).tag.endswith("svg")
    assert 0 < len(whole) - len(rest) < 500


@pytest.mark.parametrize(
    ("session", "title"),
    [
        (record(), "1 write, 4 segments, 1 read"),
        (LOST, "1 write, 5 segments, 1 read"),
        (simulated(2, gap_ms=100, reads=record().reads), "2 writes, 8 segments, 1 read"),
        (
            record(writes=(), segments=(), reads=(), payload_bytes=0),
            "0 writes, 0 segments, 0 reads",
        ),
    ],
    ids=["plain", "lost", "gap", "empty"],
)
def test_a_session_is_counted_in_the_title(session, title):
    """The title counts the three layers, and each segment is one line from client to server."""
    figure = timeline(session)
    assert title in svg_comments(figure)
    ends = [end for _, (_, end) in lines_of(figure)]
    lost = sum(segment.t_arrived_ns is None for segment in session.segments)
    assert len(ends) == len(session.segments)
    assert sum(end > 0 for end in ends) == lost


def test_a_loss_is_explained():
    """A lost segment and its retransmission are explained below the time axis."""
    words = below_time(timeline(LOST))[-1]
    assert "dashed: sent again" in words
    assert "X: lost" in words
    assert "lost" not in below_time(timeline(record()))[-1]


def test_names_are_shown_as_they_are():
    """Dollars are no formula in a figure, and markup is no markup in its SVG."""
    comments = svg_comments(timeline(record(session_id="$x^2$ <b>&")))
    assert any("$x^2$ <b>&" in text for text in comments)
    data = render(lambda: timeline(record(session_id="$x^2$ <b>&\x1b")), ("svg",))["svg"]
    title = ElementTree.fromstring(data).findtext("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.startswith("1 write, 4 segments, 1 read. $x^2$ <b>&")
    glyphs = [
        render(lambda name=name: timeline(record(session_id=name)), ("svg",))["svg"].count(b"<use ")
        for name in ("$x^2", "$x^2$")
    ]
    assert glyphs[1] == glyphs[0] + 1


@pytest.mark.parametrize(
    ("published", "sessions", "labels", "title"),
    [
        ([], 0, [], "The most frequent read sequences"),
        ([], 3, ["5120"], "The most frequent read sequences"),
        ([[5120], [4320, 800]], 0, ["4320 800", "5120"], "0 of 2 published read sequences occur"),
        ([[5120], [4320, 800]], 3, ["4320 800", "5120"], "1 of 2 published read sequences occur"),
        ([[4320, 800]], 3, ["4320 800", "5120"], "0 of 1 published read sequences occur"),
    ],
)
def test_published_sequences_are_above_the_others(published, sessions, labels, title):
    """Published sequences come first, with or without sessions, then those of the lab alone."""
    records = [record(f"s/{i}") for i in range(sessions)]
    figure = frequencies("s", count_sequences(published, records))
    area = figure.areas[0]
    rows = [word for word in words(figure) if word.box[2] < area.left and word.baseline > area.top]
    assert [word.text for word in sorted(rows, key=lambda word: word.baseline)] == labels
    assert any(text.startswith(title) for text in svg_comments(figure))


@pytest.mark.parametrize("gaps", [[], [0], [0, 100], [1, 2, 5], [0, 0.1, 1, 10, 100, 200]])
def test_a_curve_has_a_point_at_each_gap(gaps):
    """No gap, only zero, and gaps over four decades: each curve has each gap, in order."""
    points = separation(simulated(1, gap_ms=gap) for gap in gaps)
    figure = curve("s", points, [PublishedSeparation(0, 12, 6)])
    area, scale = figure.areas[0], Scale([*gaps, 0])
    through = {
        shape.line: [value(area, point) for point in shape.outlines[0]]
        for shape in shapes(figure)
        if shape.width == 1.8 and len(shape.outlines[0]) == len(gaps)
    }
    reads = [point.reads for point in points]
    for colour, shares in {ORANGE: [1] * len(gaps), BLUE: reads}.items() if gaps else ():
        expected = [(scale(gap), share) for gap, share in zip(gaps, shares, strict=True)]
        assert np.allclose(through[colour], expected), colour
    assert list(scale.places) == sorted(scale.places)
    hollow = [shape for shape in shapes(figure) if (shape.fill, shape.line) == (PAPER, VERMILLION)]
    corners = [value(area, corner) for corner in hollow[-1].outlines[0]]
    assert np.allclose(np.mean(corners, axis=0), (scale(0), 0.5))
    assert "(12 sessions each)" in svg_comments(figure)


@pytest.mark.parametrize(
    "gaps", [[0, 1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200], [0, 50, 100, 150, 200], [*range(40)]]
)
def test_labels_of_gaps_do_not_collide(gaps):
    """Every gap has a tick; labels too near a rounder one are left out, the roundest stay."""
    figure = curve("s", separation(simulated(1, gap_ms=gap) for gap in gaps))
    area = figure.areas[0]
    bottom = area.top + area.height
    labels = [w for w in words(figure) if bottom < w.box[1] < bottom + 10 and w.text]
    (ticks,) = [
        shape for shape in shapes(figure) if {line[0][1] for line in shape.outlines} == {bottom}
        and shape.line == INK
    ]  # fmt: skip
    assert len(ticks.outlines) == len(gaps)
    assert {"0", "10" if 10 in gaps else "100"} <= {label.text for label in labels}
    assert all(left.box[2] < right.box[0] for left, right in pairwise(labels))


def test_time_counts_from_the_first_write():
    """The time axis starts with the first write, not with the handshake before it."""
    session = simulated(1)
    later = replace(
        session,
        writes=tuple(altered(w, t_ns=w.t_ns + 140 * MS) for w in session.writes),
        segments=tuple(
            altered(s, t_sent_ns=s.t_sent_ns + 140 * MS, t_arrived_ns=s.t_arrived_ns + 140 * MS)
            for s in session.segments
        ),
        reads=tuple(altered(r, t_ns=r.t_ns + 140 * MS) for r in session.reads),
    )

    labels = below_time(timeline(session))
    assert below_time(timeline(later)) == labels
    assert labels[0] == "0"


def test_files_are_the_same_for_the_same_data():
    """Drawing the same session again gives the same bytes in both formats."""
    first, second = (render(lambda: timeline(simulated(5))) for _ in range(2))
    assert set(first) == {"svg", "png"}
    assert first == second


def test_texts_that_a_stranger_wrote() -> None:
    """They are cut and made safe wherever they stand: the title, a text, a name in the margin."""
    long = "\x1b[31m" + "x" * 300_000
    sheet = Sheet(4, 3)
    sheet.heading(long, "short")
    sheet.area(1, 1, 2, 1).text(0, 0, long)
    found = texts(sheet)
    assert [text[:8] for text in found] == [r"\x1b[31m", "short", r"\x1b[31m"]
    assert max(map(len, found)) < 300


def test_an_image_has_the_pixels_of_its_figure() -> None:
    """Pillow reads from the PNG file what Agg has drawn, its density and its description."""
    sheet = Sheet(2, 1.5)
    sheet.text(0.2, 0.75, "1448 800", colour=INK)
    found = png(sheet, 144, {"Description": "made by a test"})
    with Image.open(BytesIO(found)) as image:
        image.verify()
    with Image.open(BytesIO(found)) as image:
        assert (image.mode, image.size) == ("RGB", (288, 216))
        assert image.info["Description"] == "made by a test"
        assert [round(dpi) for dpi in image.info["dpi"]] == [144, 144]
        pixels = np.asarray(image)
    assert (pixels == drawn(sheet, 144)).all()
    assert (pixels.min() < 0x40, pixels.max()) == (True, 0xFF)


def area_of_one_inch() -> tuple[Sheet, Area]:
    """A sheet of two inches, and an area from 0 to 1 in its middle."""
    sheet = Sheet(2, 2)
    return sheet, sheet.area(0.5, 0.5, 1, 1)


def pixel(sheet: Sheet, right: float, down: float) -> str:
    """The colour at a place in inches."""
    red, green, blue = drawn(sheet, 144)[round(down * 144), round(right * 144)]
    return f"#{red:02x}{green:02x}{blue:02x}"


def test_an_area_has_its_scales_the_right_way_up() -> None:
    """What is low on its scale is low on the sheet, in both files at the same place."""
    sheet, area = area_of_one_inch()
    area.outlines([box(0, 0, 0.5, 0.5)], BLUE)
    assert [pixel(sheet, *at) for at in ((0.75, 1.25), (0.75, 0.75), (1.25, 1.25))] == [
        *(BLUE, PAPER, PAPER)
    ]
    assert b'd="M36 108L72 108L72 72L36 72z"' in render(lambda: sheet, ("svg",))["svg"]


def test_what_is_higher_covers_what_is_lower() -> None:
    """Whichever was drawn first; what is half transparent mixes with what is below it."""
    sheet, area = area_of_one_inch()
    area.outlines([box(0, 0, 1, 1)], ORANGE, z=2)
    area.outlines([box(0, 0, 1, 1)], BLUE, z=1)
    assert pixel(sheet, 1, 1) == ORANGE
    area.outlines([box(0, 0, 1, 1)], PAPER, opacity=0.5, z=3)
    seen, expected = pixel(sheet, 1, 1), mixed(ORANGE, PAPER, 0.5)
    assert all(abs(int(seen[i : i + 2], 16) - int(expected[i : i + 2], 16)) < 3 for i in (1, 3, 5))


@pytest.mark.parametrize("mark", ["circle", "square", "diamond", "cross"])
def test_a_mark_lies_around_its_place(mark) -> None:
    """Its middle has its colour, and beyond its width there is nothing."""
    sheet, area = area_of_one_inch()
    area.marks(mark, [(0.5, 0.5)], 20, VERMILLION)
    assert pixel(sheet, 1, 1) == VERMILLION
    assert pixel(sheet, 1 + 18 / 72, 1) == PAPER
    rows, columns = np.nonzero((drawn(sheet, 144) != 0xFF).any(axis=2))
    assert {round(float(np.mean(ends))) for ends in (rows, columns)} <= {143, 144}


@pytest.mark.parametrize(
    ("across", "along", "angle", "place"),
    [
        ("left", "baseline", 0, (1, -1)),
        ("right", "top", 0, (-1, 1)),
        ("center", "center", 0, (0, 0)),
        ("left", "center", 90, (0, -1)),
        ("right", "center", 90, (0, 1)),
    ],
)
def test_a_text_lies_beside_its_place(across, along, angle, place) -> None:
    """On which side of it, to the right and down; a text that rises by 90 degrees goes up."""
    sheet, area = area_of_one_inch()
    area.text(0.5, 0.5, "HHHH", size=12, across=across, along=along, angle=angle)
    rows, columns = np.nonzero((drawn(sheet, 144) != 0xFF).any(axis=2))
    middle = (columns.min() + columns.max()) / 2 - 144, (rows.min() + rows.max()) / 2 - 144
    assert tuple(np.sign(round(float(way) / 8)) for way in middle) == place


def test_a_letter_that_the_font_lacks_is_a_box() -> None:
    """It is as wide as a letter, and says nothing on standard error."""
    sheet, area = area_of_one_inch()
    area.text(0, 0, "\u4e2d", size=40)
    (word,) = words(sheet)
    assert word.box[2] - word.box[0] > 10
    assert (drawn(sheet, 144) != 0xFF).any()
