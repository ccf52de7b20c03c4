"""The filter that notifies of a program's calls."""

import asyncio

import pytest
from test_seccomp import ALLOW, ARM64, HEADERS, I386, X86_64, numbers, verdict

from seglab.errors import EnvironmentLacksError
from seglab.experiment import registry
from seglab.experiment.reader import Reader
from seglab.kernel.program import events, lab, traced_lab
from seglab.kernel.program.notification import CALLS, bpf

NOTIFY = 0x7FC00000  # SECCOMP_RET_USER_NOTIF in linux/seccomp.h
ARCHITECTURES = {"x86_64": X86_64, "aarch64": ARM64}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_the_kernels(machine: str) -> None:
    """Each call has its number in the kernel's headers."""
    known = numbers(machine)
    kernels = {"sendfile64": "sendfile"}
    assert CALLS[machine] == {
        known[kernels.get(name, name)]: name for name in CALLS[machine].values()
    }


@pytest.mark.parametrize("machine", HEADERS)
def test_what_is_notified(machine: str) -> None:
    """The calls of the table and no others, and none of another architecture."""
    program, architecture = bpf(machine), ARCHITECTURES[machine]
    for number in range(500):
        expected = NOTIFY if number in CALLS[machine] else ALLOW
        assert verdict(program, architecture, number) == expected, number
        assert verdict(program, I386, number) == ALLOW


def test_both_recorders_see_the_same_calls() -> None:
    """What the trace events have, the filter has, except for io_uring."""
    traced = {name.removeprefix("sys_enter_") for name in (*events.CALLS, *events.OPTIONS)}
    for names in CALLS.values():
        assert {*names.values()} == traced - {"io_uring_enter"} | {"connect"}


def test_without_either_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said why neither of them can be had, before a lab is built."""

    def lacking(*_: object) -> None:
        raise EnvironmentLacksError("no trace events")

    monkeypatch.setattr(traced_lab.TraceInstance, "made", lacking)
    monkeypatch.setattr(lab.notification, "problem", lambda: "no seccomp")
    with pytest.raises(EnvironmentLacksError, match="no trace events; nor by notification: no sec"):
        asyncio.run(lab.ProgramLab(registry.network("ethernet"), Reader()).__aenter__())
