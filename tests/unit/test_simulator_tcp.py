"""The simulator's TCP, one endpoint at a time, against scripts that play its peer."""

from pathlib import Path

import pytest
from tcp_script import Runner, Script, scripts

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("simulator_*.txt"))
CASES = [script for path in FILES for script in scripts(path)]


@pytest.mark.parametrize("script", CASES, ids=lambda script: script.title)
def test_script(script: Script) -> None:
    """The endpoint sends exactly what the script says, when it says so."""
    expected, sent = Runner(script).run(script.lines)
    assert sent == expected


def test_scripts_cite_a_rule() -> None:
    """Every script says which rule of an RFC or of the kernel it shows."""
    assert [script.title for script in CASES if not script.source] == []
    assert len(CASES) > 10
