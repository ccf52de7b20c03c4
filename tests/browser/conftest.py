"""The browser of the tests of report.html: one for each process that runs tests."""

from collections.abc import Iterator

import pytest
from chromium import Browser, browser
from programs import need


@pytest.fixture(scope="session")
def _window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    programs = need("chromium"), need("chromedriver")
    with browser(*programs, tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def page(_window: Browser) -> Iterator[Browser]:
    """A window in its first state; afterwards, nobody has complained or asked the network."""
    _window.look()
    yield _window
    assert _window.complaints() == []
    assert [url for url in _window.requested() if not url.startswith(("file:", "data:"))] == []
