"""A user's own classifiers: whatever they do to their process, the work so far is kept."""

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
from stored_runs import stored_run
from synthetic import record

from seglab.classification.answer import ClassifierFailedError, Raised
from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.errors import InputError
from seglab.runners.open import open_runner
from seglab.runners.program import LINE_MAX

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


def returns_five(observation):
    return 5


def large(observation):
    return {"style": "relay", "evidence": ["\\ud800"]}


def everywhere(observation):
    ends = list(range(7, 7 * len(observation.sizes), 7))
    sure = [0.123456] * len(ends)
    return {"style": "line_by_line", "boundaries": ends, "boundary_confidence": sure}


def raises(observation):
    raise ValueError("no\\ntable\\x1b[31m")


def hangs(observation):
    time.sleep(600)
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
    with open_runner(f"wild_of_test:{name}", **options) as runner:
        return runner.ask(observations(count))


SEGLAB = [sys.executable, "-c", "from seglab.cli import main; main()"]


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
def test_exit_is_told_with_the_message(processes: int) -> None:
    """Where it ended its process, and how, is one line; what it answered before is kept."""
    with pytest.raises(ClassifierFailedError) as caught:
        asked("exits", 400, processes=processes, pool_min_work_s=0)
    assert caught.value.reason == (
        "its process exited with status 9 at observation o299 (4 sizes: 300 150 1448 900)"
    )
    answered = caught.value.answered
    assert len(answered) == 299 if processes == 1 else 64 <= len(answered) < 300
    assert {a.style for a in answered if isinstance(a, Verdict)} == {"relay"}


def test_crash() -> None:
    """A crash of its process is reported by its signal."""
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
        open_runner(f"{module}:x"),
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
    """Its own KeyboardInterrupt is an answer, and interrupts nothing else."""
    (answer,) = asked("interrupts")
    assert isinstance(answer, Raised)
    assert answer.reason.startswith("KeyboardInterrupt (wild_of_test.py, line ")


def test_fresh_knows_nothing() -> None:
    """After a restart, it is another process with a module of its own."""
    with open_runner("wild_of_test:counts") as runner:
        before = runner.ask(observations(3))
        (again,) = runner.restarted().ask(observations(1))
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
    with open_runner("far_of_test:relay") as runner:
        (answer,) = runner.ask(observations(1))
    assert runner.name == "far_of_test:relay"
    assert isinstance(answer, Verdict)


def test_regress_goes_on_to_its_end(folder: Path) -> None:
    """The command tells the death in its result, and prints nothing but that."""
    sample_file(folder / "stored.parquet")
    for name, stopped in (("crashes", "was killed by SIGABRT at observation"), ("prints", "")):
        ended = seglab("regress", f"wild_of_test:{name}", "--sessions", "stored.parquet", "--json")
        assert ended.returncode == 1
        assert stopped in (json.loads(ended.stdout)["stopped"] or "")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(
    "command",
    [
        ["regress", "wild_of_test:stubborn", "--sessions", "stored.parquet"],
        ["classify", "stored.parquet", "--classifier", "wild_of_test:stubborn"],
        ["classify", "stored.parquet", "--classifier", "wild_of_test:stubborn", "--jobs", "2"],
    ],
)
def test_no_orphan(folder: Path, command: list[str], end: signal.Signals) -> None:
    """However seglab ends, a classifier that does not return ends as well, and at once."""
    sample_file(folder / "stored.parquet")
    with subprocess.Popen([*SEGLAB, *command], stderr=subprocess.DEVNULL) as run:
        assert eventually((folder / "here").exists)
        worker = int((folder / "here").read_text())
        assert not gone(worker)
        run.send_signal(end)
        run.wait(8)
    assert eventually(lambda: gone(worker))


LINES = "".join(
    json.dumps({"id": f"o{n}", "sizes": [n + 1, 150, 1448, 900]}) + "\n" for n in range(400)
)


def classified(name, *options, stdin=LINES):
    """``seglab classify`` with one of these classifiers, and what it printed as JSON."""
    ended = seglab(
        "classify", "-", "--json", "--classifier", f"wild_of_test:{name}", *options, stdin=stdin
    )
    return ended, [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unknown", "unknown style 'spam'; known: "),
        ("infinite", "confidence nan, where a probability is expected"),
        ("beyond", "boundary 99999999 lies outside the message's 2499 bytes"),
        ("silent", "the answer has no key 'style'; a style of null abstains"),
        ("returns_five", "the classifier returned int; expected "),
        ("large", "UnicodeEncodeError: "),
        ("raises", "ValueError: no table\\x1b[31m (wild_of_test.py, line "),
        ("crashes", "its process was killed by SIGABRT"),
    ],
)
def test_classify_tells_what_is_no_answer(name: str, words: str, jobs: str) -> None:
    """In one line with the message and exit code 2; nothing of it is shown as a verdict."""
    ended, found = classified(name, "--jobs", jobs)
    assert (ended.returncode, found) == (2, [])
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("seglab: ")]
    assert f"classifier wild_of_test:{name}: failed at message o0: {words}" in line
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_classify_prints_what_came_before(jobs: str) -> None:
    """The messages before the one at which it ended its process, also those of the same chunk."""
    ended, found = classified("exits", "--jobs", jobs)
    assert ended.returncode == 2
    assert [one["id"] for one in found] == [f"o{n}" for n in range(299)]
    assert ended.stderr == (
        "seglab: classifier wild_of_test:exits: failed at message o299: its process exited with"
        " status 9 at observation o299 (4 sizes: 300 150 1448 900)\n"
    )


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_classify_does_not_wait_for_ever(jobs: str) -> None:
    """What hangs is ended at its time limit."""
    ended, found = classified("hangs", "--jobs", jobs, "--time-limit", "0.4")
    assert (ended.returncode, found) == (2, [])
    assert "no answer within 0.4 s to observation o0" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_classify_prints_nothing_of_the_classifiers() -> None:
    """Lines of JSON stay lines of JSON, whatever the classifier prints; that is not lost."""
    ended, found = classified("prints", stdin="".join(LINES.splitlines(keepends=True)[:3]))
    assert ended.returncode == 0
    assert [one["style"] for one in found] == ["relay"] * 3
    assert ended.stderr.split()[:6].count("hello") + ended.stderr.split().count("there") == 6


@pytest.mark.parametrize("jobs", [1, 3])
def test_classify_starts_a_process_a_job(jobs: int) -> None:
    """And asks it again: seven chunks of messages do not start seven."""
    ended, found = classified("counts", "--jobs", str(jobs))
    assert ended.returncode == 0
    assert len(found) == 400
    pids = [one["evidence"][0] for one in found]
    assert 1 <= len({*pids}) <= jobs
    for pid in {*pids}:
        asked = [one["buffer"] for one, by in zip(found, pids, strict=True) if by == pid]
        assert asked == [*range(1, len(asked) + 1)], "one process, which remembers"


@pytest.mark.parametrize("answer", ["spam", None])
def test_evaluate_tells_it_too(folder: Path, answer: str | None) -> None:
    """An impossible answer is an error; with ``None`` for a style, there is an evaluation."""
    stored_run(folder / "run", [record("scenario-1/1")])
    name = "unknown" if answer else "null"
    ended = seglab("classify", "--evaluate", "run", "--classifier", f"wild_of_test:{name}")
    assert ended.returncode == (2 if answer else 0)
    assert ("scenario-1/1: unknown style 'spam'" in ended.stderr) == (answer == "spam")
    assert ended.stderr.count("\n") == (1 if answer else 0)


def test_an_explicit_null_abstains() -> None:
    """A mapping whose style is ``None`` abstains, and one without the key is no answer."""
    null, silent = asked("null")[0], asked("silent")[0]
    assert isinstance(null, Verdict)
    assert (null.style, null.terminator) == (None, "own_write")
    assert silent == Raised("the answer has no key 'style'; a style of null abstains")


def test_a_long_answer_to_a_long_message() -> None:
    """Each of very many sizes may have its boundary, more than an answer usually has bytes."""
    long = Observation(id="long", sizes=(7,) * 300_000)
    with open_runner("wild_of_test:everywhere") as runner:
        (answer,) = runner.ask([long])
    assert isinstance(answer, Verdict)
    assert answer.boundaries == tuple(range(7, 7 * 300_000, 7))
    assert len(answer.to_json()) > LINE_MAX


@pytest.mark.parametrize("name", ["paper", "boundaries"])
def test_several_processes_answer_as_one(name: str) -> None:
    """A built-in classifier asked in several processes says what it says in ours."""
    alone, shared = (
        seglab("classify", "-", "--json", "--classifier", name, "--jobs", jobs, stdin=LINES)
        for jobs in ("1", "2")
    )
    assert alone.returncode == shared.returncode == 0
    assert alone.stdout == shared.stdout
    assert alone.stderr == shared.stderr
