"""A result as JUnit XML: a test suite a check, a test case a network."""

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, tostring

from seglab.core.text import xml_text
from seglab.regress.result import CheckFinding, CheckOutcome, RegressResult
from seglab.regress.terminal import finding_text


def to_junit(result: RegressResult) -> bytes:
    """Return the XML for CI systems; characters that XML cannot hold are replaced."""
    root = Element("testsuites", name=xml_text(f"seglab regress {result.classifier}"))
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for outcome in result.outcomes:
        suite = SubElement(root, "testsuite", name=outcome.name)
        counted = dict.fromkeys(total, 0)
        for network, findings in _networks(outcome, result):
            counted["tests"] += 1
            case = SubElement(
                suite,
                "testcase",
                classname=f"seglab.regress.{outcome.name}",
                name=xml_text(network),
            )
            kind = _fill(case, outcome, findings)
            if kind is not None:
                counted[kind] += 1
        for key, number in counted.items():
            suite.set(key, str(number))
            total[key] += number
    for key, number in total.items():
        root.set(key, str(number))
    text: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + text + b"\n"


def _networks(
    outcome: CheckOutcome, result: RegressResult
) -> Iterable[tuple[str, list[CheckFinding]]]:
    if outcome.why_not is not None:
        return [("all networks", [])]
    return [
        (network, [f for f in outcome.findings if f.network == network])
        for network in result.mtus
        if network in outcome.networks
    ]


def _fill(case: Element, outcome: CheckOutcome, findings: list[CheckFinding]) -> str | None:
    """Write how a test case ended, and return the counter that it belongs to."""
    if outcome.why_not is not None:
        SubElement(case, "error", message=xml_text(outcome.why_not), type="not run")
        return "errors"
    unexpected = [finding for finding in findings if finding.reason is None]
    if unexpected:
        words = f"{len(unexpected)} findings, the smallest: {unexpected[0].words}"
        failure = SubElement(case, "failure", message=xml_text(words), type=outcome.name)
        failure.text = xml_text("\n\n".join(map(finding_text, unexpected)))
        return "failures"
    if findings:
        SubElement(case, "skipped", message=xml_text(f"known: {findings[0].reason}"))
        return "skipped"
    return None
