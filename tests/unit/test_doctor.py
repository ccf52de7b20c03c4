"""``seglab doctor``: what it says of the modules that can be compiled."""

from collections.abc import Iterator

import pytest

from seglab.commands.doctor import MachineCheck, checks
from seglab.core import compiling

MODULES = {
    "capture reader": compiling.CAPTURE,
    "simulator": compiling.SIMULATOR,
    "text of mail": compiling.MAIL,
}


@pytest.fixture(params=sorted(MODULES))
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a check; modules are looked at anew, and no namespaces are tried."""
    monkeypatch.setattr("seglab.commands.doctor._kernel", lambda: iter(()))
    compiling.built.cache_clear()
    monkeypatch.delenv("SEGLAB_PURE_PYTHON", raising=False)
    yield request.param
    compiling.built.cache_clear()


def check(part: str) -> MachineCheck:
    """The check of that name."""
    (found,) = [check for check in checks() if check.name == part]
    return found


def test_as_it_is_here(part: str) -> None:
    """It agrees with the form that is used."""
    assert (check(part).status == "ok") == (compiling.state(MODULES[part]) == "compiled")


def test_python_was_asked_for(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that asks for it is named, and how to undo that."""
    monkeypatch.setenv("SEGLAB_PURE_PYTHON", "1")
    assert (check(part).status, check(part).remedy) == ("note", "unset SEGLAB_PURE_PYTHON")


def test_nothing_is_compiled(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler and the headers are what it takes; the lab runs without."""

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(compiling, "import_module", missing)
    found = check(part)
    assert found.status == "note"
    assert found.found.endswith("nothing is compiled")
    assert "gcc" in found.remedy


class Old:
    """A compiled module of an earlier source."""

    SOURCE = "00000000"


class Older:
    """A compiled module that does not say what it was made of."""


@pytest.mark.parametrize("module", [Old, Older])
def test_other_sources_are_compiled(
    part: str, module: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of the sources, compiling again is what it takes."""
    monkeypatch.setattr(compiling, "import_module", lambda _name: module)
    found = check(part)
    assert found.status == "note"
    assert "other sources" in found.found
    assert "setup.py build_ext --inplace" in found.remedy
