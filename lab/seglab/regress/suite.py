"""A classifier and its sessions, held to the checks: for a test suite, and for a program.

A ``Suite`` serves the pytest plugin. It loads its sessions once a process, the classifier answers
them once, and each check runs once, when the first of its networks is asked about.
``check_classifier`` runs all checks at once.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

from seglab.classification.registry import ClassifierLike
from seglab.core.record import SessionRecord
from seglab.core.specfile import SIZE_MAX_BYTES, read
from seglab.errors import InputError
from seglab.regress import checks as checks_
from seglab.regress import known as known_
from seglab.regress.baseline import Baseline
from seglab.regress.case import Case, LayerChoice, cases
from seglab.regress.judgement import Settings
from seglab.regress.known import KnownFailure
from seglab.regress.result import CheckOutcome, RegressResult
from seglab.regress.run import CheckRun, run
from seglab.regress.sessions import SAMPLE, load
from seglab.runners.open import TIME_LIMIT_S, open_runner

Sessions = str | os.PathLike[str] | Iterable[str | os.PathLike[str] | SessionRecord]
"""Where sessions come from: a path or ``sample``, several of these, or the sessions themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOptions:
    """What is tested, and how; equal options are one suite.

    Attributes:
        classifier: a built-in's name, ``package.module:name``, ``cmd:PROGRAM ARGS``, or a callable.
        sessions: ``sample``, or paths of run folders, datasets and Parquet files.
        layer: what the classifier is shown.
        checks: names; no name stands for all of them.
        known_failures: a TOML file, see ``seglab.regress.known``.
        baseline: a file that ``seglab regress --update-baseline`` wrote.
        tolerance: by how much a network's accuracy may fall.
        seed: of everything that is drawn.
        time_limit_s: for one answer.
    """

    classifier: ClassifierLike
    sessions: tuple[str, ...] = (SAMPLE,)
    layer: LayerChoice = "segments"
    checks: tuple[str, ...] = ()
    known_failures: str | None = None
    baseline: str | None = None
    tolerance: float | None = None
    seed: int = 2014
    time_limit_s: float = TIME_LIMIT_S


class Suite:
    """The tests that some options stand for: each check on each network.

    Attributes:
        known: the failures that are expected.
    """

    def __init__(self, options: SuiteOptions) -> None:
        """Load the sessions; the classifier is opened later, by ``start`` or the first outcome.

        Raises:
            InputError: sessions, checks, baseline or known failures cannot be used.
        """
        self._options = options
        self._checks = {check.name: check for check in checks_.chosen(options.checks)}
        self._cases = _cases(options.sessions, options.layer)
        self.known: tuple[KnownFailure, ...] = ()
        if options.known_failures is not None:
            self.known = read_known(Path(options.known_failures))
        self._baseline: Baseline | None = None
        if options.baseline is not None:
            self._baseline = read_baseline(Path(options.baseline))
        self._outcomes: dict[str, CheckOutcome] = {}
        self._cannot_start: InputError | None = None
        self._stack = ExitStack()

    @property
    def tests(self) -> list[tuple[str, str]]:
        """Each check's name with each network's, in order of MTU."""
        networks = {case.network: case.mtu for case in self._cases}
        ordered = sorted(networks, key=lambda name: (networks[name], name))
        return [(check, network) for check in self._checks for network in ordered]

    def start(self) -> None:
        """Open the classifier, so that a wrong reference shows before any check runs.

        Raises:
            InputError: the classifier cannot be loaded or started. Later calls and outcomes raise
                the same error at once, without trying again.
        """
        if self._cannot_start is not None:
            raise self._cannot_start
        try:
            self._run  # noqa: B018 -- the first access opens the classifier
        except InputError as error:
            self._cannot_start = error
            raise

    @property
    def stopped(self) -> str | None:
        """Why the classifier cannot be asked any more; ``None`` while it can.

        Raises:
            InputError: the classifier cannot be loaded or started.
        """
        return self._run.stopped

    def outcome(self, name: str) -> CheckOutcome:
        """Return what a check says of all networks.

        A test cannot be half run, so no check runs after the classifier has failed.

        Raises:
            InputError: the classifier cannot be loaded or started.
        """
        if name not in self._outcomes:
            self.start()
            self._outcomes[name] = self._run.outcome(self._checks[name])
        return self._outcomes[name]

    def close(self) -> None:
        """End the classifier's process, where it has one."""
        self._stack.close()

    @cached_property
    def _run(self) -> CheckRun:
        options = self._options
        runner = self._stack.enter_context(
            open_runner(options.classifier, time_limit_s=options.time_limit_s)
        )
        return CheckRun(
            self._cases,
            runner,
            settings=Settings.of(options.seed, options.tolerance),
            baseline=self._baseline,
            known=self.known,
            judge_partial=False,
        )


def check_classifier(
    classifier: ClassifierLike,
    sessions: Sessions = SAMPLE,
    *,
    layer: LayerChoice = "segments",
    checks: Sequence[str] = (),
    known_failures: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    tolerance: float | None = None,
    seed: int = 2014,
    time_limit_s: float = TIME_LIMIT_S,
    processes: int = 1,
) -> RegressResult:
    """Find out whether a classifier has learned the sender, or the network.

    Example::

        result = seglab.check_classifier("paper")
        print(result.headline)
        for finding in result.findings:
            print(finding.check, finding.where, finding.words)

    Args:
        classifier: a built-in's name, ``package.module:name``, ``cmd:PROGRAM ARGS``, or a function
            that takes an ``Observation``.
        sessions: ``sample``, which comes with seglab; one or several paths of run folders, datasets
            or Parquet files; or the sessions themselves, such as a ``seglab.StoredRun``.
        layer: what the classifier is shown: ``segments``, ``reads`` or ``both``.
        checks: names; no name stands for all of them.
        known_failures: a TOML file of failures that are expected, with reasons.
        baseline: a file that ``seglab regress --update-baseline`` wrote.
        tolerance: the share by which a network's accuracy may fall.
        seed: of everything that is drawn.
        time_limit_s: for one answer.
        processes: how many may share the work of a slow classifier of Python.

    Returns:
        What the checks found; ``good`` says whether all of them passed or failed as is known, as
        the exit code 0 of ``seglab regress`` does.

    Raises:
        InputError: classifier, sessions, checks or files cannot be used.
    """
    if layer not in get_args(LayerChoice):
        raise InputError(f"layer: expected segments, reads or both, found {layer!r}")
    found, sources = _given(sessions, layer)
    selected = checks_.chosen(checks)
    known = read_known(Path(known_failures)) if known_failures is not None else ()
    before = read_baseline(Path(baseline)) if baseline is not None else None
    with open_runner(classifier, time_limit_s=time_limit_s, processes=processes) as runner:
        return run(
            found,
            runner,
            selected,
            settings=Settings.of(seed, tolerance),
            baseline=before,
            known=known,
            sources=sources,
        )


def _given(sessions: Sessions, layer: LayerChoice) -> tuple[list[Case], list[str]]:
    """The cases of some sessions, and in words where they come from."""
    if isinstance(sessions, str | os.PathLike):
        sessions = [sessions]
    found: list[Case] = []
    sources: dict[str, None] = {}
    records: list[SessionRecord] = []
    for one in sessions:
        if isinstance(one, SessionRecord):
            records.append(one)
        else:
            found += load(os.fspath(one), layer)
            sources[os.fspath(one)] = None
    if records:
        found += cases(records, layer)
        sources[str(getattr(sessions, "path", "sessions"))] = None
    if not found:
        raise InputError("sessions: expected at least one complete session, found none")
    return found, [*sources]


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


def _cases(sources: Sequence[str], layer: LayerChoice) -> list[Case]:
    key = tuple(sources), layer
    if key not in _LOADED:
        _LOADED[key] = [case for source in sources for case in load(source, layer)]
    return _LOADED[key]
