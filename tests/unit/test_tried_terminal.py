"""The table of ``seglab try`` on a terminal, wide and narrow, and in a pipe."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from synthetic import record

from seglab.report.tried import Tried, TriedSession
from seglab.report.tried_terminal import show

WORDS = ("ethernet", "complete", "5120", "1440x3 800", "single_write", "failed", "it was to fail")


def shown(width: int, *, terminal: bool = True) -> list[str]:
    """The lines for a session that is complete and one that failed."""
    sessions = (
        TriedSession(record("a", network="ethernet", terminator="with_body"), None),
        TriedSession(record("b", network="gprs", status="failed", error="it was to fail"), None),
    )
    result = Tried(Path("run"), Path("run/report.html"), "a", ["a"], sessions, frozenset())
    text = StringIO()
    show(result, Console(file=text, width=width, force_terminal=terminal, color_system=None))
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_word_is_broken_on_a_terminal(width: int) -> None:
    """Where a table would break words, each session is a block with a line a value."""
    lines = shown(width)
    assert all(len(line) <= width for line in lines)
    for words in WORDS:
        assert any(words in line for line in lines), words
    assert ("session      complete" in lines) == (width < 100)


def test_a_block_leaves_out_what_a_failed_session_has_not() -> None:
    """Of one that failed there are its network and its status, after an empty line."""
    lines = shown(60)
    at = lines.index("network      gprs")
    assert lines[at - 1] == ""
    assert lines[at + 1] == "session      failed"
    assert lines[at + 2] == "failed: b: it was to fail"


def test_a_pipe_gets_a_line_a_session() -> None:
    """However narrow it says that it is."""
    lines = shown(20, terminal=False)
    assert lines[0].split("\t")[:3] == ["network", "session", "written"]
    assert lines[1].split("\t")[:4] == ["ethernet", "complete", "5120", "1440x3 800"]
