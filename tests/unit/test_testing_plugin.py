"""The pytest plugin: as a decorator, by the ini file, with xdist, and not at all."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from regressing import sample_file

pytest_plugins = ["pytester"]

RULES = '''
"""Two classifiers."""


def honest(observation):
    """Looks at sizes against the MSS."""
    sizes, mss = observation.sizes, observation.mss
    short = [size for size in sizes[:-1] if size % mss]
    if observation.layer == "reads" or len(short) > 1 or any(observation.retransmission or ()):
        return None
    return "relay" if sizes[0] < mss else "single_write"


def table(observation):
    """Has learned one MTU by heart."""
    return "single_write" if observation.sizes[0] == 1448 else "relay"
'''

DECORATED = """
from rules import {name}
from seglab.testing import parametrize_with_checks


@parametrize_with_checks({name}, sessions="stored.parquet"{rest})
def test_classifier(check):
    check()
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with two classifiers and some sessions."""
    pytester.makepyfile(rules=RULES)
    sample_file(pytester.path / "stored.parquet")
    pytester.syspathinsert()
    return pytester


def test_decorator_passes(suite: pytest.Pytester) -> None:
    """Each check on each network is a test, and a good classifier passes them."""
    suite.makepyfile(test_mine=DECORATED.format(name="honest", rest=""))
    result = suite.runpytest_inprocess("-v", "--strict-markers")
    result.assert_outcomes(passed=33, skipped=3)
    result.stdout.fnmatch_lines(["test_mine.py::test_classifier?label_ignores_mtu-narrow? PASSED*"])


def test_failure_is_the_smallest_example(suite: pytest.Pytester) -> None:
    """The text of a failure has both sessions' sizes, and no traceback."""
    rest = ', checks=["label_ignores_mtu"]'
    suite.makepyfile(test_mine=DECORATED.format(name="table", rest=rest))
    result = suite.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "label_ignores_mtu on narrow: *",
            "writes    5000",
            "single_write: wide, MTU 1500, MSS 1448, session *",
            "  segments 1448 1448 1448 656",
            "relay: narrow, MTU 576, MSS 524, session *",
            "  segments 524 524 524 524 524 524 524 524 524 284",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_ini_options(suite: pytest.Pytester) -> None:
    """The ini file alone makes the same tests, and -k chooses among them."""
    suite.makeini(
        "[pytest]\nseglab_classifier = rules:table\nseglab_sessions = stored.parquet\n"
        "seglab_checks =\n    label_ignores_mtu\n    answers\n"
    )
    result = suite.runpytest_inprocess()
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["FAILED seglab::label_ignores_mtu::narrow*"])
    suite.runpytest_inprocess("-k", "answers").assert_outcomes(passed=3, deselected=3)
    honest = suite.runpytest_inprocess("--seglab-classifier", "rules:honest")
    honest.assert_outcomes(passed=6)


def test_ini_leaves_chosen_files_alone(suite: pytest.Pytester) -> None:
    """Who asks for one file gets that file; who asks for a folder gets the checks as well."""
    suite.makeini(
        "[pytest]\nseglab_classifier = rules:honest\nseglab_sessions = stored.parquet\n"
        "seglab_checks = answers\n"
    )
    suite.makepyfile(test_other="def test_other():\n    pass\n")
    suite.runpytest_inprocess("test_other.py").assert_outcomes(passed=1)
    suite.runpytest_inprocess(".").assert_outcomes(passed=4)


def test_known_failures(suite: pytest.Pytester) -> None:
    """A known failure is expected, with its reason; one that passes is shown; others still fail."""
    (suite.path / "known.toml").write_text(
        '[[known]]\ncheck = "label_ignores_mtu"\nnetwork = "narrow"\nreason = "learned by heart"\n'
        '[[known]]\ncheck = "answers"\nnetwork = "wide"\nreason = "no more"\n'
        '[[known]]\ncheck = "label_ignores_mtu"\nstyle = "relay"\nreason = "never"\n'
    )
    rest = ', checks=["label_ignores_mtu", "answers"], known_failures="known.toml"'
    suite.makepyfile(test_mine=DECORATED.format(name="table", rest=rest))
    result = suite.runpytest_inprocess("-rxX")
    result.assert_outcomes(passed=3, failed=1, xfailed=1, xpassed=1)
    result.stdout.fnmatch_lines(["XFAIL *label_ignores_mtu-narrow* - learned by heart"])


def test_with_xdist(suite: pytest.Pytester) -> None:
    """Workers collect the same tests, and each check stays with one of them."""
    suite.makeini(
        "[pytest]\nseglab_classifier = rules:table\nseglab_sessions = stored.parquet\n"
        "filterwarnings = error\naddopts = --strict-markers\n"
    )
    result = suite.runpytest_subprocess("-n", "2", "--dist", "loadscope", "-v")
    result.stdout.fnmatch_lines(["*FAILED seglab::label_ignores_mtu::narrow*"])
    ran = re.findall(r"\[(gw\d)\] .*(?:PASSED|FAILED) seglab::(\w+)::", result.stdout.str())
    assert len(ran) == 33
    assert len({check for _, check in ran}) == len(set(ran)) == 11


def test_program(suite: pytest.Pytester) -> None:
    """A classifier in another language is started once, and ended with the run."""
    (suite.path / "program.py").write_text(
        "import os, sys\nopen('pids', 'a').write(f'{os.getpid()}\\n')\n"
        "for line in sys.stdin:\n    print('null', flush=True)\n"
    )
    rest = ', checks=["answers", "label_ignores_mtu"]'
    text = DECORATED.format(name="honest", rest=rest)
    suite.makepyfile(
        test_mine=text.replace("s(honest", f's("cmd:{shlex.quote(sys.executable)} program.py"')
    )  # fmt: skip
    suite.runpytest_inprocess().assert_outcomes(passed=3, skipped=3)
    (pid,) = (suite.path / "pids").read_text().split()
    assert not Path("/proc", pid).exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seglab_classifier = rules:missing", "rules:missing*cannot be loaded"),
        ("seglab_classifier = no_such_name", "unknown classifier 'no_such_name'"),
        ("seglab_classifier = cmd:no-such-program", "no such program"),
    ],
)
def test_no_such_classifier(suite: pytest.Pytester, line: str, words: str) -> None:
    """It ends the run before any test, in one line, however many checks there are."""
    suite.makeini(f"[pytest]\nseglab_sessions = stored.parquet\n{line}")
    result = suite.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: seglab: *{words}*"])
    assert sum(map(bool, result.errlines)) == 1


def test_a_misspelled_function_is_one_collection_error(suite: pytest.Pytester) -> None:
    """No check of the decorator runs: each would only say the same again, after a new process."""
    text = DECORATED.format(name="honest", rest="").replace("(honest,", '("rules:honnest",')
    suite.makepyfile(test_mine=text)
    result = suite.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["E *'rules:honnest' cannot be loaded: AttributeError: *"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seglab_sessions = nowhere", "nowhere: no such file or folder"),
        ("seglab_checks = label", "unknown check 'label'"),
        ("seglab_layer = packets", "layer: expected segments, reads or both, found 'packets'"),
        ("seglab_tolerance = much", "seglab_tolerance: expected a number, found 'much'"),
        ("seglab_baseline = missing.json", "missing.json: no such file"),
    ],
)
def test_bad_options(suite: pytest.Pytester, line: str, words: str) -> None:
    """A bad option ends the run with one line."""
    suite.makeini(f"[pytest]\nseglab_classifier = rules:honest\n{line}\n")
    result = suite.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{words}*"])


def test_bad_option_with_xdist(suite: pytest.Pytester) -> None:
    """With workers too, a bad option ends the run with one line, and not in an internal error."""
    suite.makeini("[pytest]\nseglab_classifier = rules:honest\nseglab_checks = label\n")
    result = suite.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: seglab: unknown check 'label'*"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("between", [" ", ", ", ",", "\n    "])
def test_names_of_checks(suite: pytest.Pytester, between: str) -> None:
    """Names of checks may stand on one line, as people write lists."""
    suite.makeini(
        "[pytest]\nseglab_classifier = rules:table\nseglab_sessions = stored.parquet\n"
        f"seglab_checks = label_ignores_mtu{between}answers\n"
    )
    suite.runpytest_inprocess().assert_outcomes(passed=4, failed=2)


def test_nothing_is_imported_unasked(pytester: pytest.Pytester) -> None:
    """A run that has nothing to do with seglab imports only the plugin's own file."""
    pytester.makepyfile(
        "import sys\n\n\ndef test_modules():\n"
        "    ours = {name for name in sys.modules if name.split('.')[0] == 'seglab'}\n"
        "    assert ours <= {'seglab', 'seglab.testing'}\n"
        "    assert 'seglab.testing' in sys.modules\n"
    )
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_baseline(suite: pytest.Pytester) -> None:
    """Below its baseline, a network fails."""
    scores = [
        {"network": network, "layer": "segments", "score": {"sessions": 10, "right": right}}
        for network, right in (("wide", 10), ("middle", 10), ("narrow", 4))
    ]
    (suite.path / "base.json").write_text(
        f'{{"classifier": "x", "sessions": "other", "scores": {scores!r}}}'.replace("'", '"')
    )
    rest = ', checks=["no_network_falls"], baseline="base.json"'
    suite.makepyfile(test_mine=DECORATED.format(name="table", rest=rest))
    result = suite.runpytest_inprocess()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["accuracy 50.0 % (5 of 10), in the baseline 100.0 % (10 of 10)*"])
