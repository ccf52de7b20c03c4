"""Carries planned sessions out in virtual time, one after the other: what one process does.

Sessions share nothing but what they have in common by the plan: a process keeps the scripts that
it has made (``seglab.simulator.script``), which changes no record.

A session leaves no cycles of objects behind, so Python's search for such cycles finds nothing, and
would take a tenth to a quarter of the time. It pauses while sessions are carried out.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from seglab.core import garbage
from seglab.core.files import write_whole
from seglab.core.kept import Kept
from seglab.core.record import Captures, RecordLine, SessionRecord
from seglab.engine.base import Planned
from seglab.engine.record import failed_record, session_record
from seglab.experiment.plan import SessionSpec
from seglab.frames import pcapng
from seglab.networks.network import Network
from seglab.sender.script import ScriptError
from seglab.simulator import backend, observed
from seglab.simulator.batches import Batch
from seglab.simulator.script import script_of
from seglab.simulator.support import refusal

ENGINE: Final = "simulator"
"""The engine's name."""


def carry_out(
    planned: Iterable[Planned], time_limit_s: float, folder: Path | None, repetition: int = 0
) -> list[SessionRecord]:
    """Carry out sessions, write their captures, and return their records in the same order.

    Args:
        planned: the sessions.
        time_limit_s: how long one session may take beyond its own time, in virtual time.
        folder: the folder of the run, for captures; ``None`` writes none.
        repetition: as in ``EngineOptions``.

    Raises:
        EnvironmentLacksError: a capture cannot be written.
    """
    with garbage.unsearched():
        return [
            one_session(spec, network, time_limit_s, folder, repetition)
            for spec, network in planned
        ]


def carry_out_batch(
    batch: Batch, time_limit_s: float, folder: Path | None, repetition: int = 0
) -> list[RecordLine]:
    """Carry out the sessions of a batch, and return each record as its line of JSON.

    Between processes a line costs a sixth of what a pickled record does.
    """
    records = carry_out(batch.unpacked(), time_limit_s, folder, repetition)
    return [*map(RecordLine.of, records)]


def one_session(
    spec: SessionSpec,
    network: Network,
    time_limit_s: float,
    folder: Path | None,
    repetition: int = 0,
) -> SessionRecord:
    """Carry out one session, write its captures and return its record."""
    path = _path(network)
    if path.refusal is not None:
        return failed_record(spec, network, ENGINE, path.refusal)
    try:
        script = script_of(spec)
    except ScriptError as error:
        return failed_record(spec, network, ENGINE, str(error))
    limit_s = network.limited_s(time_limit_s)
    limit_s += script.needed_s(path.round_trip_s, path.slowest_mbit)
    simulation = backend.simulation()(spec, network, script, int(limit_s * 1e9), repetition)
    simulation.run()
    if folder is None:
        return session_record(spec, network, ENGINE, observed.observed(simulation))
    names = pcapng.capture_paths(spec.session_id)
    found = observed.observed(simulation, Captures(**names))
    record = session_record(spec, network, ENGINE, found)
    words = f"{spec.session_id}: {record.error or 'complete'}"
    made = backend.captures(type(simulation).__module__)(spec, network, simulation, words)
    for vantage, data in made.items():
        write_whole(f"{folder}/{names[vantage]}", data)  # a path by parts takes longer to make
    return record


class _Path(NamedTuple):
    """What all sessions over a network have in common here, in the network's own words."""

    refusal: str | None
    round_trip_s: float
    slowest_mbit: float | None


def _path_of(network: Network) -> _Path:
    return _Path(refusal(network), network.round_trip_s, network.slowest_mbit)


_path = Kept(_path_of)
