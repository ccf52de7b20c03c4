"""Sessions on their way to another process are the same there."""

import pickle
from dataclasses import fields

import pytest
from dataset_making import SPEC, spec_of

from seglab.dataset.plan import planned
from seglab.engine.base import Planned
from seglab.experiment.plan import OwnSenderSession
from seglab.sender.registry import SenderFile
from seglab.simulator import batches
from seglab.simulator.batches import Batch, Packer


@pytest.fixture
def sessions() -> list[Planned]:
    """The sessions of a dataset, and one of a sender that is the user's own."""
    found = [(place.spec, place.network) for place in planned(spec_of(SPEC), 7, 0)]
    values = {one.name: getattr(found[0][0], one.name) for one in fields(found[0][0])}
    own = OwnSenderSession(**values, sender_file=SenderFile("/tmp/own.py", "ab" * 32))
    return [*found, (own, found[0][1])]


def crossed(batch: Batch) -> list[Planned]:
    """The sessions of a batch as another process sees them."""
    arrived: Batch = pickle.loads(pickle.dumps(batch))
    return [*arrived.unpacked()]


@pytest.mark.parametrize("most", [0, 1, 64])
def test_they_arrive_as_they_are(
    most: int, sessions: list[Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All attributes are there, however many values cross beside the batches."""
    monkeypatch.setattr(batches, "_SHARED_MOST", most)
    assert crossed(Packer(sessions).packed(sessions)) == sessions
    assert [type(spec) for spec, _ in crossed(Packer(sessions).packed(sessions[-2:]))] == [
        type(spec) for spec, _ in sessions[-2:]
    ]


def test_what_they_have_in_common_is_one_object(sessions: list[Planned]) -> None:
    """Also in two batches: there is one object there for each network, mail and reader."""
    packer = Packer(sessions)
    half = len(sessions) // 2
    there = [*crossed(packer.packed(sessions[:half])), *crossed(packer.packed(sessions[half:]))]
    assert half > 1
    for value in (
        lambda spec, _network: spec.message,
        lambda spec, _network: spec.parameters,
        lambda spec, _network: spec.reader,
        lambda _spec, network: network,
    ):
        here = {id(value(*one)) for one in sessions}
        assert len({id(value(*one)) for one in there}) == len(here)
