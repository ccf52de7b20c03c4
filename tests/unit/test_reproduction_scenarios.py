"""The verdict on a scenario, against hand-made sessions and independent statistics."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from msgspec.structs import replace as altered
from scipy import stats
from synthetic import reads_of, record, simulated

from seglab.core.trace import Read, Segment
from seglab.reproduction.scenarios import (
    check_read_ends,
    count_sequences,
    judge_scenario,
)
from seglab.reproduction.statistics import permutation_p, wilson

ONE = [[5120], [4320, 800], [4320, 800]]


def sessions(*sequences):
    """Complete sessions of one write with these read sizes."""
    return [record(f"scenario-1/{i}", reads=reads_of(sizes)) for i, sizes in enumerate(sequences)]


def test_a_lab_like_the_paper_reproduces():
    """Sessions with the printed sequences in the printed shares meet all three criteria."""
    verdict = judge_scenario("scenario-1", ONE, sessions(*ONE * 20))
    assert [c.passed for c in verdict.criteria] == [True, True, True]
    assert verdict.reproduced


def test_a_read_inside_a_segment_is_a_violation():
    """A read that ends where no segment ends is named, with the segment it falls into."""
    checked = check_read_ends(sessions([4320, 800], [1500, 3620]))
    assert checked.sessions == 2
    assert checked.reads == 4
    assert checked.violations == ("scenario-1/1: read 0:1500 ends inside segment 1440:2880",)
    assert not checked.criterion().passed


def test_sessions_with_loss_are_not_checked():
    """After a loss TCP may cut again, so such a session neither passes nor fails."""
    (lossy,) = sessions([1500, 3620])
    lost = altered(lossy.segments[0], dropped=True, t_arrived_ns=None)
    lossy = replace(lossy, segments=(lost, *lossy.segments))
    checked = check_read_ends([lossy])
    assert checked.sessions == 0
    assert not checked.violations


def test_nothing_checked_is_no_pass():
    """No criterion passes without a session."""
    verdict = judge_scenario("scenario-1", ONE, [])
    assert [c.passed for c in verdict.criteria] == [False, False, False]


def test_a_failed_session_counts():
    """Its layers are ignored, but a scenario of which a session failed is not reproduced."""
    bad = replace(sessions([1500, 3620])[0], status="failed", error="server died")
    verdict = judge_scenario("scenario-1", ONE, [bad, *sessions(*ONE * 5)])
    assert verdict.failed_sessions == 1
    assert verdict.sequences.lab_sessions == 15
    assert [c.name for c in verdict.criteria if not c.passed] == ["failures"]
    assert verdict.criteria[-1].words == "1 of 16 sessions failed"
    assert not verdict.reproduced
    assert judge_scenario("scenario-1", ONE, sessions(*ONE * 5)).reproduced


def test_sequences_are_counted_on_both_sides():
    """Each distinct printed sequence appears once, with its counts; others stand apart."""
    found = count_sequences(ONE, sessions([4320, 800], [4320, 800], [2880, 2240]))
    assert [(o.sizes, o.published, o.lab) for o in found.printed] == [
        ((4320, 800), 2, 2),
        ((5120,), 1, 0),
    ]
    assert [(o.sizes, o.lab) for o in found.others] == [((2880, 2240), 1)]
    assert not found.criterion().passed
    assert "missing: 5120" in found.criterion().words


def test_different_read_counts_are_told_apart():
    """A lab whose sessions are all read byte by byte fails the third criterion only."""
    published = [[5120]] * 12
    lab = sessions(*[[1440, 1440, 1440, 800]] * 60, [5120])
    verdict = judge_scenario("scenario-1", published, lab)
    assert [c.passed for c in verdict.criteria] == [True, True, False]


@pytest.mark.parametrize(
    ("left", "right"),
    [([1, 2, 3], [4, 5, 6]), ([1, 4, 4], [2, 2, 3, 9]), ([5, 5], [1, 2, 3, 4]), ([2, 2], [2, 2])],
)
def test_permutation_p_equals_enumeration(left, right):
    """On tiny data p is twice the smaller tail over all ways to choose the first group."""
    pooled = left + right
    total = sum(pooled)

    def difference(chosen):
        return sum(chosen) / len(left) - (total - sum(chosen)) / len(right)

    observed = difference(left)
    every = [
        difference([pooled[i] for i in c]) for c in combinations(range(len(pooled)), len(left))
    ]
    low = sum(d <= observed + 1e-9 for d in every) / len(every)
    high = sum(d >= observed - 1e-9 for d in every) / len(every)
    assert permutation_p(left, right, seed=1) == pytest.approx(min(1, 2 * min(low, high)))


@pytest.mark.parametrize("lab", [[2, 3, 4] * 40, [1, 5, 6, 7] * 20, [3, 3]])
def test_permutation_p_equals_scipy_s(lab):
    """SciPy's test finds the same p, as exactly as 9999 draws tell it: five standard errors."""
    published = [1, 2, 3, 4, 5, 6]
    expected = stats.permutation_test(
        (published, lab),
        lambda left, right, axis: left.mean(axis=axis) - right.mean(axis=axis),
        n_resamples=9999,
        rng=np.random.default_rng(5),
    ).pvalue
    tail = expected / 2
    error = 2 * (2 * tail * (1 - tail) / 9999) ** 0.5 if len(lab) > 2 else 0  # few: enumerated
    found = permutation_p(published, lab, seed=5, resamples=9999)
    assert found == pytest.approx(expected, abs=5 * error, rel=1e-12)


def test_permutation_p_is_repeatable():
    """The same seed gives the same p, where permutations are drawn."""
    left, right = [1, 2, 3, 4, 5, 6] * 2, [2, 3, 4] * 40
    first = permutation_p(left, right, seed=3, resamples=500)
    assert first == permutation_p(left, right, seed=3, resamples=500)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_matches_published_values(successes, trials, low, high):
    """Wilson's interval without continuity correction agrees with Newcombe's printed table."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_one_session_is_too_few_to_compare():
    """With fewer than two sessions on a side there is no p, and no pass."""
    assert permutation_p([1], [1, 2, 3], seed=1) is None
    assert not judge_scenario("scenario-1", ONE, sessions([5120])).read_counts.criterion().passed


def test_wilson_of_nothing_is_everything():
    """With no trial the share may be anything."""
    assert wilson(0, 0) == (0.0, 1.0)


def test_simulated_sessions_end_on_boundaries():
    """The independent simulator's reads are unions of segments, and the check agrees."""
    checked = check_read_ends([simulated(i) for i in range(50)])
    assert checked.sessions == 50
    assert checked.criterion().passed


def test_a_read_beyond_all_segments_is_a_violation():
    """A read that ends outside the captured stream is reported as within no segment."""
    odd = record(segments=(Segment(0, 1, 0, 1440),), reads=(Read(2, 0, 9999),))
    assert "no segment" in check_read_ends([odd]).violations[0]
