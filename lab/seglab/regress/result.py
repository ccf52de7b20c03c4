"""What a run of checks found: by check, by style and MTU, and as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seglab.core.text import count
from seglab.regress.case import Pairing
from seglab.regress.judgement import AnswerCounts, ExampleSide, Settings
from seglab.regress.known import KnownFailure
from seglab.regress.scores import Place

State = Literal["passed", "failed", "known", "not judged", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinding:
    """What a check found wrong with one style, on one network, at one layer.

    Attributes:
        check: the check's name.
        network: the network's name.
        mtu: of the network's path.
        layer: of the observations.
        style: the true style; empty where the finding is about the whole network.
        broken: how many cases failed.
        judged: how many were judged.
        words: what is wrong with the smallest example.
        writes: the sizes of the sender's writes in the example.
        sides: the smallest example.
        reason: why the finding is expected; ``None`` where it is not.
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
    sides: tuple[ExampleSide, ...] = ()
    reason: str | None = None

    @property
    def where(self) -> str:
        """Network, layer and style in words."""
        style = f" {self.style}" if self.style else ""
        return f"{self.network} (MTU {self.mtu}) {self.layer}{style}"

    @property
    def weight(self) -> tuple[int, int]:
        """How hard the example is to read: its number of sizes, then its number of bytes."""
        lengths = [len(side.sizes) for side in self.sides]
        return sum(lengths), sum(sum(side.sizes) for side in self.sides)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOutcome:
    """What a check says of all cases.

    Attributes:
        name: the check's.
        summary: the check's.
        judged: how many cases were judged.
        exempt: how many cases cannot show whether the check holds.
        findings: what is wrong, by network, layer and style.
        networks: those with at least one case that was judged.
        pairings: how many of the judged cases were compared with sessions of equal writes, and how
            many with those of the same program and message; empty where the check compares none.
        why_not: why the check did not run; ``None`` where it did.
    """

    name: str
    summary: str
    judged: int = 0
    exempt: int = 0
    findings: tuple[CheckFinding, ...] = ()
    networks: frozenset[str] = frozenset()
    pairings: Mapping[Pairing, int] = field(default_factory=dict)
    why_not: str | None = None

    @property
    def state(self) -> State:
        """How the check ended."""
        if self.why_not is not None:
            return "not run"
        if any(finding.reason is None for finding in self.findings):
            return "failed"
        if self.findings:
            return "known"
        return "passed" if self.judged else "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """How often the answer was right for a style at an MTU, and which checks broke.

    Attributes:
        sessions: how many there are.
        right: how many answers held the true style.
        checks: the names of the checks with a finding there.
    """

    sessions: int = 0
    right: int = 0
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressResult:
    """Everything that a regress run found.

    Attributes:
        classifier: the classifier's name.
        sessions: how many sessions the classifier answered.
        outcomes: one for each check.
        scores: accuracy by network and layer.
        cells: by style and MTU.
        mtus: of the networks, in order of MTU.
        sources: where the sessions come from, in words.
        stopped: why the classifier did not answer everything; ``None`` where it did.
        settings: of the run.
        baselined: whether there was a baseline.
        stale: known failures that did not occur.
    """

    classifier: str
    sessions: int
    outcomes: tuple[CheckOutcome, ...]
    scores: dict[Place, AnswerCounts]
    cells: dict[tuple[str, int], MatrixCell]
    mtus: dict[str, int]
    sources: tuple[str, ...] = ()
    stopped: str | None = None
    settings: Settings = field(default_factory=Settings)
    baselined: bool = False
    stale: tuple[KnownFailure, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that the classifier was shown."""
        return tuple(dict.fromkeys(layer for _, layer in self.scores))

    @property
    def findings(self) -> tuple[CheckFinding, ...]:
        """The findings of all checks."""
        return tuple(finding for outcome in self.outcomes for finding in outcome.findings)

    @property
    def unexpected(self) -> tuple[CheckFinding, ...]:
        """The findings that no known failure covers."""
        return tuple(finding for finding in self.findings if finding.reason is None)

    @property
    def good(self) -> bool:
        """Whether the classifier answered everything, and nothing but known failures was found."""
        return self.stopped is None and not self.unexpected

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the checks with a finding that no known failure covers."""
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
