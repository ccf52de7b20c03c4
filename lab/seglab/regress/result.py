"""Runs checks over cases and keeps what they say, as far as the classifier came."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from seglab.core.text import count
from seglab.regress.case import Case
from seglab.regress.judgement import (
    Answer,
    Asker,
    Bench,
    Check,
    ClassifierFailedError,
    Judgement,
    Score,
    Settings,
    Side,
    styles,
)
from seglab.regress.known import KnownFailure, reason_for
from seglab.regress.scores import Place, scores

State = Literal["passed", "failed", "known", "not judged", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found wrong with one style on one network at one layer.

    Attributes:
        check: the check's name.
        network: the network's name.
        mtu: of its path.
        layer: of the observations.
        style: the true style; empty where the finding is about the whole network.
        broken: how many cases failed.
        judged: how many were judged.
        words: what is wrong, of the smallest example.
        writes: the sizes of the sender's writes in the example.
        sides: the smallest example.
        reason: why the finding is known; ``None`` where it is not.
    """

    check: str
    network: str
    mtu: int
    layer: str
    style: str
    broken: int
    judged: int
    words: str
    writes: tuple[int, ...] = ()
    sides: tuple[Side, ...] = ()
    reason: str | None = None

    @property
    def where(self) -> str:
        """Network, layer and style in words."""
        style = f" {self.style}" if self.style else ""
        return f"{self.network} (MTU {self.mtu}) {self.layer}{style}"

    @property
    def weight(self) -> tuple[int, int]:
        """By how much its example is harder to read than another."""
        lengths = [len(side.sizes) for side in self.sides]
        return sum(lengths), sum(sum(side.sizes) for side in self.sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check says of all cases.

    Attributes:
        name: the check's.
        summary: the check's.
        judged: how many cases were judged.
        exempt: of how many nothing can be asked.
        findings: what is wrong, by network, layer and style.
        networks: the networks on which something was judged.
        why_not: why the check was not run; ``None`` where it was.
    """

    name: str
    summary: str
    judged: int = 0
    exempt: int = 0
    findings: tuple[Finding, ...] = ()
    networks: frozenset[str] = frozenset()
    why_not: str | None = None

    @property
    def state(self) -> State:
        """How it ended."""
        if self.why_not is not None:
            return "not run"
        if any(finding.reason is None for finding in self.findings):
            return "failed"
        if self.findings:
            return "known"
        return "passed" if self.judged else "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A style at an MTU: how often the answer was right, and which checks broke.

    Attributes:
        sessions: how many.
        right: how many answers held the truth.
        checks: names of the checks with a finding there.
    """

    sessions: int = 0
    right: int = 0
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that a regress run found.

    Attributes:
        classifier: its name.
        sessions: how many sessions were asked about.
        outcomes: by check.
        scores: accuracy by network and layer.
        cells: by style and MTU.
        mtus: of each network.
        sources: where the sessions come from, in words.
        stopped: why the classifier could not be asked to the end; ``None`` where it could.
        settings: of the run.
        baselined: whether there was a baseline.
        stale: known failures that did not occur.
    """

    classifier: str
    sessions: int
    outcomes: tuple[Outcome, ...]
    scores: dict[Place, Score]
    cells: dict[tuple[str, int], Cell]
    mtus: dict[str, int]
    sources: tuple[str, ...] = ()
    stopped: str | None = None
    settings: Settings = field(default_factory=Settings)
    baselined: bool = False
    stale: tuple[KnownFailure, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """What the classifier was shown."""
        return tuple(dict.fromkeys(layer for _, layer in self.scores))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all checks."""
        return tuple(finding for outcome in self.outcomes for finding in outcome.findings)

    @property
    def unexpected(self) -> tuple[Finding, ...]:
        """Those that no known failure covers."""
        return tuple(finding for finding in self.findings if finding.reason is None)

    @property
    def good(self) -> bool:
        """Whether there is nothing to tell but known failures."""
        return self.stopped is None and not self.unexpected

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the checks that found something new."""
        return tuple(outcome.name for outcome in self.outcomes if outcome.state == "failed")

    @property
    def headline(self) -> str:
        """The result in one line."""
        if self.stopped is not None:
            return f"{self.classifier} failed: {self.stopped}"
        if self.broken:
            checks = count(len(self.outcomes), "check")
            return f"{self.classifier} breaks {len(self.broken)} of {checks}"
        known = len(self.findings)
        words = f", {count(known, 'known finding')}" if known else ""
        return f"{self.classifier}: no regression{words}"


def run(
    name: str,
    cases: Sequence[Case],
    asker: Asker,
    checks: Iterable[Check],
    *,
    settings: Settings | None = None,
    baseline: dict[Place, Score] | None = None,
    same_sessions: bool = False,
    known: Sequence[KnownFailure] = (),
    sources: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Result:
    """Ask a classifier about all cases and judge its answers.

    Args:
        name: of the classifier.
        cases: at one layer or two.
        asker: the classifier.
        checks: those to run.
        settings: tolerances, and the seed.
        baseline: an earlier run's scores.
        same_sessions: whether the baseline is of these very sessions.
        known: failures that are expected.
        sources: where the cases come from, in words, to be told with the result.
        tell: hears the name of what begins.
    """
    settings = settings or Settings()
    stopped: str | None = None
    tell("sessions")
    try:
        answers: list[Answer] = asker.ask([case.observation for case in cases])
    except ClassifierFailedError as error:
        stopped, answers = error.reason, error.answered
    cases = cases[: len(answers)]
    bench = Bench(
        cases=cases,
        answers=answers,
        asker=asker,
        settings=settings,
        baseline=baseline,
        same_sessions=same_sessions,
    )
    outcomes = []
    for check in checks:
        if stopped is not None and (check.asks or not cases):
            why_not = "the classifier had failed"
            outcomes.append(Outcome(name=check.name, summary=check.summary, why_not=why_not))
            continue
        tell(check.name)
        try:
            outcomes.append(outcome(check, check.run(bench), known))
        except ClassifierFailedError as error:
            stopped = error.reason
            outcomes.append(Outcome(name=check.name, summary=check.summary, why_not=stopped))
    result = Result(
        classifier=name,
        sessions=len({case.session_id for case in cases}),
        outcomes=tuple(outcomes),
        scores=scores(bench.pairs),
        cells={},
        mtus={case.network: case.mtu for case in sorted(cases, key=lambda c: (c.mtu, c.network))},
        sources=tuple(sources),
        stopped=stopped,
        settings=settings,
        baselined=baseline is not None,
        stale=_stale(outcomes, known),
    )
    return replace(result, cells=_cells(bench, result.findings))


def outcome(
    check: Check, judgements: Iterable[Judgement], known: Sequence[KnownFailure] = ()
) -> Outcome:
    """A check's judgements, counted by network, layer and style; the smallest examples kept."""
    judged: Counter[tuple[str, str, str]] = Counter()
    broken: Counter[tuple[str, str, str]] = Counter()
    smallest: dict[tuple[str, str, str], Judgement] = {}
    exempt = 0
    for one in judgements:
        if one.passed is None:
            exempt += 1
            continue
        key = one.network, one.layer, one.style
        judged[key] += 1
        if not one.passed:
            broken[key] += 1
            if key not in smallest or one.weight < smallest[key].weight:
                smallest[key] = one
    findings = [
        Finding(
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
    return Outcome(
        name=check.name,
        summary=check.summary,
        judged=judged.total(),
        exempt=exempt,
        findings=tuple(sorted(findings, key=lambda f: (f.weight, f.mtu, f.where))),
        networks=frozenset(network for network, _, _ in judged),
    )


def _stale(outcomes: Iterable[Outcome], known: Iterable[KnownFailure]) -> tuple[KnownFailure, ...]:
    """Known failures that were looked for and did not occur."""
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


def _cells(bench: Bench, findings: Iterable[Finding]) -> dict[tuple[str, int], Cell]:
    sessions: Counter[tuple[str, int]] = Counter()
    right: Counter[tuple[str, int]] = Counter()
    checks: dict[tuple[str, int], dict[str, None]] = {}
    for case, answer in bench.pairs:
        sessions[case.style, case.mtu] += 1
        right[case.style, case.mtu] += case.style in styles(answer)
    for finding in findings:
        checks.setdefault((finding.style, finding.mtu), {})[finding.check] = None
    return {
        key: Cell(sessions=sessions[key], right=right[key], checks=tuple(checks.get(key, ())))
        for key in sorted(sessions)
    }
