"""A run of `seglab try` as JUnit XML: a suite for the sessions, and one for what has changed."""

from collections.abc import Iterator

from seglab.core.junit import Case, Ended, Suite, to_xml
from seglab.report.program_changes import Change
from seglab.report.tried import Tried, TriedSession


def to_junit(result: Tried) -> bytes:
    """Return the XML for CI systems."""
    suites = [Suite("sessions", [_session(one, result) for one in result.sessions])]
    if result.comparison is not None:
        suites.append(Suite("changes", list(_changes(result.comparison.changes))))
    return to_xml(f"seglab try {result.program}", suites)


def _session(one: TriedSession, result: Tried) -> Case:
    record = one.record
    ended = None
    if record.error is not None:
        expected = record.session_id in result.expected
        how = "expected over this network: " if expected else ""
        ended = Ended(
            "skipped" if expected else "failure",
            f"{how}{record.error}",
            "" if expected else "session failed",
            "" if expected else record.output,
        )
    return Case(f"seglab.try.{record.network}", record.session_id, ended)


def _changes(changes: tuple[Change, ...]) -> Iterator[Case]:
    several = len({change.message for change in changes}) > 1
    for change in changes:
        name = f"{change.aspect.name} of {change.message}" if several else change.aspect.name
        yield Case(f"seglab.try.{change.network}", name, _ended(change))


def _ended(change: Change) -> Ended | None:
    before, now = change.texts()
    if change.judgement == "differs":
        words = f"before: {before}; now: {now}"
        text = "before: {}\nnow: {}".format(*change.whole_texts())
        return Ended("failure", words, change.aspect.name, text)
    if change.judgement == "untold":
        return Ended("skipped", f"too few sessions to tell; before: {before}; now: {now}")
    return None
