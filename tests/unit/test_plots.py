"""Figures: what their layout computes, and that every kind of data can be drawn."""

from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import MS, record, simulated

from seglab.core.trace import Segment
from seglab.plots.clock import clock
from seglab.plots.separation import curve
from seglab.plots.sequences import frequencies
from seglab.plots.style import INK, PAPER, WRITES, readable_on, render
from seglab.plots.timeline import spread, timeline
from seglab.reproduction.scenarios import count_sequences
from seglab.reproduction.separation import PublishedSeparation, separation


def svg(draw):
    """A figure as the text of its SVG."""
    return render(draw, ("svg",))["svg"]


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
    """Only pauses that are in the data are passed over, and at most four of them."""
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


@pytest.mark.parametrize(
    "session",
    [
        record(),
        LOST,
        simulated(1),
        simulated(2, gap_ms=100),
        simulated(3, writes=(512,) * 60, gap_ms=1),
        record(writes=(), segments=(), reads=(), payload_bytes=0),
        record(session_id="$x^2$ <b>&"),
    ],
    ids=["plain", "lost", "merged", "gap", "many", "empty", "hostile"],
)
def test_any_session_can_be_drawn(session):
    """Losses, sixty writes, an empty stream and hostile names all give a well-formed SVG."""
    ElementTree.fromstring(svg(lambda: timeline(session)))


@pytest.mark.parametrize("published", [[[5120], [4320, 800]], []])
@pytest.mark.parametrize("sessions", [[], [record(f"s/{i}") for i in range(3)]])
def test_frequencies_of_anything(published, sessions):
    """With or without published sessions and sessions of the lab, the figure is drawn."""
    ElementTree.fromstring(svg(lambda: frequencies("s", count_sequences(published, sessions))))


@pytest.mark.parametrize("gaps", [[], [0], [0, 100], [1, 2, 5], [0, 0.1, 1, 10, 100, 200]])
def test_curves_of_any_gaps(gaps):
    """No gap, only zero, and gaps over four decades are drawn."""
    points = separation(simulated(1, gap_ms=gap) for gap in gaps)
    ElementTree.fromstring(svg(lambda: curve("s", points, [PublishedSeparation(0, 12, 6)])))


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
        writes=tuple(replace(w, t_ns=w.t_ns + 140 * MS) for w in session.writes),
        segments=tuple(
            replace(s, t_sent_ns=s.t_sent_ns + 140 * MS, t_arrived_ns=s.t_arrived_ns + 140 * MS)
            for s in session.segments
        ),
        reads=tuple(replace(r, t_ns=r.t_ns + 140 * MS) for r in session.reads),
    )

    def labels(record):
        return [t.get_text() for t in timeline(record).axes[0].get_xticklabels()]

    assert labels(later) == labels(session)
    assert labels(session)[0] == "0"


def test_files_are_the_same_for_the_same_data():
    """Drawing the same session again gives the same bytes in both formats."""
    first, second = (render(lambda: timeline(simulated(5))) for _ in range(2))
    assert set(first) == {"svg", "png"}
    assert first == second
