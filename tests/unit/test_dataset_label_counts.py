"""What is counted of a dataset: labels, parts, messages; and the figure made of it."""

import pytest
from dataset_making import spec_of

from seglab.dataset import label_counts
from seglab.dataset.check_result import CheckResult
from seglab.dataset.label_counts import LabelCounts, Leaks
from seglab.dataset.manifest import DatasetManifest
from seglab.dataset.summary_figure import summary_figure


def test_unbalanced_labels() -> None:
    """A label that one part has and another has not is reported; an empty part is not."""
    tally = LabelCounts()
    row = {"style": "relay", "terminator": None, "path_condition": "steady", "network": "n",
           "sender": "s", "template": "t", "split_network": None, "split_template": None,
           "segments": [], "reads": []}  # fmt: skip
    tally.add(row | {"split": "train"})
    assert list(tally.missing_labels()) == []
    tally.add(row | {"split": "test", "style": "single_write"})
    assert list(tally.missing_labels()) == [
        "test has no session with style relay, of which there are 1; more repeats, "
        "or a larger part",
        "train has no session with style single_write, of which there are 1; more repeats, "
        "or a larger part",
    ]


def test_leaks_are_found_over_files() -> None:
    """A message is in two parts also where they are far from each other in the dataset."""
    leaks = Leaks()
    row = {"split": "train", "split_network": None, "split_template": "test"}
    for number in range(100):
        leaks.add(row | {"payload_sha256": f"{number:064x}", "message_id": str(number)})
        leaks.settle()
    leaks.add(row | {"split": "test", "payload_sha256": "f" * 64, "message_id": "7"})
    assert list(leaks.found()) == [
        ("split", "1 message (message_id) is in train as well as in test")
    ]


def test_picture_of_many_styles() -> None:
    """A dataset with more styles than colours, long names and large numbers can be drawn."""
    checked = CheckResult(DatasetManifest.begun(spec_of(), 1))
    for number in range(20):
        checked.counts.add(
            {"style": f"style {number} of a very long name indeed", "terminator": None,
             "path_condition": "steady", "network": f"n{number}", "sender": "s", "template": "t",
             "split": "train", "split_network": None, "split_template": None,
             "segments": [0] * (number * 700 + 1), "reads": [0]}
        )  # fmt: skip
    checked.counts.settle()
    assert checked.counts.sessions == 20
    assert summary_figure(checked)["png"]


def test_what_is_counted_together_is_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are alike, rows in no part, and more kinds of rows than are kept apart."""
    monkeypatch.setattr(label_counts, "_KINDS_MAX", 3)
    tally, other = LabelCounts(), LabelCounts()
    row = {"style": "relay", "terminator": None, "path_condition": "steady", "network": "n",
           "sender": "s", "template": "t", "split": "train", "split_network": None,
           "split_template": "test", "segments": [0, 0], "reads": [0]}  # fmt: skip
    for changes in ({}, {}, {"reads": [0] * 3}, {"network": "m", "split_network": "test"}) * 2:
        tally.add(row | changes)
    other.add(row | {"split": "test", "style": "single_write", "terminator": "own_write"})
    tally.merge(other)
    tally.settle()
    assert tally.sessions == 9
    assert tally.labels["terminator"] == {"null": {"train": 8}, "own_write": {"test": 1}}
    assert tally.labels["style"] == {"relay": {"train": 8}, "single_write": {"test": 1}}
    assert tally.splits == {
        "split": {"train": 8, "test": 1},
        "split_network": {"test": 2},
        "split_template": {"test": 9},
    }  # fmt: skip
    assert tally.networks == {"n": {None: 7}, "m": {"test": 2}}
    assert tally.segments == {"relay": {2: 8}, "single_write": {2: 1}}
    assert tally.reads == {"relay": {1: 6, 3: 2}, "single_write": {1: 1}}
