"""How many processors a process may use."""

import os

import pytest

from seglab.core import processors


def test_fewer_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system can allow a process some of them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 40)
    assert processors.usable() == 1


@pytest.mark.parametrize(("counted", "usable"), [(40, 40), (None, 1)])
def test_all_of_the_machine(
    counted: int | None, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot; at least the one that this runs on."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert processors.usable() == usable
