"""What a run says while it works."""

import re

import pytest

from seglab.commands import progress
from seglab.commands.progress import RunProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the progress sees: its last entry."""
    times = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: times[-1])
    return times


def test_a_pipe_gets_plain_lines(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """A line from time to time and one at the end, without a control character."""
    with RunProgress() as shown:
        shown.plan(10, 4)
        for number in range(3):
            clock.append(clock[-1] + 2)
            shown.ended(f"s/{number}", None)
        clock.append(clock[-1] + 2)
        shown.ended("s/3", "lost")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "7 of 10 sessions, 6 s, about 6 s left",
        "8 of 10 sessions, 1 failed, 8 s, about 4 s left",
    ]


def test_the_estimate_counts_what_runs_now(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Sessions of an earlier run that is gone on with do not make this one look fast."""
    with RunProgress() as shown:
        shown.plan(100, 90)
        clock.append(clock[-1] + 10)
        shown.ended("s/90", None)
    assert "91 of 100 sessions, 10 s, about 90 s left" in capsys.readouterr().err


@pytest.mark.parametrize(("planned", "needed"), [(80, 4), (100_000, 100)])
def test_the_first_sessions_are_no_estimate(
    planned: int, needed: int, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is left is reported once a twentieth has ended, or a hundred sessions."""
    with RunProgress() as shown:
        shown.plan(planned, 0)
        for number in range(needed):
            clock.append(clock[-1] + 6)
            shown.ended(f"s/{number}", None)
    *early, last, end = capsys.readouterr().err.splitlines()
    assert len(early) == needed - 1
    assert not any("left" in line for line in early)
    assert (
        last
        == end
        == (
            f"{needed} of {planned} sessions, {6 * needed} s, about {6 * (planned - needed)} s left"
        )
    )


def test_nothing_ran_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is finished has no progress to report."""
    with RunProgress() as shown:
        shown.plan(5, 5)
    assert capsys.readouterr().err == ""


def test_verbose_says_why_sessions_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each, brackets and all, at once; good ones are only counted."""
    with RunProgress(verbose=True) as shown:
        shown.plan(2, 0)
        shown.ended("s/0", None)
        reason = "the sender raised KeyError: [bold]'x'" + " and so on" * 20
        shown.ended("s/1", reason)
        line = capsys.readouterr().err
    assert line == f"failed: s/1: {reason}\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_quiet_is_silent(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where both are asked for."""
    with RunProgress(quiet=True, verbose=verbose) as shown:
        shown.plan(1, 0)
        shown.ended("s/0", "lost")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_a_bar(
    no_color: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With counts and an estimate; colours only where NO_COLOR is not set."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    with RunProgress() as shown:
        shown.plan(2, 0)
        shown.ended("s/0", None)
        shown.ended("s/1", "lost")
    err = capsys.readouterr().err
    assert "2/2" in err
    assert "1 failed" in err
    colours = re.findall(r"\x1b\[(?:\d+;)*3\d", err)
    assert bool(colours) is not no_color
