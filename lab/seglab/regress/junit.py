"""A result as JUnit XML: a test suite a check, a test case a network."""

from collections.abc import Iterator

from seglab.core.junit import Case, Ended, Suite, to_xml
from seglab.regress.result import CheckFinding, CheckOutcome, RegressResult
from seglab.regress.terminal import finding_text


def to_junit(result: RegressResult) -> bytes:
    """Return the XML for CI systems."""
    suites = [Suite(outcome.name, list(_cases(outcome, result))) for outcome in result.outcomes]
    return to_xml(f"seglab regress {result.classifier}", suites)


def _cases(outcome: CheckOutcome, result: RegressResult) -> Iterator[Case]:
    group = f"seglab.regress.{outcome.name}"
    if outcome.why_not is not None:
        yield Case(group, "all networks", Ended("error", outcome.why_not, "not run"))
        return
    for network in result.mtus:
        if network in outcome.networks:
            findings = [f for f in outcome.findings if f.network == network]
            yield Case(group, network, _ended(outcome.name, findings))


def _ended(check: str, findings: list[CheckFinding]) -> Ended | None:
    unexpected = [finding for finding in findings if finding.reason is None]
    if unexpected:
        words = f"{len(unexpected)} findings, the smallest: {unexpected[0].words}"
        return Ended("failure", words, check, "\n\n".join(map(finding_text, unexpected)))
    if findings:
        return Ended("skipped", f"known: {findings[0].reason}")
    return None
