"""The simulator's receiving half against this machine's kernel, whoever sends.

The paths lose exactly what the test says, keep the order and draw nothing. So what the server's
kernel answers follows from its rules and from times, which the capture has.
"""

import asyncio
from dataclasses import dataclass

import pytest
from one_session import CLIENTS

from seglab.core.record import SessionRecord
from seglab.engine import EngineOptions
from seglab.engine.base import Planned
from seglab.execution.request import RunRequest
from seglab.kernel.engine import KernelEngine
from seglab.simulator import acknowledging, window
from seglab.validation.receiving import Answered, answered, payload_of

ROUNDS = 3
"""How often sessions are carried out until each was in time once."""

PATHS = {
    "plain": "links.core.delay_ms = 15\nlinks.core.up.bw_mbit = 2",
    "small": "mtu = 576\nlinks.core.delay_ms = 15\nlinks.core.up.bw_mbit = 1",
    "lost": "links.core.delay_ms = 15\nlinks.core.up = { bw_mbit = 2, drop_data = [7, 9, 14] }",
}
"""Slow enough that the server has read each segment before the next one comes."""


@dataclass(frozen=True)
class Recorded:
    """A session of the kernel engine, and what the server's host saw of it."""

    planned: Planned
    record: SessionRecord
    capture: bytes

    def compared(self) -> Answered:
        """What the server's kernel answered, and the simulator's receiving half to the same."""
        spec, network = self.planned
        found = answered(payload_of(spec), network, self.record, self.capture)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recorded]:
    """A session of each TCP over each path, by ``TCP-path``; those that were in time."""
    folder = tmp_path_factory.mktemp("receiving")
    tables = "".join(
        f'[[network]]\nname = "{client}-{path}"\ntitle = "t"\n{tcp}\n{text}\n'
        for client, tcp in CLIENTS.items()
        for path, text in PATHS.items()
    )
    file = folder / "own.toml"
    file.write_text(
        f'title = "t"\nsenders = ["relay"]\nsessions = 1\nmessage.payload_bytes = 60000\n{tables}'
    )
    left = RunRequest((str(file),)).specs(2014)
    found: dict[str, Recorded] = {}
    for number in range(ROUNDS):
        out = folder / str(number)
        out.mkdir()
        records: list[SessionRecord] = []
        asyncio.run(KernelEngine(EngineOptions(jobs=4, folder=out)).run(left, records.append))
        assert [record.error for record in records] == [None] * len(left)
        by_id = {record.session_id: record for record in records if not record.too_late}
        for planned in left:
            if record := by_id.get(planned[0].session_id):
                capture = (out / str(record.captures.server)).read_bytes()
                found[record.network] = Recorded(planned, record, capture)
        left = [planned for planned in left if planned[0].network not in found]
        if not left:
            break
    return found


def of(recorded: dict[str, Recorded], name: str) -> Recorded:
    """A session that was in time."""
    if name not in recorded:
        pytest.skip(f"the machine is too busy: {name} was late {ROUNDS} times")
    return recorded[name]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("client", CLIENTS)
def test_it_answers_as_this_kernel_does(
    client: str, path: str, recorded: dict[str, Recorded]
) -> None:
    """Each acknowledgement, window, block, echo and reply is the kernel's, to the number."""
    found = of(recorded, f"{client}-{path}").compared()
    assert len(found.kernel) > 15
    assert found.equal, "\n".join(found.lines())
    if path == "lost" and client in {"kernel", "linux", "windows"}:
        assert any(answer.sack for _, answer in found.kernel)


@pytest.mark.parametrize(
    ("path", "module", "rule", "other"),
    [
        ("plain", acknowledging, "delay_ack", lambda *_: True),
        ("small", acknowledging, "cleanup", lambda *_: False),
        ("plain", window, "grow", lambda *_: None),
        ("lost", acknowledging, "sack_blocks", lambda _tcp: ()),
    ],
)
def test_a_receiver_with_another_rule_is_told_apart(
    path: str,
    module: object,
    rule: str,
    other: object,
    recorded: dict[str, Recorded],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that never delays, has other windows, or reports no blocks, and it shows where."""
    session = of(recorded, f"kernel-{path}")
    monkeypatch.setattr(module, rule, other)
    found = session.compared()
    assert not found.equal
    assert len(list(found.lines())) >= 2
