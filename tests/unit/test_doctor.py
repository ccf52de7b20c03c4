"""``seglab doctor``: what it says of the reader of captures."""

import pytest

from seglab.capture import backend
from seglab.commands.doctor import MachineCheck, checks


def reader() -> MachineCheck:
    """The check of the reader."""
    (found,) = [check for check in checks() if check.name == "capture reader"]
    return found


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the modules anew, and try no namespaces."""
    monkeypatch.setattr("seglab.commands.doctor._kernel", lambda: iter(()))
    backend.compiled.cache_clear()
    monkeypatch.delenv("SEGLAB_PURE_PYTHON", raising=False)
    yield
    backend.compiled.cache_clear()


def test_as_it_is_here() -> None:
    """It agrees with the reader that is used."""
    assert (reader().status == "ok") == backend.best().compiled


def test_python_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that asks for it is named, and how to undo that."""
    monkeypatch.setenv("SEGLAB_PURE_PYTHON", "1")
    assert (reader().status, reader().remedy) == ("note", "unset SEGLAB_PURE_PYTHON")


def test_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler and the headers are what it takes; the lab runs without."""

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(backend, "import_module", missing)
    monkeypatch.setattr(backend, "pure", lambda: backend.Core(False, object, object))
    found = reader()
    assert found.status == "note"
    assert found.found.endswith("nothing is compiled")
    assert "gcc" in found.remedy


def test_other_sources_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change of the sources, compiling again is what it takes."""

    class Walk:
        SOURCES = "00000000"

    monkeypatch.setattr(backend, "import_module", lambda _name: Walk)
    monkeypatch.setattr(backend, "pure", lambda: backend.Core(False, object, object))
    found = reader()
    assert found.status == "note"
    assert "other sources" in found.found
    assert "setup.py build_ext --inplace" in found.remedy
