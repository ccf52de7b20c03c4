"""JUnit XML, which CI systems show: suites of cases, each passed, failed, broken or skipped."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from seglab.core.text import xml_text

_COUNTERS: Final = {"failure": "failures", "error": "errors", "skipped": "skipped"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a case ended that has not simply passed.

    Attributes:
        how: ``failure`` for a finding, ``error`` for a case that could not be judged, ``skipped``
            for one that counts for nothing.
        message: why, in one line.
        kind: a name of that reason; empty without one.
        text: all that is known about it; empty without more.
    """

    how: Literal["failure", "error", "skipped"]
    message: str
    kind: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A test case.

    Attributes:
        group: its class, in JUnit's words.
        name: its name.
        ended: how it ended; ``None`` where it passed.
    """

    group: str
    name: str
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """Test cases that belong together."""

    name: str
    cases: Sequence[Case]


def to_xml(name: str, suites: Iterable[Suite]) -> bytes:
    """Return the XML; characters that XML cannot hold are replaced."""
    root = Element("testsuites", name=xml_text(name))
    total: Counter[str] = Counter()
    for suite in suites:
        found = SubElement(root, "testsuite", name=xml_text(suite.name))
        counted = Counter({"tests": len(suite.cases)})
        for case in suite.cases:
            added = SubElement(
                found, "testcase", classname=xml_text(case.group), name=xml_text(case.name)
            )
            if case.ended is not None:
                _fill(added, case.ended)
                counted[_COUNTERS[case.ended.how]] += 1
        _count(found, counted)
        total += counted
    _count(root, total)
    text: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + text + b"\n"


def _fill(case: Element, ended: Ended) -> None:
    found = SubElement(case, ended.how, message=xml_text(ended.message))
    if ended.kind:
        found.set("type", xml_text(ended.kind))
    if ended.text:
        found.text = xml_text(ended.text)


def _count(element: Element, counted: Counter[str]) -> None:
    for key in ("tests", *_COUNTERS.values()):
        element.set(key, str(counted[key]))
