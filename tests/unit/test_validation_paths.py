"""Paths of the simulator as the kernel engine had them, and the scenarios that cross the matrix."""

from dataclasses import replace
from itertools import islice

from msgspec.structs import replace as altered

from seglab.core.record import MtuChange
from seglab.execution.request import RunRequest
from seglab.experiment import registry
from seglab.simulator.worker import one_session
from seglab.validation import cross
from seglab.validation.paths import as_measured, measured

MS = 1_000_000


def test_a_router_changes_when_the_kernels_did() -> None:
    """Its late changes are taken over; those that the kernel's session did not see follow."""
    ((spec, network),) = RunRequest(("matrix",), ("relay",), ("cellular",), 1).specs(1)
    record = one_session(spec, network, 60, None)
    late = tuple(altered(one, t_ns=one.t_ns + 7 * MS) for one in record.mtu_changes[:2])
    path = measured(network, replace(record, mtu_changes=late))
    assert [round(one.at_ms) for one in path.router.schedule[:4]] == [307, 807, 1800, 2300]
    planned = [one.mtu for one in islice(network.router.changes(), 4)]
    assert [one.mtu for one in path.router.schedule[:4]] == planned
    assert path.path_condition == network.path_condition
    again = one_session(spec, path, 60, None)
    assert again.mtu_changes[:2] == late
    assert again.mtu_changes[2] == MtuChange(1800 * MS, 576)


def test_a_change_keeps_its_distance_to_the_first_write() -> None:
    """Where the kernel engine's client wrote 9 ms later, a change after that is taken 9 ms earlier.

    One before the payload keeps its time.
    """
    ((spec, network),) = RunRequest(("matrix",), ("relay",), ("pmtu-fall",), 1).specs(1)
    record = one_session(spec, network, 60, None)
    begun_ns = record.writes[0].t_ns
    assert record.mtu_changes[0].t_ns < begun_ns < record.mtu_changes[1].t_ns
    late = replace(
        record,
        writes=tuple(altered(one, t_ns=one.t_ns + 9 * MS) for one in record.writes),
        mtu_changes=tuple(altered(one, t_ns=one.t_ns + 11 * MS) for one in record.mtu_changes),
    )
    (planned,) = as_measured([(spec, network)], {record.session_id: late})
    assert [one.at_ms for one in planned[1].router.schedule[:2]] == [101, 452]


def test_other_paths_stay_as_they_are() -> None:
    """A network without a schedule, and a session that the kernel engine has no record of."""
    planned = RunRequest(("matrix",), ("relay",), ("fddi", "cellular"), 1).specs(1)
    (fddi,) = [one for one in planned if one[1].name == "fddi"]
    record = one_session(*fddi, 60, None)
    assert as_measured(planned, {record.session_id: record}) == planned


def test_the_cross_has_readers_and_mails_for_the_senders_and_networks_that_it_names() -> None:
    """Each of its scenarios differs from the matrix in one thing, and has few sessions."""
    matrix = registry.scenario("matrix")
    found = list(cross.scenarios(matrix, 30))
    assert len({one.name for one in found}) == len(cross.READERS) + len(cross.MAILS)
    for one in found:
        assert (one.reader != matrix.reader) != (one.message != matrix.message)
        assert {variant.sender.name for variant in one.senders} == set(cross.SENDERS)
        assert {network.name for network in one.networks} == set(cross.NETWORKS)
        assert one.sessions == cross.SESSIONS_MAX
    assert len(RunRequest((matrix, *found)).fingerprints(1)) == 1 + len(found)
