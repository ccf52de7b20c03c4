"""Figures: what their layout computes, and what they show of every kind of data."""

from dataclasses import replace
from io import BytesIO
from itertools import accumulate, combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from drawn import svg_comments, texts
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from msgspec.structs import replace as altered
from PIL import Image
from synthetic import MS, record, simulated

from seglab.core.trace import Read, Segment, Write
from seglab.plots.clock import clock
from seglab.plots.labels import Occupied, shared_numbers, spread
from seglab.plots.png import png
from seglab.plots.separation import curve
from seglab.plots.sequences import frequencies
from seglab.plots.style import INK, PAPER, WRITES, readable_on, render, without_ground
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


def lines_of(figure):
    """The lines of the segments over time: where each begins, and where it ends."""
    dashed_or_not = figure.axes[0].collections
    segments = [c for c in dashed_or_not if isinstance(c, LineCollection) and c.get_zorder() == 3]
    return [tuple(map(tuple, line)) for c in segments for line in c.get_segments()]


def below_time(figure):
    """The texts below the upper axes, from top to bottom: the times, and what they count."""
    figure.canvas.draw()
    axes = figure.axes[0]
    bottom = axes.get_window_extent().y0
    shown = [t for t in axes.texts if t.get_window_extent().y1 < bottom]
    return [t.get_text() for t in sorted(shown, key=lambda t: -t.get_window_extent().y1)]


def boxes_of(figure, size):
    """The rectangles of all texts that show a size, or several of one size."""
    figure.canvas.draw()
    shown = [t for t in figure.axes[0].texts if t.get_text().split(" x ")[0] == str(size)]
    return [text.get_window_extent().padded(2) for text in shown if text.get_bbox_patch()]


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
    boxes = boxes_of(timeline(flight(12)), 1448)
    assert len(boxes) >= 4
    assert not [1 for one, other in combinations(boxes, 2) if one.overlaps(other)]


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
    paths = sum(len(c.get_paths()) for axes in figure.axes for c in axes.collections)
    assert paths + len(figure.findobj(Line2D)) < 4000


def test_writes_that_cannot_be_told_apart_are_counted():
    """Two hundred lines of a mail: one colour, and their number with the range of their sizes."""
    sizes = [20 + i % 50 for i in range(200)]
    ends = [*accumulate(sizes)]
    writes = tuple(Write(i, e - s, e) for i, (s, e) in enumerate(zip(sizes, ends, strict=True)))
    figure = timeline(flight(1, ends[-1], writes=writes))
    assert "200 of 20 to 69 bytes" in texts(figure)
    (faces,) = [
        c
        for c in figure.axes[1].collections
        if isinstance(c, PolyCollection) and c.get_zorder() == 4
    ][2:]
    assert {to_hex(colour) for colour in faces.get_facecolors()} == {WRITES[0]}


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
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == labels
    assert any(text.startswith(title) for text in svg_comments(figure))


@pytest.mark.parametrize("gaps", [[], [0], [0, 100], [1, 2, 5], [0, 0.1, 1, 10, 100, 200]])
def test_a_curve_has_a_point_at_each_gap(gaps):
    """No gap, only zero, and gaps over four decades: each curve has each gap, in order."""
    points = separation(simulated(1, gap_ms=gap) for gap in gaps)
    figure = curve("s", points, [PublishedSeparation(0, 12, 6)])
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(drawn["on the wire"].get_xdata()) == gaps
    assert list(drawn["on the wire"].get_ydata()) == [1] * len(gaps)
    assert list(drawn["in the reads"].get_ydata()) == [point.reads for point in points]
    assert list(drawn["published\n(12 sessions each)"].get_ydata()) == [0.5]
    assert svg_comments(figure)


@pytest.mark.parametrize(
    "gaps", [[0, 1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200], [0, 50, 100, 150, 200], [*range(40)]]
)
def test_labels_of_gaps_do_not_collide(gaps):
    """Every gap has a tick; labels too near a rounder one are left out, the roundest stay."""
    figure = curve("s", separation(simulated(1, gap_ms=gap) for gap in gaps))
    figure.canvas.draw()
    (axes,) = figure.axes
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    assert len(axes.get_xticks()) == len(gaps)
    assert {"0", "10" if 10 in gaps else "100"} <= {label.get_text() for label in labels}
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


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
    """They are cut and made safe wherever they stand: the title, a text, the labels of ticks."""
    long = "\x1b[31m" + "x" * 300_000

    def draw() -> Figure:
        figure = Figure()
        axes = figure.subplots()
        axes.set_title(long)
        axes.text(0, 0, long)
        axes.set_yticks([0, 1], [long, "short"])
        drawn.append(figure)
        return figure

    drawn: list[Figure] = []
    render(draw, ("svg",))
    (axes,) = drawn[0].axes
    texts = [axes.get_title("left"), axes.texts[0].get_text()]
    texts += [label.get_text() for label in axes.get_yticklabels()]
    assert [text[:8] for text in texts] == [r"\x1b[31m"] * 3 + ["short"]
    assert max(map(len, texts)) < 300


def test_an_image_has_the_pixels_of_its_figure() -> None:
    """Pillow reads from the PNG file what Matplotlib has drawn, its density and its description."""
    figure = Figure(figsize=(2, 1.5), facecolor=PAPER)
    figure.text(0.1, 0.5, "1448 800", color=INK)
    found = png(figure, 144, {"Description": "made by a test"})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    with Image.open(BytesIO(found)) as image:
        image.verify()
    with Image.open(BytesIO(found)) as image:
        assert (image.mode, image.size) == ("RGB", (288, 216))
        assert image.info["Description"] == "made by a test"
        assert [round(dpi) for dpi in image.info["dpi"]] == [144, 144]
        drawn = np.asarray(image)
    assert (drawn == np.asarray(canvas.buffer_rgba())[:, :, :3]).all()
    assert (drawn.min() < 0x40, drawn.max()) == (True, 0xFF)
