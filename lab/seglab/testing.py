"""The pytest plugin: the checks of classifiers and of senders as tests of a user's own suite.

For a classifier, each check of ``seglab regress`` on each network is a test.

With a decorator::

    from seglab.testing import parametrize_with_checks

    @parametrize_with_checks("my_package.rules:classify")
    def test_classifier(check):
        check()

or, without any code, by options of the ini file: ``seglab_classifier``, ``seglab_sessions``...

The author of a sender makes tests of the contract that all senders keep to::

    from seglab.testing import parametrize_with_sender_checks

    @parametrize_with_sender_checks("my_sender.py")
    def test_sender(check):
        check()

pytest imports this module in every run, so it imports nothing of seglab until it is asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seglab.classification.registry import ClassifierLike
    from seglab.regress.known import KnownFailure
    from seglab.regress.result import CheckFinding
    from seglab.regress.suite import Suite, SuiteOptions
    from seglab.sender.sender import Sender

__all__ = ["CheckOn", "parametrize_with_checks", "parametrize_with_sender_checks"]

_INI = {
    "seglab_classifier": "classifier that is put to seglab's checks: a name, package.module:name"
    " or cmd:PROGRAM ARGS",
    "seglab_sessions": "sessions for it, one path a line; by default the sample of the package",
    "seglab_layer": "what it is shown: segments (default), reads or both",
    "seglab_checks": "names of the checks, apart by blanks, commas or lines; by default all",
    "seglab_known_failures": "TOML file of failures that are known, with reasons",
    "seglab_baseline": "file that `seglab regress --update-baseline` wrote",
    "seglab_tolerance": "share by which a network's accuracy may fall",
    "seglab_seed": "seed of everything that is drawn",
    "seglab_time_limit": "seconds for one answer",
}
_LISTS = {"seglab_sessions", "seglab_checks"}
_PATHS = {"seglab_known_failures", "seglab_baseline"}
_SUITES: "dict[SuiteOptions, Suite]" = {}


class SenderCheck:
    """One check of a sender's contract: called, it fails the test by what it found."""

    def __init__(self, sender: "str | Path | Sender", name: str) -> None:
        """Take the sender, or the path of its file, and the name of the check."""
        self._sender = sender
        self.name = name

    def __call__(self) -> None:
        """Fail, or pass."""
        from seglab.errors import SeglabError  # noqa: PLC0415
        from seglab.sender.contract import CHECKS  # noqa: PLC0415
        from seglab.sender.registry import sender_of  # noqa: PLC0415
        from seglab.sender.sender import Sender  # noqa: PLC0415

        sender = self._sender
        try:
            CHECKS[self.name](sender if isinstance(sender, Sender) else sender_of(Path(sender)))
        except (AssertionError, SeglabError) as error:
            pytest.fail(f"{self.name}: {error}", pytrace=False)

    def __repr__(self) -> str:
        """As pytest shows it."""
        return f"<{self.name}>"


def parametrize_with_sender_checks(*senders: "str | Path | Sender") -> pytest.MarkDecorator:
    """Make a test of each check of the contract of senders (``seglab.sender.contract``).

    Args:
        senders: each a sender, or the path of the Python file that holds one.

    Returns:
        A decorator for a test that takes ``check`` and calls it.
    """
    from seglab.sender.contract import CHECKS  # noqa: PLC0415
    from seglab.sender.sender import Sender  # noqa: PLC0415

    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(SenderCheck(sender, name), id=f"{name}-{_sender_id(sender, Sender)}")
            for sender in senders
            for name in CHECKS
        ],
    )


def _sender_id(sender: "str | Path | Sender", kind: "type[Sender]") -> str:
    return sender.name if isinstance(sender, kind) else Path(str(sender)).stem


class CheckOn:
    """One check on one network: called, it fails the test by what it found there."""

    def __init__(self, options: "SuiteOptions", name: str, network: str) -> None:
        """Take which suite it belongs to, the check's name and the network's."""
        self._options = options
        self.name = name
        self.network = network

    @property
    def id(self) -> str:
        """The same in every process and run."""
        return f"{self.name}-{self.network}"

    def __call__(self) -> None:
        """Fail, skip where nothing can be judged, or pass."""
        from seglab.errors import SeglabError  # noqa: PLC0415
        from seglab.regress.terminal import finding_text  # noqa: PLC0415

        try:
            suite = _suite(self._options)
            outcome = suite.outcome(self.name)
            stopped = suite.stopped
        except SeglabError as error:
            pytest.fail(str(error), pytrace=False)
        if outcome.why_not is not None:
            pytest.fail(f"the classifier failed: {stopped}", pytrace=False)
        findings = [f for f in outcome.findings if f.network == self.network]
        unexpected = [finding for finding in findings if finding.reason is None]
        if unexpected:
            pytest.fail(self._text(outcome.summary, unexpected, finding_text), pytrace=False)
        if findings:
            pytest.xfail(str(findings[0].reason))
        if self.network not in outcome.networks:
            pytest.skip(f"{self.name}: nothing can be judged on {self.network}")

    def __repr__(self) -> str:
        return f"<{self.name} on {self.network}>"

    def _text(
        self,
        summary: str,
        findings: "Sequence[CheckFinding]",
        text: "Callable[[CheckFinding], str]",
    ) -> str:
        more = f"\n\nand {len(findings) - 1} more findings" if len(findings) > 1 else ""
        return f"{self.name} on {self.network}: {summary}\n\n{text(findings[0])}{more}"


def parametrize_with_checks(
    classifier: "ClassifierLike",
    *,
    sessions: str | Path | Sequence[str | Path] = "sample",
    layer: str = "segments",
    checks: Sequence[str] = (),
    known_failures: str | Path | None = None,
    baseline: str | Path | None = None,
    tolerance: float | None = None,
    seed: int = 2014,
    time_limit_s: float = 10.0,
) -> pytest.MarkDecorator:
    """Give a test its parameter ``check``: each check on each network.

    Args:
        classifier: a built-in's name, ``package.module:name``, ``cmd:PROGRAM ARGS``, or a function
            that takes an ``Observation``.
        sessions: ``sample``, or paths of run folders, datasets or Parquet files.
        layer: what the classifier is shown: ``segments``, ``reads`` or ``both``.
        checks: names; all of them where there is none.
        known_failures: a TOML file of failures that are known, with reasons.
        baseline: a file that ``seglab regress --update-baseline`` wrote.
        tolerance: the share by which a network's accuracy may fall.
        seed: of everything that is drawn.
        time_limit_s: for one answer.

    Raises:
        InputError: the classifier cannot be loaded or started, or sessions, checks or files cannot
            be used. pytest reports it once, as an error of collection.
    """
    sources = [sessions] if isinstance(sessions, str | Path) else sessions
    options = _options(
        classifier=classifier,
        sessions=tuple(map(str, sources)),
        layer=layer,
        checks=tuple(checks),
        known_failures=None if known_failures is None else str(known_failures),
        baseline=None if baseline is None else str(baseline),
        tolerance=tolerance,
        seed=seed,
        time_limit_s=time_limit_s,
    )
    params = [pytest.param(one, marks=_marks(one, options), id=one.id) for one in _checks(options)]
    return pytest.mark.parametrize("check", params)


class CheckItem(pytest.Item):
    """A test that stands in no file: the ini file asked for it."""

    def __init__(self, *, check: CheckOn, **rest: Any) -> None:
        super().__init__(**rest)
        self.check = check

    def runtest(self) -> None:
        """Run the check."""
        self.check()

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it comes from, and its name."""
        return self.path, None, self.name


class ChecksCollector(pytest.Collector):
    """A check that the ini file asked for, with a test for each network.

    The ids are ``seglab::CHECK::NETWORK``, so that xdist's ``--dist loadscope`` keeps each check
    to one worker.
    """

    def __init__(self, *, checks: list[CheckOn], options: "SuiteOptions", **rest: Any) -> None:
        super().__init__(**rest)
        self._checks = checks
        self._options = options

    def collect(self) -> Iterator[CheckItem]:
        """The tests."""
        for one in self._checks:
            item = CheckItem.from_parent(self, name=one.network, check=one)
            for mark in _marks(one, self._options):
                item.add_marker(mark)
            yield item


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini options, and the command line's way to name another classifier."""
    for name, words in _INI.items():
        if name in _LISTS:
            parser.addini(name, words, "linelist")
        else:
            parser.addini(name, words)
    parser.getgroup("seglab").addoption(
        "--seglab-classifier", metavar="REF", help="use this one instead of `seglab_classifier`"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """End the run where the ini file asks for what cannot be, before xdist starts its workers.

    A worker could not tell: what ends it while it collects, xdist shows as an internal error.
    """
    _of_ini_file(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the tests that the ini file asks for."""
    options, tests = _of_ini_file(config)
    for name, members in groupby(tests, key=lambda one: one.name):
        parent = ChecksCollector.from_parent(
            session, name=name, nodeid=f"seglab::{name}", path=config.rootpath,
            checks=list(members), options=options,
        )  # fmt: skip
        items += parent.collect()


def pytest_unconfigure() -> None:
    """End the classifiers that are programs."""
    while _SUITES:
        _SUITES.popitem()[1].close()


def _everything_was_asked_for(config: pytest.Config) -> bool:
    """Whether this is a run of the whole suite, or of a folder, and not of some files or tests."""
    if config.args_source != pytest.Config.ArgsSource.ARGS:
        return True
    return any((config.invocation_params.dir / argument).is_dir() for argument in config.args)


def _of_ini_file(config: pytest.Config) -> "tuple[SuiteOptions | None, list[CheckOn]]":
    """What the ini file asks for in this run, and the tests that it comes to.

    Raises:
        pytest.UsageError: it cannot be.
    """
    options = _from_ini(config)
    if options is None or not _everything_was_asked_for(config):
        return None, []
    from seglab.errors import SeglabError  # noqa: PLC0415

    try:
        return options, _checks(options)
    except SeglabError as error:
        raise pytest.UsageError(f"seglab: {error}") from error


def _from_ini(config: pytest.Config) -> "SuiteOptions | None":
    """What the ini file asks for; ``None`` where it names no classifier."""
    reference = config.getoption("--seglab-classifier") or config.getini("seglab_classifier")
    if not reference:
        return None

    def text(name: str) -> str | None:
        return config.getini(name) or None

    def path(given: str) -> str:
        return given if given == "sample" else str(config.rootpath / given)

    def number(name: str, default: float) -> float:
        given = text(name)
        try:
            return default if given is None else float(given)
        except ValueError as error:
            raise pytest.UsageError(f"{name}: expected a number, found {given!r}") from error

    files = {name: None if (given := text(name)) is None else path(given) for name in _PATHS}
    return _options(
        classifier=reference,
        sessions=tuple(map(path, config.getini("seglab_sessions"))) or ("sample",),
        layer=text("seglab_layer") or "segments",
        checks=tuple(" ".join(config.getini("seglab_checks")).replace(",", " ").split()),
        known_failures=files["seglab_known_failures"],
        baseline=files["seglab_baseline"],
        tolerance=None if text("seglab_tolerance") is None else number("seglab_tolerance", 0),
        seed=int(number("seglab_seed", 2014)),
        time_limit_s=number("seglab_time_limit", 10),
    )


def _options(**values: Any) -> "SuiteOptions":
    from seglab.regress.suite import SuiteOptions  # noqa: PLC0415

    if values["layer"] not in ("segments", "reads", "both"):
        raise pytest.UsageError(
            f"seglab: layer: expected segments, reads or both, found {values['layer']!r}"
        )
    return SuiteOptions(**values)


def _suite(options: "SuiteOptions") -> "Suite":
    from seglab.regress.suite import Suite  # noqa: PLC0415

    if options not in _SUITES:
        _SUITES[options] = Suite(options)
    return _SUITES[options]


def _checks(options: "SuiteOptions") -> list[CheckOn]:
    """The tests of a suite, whose classifier is started: a misspelled one is one error, here.

    Raises:
        InputError: classifier, sessions, checks or files cannot be used.
    """
    suite = _suite(options)
    suite.start()
    return [CheckOn(options, name, network) for name, network in suite.tests]


def _marks(one: CheckOn, options: "SuiteOptions") -> list[pytest.MarkDecorator]:
    """An expected failure that is the whole test's, so that pytest tells when it passes."""

    def whole(failure: "KnownFailure") -> bool:
        return (
            failure.check == one.name
            and failure.network in (None, one.network)
            and failure.style is None
            and failure.layer is None
        )

    known = next(filter(whole, _suite(options).known), None)
    return [] if known is None else [pytest.mark.xfail(reason=known.reason, strict=False)]
