"""The examples of ``seglab regress`` do what they say, on the sessions that come with it."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from programs import need

from seglab.regress.checks import CHECKS
from seglab.regress.judgement import Settings
from seglab.regress.result import RegressResult
from seglab.regress.run import run
from seglab.regress.sessions import load
from seglab.regress.suite import read_known
from seglab.runners.open import open_runner

ROOT = Path(__file__).parents[2]
KNOWN = ROOT / "examples/known.toml"


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """References and paths count from the root, as in the commands that the examples show."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)


def regress(reference: str, known: Path | None = None) -> RegressResult:
    """All checks over the sample."""
    with open_runner(reference) as runner:
        return run(
            load("sample", "segments"), runner, CHECKS,
            settings=Settings(sample=20), known=() if known is None else read_known(known),
        )  # fmt: skip


def test_learned_mtu_is_caught() -> None:
    """Right wherever the sizes are Ethernet's, wrong elsewhere, and told which sizes did it."""
    result = regress("examples.learned_the_mtu:classify")
    assert "label_ignores_mtu" in result.broken
    assert result.scores["ethernet", "segments"].accuracy > 0.9
    assert result.scores["mtu-576", "segments"].accuracy < 0.6
    smallest = next(f for f in result.findings if f.check == "label_ignores_mtu")
    right, wrong = smallest.sides
    assert smallest.style in right.answer
    assert smallest.style not in wrong.answer
    assert right.mtu != wrong.mtu
    assert sum(right.sizes) == sum(wrong.sizes) == sum(smallest.writes)


def test_papers_rules_break_where_the_path_falls() -> None:
    """The paper's rules take the path's own cuts for writes, and for nothing else on the sample."""
    result = regress("paper")
    found = {f.network for f in result.findings if f.check == "label_ignores_mtu"}
    assert found == {"tunnel-1400"}


def test_perl() -> None:
    """The program in Perl breaks nothing but what is known of it."""
    need("perl")
    result = regress("cmd:perl examples/classify.pl", KNOWN)
    assert result.good, result.headline
    assert [finding.check for finding in result.findings] == ["no_network_falls"]
    assert not result.stale


def test_scikit_model() -> None:
    """The model of raw sizes is caught; that of their meaning breaks no check."""
    model = importlib.import_module("examples.scikit_model")
    try:
        assert "label_ignores_mtu" in regress("examples.scikit_model:raw").broken
        assert regress("examples.scikit_model:meaning").good
    finally:
        model.model.cache_clear()


def test_scores_on_held_out_networks() -> None:
    """On networks that it has not seen, the model of raw sizes falls and the other does not."""
    done = subprocess.run(
        [sys.executable, "examples/scikit_model.py"], capture_output=True, text=True, check=True
    )
    raw, meanings = (
        [float(word.rstrip("%")) for word in line.split() if word.endswith("%")]
        for line in done.stdout.splitlines()
    )
    assert raw[0] - raw[1] > 10
    assert meanings[0] - meanings[1] < 5
    assert meanings[1] > 90


def test_shown_commands(capfd: pytest.CaptureFixture[str]) -> None:
    """Each command line that an example or the guide shows is taken by the command."""
    from click import Context  # noqa: PLC0415

    from seglab.cli import seglab  # noqa: PLC0415

    lines = [
        line.strip().lstrip("# ")
        for path in (*sorted((ROOT / "examples").iterdir()), ROOT / "docs/regress.md")
        if path.suffix in (".py", ".pl", ".toml", ".md")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().lstrip("# ").startswith("seglab regress")
    ]
    assert len(lines) >= 8
    for line in lines:
        _, name, *arguments = shlex.split(line, comments=True)
        command = seglab.get_command(Context(seglab), name)
        assert command is not None
        command.make_context(name, arguments)
    assert capfd.readouterr().err == ""
    assert shutil.which("perl")


def test_guide_names_all_checks() -> None:
    """The guide's table of checks is the registry's, in its order."""
    text = (ROOT / "docs/regress.md").read_text(encoding="utf-8")
    _, _, section = text.partition("## The checks")
    rows = re.findall(r"^\| `(\w+)` \|", section.partition("**What is exempt.**")[0], re.MULTILINE)
    assert rows == [check.name for check in CHECKS]
