"""The file of figures: what an evaluation leaves in it, and how often a side was looked at."""

import json
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from synthetic import cut_evenly, record

from seglab.classification.classifier import Classifier, Verdict
from seglab.commands.evaluate import KeptFigures, evaluate_run
from seglab.core.record import SessionRecord
from seglab.core.trace import Read, Segment, Write
from seglab.errors import InputError
from seglab.evaluation import Evaluation, evaluate
from seglab.evaluation.figures import figures_of, parsed, to_text, with_evaluation


def session(number: int, writes: tuple[int, ...], style: str) -> SessionRecord:
    """A session whose writes leave at once, each cut at an MSS of 1440."""
    ends = list(pairwise([0, *accumulate(writes)]))
    cut = [span for start, end in ends for span in cut_evenly(start, end, 1440)]
    return record(
        str(number),
        style=style,
        mss=1440,
        mtu=1480,
        payload_bytes=sum(writes),
        terminator="with_body",
        writes=tuple(Write(i, a, b) for i, (a, b) in enumerate(ends)),
        segments=tuple(Segment(i, 100 + i, a, b) for i, (a, b) in enumerate(cut)),
        reads=tuple(Read(200 + i, a, b) for i, (a, b) in enumerate(cut)),
    )


SESSIONS = (
    session(1, (100, 3000), "relay"),
    session(2, (100, 3000), "relay"),
    session(3, (100, 3000), "relay"),
    session(4, (3100,), "single_write"),
)


def evaluated(name: str = "stub") -> Evaluation:
    """A classifier that says relay of everything, and that a write ended at 100."""
    verdict = Verdict(id="x", style="relay", boundaries=(100,))
    return evaluate(Classifier(name, "one answer", lambda _: verdict), SESSIONS)


def test_figures_are_rounded_once() -> None:
    """Of relay, 3 of 4 answers are right and none is missed: F1 is 6/7, and the mean with 0 3/7."""
    figures = figures_of(evaluated())
    assert (figures["sessions"], figures["left_out"]) == (4, 0)
    segments = figures["segments"]
    assert segments["style_f1"] == {"relay": 0.857, "single_write": 0.0}
    assert segments["style_macro_f1"] == 0.429
    assert segments["style_matrix"] == {"relay": {"relay": 3}, "single_write": {"relay": 1}}
    assert (segments["boundaries_visible"], segments["boundaries_hidden"]) == (3, 0)
    assert (segments["boundaries_precision"], segments["boundaries_recall"]) == (0.75, 1.0)
    assert segments["networks"]["paper"]["mtu"] == 1480
    assert figures["reads"]["styles_per_answer"] == 1.0


def test_a_side_counts_how_often_it_was_evaluated() -> None:
    """By classifier; other sides and classifiers stay as they are."""
    known = with_evaluation({}, "held-out", evaluated())
    assert known["held-out"]["stub"]["evaluations"] == 1
    again = with_evaluation(known, "held-out", evaluated())
    assert again["held-out"]["stub"]["evaluations"] == 2
    more = with_evaluation(again, "held-out", evaluated("other"))
    other = with_evaluation(more, "tuning", evaluated())
    counts = {side: {c: e["evaluations"] for c, e in v.items()} for side, v in other.items()}
    assert counts == {"held-out": {"stub": 2, "other": 1}, "tuning": {"stub": 1}}


def test_the_text_gives_the_same_figures() -> None:
    """Written and read again, in an order that does not depend on the evaluation's."""
    known = with_evaluation({}, "tuning", evaluated())
    assert parsed(to_text(known), "x.json") == json.loads(to_text(known))
    assert to_text(json.loads(to_text(known))) == to_text(known)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"a": 1}', '{"a": {"b": 1}}', '{"a": {"b": {}}}']
)
def test_another_file_is_no_file_of_figures(text: str) -> None:
    """It is named, and not overwritten."""
    with pytest.raises(InputError, match=r"x\.json: "):
        parsed(text, "x.json")


def test_a_file_that_is_none_is_refused_before_the_evaluation(tmp_path: Path) -> None:
    """Even before the run is looked for, since an evaluation may take minutes."""
    path = tmp_path / "figures.json"
    path.write_text("[]")
    classifier = Classifier("stub", "never asked", lambda _: None)
    with pytest.raises(InputError, match=r"figures\.json"):
        evaluate_run(tmp_path, classifier, as_json=False, kept=KeptFigures(path, "tuning"))
    assert path.read_text() == "[]"


def test_figures_are_kept_in_a_file(tmp_path: Path) -> None:
    """The first time makes it; later ones change the side alone."""
    path = tmp_path / "figures.json"
    KeptFigures(path, "tuning").add(evaluated())
    KeptFigures(path, "fresh").add(evaluated())
    KeptFigures(path, "fresh").add(evaluated())
    found = json.loads(path.read_text())
    assert found["tuning"]["stub"]["evaluations"] == 1
    assert found["fresh"]["stub"]["evaluations"] == 2
    assert found["fresh"]["stub"]["segments"] == figures_of(evaluated())["segments"]
