"""Runs checks over cases: the one loop of the command, the library and the pytest plugin."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from seglab.classification.answer import Answer, ClassifierFailedError, Runner, allowed_styles
from seglab.regress.baseline import Baseline, fingerprint
from seglab.regress.case import Case, Pairing
from seglab.regress.judgement import Check, CheckContext, Judgement, Settings
from seglab.regress.known import KnownFailure, reason_for
from seglab.regress.result import CheckFinding, CheckOutcome, MatrixCell, RegressResult
from seglab.regress.scores import scores

_FAILED_BEFORE = "the classifier had failed"


class CheckRun:
    """A classifier's answers to all cases, and the checks that judge them.

    Attributes:
        stopped: why the classifier cannot be asked any more, in one line; ``None`` while it can.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        runner: Runner,
        *,
        settings: Settings | None = None,
        baseline: Baseline | None = None,
        known: Sequence[KnownFailure] = (),
        judge_partial: bool = True,
    ) -> None:
        """Let the classifier answer all cases.

        Args:
            cases: at one layer or two.
            runner: the classifier.
            settings: tolerances, and the seed.
            baseline: an earlier run, to which this one is held.
            known: failures that are expected.
            judge_partial: what happens once the classifier has failed. If true, checks that need
                no further answer judge the answers that there are; if false, no check runs.
        """
        self.stopped: str | None = None
        self._name = runner.name
        self._known = known
        self._judge_partial = judge_partial
        try:
            answers: Sequence[Answer] = runner.ask([case.observation for case in cases])
        except ClassifierFailedError as error:
            self.stopped, answers = error.reason, error.answered
        same = baseline is not None and baseline.sessions == fingerprint(cases)
        self._context = CheckContext(
            cases=cases[: len(answers)],
            answers=answers,
            runner=runner,
            settings=settings or Settings(),
            baseline=None if baseline is None else baseline.by_place,
            same_sessions=same,
        )

    def outcome(self, check: Check) -> CheckOutcome:
        """Run one check; where it cannot run, the outcome says why."""
        if self.stopped is not None and self._cannot_judge(check):
            return CheckOutcome(name=check.name, summary=check.summary, why_not=_FAILED_BEFORE)
        try:
            return outcome(check, check.run(self._context), self._known)
        except ClassifierFailedError as error:
            self.stopped = error.reason
            return CheckOutcome(name=check.name, summary=check.summary, why_not=error.reason)

    def result(
        self, outcomes: Sequence[CheckOutcome], sources: Sequence[str] = ()
    ) -> RegressResult:
        """Put the outcomes of checks together with the scores.

        Args:
            outcomes: of the checks that were run.
            sources: where the cases come from, in words.
        """
        context = self._context
        by_mtu = sorted(context.cases, key=lambda case: (case.mtu, case.network))
        return RegressResult(
            classifier=self._name,
            sessions=len({case.session_id for case in context.cases}),
            outcomes=tuple(outcomes),
            scores=scores(context.pairs),
            cells=_cells(context, [f for outcome in outcomes for f in outcome.findings]),
            mtus={case.network: case.mtu for case in by_mtu},
            sources=tuple(sources),
            stopped=self.stopped,
            settings=context.settings,
            baselined=context.baseline is not None,
            stale=_stale(outcomes, self._known),
        )

    def _cannot_judge(self, check: Check) -> bool:
        return not self._judge_partial or check.asks or not self._context.cases


def run(
    cases: Sequence[Case],
    runner: Runner,
    checks: Iterable[Check],
    *,
    settings: Settings | None = None,
    baseline: Baseline | None = None,
    known: Sequence[KnownFailure] = (),
    sources: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> RegressResult:
    """Ask a classifier about all cases, and judge its answers.

    Args:
        cases: at one layer or two.
        runner: the classifier.
        checks: those that run, in this order.
        settings: tolerances, and the seed.
        baseline: an earlier run, to which this one is held.
        known: failures that are expected.
        sources: where the cases come from, in words, for the result.
        progress: is called with the name of each part of the work when it begins.
    """
    progress("sessions")
    checking = CheckRun(cases, runner, settings=settings, baseline=baseline, known=known)
    outcomes = []
    for check in checks:
        progress(check.name)
        outcomes.append(checking.outcome(check))
    return checking.result(outcomes, sources)


def outcome(
    check: Check, judgements: Iterable[Judgement], known: Sequence[KnownFailure] = ()
) -> CheckOutcome:
    """Count a check's judgements by network, layer and style, and keep the smallest examples."""
    judged: Counter[tuple[str, str, str]] = Counter()
    broken: Counter[tuple[str, str, str]] = Counter()
    smallest: dict[tuple[str, str, str], Judgement] = {}
    pairings: Counter[Pairing] = Counter()
    exempt = 0
    for one in judgements:
        if one.passed is None:
            exempt += 1
            continue
        key = one.network, one.layer, one.style
        judged[key] += 1
        if one.pairing is not None:
            pairings[one.pairing] += 1
        if not one.passed:
            broken[key] += 1
            if key not in smallest or one.weight < smallest[key].weight:
                smallest[key] = one
    findings = [
        CheckFinding(
            check=check.name,
            network=one.network,
            mtu=one.mtu,
            layer=one.layer,
            style=one.style,
            broken=broken[key],
            judged=judged[key],
            words=one.words,
            writes=one.writes,
            sides=one.sides,
            reason=reason_for(known, check.name, one.network, one.style, one.layer),
        )
        for key, one in smallest.items()
    ]
    return CheckOutcome(
        name=check.name,
        summary=check.summary,
        judged=judged.total(),
        exempt=exempt,
        findings=tuple(sorted(findings, key=lambda f: (f.weight, f.mtu, f.where))),
        networks=frozenset(network for network, _, _ in judged),
        pairings=dict(pairings),
    )


def _stale(
    outcomes: Iterable[CheckOutcome], known: Iterable[KnownFailure]
) -> tuple[KnownFailure, ...]:
    """Return the known failures that were looked for and did not occur."""
    judged = {outcome.name: outcome for outcome in outcomes if outcome.judged}
    return tuple(
        failure
        for failure in known
        if failure.check in judged
        and (failure.network is None or failure.network in judged[failure.check].networks)
        and not any(
            failure.covers(finding.check, finding.network, finding.style, finding.layer)
            for finding in judged[failure.check].findings
        )
    )


def _cells(
    context: CheckContext, findings: Iterable[CheckFinding]
) -> dict[tuple[str, int], MatrixCell]:
    sessions: Counter[tuple[str, int]] = Counter()
    right: Counter[tuple[str, int]] = Counter()
    checks: dict[tuple[str, int], dict[str, None]] = {}
    for case, answer in context.pairs:
        sessions[case.style, case.mtu] += 1
        right[case.style, case.mtu] += case.style in allowed_styles(answer)
    for finding in findings:
        checks.setdefault((finding.style, finding.mtu), {})[finding.check] = None
    return {
        key: MatrixCell(sessions=sessions[key], right=right[key], checks=tuple(checks.get(key, ())))
        for key in sorted(sessions)
    }
