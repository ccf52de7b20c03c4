"""The metrics of an evaluation, on cases counted by hand."""

import pytest

from seglab.evaluation.invariance import LabelledSession, invariance
from seglab.evaluation.metrics import BoundaryCounts, Confusion, f1

KEY = ("s", "relay", "", "{}", 0)


def confusion(*answers: tuple[str, str | None]) -> Confusion:
    """A matrix of these truths and answers."""
    found = Confusion()
    for truth, answer in answers:
        found.add(truth, answer)
    return found


def test_scores_by_hand() -> None:
    """Of a: 3 sessions, 2 right; named 3 times. Of b: 2 sessions, 1 right; named once."""
    found = confusion(("a", "a"), ("a", "a"), ("a", None), ("b", "b"), ("b", "a"))
    a, b = found.scores()
    assert (a.sessions, a.precision, a.recall, a.f1) == (3, 2 / 3, 2 / 3, pytest.approx(2 / 3))
    assert (b.sessions, b.precision, b.recall, b.f1) == (2, 1.0, 0.5, pytest.approx(2 / 3))
    assert found.macro_f1 == pytest.approx(2 / 3)
    assert (found.total, found.right, found.abstained) == (5, 3, 1)


def test_a_style_that_is_never_the_truth_has_no_score_of_its_own() -> None:
    """It costs the recall of those for which it was taken."""
    found = confusion(("a", "b"), ("a", "a"))
    assert [score.label for score in found.scores()] == ["a"]
    assert found.macro_f1 == pytest.approx(2 / 3)


def test_a_style_that_is_never_recognised_counts_zero() -> None:
    """However good the others are."""
    assert confusion(("a", "a"), ("b", None)).macro_f1 == 0.5


def test_nothing_has_no_score() -> None:
    """Unknown is no zero."""
    assert Confusion().macro_f1 is None
    assert f1(None, None) is None
    assert BoundaryCounts().precision is None


def test_matrices_join() -> None:
    """All counts of both."""
    joined = Confusion.joined([confusion(("a", "a")), confusion(("a", "a"), ("b", None))])
    assert joined.counts == {("a", "a"): 2, ("b", None): 1}


def test_a_matrix_as_json() -> None:
    """Truths are rows; an abstention has a word."""
    rows = confusion(("a", "a"), ("a", None)).to_dict()["matrix"]
    assert rows == {"a": {"a": 1, "abstained": 1}}


def test_boundaries_without_a_trace_are_not_missed() -> None:
    """Two of three left a trace, one of these was found; one of three named was no boundary."""
    counts = BoundaryCounts()
    counts.add(frozenset({10, 20, 30}), frozenset({10, 20}), frozenset({10, 30, 99}))
    assert counts.recall == 0.5
    assert counts.precision == pytest.approx(2 / 3)
    assert counts.f1 == pytest.approx(4 / 7)
    assert counts.to_dict()["untraced"] == 1


def seen(mtu: int, *styles: str, ends: tuple[int, ...] = (77,)) -> LabelledSession:
    """A session's answer."""
    return LabelledSession(mtu, frozenset(ends), frozenset(styles))


def test_labels_are_compared_over_other_mtus_alone() -> None:
    """Three sessions at two MTUs are two pairs, and one of them agrees."""
    found = invariance(
        [(KEY, seen(1500, "relay")), (KEY, seen(1500, "relay")), (KEY, seen(576, "relay"))]
    )
    assert (found.pairs, found.same, found.share) == (2, 2, 1.0)


def test_labels_that_differ() -> None:
    """A set that shares a style with the other is another label, but no contradiction."""
    found = invariance(
        [
            (KEY, seen(1500, "relay")),
            (KEY, seen(576, "relay", "line_by_line")),
            (KEY, seen(9000, "single_write")),
        ]
    )
    assert (found.pairs, found.same, found.disjoint) == (3, 0, 2)


def test_pairs_are_left_out_where_the_wire_shows_other_boundaries() -> None:
    """And sessions of another message are never compared."""
    other = ("s", "relay", "", "{}", 1)
    found = invariance(
        [
            (KEY, seen(1500, "relay")),
            (KEY, seen(17914, "single_write", ends=())),
            (other, seen(576, "single_write")),
        ]
    )
    assert (found.pairs, found.other_traces, found.share) == (0, 1, None)
