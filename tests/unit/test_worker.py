"""Classifiers of somebody's own: whatever they do to their process, the work so far is kept."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ending import gone
from regressing import sample_file

from lab import parallel
from lab.asking import open_classifier
from lab.classifier import Verdict
from lab.errors import InputError
from lab.observation import Observation
from lab.regress.judgement import ClassifierFailedError, Raised

WILD = '''
"""Classifiers that are no good guests."""
import os
import sys
import time

asked = 0
at_import = os.getpid()


def exits(observation):
    if observation.sizes[0] == 300:
        os._exit(9)
    return "relay"


def crashes(observation):
    os.abort()


def stubborn(observation):
    with open("pid", "w") as file:
        print(os.getpid(), file=file)
    os.rename("pid", "here")
    while True:
        try:
            time.sleep(100)
        except BaseException:
            pass


def prints(observation):
    print("hello")
    os.write(1, b"there\\n")
    return "relay"


def reads(observation):
    return {"style": "relay", "evidence": [sys.stdin.read()]}


def interrupts(observation):
    raise KeyboardInterrupt


def counts(observation):
    global asked
    asked += 1
    return {"style": "relay", "buffer": asked, "evidence": [str(os.getpid())]}


def infinite(observation):
    return {"style": "relay", "confidence": float("nan"), "boundary_confidence": [float("inf")]}


def unknown(observation):
    return "spam"


def beyond(observation):
    return {"style": "relay", "boundaries": [99999999]}


def silent(observation):
    return {"terminator": "own_write"}


def null(observation):
    return {"style": None, "terminator": "own_write"}
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module of classifiers."""
    (tmp_path / "wild_of_test.py").write_text(WILD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def observations(count):
    return [Observation(id=f"o{n}", sizes=(n + 1, 150, 1448, 900), mss=1448) for n in range(count)]


def asked(name, count=1, **options):
    with open_classifier(f"wild_of_test:{name}", **options) as (_, asker):
        return asker.ask(observations(count))


SEGLAB = [sys.executable, "-c", "from lab.cli import main; main()"]


def seglab(*arguments, stdin=None, **options):
    """The command in a process of its own, with a limit: what hangs fails."""
    return subprocess.run(
        [*SEGLAB, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def eventually(holds):
    """Whether something comes true within 20 s."""
    until = time.monotonic() + 20
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("processes", [1, 2])
def test_exit_is_told_with_the_message(processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it ended its process, and how, is one line; what it answered before is kept."""
    monkeypatch.setattr(parallel, "WORTH_S", 0.0)
    with pytest.raises(ClassifierFailedError) as caught:
        asked("exits", 400, processes=processes)
    assert caught.value.reason == (
        "its process exited with status 9 at observation o299 (4 sizes: 300 150 1448 900)"
    )
    answered = caught.value.answered
    assert len(answered) == 299 if processes == 1 else 64 <= len(answered) < 300
    assert {a.style for a in answered if isinstance(a, Verdict)} == {"relay"}


def test_crash() -> None:
    """What kills its process from within is told by its signal."""
    with pytest.raises(ClassifierFailedError, match="was killed by SIGABRT at observation o0"):
        asked("crashes")


def test_stubborn_is_ended_at_the_time_limit(folder: Path) -> None:
    """A classifier that catches everything cannot outlive its time limit."""
    with pytest.raises(ClassifierFailedError, match=r"no answer within 0\.3 s to observation o0"):
        asked("stubborn", time_limit_s=0.3)
    assert gone(int((folder / "here").read_text()))


@pytest.mark.parametrize(
    ("module", "text", "words"),
    [
        ("exits_of_test", "import os\nos._exit(7)", "its process exited with status 7"),
        ("leaves_of_test", "raise SystemExit('no table')", "SystemExit: no table"),
        ("raises_of_test", "raise ValueError('no table')", "ValueError: no table"),
    ],
)
def test_exit_while_it_is_loaded(folder: Path, module: str, text: str, words: str) -> None:
    """A module that ends the process, exits or raises is bad input, in one line."""
    (folder / f"{module}.py").write_text(text)
    with (
        pytest.raises(InputError, match=f"'{module}:x' cannot be loaded: {words}"),
        open_classifier(f"{module}:x"),
    ):
        pass


def test_neither_input_nor_output_is_ours(capfd: pytest.CaptureFixture[str]) -> None:
    """What it prints stands on standard error; what it reads is empty, and not the questions."""
    assert all(isinstance(answer, Verdict) for answer in asked("prints", 3))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert sorted(captured.err.split()) == ["hello"] * 3 + ["there"] * 3
    (answer,) = asked("reads")
    assert isinstance(answer, Verdict)
    assert answer.evidence == ("",)


def test_standard_error_in_a_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where a file is named for it, that has it, and our standard error has not."""
    asked("prints", 2, stderr=folder / "said")
    assert sorted((folder / "said").read_text().split()) == ["hello"] * 2 + ["there"] * 2
    assert capfd.readouterr().err == ""


def test_interrupt_of_its_own() -> None:
    """Its own KeyboardInterrupt is an answer, and interrupts nobody."""
    (answer,) = asked("interrupts")
    assert isinstance(answer, Raised)
    assert answer.reason.startswith("KeyboardInterrupt (wild_of_test.py, line ")


def test_fresh_knows_nothing() -> None:
    """Asked to start anew, it is another process with a module of its own."""
    with open_classifier("wild_of_test:counts") as (_, asker):
        before = asker.ask(observations(3))
        (again,) = asker.fresh().ask(observations(1))
    assert isinstance(before[2], Verdict)
    assert isinstance(again, Verdict)
    assert (before[2].buffer, again.buffer) == (3, 1)
    assert before[2].evidence != again.evidence
    assert str(os.getpid()) not in before[2].evidence + again.evidence


def test_numbers_that_are_none() -> None:
    """NaN and infinity arrive as they are, so that ``valid_verdicts`` can tell."""
    (answer,) = asked("infinite")
    assert isinstance(answer, Verdict)
    assert answer.confidence != answer.confidence
    assert answer.boundary_confidence == (float("inf"),)


def test_found_where_we_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is imported from where our process would import it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far_of_test.py").write_text("def relay(_):\n    return 'relay'\n")
    monkeypatch.syspath_prepend(elsewhere)
    with open_classifier("far_of_test:relay") as (name, asker):
        (answer,) = asker.ask(observations(1))
    assert name == "far_of_test:relay"
    assert isinstance(answer, Verdict)


def test_regress_goes_on_to_its_end(folder: Path) -> None:
    """The command tells the death in its result, and prints nothing but that."""
    sample_file(folder / "stored.parquet")
    for name, stopped in (("crashes", "was killed by SIGABRT at observation"), ("prints", "")):
        ended = seglab("regress", f"wild_of_test:{name}", "--sessions", "stored.parquet", "--json")
        assert ended.returncode == 1
        assert stopped in (json.loads(ended.stdout)["stopped"] or "")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_orphan(folder: Path, end: signal.Signals) -> None:
    """However seglab ends, a classifier that does not return ends as well."""
    sample_file(folder / "stored.parquet")
    command = ["regress", "wild_of_test:stubborn", "--sessions", "stored.parquet"]
    with subprocess.Popen([*SEGLAB, *command], stderr=subprocess.DEVNULL) as run:
        assert eventually((folder / "here").exists)
        worker = int((folder / "here").read_text())
        assert not gone(worker)
        run.send_signal(end)
        run.wait(20)
    assert eventually(lambda: gone(worker))
