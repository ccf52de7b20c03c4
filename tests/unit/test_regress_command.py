"""``seglab regress``: files in, files out, one line an error, and its exit codes."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from regressing import sample_file, sessions
from stored_runs import stored_run

from seglab import cli
from seglab.errors import EnvironmentLacksError
from seglab.regress.checks import chosen

RULES = """
import time

def honest(observation):
    sizes, mss = observation.sizes, observation.mss
    short = [size for size in sizes[:-1] if size % mss]
    if observation.layer == "reads" or len(short) > 1 or any(observation.retransmission or ()):
        return None
    return "relay" if sizes[0] < mss else "single_write"

def table(observation):
    return "single_write" if observation.sizes[0] == 1448 else "relay"

def worse(observation):
    return "fixed_buffer" if observation.mss == 524 else honest(observation)

def raising(observation):
    raise RuntimeError("no table for this")

def rubbish(observation):
    return 7

def unknown(observation):
    return "relais"
"""
DIES = """
import sys
for number, line in enumerate(sys.stdin):
    if number == 12:
        sys.exit("out of memory")
    print('"relay"', flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the command ended, and what it printed."""

    code: int
    out: str
    err: str


Seglab = Callable[..., Ended]


@pytest.fixture
def seglab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Seglab:
    """Runs ``seglab regress`` in a folder with some classifiers and stored sessions."""
    (tmp_path / "rules_of_test.py").write_text(RULES)
    (tmp_path / "dies.py").write_text(DIES)
    sample_file(tmp_path / "stored.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    modules, path = {*sys.modules}, [*sys.path]

    def run(*arguments: str, sessions: str | None = "stored.parquet") -> Ended:
        given = ["--sessions", sessions] if sessions else []
        monkeypatch.setattr(sys, "argv", ["seglab", "regress", *arguments, *given])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return Ended(int(caught.value.code or 0), out, err)

    yield run
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        if name == "rules_of_test":
            del sys.modules[name]


def test_good(seglab: Seglab) -> None:
    """Nothing found: exit code 0, a table of checks and the matrix."""
    ended = seglab("rules_of_test:honest")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert "label_ignores_mtu\tok\t30\t0\t0" in lines
    assert "style\tMTU 576\tMTU 1280\tMTU 1500" in lines
    assert "relay\t100 %\t100 %\t100 %" in lines
    assert lines[-1] == "rules_of_test:honest: no regression"


def test_findings(seglab: Seglab) -> None:
    """Something found: exit code 1, and the smallest example in sizes."""
    ended = seglab("rules_of_test:table", "--check", "label_ignores_mtu")
    assert ended.code == 1
    assert "single_write\t0 %!a\t0 %!a\t100 %" in ended.out.splitlines()
    assert "segments 1448 1448 1448 656" in ended.out
    assert "segments 1228 1228 1228 1228 88" in ended.out


def test_a_pipe_gets_whole_sentences(seglab: Seglab, monkeypatch: pytest.MonkeyPatch) -> None:
    """However narrow: what is found, its sides and their sizes stand in a line each."""
    monkeypatch.setenv("COLUMNS", "40")
    lines = seglab("rules_of_test:table", "--check", "label_ignores_mtu").out.splitlines()
    summary = next(check.summary for check in chosen(("label_ignores_mtu",)))
    assert f"label_ignores_mtu: {summary}" in lines
    assert any(re.fullmatch(r"    single_write: .*, MTU 1500, .*, session \S+", x) for x in lines)
    assert "      segments 1448 1448 1448 656" in lines
    assert any(re.fullmatch(r"\d+ answers: \d+ hold .*; \d+ abstain", line) for line in lines)
    assert not [line for line in lines if line != line.rstrip()]


def test_json(seglab: Seglab) -> None:
    """The whole result as JSON, with the matrix and each finding's example."""
    ended = seglab("rules_of_test:table", "--json", "--check", "label_ignores_mtu")
    found = json.loads(ended.out)
    assert ended.code == 1
    assert not found["good"]
    (check,) = found["checks"]
    assert check["state"] == "failed"
    assert [side["answer"] for side in check["findings"][0]["sides"]] == ["single_write", "relay"]
    cells = {(cell["style"], cell["mtu"]): cell for cell in found["matrix"]}
    assert cells["single_write", 576]["right"] == 0
    assert cells["single_write", 576]["checks"] == ["label_ignores_mtu"]


def test_junit(seglab: Seglab, tmp_path: Path) -> None:
    """A suite a check, a case a network; counts as JUnit's readers want them."""
    seglab("rules_of_test:table", "--junit", "out.xml", "--check", "label_ignores_mtu")
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        "label_ignores_mtu", "3", "2",
    )  # fmt: skip
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert failed == {"narrow", "middle"}
    text = suite.findtext("testcase/failure")
    assert text is not None
    assert "segments 524 524" in text


def test_html(seglab: Seglab, tmp_path: Path) -> None:
    """The page is written whole, also where everything passes."""
    assert seglab("rules_of_test:honest", "--html", "page.html").code == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8").rstrip()
    assert text.endswith("</html>")
    assert "of stored.parquet</span>" in text
    assert "<dd>segments</dd>" in text


def test_the_result_says_what_was_asked(seglab: Seglab) -> None:
    """Where the sessions come from and what was shown of them stand in the JSON, too."""
    result = json.loads(seglab("rules_of_test:honest", "--layer", "both", "--json").out)
    assert result["sources"] == ["stored.parquet"]
    assert sorted(result["layers"]) == ["reads", "segments"]


def test_random_sizes_are_of_no_session(seglab: Seglab) -> None:
    """The example of noise that got a style bears no stored session's name."""
    ended = seglab("rules_of_test:table", "--check", "abstains_on_noise", "--json")
    sides = [f["sides"][0] for f in json.loads(ended.out)["checks"][0]["findings"]]
    assert sides
    assert {side["session_id"] for side in sides} == {None}
    assert "random sizes" in seglab("rules_of_test:table", "--check", "abstains_on_noise").out


def test_baseline(seglab: Seglab, tmp_path: Path) -> None:
    """What is no better than before passes; a network that falls is found, others are not."""
    made = seglab("rules_of_test:honest", "--baseline", "b.json", "--update-baseline")
    assert made.code == 0
    assert "baseline written: b.json" in made.err
    check = ("--baseline", "b.json", "--check", "no_network_falls")
    assert seglab("rules_of_test:honest", *check).code == 0
    fallen = seglab("rules_of_test:worse", *check, "--json")
    assert fallen.code == 1
    (finding,) = json.loads(fallen.out)["checks"][0]["findings"]
    assert finding["network"] == "narrow"
    assert finding["words"].startswith(
        "accuracy 0.0 % (0 of 10), in the baseline 100.0 % (10 of 10)"
    )
    assert seglab("rules_of_test:worse", *check, "--tolerance", "1").code == 0
    one = f'[[known]]\ncheck = "{check[-1]}"\nreason = "slow"\n'
    (tmp_path / "known.toml").write_text(one)
    ended = seglab("rules_of_test:worse", *check, "--known-failures", "known.toml")
    assert ended.out.splitlines()[-1] == "rules_of_test:worse: no regression, 1 known finding"


def test_known_failures(seglab: Seglab, tmp_path: Path) -> None:
    """A known failure has its reason and exit code 0; one that did not occur is listed."""
    (tmp_path / "known.toml").write_text(
        '[[known]]\ncheck = "label_ignores_mtu"\nreason = "learned by heart"\n'
        '[[known]]\ncheck = "answers"\nnetwork = "wide"\nreason = "used to raise"\n'
    )
    checks = ("--check", "label_ignores_mtu", "--check", "answers")
    ended = seglab("rules_of_test:table", *checks, "--known-failures", "known.toml")
    assert ended.code == 0
    assert "known: learned by heart" in ended.out
    assert "did not occur, remove it: answers wide (used to raise)" in ended.out
    assert ended.out.rstrip().endswith("no regression, 2 known findings")


def test_run_folder(seglab: Seglab, tmp_path: Path) -> None:
    """A run folder is taken as it is."""
    stored_run(tmp_path / "run", sessions(), status=None)
    assert seglab("rules_of_test:honest", sessions="run").code == 0


def test_sample(seglab: Seglab) -> None:
    """The sessions that come with the package are there, over ten networks."""
    ended = seglab("rules_of_test:table", "--json", "--check", "answers", sessions="sample")
    found = json.loads(ended.out)
    assert found["sessions"] == 420
    assert {row["network"] for row in found["networks"]} >= {"ethernet", "jumbo", "mtu-576"}


def test_both_layers(seglab: Seglab) -> None:
    """At both layers, each session is asked about twice, and scored for each."""
    found = json.loads(seglab("rules_of_test:table", "--json", "--layer", "both").out)
    assert found["sessions"] == 30
    assert {(row["network"], row["layer"]) for row in found["networks"]} >= {
        ("wide", "reads"), ("wide", "segments"),
    }  # fmt: skip


def test_program_that_dies(seglab: Seglab, tmp_path: Path) -> None:
    """The answers before the failure are judged and written; the other checks do not run."""
    ended = seglab(f"cmd:'{sys.executable}' dies.py", "--junit", "j.xml", "--stderr", "errors.txt")
    assert ended.code == 1
    assert "exited with status 1 after 12 answers; its last words: out of memory" in ended.out
    assert "counts the 12 sessions" in ended.out
    assert "deterministic\tnot run" in ended.out
    assert (tmp_path / "errors.txt").read_text() == "out of memory\n"
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert int(root.get("errors", 0)) == 5


def test_baseline_is_kept_when_the_program_dies(seglab: Seglab, tmp_path: Path) -> None:
    """A partial run does not become the baseline."""
    ended = seglab(f"cmd:'{sys.executable}' dies.py", "--baseline", "b.json", "--update-baseline")
    assert "left as it was" in ended.err
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raising", "RuntimeError: no table for this"),
        ("rubbish", "the classifier returned int"),
        ("unknown", "unknown style 'relais'; did you mean 'relay'?"),
    ],
)
def test_bad_classifiers(seglab: Seglab, name: str, words: str) -> None:
    """A classifier that raises or answers nonsense is a finding in one line, not a traceback."""
    ended = seglab(f"rules_of_test:{name}")
    assert ended.code == 1
    assert words in ended.out
    assert "Traceback" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such"], "unknown classifier 'no_such'"),
        (["rules_of_test:missing"], "cannot be loaded"),
        (["cmd:no-such-program"], "no such program"),
        (["paper", "--check", "accurracy"], "did you mean 'accuracy'?"),
        (["paper", "--baseline", "missing.json"], "--update-baseline makes a baseline"),
        (["paper", "--baseline", "dies.py"], "dies.py: not a baseline"),
        (["paper", "--known-failures", "dies.py"], "dies.py"),
        (["paper", "--known-failures", "one.toml"], "known[0].check: unknown 'x'"),
        (["paper", "--known-failures", "two.toml"], "known[0]: reason is missing"),
        (["paper", "--known-failures", "three.toml"], "unknown key 'networks'"),
        (["paper", "--update-baseline"], "needs --baseline FILE"),
        (["paper", "--baseline", "/dev/zero"], "/dev/zero: expected a regular file"),
        (["paper", "--split-column", "split"], "--split-column needs --split"),
        (["paper", "--repeats", "3"], "of a fresh run"),
        (["paper", "--html", "missing/page.html"], "missing/page.html: cannot be written"),
        (["no_such_folder:asked", "--junit", "missing/j.xml"], "there is no folder missing"),
        (["paper", "--tolerance", "2"], "--tolerance"),
        (["paper", "--tolerance", "nan"], "nan is not a number"),
        (["paper", "--split", "test"], "stored.parquet: has no parts; only a dataset has"),
    ],
)
def test_bad_input(seglab: Seglab, tmp_path: Path, arguments: list[str], words: str) -> None:
    """Bad input is one line that says what and where, and exit code 2."""
    (tmp_path / "one.toml").write_text('[[known]]\ncheck = "x"\nreason = "y"\n')
    (tmp_path / "two.toml").write_text('[[known]]\ncheck = "accuracy"\n')
    (tmp_path / "three.toml").write_text('[[known]]\nnetworks = "x"\n')
    ended = seglab(*arguments)
    assert ended.code == 2
    assert words in ended.err
    assert len(ended.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing", "missing: no such file or folder"),
        (".", "neither a run folder"),
        ("dies.py", "not a readable Parquet file"),
    ],
)
def test_bad_sessions(seglab: Seglab, source: str, words: str) -> None:
    """Sessions that cannot be read are an error of one line."""
    ended = seglab("paper", sessions=source)
    assert ended.code == 2
    assert words in ended.err


def test_no_lab_here(seglab: Seglab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no lab can be built, a fresh run says how to do without: exit code 3."""

    def refuse(*_: object, **__: object) -> None:
        raise EnvironmentLacksError("no network namespaces here")

    monkeypatch.setattr("seglab.commands.regress.carry_out", refuse)
    ended = seglab("rules_of_test:honest", "--out", "fresh", sessions=None)
    assert ended.code == 3
    assert "no network namespaces here (or take stored sessions: --sessions sample)" in ended.err


def test_later_baseline(seglab: Seglab, tmp_path: Path) -> None:
    """A baseline of a later seglab is refused, with what to do."""
    (tmp_path / "b.json").write_text('{"classifier": "x", "sessions": "y", "baseline_version": 99}')
    ended = seglab("rules_of_test:honest", "--baseline", "b.json")
    assert ended.code == 2
    assert "make a new one with --update-baseline" in ended.err


def test_chance_is_no_fall(seglab: Seglab, tmp_path: Path) -> None:
    """Of other sessions, one lost answer in ten may be chance; of the same sessions, it counts."""
    seglab("rules_of_test:honest", "--baseline", "b.json", "--update-baseline")
    baseline = json.loads((tmp_path / "b.json").read_text())
    for one in baseline["scores"]:
        one["score"]["right"] = 10
    check = ("--baseline", "b.json", "--check", "no_network_falls")
    (tmp_path / "rules_of_test.py").write_text(
        RULES + "\ndef nearly(observation):\n"
        "    return 'relay' if observation.total_bytes == 5004 else honest(observation)\n"
    )
    sys.modules.pop("rules_of_test", None)
    assert seglab("rules_of_test:nearly", *check).code == 1
    (tmp_path / "b.json").write_text(json.dumps(baseline | {"sessions": "other"}))
    assert seglab("rules_of_test:nearly", *check).code == 0
