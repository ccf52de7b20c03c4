"""Every named program, for real: ``tox -e software``. It takes minutes, and some 400 MB."""

import asyncio
from collections.abc import Iterator

import pytest

from seglab.core.record import SessionRecord
from seglab.engine import EngineOptions
from seglab.experiment import registry
from seglab.experiment.named import plan_named
from seglab.kernel.engine import KernelEngine
from seglab.mail.message import MessageSpec
from seglab.software.available import available
from seglab.software.installing import Outcome
from seglab.software.program import program, programs
from seglab.software.store import Store

NETWORKS = ("ethernet", "pppoe", "ipv6-ethernet")
KNOWN = {("mailutils", "ipv6-ethernet"): "GNU mail does not connect over IPv6"}


@pytest.fixture(scope="module")
def records(outcomes: dict[str, Outcome]) -> dict[tuple[str, str], SessionRecord]:
    """A session of every program over each network."""
    store = Store.usual()
    planned = [
        session
        for name, outcome in outcomes.items()
        if outcome.installation is not None
        for session in plan_named(
            available(program(name), store),
            [registry.network(network) for network in NETWORKS],
            MessageSpec(payload_bytes=25_000),
            sessions=1,
            seed=5,
            sender_address="a@example.org",
            recipient="b@example.org",
        )
    ]
    found: list[SessionRecord] = []
    asyncio.run(KernelEngine(EngineOptions()).run(planned, found.append))
    return {(record.sender, record.network): record for record in found}


@pytest.mark.parametrize("name", programs())
def test_it_can_be_had(outcomes: dict[str, Outcome], name: str) -> None:
    """Its packages are in their registries, and are what they must be."""
    assert outcomes[name].reason == ""


def _cells() -> Iterator[object]:
    for name in programs():
        for network in NETWORKS:
            reason = KNOWN.get((name, network))
            marks = () if reason is None else pytest.mark.xfail(reason=reason)
            yield pytest.param(name, network, marks=marks)


@pytest.mark.parametrize(("name", "network"), list(_cells()))
def test_it_delivers(
    outcomes: dict[str, Outcome],
    records: dict[tuple[str, str], SessionRecord],
    name: str,
    network: str,
) -> None:
    """All three layers are there and agree."""
    if outcomes[name].installation is None:
        pytest.skip(outcomes[name].reason)
    record = records[name, network]
    assert (record.status, record.error) == ("complete", None), record.output
