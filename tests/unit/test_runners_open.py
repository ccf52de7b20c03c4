"""Opening a classifier by its reference, wherever it then runs."""

import os
import shlex
import sys
from pathlib import Path

import pytest
from ending import gone

from seglab.classification.answer import Raised
from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.errors import InputError
from seglab.runners.open import open_classifier, open_runner

MODULE = '''
"""Says in which process it runs; raises at three sizes."""
import os


def classify(observation):
    """Which process answers."""
    if len(observation.sizes) == 3:
        raise ValueError("three")
    return {"style": "relay", "evidence": [str(os.getpid())]}


def wrong(observation):
    return "spam"
'''
PROGRAM = "import sys\nfor _ in sys.stdin: print('\"relay\"', flush=True)"


def observations(*lengths: int) -> list[Observation]:
    return [Observation(id=f"o{n}", sizes=(9,) * length) for n, length in enumerate(lengths)]


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has a module of classifiers."""
    (tmp_path / "open_of_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def pid_of(verdict: Verdict | None) -> int:
    """The process that answered."""
    assert verdict is not None
    return int(verdict.evidence[0])


def test_own_has_a_process_until_the_block_ends() -> None:
    """One of the user's own runs elsewhere, and nothing of it is left."""
    with open_classifier("open_of_test:classify") as one:
        first, second = (pid_of(one(observation)) for observation in observations(1, 2))
        assert first == second != os.getpid()
        assert (one.name, one.summary) == ("open_of_test:classify", "Which process answers.")
    assert gone(first)


def test_a_program() -> None:
    """A program is asked in the same way."""
    reference = f"cmd:{shlex.join([sys.executable, '-c', PROGRAM])}"
    with open_classifier(reference) as one:
        found = [verdict for _, verdict in one.verdicts(observations(1, 2))]
        assert one.name == reference
    assert [(v.id, v.style) for v in found if v] == [("o0", "relay"), ("o1", "relay")]


def test_a_callable_runs_here() -> None:
    """What is passed in is called in this process."""
    with open_classifier(lambda _: {"style": "relay", "evidence": [str(os.getpid())]}) as one:
        assert pid_of(one(observations(1)[0])) == os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_names_its_message(jobs: int) -> None:
    """The verdicts before it come first, however many processes there are; one can be asked on."""
    with open_classifier("open_of_test:classify", jobs=jobs) as one:
        found = one.verdicts(observations(1, 2, 3, 4))
        assert [next(found)[0].id for _ in range(2)] == ["o0", "o1"]
        with pytest.raises(InputError, match="open_of_test:classify: failed at message o2: Value"):
            next(found)
        assert one(observations(4)[0]) is not None
    with (
        open_classifier("open_of_test:wrong", jobs=jobs) as one,
        pytest.raises(InputError, match="failed at message o0: unknown style 'spam'"),
    ):
        one(observations(1)[0])


def test_for_a_judge_a_failure_is_an_answer() -> None:
    """A runner hands everything back, for the checks to judge."""
    with open_runner("open_of_test:classify") as runner:
        _, raised = runner.ask(observations(1, 3))
    assert isinstance(raised, Raised)
    assert raised.reason.startswith("ValueError: three (open_of_test.py, line ")
    with open_runner("open_of_test:wrong") as runner:
        (wrong,) = runner.ask(observations(1))
    assert isinstance(wrong, Verdict)
    assert wrong.style == "spam"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("boundary", "unknown classifier 'boundary'"),
        ("open_of_test:nothing", "cannot be loaded"),
        ("cmd:no-such-program", "no such program"),
    ],
)
@pytest.mark.parametrize("opening", [open_classifier, open_runner])
def test_there_is_none(opening, reference: str, words: str) -> None:
    """Each kind of reference may name nothing: that is bad input, before anything is asked."""
    with pytest.raises(InputError, match=words), opening(reference):
        pytest.fail("it was opened")
