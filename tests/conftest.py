"""What all tests share: programs and permissions they need, and what happens without them."""

import os
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

# A background job ignores SIGINT, and so would all that it starts; tests press Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Time is measured in benchmarks/. A busy machine must not fail a property.
with suppress(ImportError):  # the package's environment has no Hypothesis
    from hypothesis import settings

    settings.register_profile("seglab", deadline=None)
    settings.load_profile("seglab")

WORKERS_MOST = 8
"""Processes that run tests side by side; each needs some hundred megabytes."""

# In CI these run once, where paths are awkward.
if os.environ.get("SEGLAB_PATHS_LATER") == "1":
    from anywhere import looking_at_paths

    collect_ignore = looking_at_paths(Path(__file__).parent)

EMULATION = Path(__file__).parent / "emulation"
NO_SKIPS = os.environ.get("SEGLAB_REQUIRE_ALL") == "1"
"""Whether a skipped test is a failure: set where every tool has to be there, as in CI."""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """What a command line run in this process does at SIGINT and SIGTERM ends with the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give all that tests start a temporary folder that goes when the tests have ended."""
    folder = str(tmp_path_factory.mktemp("tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", None)  # tempfile has looked at the variable already
        yield


@pytest.fixture(autouse=True)
def _own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget the modules that a test wrote: the next test's folder may have the same name."""
    before = {*sys.modules}
    yield
    folder = str(tmp_path_factory.getbasetemp())
    for name in {*sys.modules} - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(folder):
            del sys.modules[name]


@cache
def _why_no_emulation() -> str | None:
    from seglab.errors import EnvironmentLacksError  # noqa: PLC0415
    from seglab.kernel import sandbox  # noqa: PLC0415

    try:
        sandbox.check()
    except EnvironmentLacksError as error:
        return str(error)
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests also wait for what they have started."""
    return min(len(os.sched_getaffinity(0)) + 1, WORKERS_MOST)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that need a lab by the folder they lie in, and what they share.

    Tests with a fixture of their module, such as a run that all of them read, stay together where
    tests are distributed one by one.
    """
    for item in items:
        if EMULATION in item.path.parents:
            item.add_marker(pytest.mark.emulation)
        if config.pluginmanager.hasplugin("xdist") and _shares_with_its_module(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def _shares_with_its_module(item: pytest.Item) -> bool:
    found = getattr(item, "_fixtureinfo", None)
    return found is not None and any(
        one.scope == "module" for fixtures in found.name2fixturedefs.values() for one in fixtures
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs a lab where none can be built."""
    if item.get_closest_marker("emulation") and (reason := _why_no_emulation()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be skipped."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole file into a failure where nothing may be skipped."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIPS and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"no skips with SEGLAB_REQUIRE_ALL=1, but: {reason}"
