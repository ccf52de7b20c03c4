"""A path whose MTU changes: programs meet the changes as emulated senders do."""

from pathlib import Path

import pytest
from trying import Programs, run, skip_without_rights

from seglab.core.record import SessionRecord

pytestmark = pytest.mark.emulation

SLEEP_S = 0.7
FALLS_MS = (90, 450)
"""When the path of ``pmtu-fall`` narrows, counted from the first SYN (its file says so)."""


@pytest.fixture(autouse=True)
def _privileged() -> None:
    """Skip where programs cannot be recorded."""
    skip_without_rights()


def changes_ms(record: SessionRecord) -> list[float]:
    """When the path's MTU changed, since the program was started."""
    assert record.error is None
    return [change.t_ns / 1e6 for change in record.mtu_changes]


def test_the_schedule_waits_for_a_program_that_takes_its_time(tmp_path: Path) -> None:
    """The changes count from the first SYN, and this program connects 700 ms after its start.

    A change is never early. So each is at least as late as its time after the SYN, and that is at
    least as late as the program's pause.
    """
    programs = Programs(tmp_path)
    slow = programs.planned(
        "slow", f"time.sleep({SLEEP_S}); send()", network="pmtu-fall", size=40_000
    )
    record = run(slow)["slow"]
    found = changes_ms(record)
    assert len(found) == len(FALLS_MS)
    assert all(at >= SLEEP_S * 1000 + due for at, due in zip(found, FALLS_MS, strict=True))
    assert {s.drop_reason for s in record.segments} == {None, "router"}


def test_the_schedule_begins_once(tmp_path: Path) -> None:
    """The first of two connections begins it, so the path has changed before the second is made.

    Had the second one begun it, the first change would come a tenth of a second before the data.
    """
    programs = Programs(tmp_path)
    twice = programs.planned(
        "twice",
        "socket.create_connection((host, port)).close(); time.sleep(2); send()",
        network="pmtu-fall",
        size=40_000,
    )
    record = run(twice)["twice"]
    first, second = changes_ms(record)
    assert first < second < record.writes[0].t_ns / 1e6 - 500
