"""A classifier and its sessions, judged check by check as a test suite asks for it.

Sessions are loaded once a process, the classifier answers them once, and each check runs once,
when the first of its networks is asked about.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seglab.classification.classifier import Classifier
from seglab.classification.registry import of_callable
from seglab.core.specfile import SIZE_MAX_BYTES, read
from seglab.errors import InputError
from seglab.regress import checks as checks_
from seglab.regress import known as known_
from seglab.regress.baseline import Baseline, fingerprint
from seglab.regress.case import Case, Layers
from seglab.regress.judgement import Asker, Bench, Check, ClassifierFailedError, Settings
from seglab.regress.known import KnownFailure
from seglab.regress.result import Outcome, outcome
from seglab.regress.sessions import load
from seglab.runners.open import LocalAsker, open_classifier

Reference = str | Classifier | Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to be tested, and how; all of it can be compared, so that equal ones are one suite.

    Attributes:
        classifier: a built-in's name, ``package.module:name``, ``cmd:PROGRAM ARGS``, or a callable.
        sessions: ``sample``, or paths of run folders, datasets and Parquet files.
        layer: what the classifier is shown.
        checks: names; all of them where there is none.
        known_failures: a TOML file, see ``seglab.regress.known``.
        baseline: a file that ``seglab regress --update-baseline`` wrote.
        tolerance: by how much a network's accuracy may fall.
        seed: of everything that is drawn.
        time_limit_s: for one answer.
    """

    classifier: Reference
    sessions: tuple[str, ...] = ("sample",)
    layer: Layers = "segments"
    checks: tuple[str, ...] = ()
    known_failures: str | None = None
    baseline: str | None = None
    tolerance: float | None = None
    seed: int = 2014
    time_limit_s: float = 10.0


class Suite:
    """The tests of one choice: each check on each network."""

    def __init__(self, choice: Choice) -> None:
        """Load the sessions; the classifier is not touched yet.

        Raises:
            InputError: sessions, checks, baseline or known failures cannot be used.
        """
        self._choice = choice
        self._checks = {check.name: check for check in checks_.chosen(choice.checks)}
        self._cases = _cases(choice.sessions, choice.layer)
        self.known: tuple[KnownFailure, ...] = ()
        if choice.known_failures is not None:
            self.known = read_known(Path(choice.known_failures))
        self._baseline: Baseline | None = None
        if choice.baseline is not None:
            self._baseline = read_baseline(Path(choice.baseline))
        self._outcomes: dict[str, Outcome] = {}
        self._failed: str | None = None
        self._stack = ExitStack()

    @property
    def tests(self) -> list[tuple[str, str]]:
        """Each check's name with each network's, in order of MTU."""
        networks = {case.network: case.mtu for case in self._cases}
        ordered = sorted(networks, key=lambda name: (networks[name], name))
        return [(check, network) for check in self._checks for network in ordered]

    def outcome(self, name: str) -> Outcome:
        """What a check says of all networks.

        Raises:
            InputError: the classifier cannot be loaded or started.
        """
        if name not in self._outcomes:
            self._outcomes[name] = self._judged(self._checks[name])
        return self._outcomes[name]

    def close(self) -> None:
        """End the classifier, where it is a program."""
        self._stack.close()

    def _judged(self, check: Check) -> Outcome:
        try:
            if self._failed is None:
                return outcome(check, check.run(self._bench), self.known)
        except ClassifierFailedError as error:
            self._failed = error.reason
        return Outcome(name=check.name, summary=check.summary, why_not=self._failed)

    @cached_property
    def _bench(self) -> Bench:
        choice, before = self._choice, self._baseline
        asker = self._opened()
        settings = Settings(seed=choice.seed)
        if choice.tolerance is not None:
            settings = Settings(
                seed=choice.seed, tolerance=choice.tolerance, own_tolerance=choice.tolerance
            )
        return Bench(
            cases=self._cases,
            answers=asker.ask([case.observation for case in self._cases]),
            asker=asker,
            settings=settings,
            baseline=None if before is None else before.by_place,
            same_sessions=before is not None and before.sessions == fingerprint(self._cases),
        )

    def _opened(self) -> Asker:
        reference, limit_s = self._choice.classifier, self._choice.time_limit_s
        if isinstance(reference, str):
            return self._stack.enter_context(open_classifier(reference, limit_s))[1]
        return LocalAsker(of_callable(reference), limit_s)


def read_known(path: Path) -> tuple[KnownFailure, ...]:
    """The known failures of a TOML file.

    Raises:
        InputError: it cannot be used; says where and why.
    """
    return known_.parse(read(path), str(path))


def read_baseline(path: Path) -> Baseline:
    """The baseline that an earlier run wrote.

    Raises:
        InputError: there is none, or it cannot be used.
    """
    try:
        if not path.is_file() and path.exists():
            raise InputError(f"{path}: expected a regular file")
        with path.open("rb") as file:
            text = file.read(SIZE_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; --update-baseline makes a baseline") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > SIZE_MAX_BYTES:
        raise InputError(f"{path}: larger than {SIZE_MAX_BYTES} bytes, and so no baseline")
    return Baseline.from_json(text, str(path))


_LOADED: dict[tuple[tuple[str, ...], str], list[Case]] = {}


def _cases(sources: Sequence[str], layer: Layers) -> list[Case]:
    key = tuple(sources), layer
    if key not in _LOADED:
        _LOADED[key] = [case for source in sources for case in load(source, layer)]
    return _LOADED[key]
