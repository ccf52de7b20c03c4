"""Rules of the simulator's TCP: how they are found, and how what sessions exercise is counted."""

import sys

from seglab.execution.request import RunRequest
from seglab.simulator.worker import one_session
from seglab.validation.rules import (
    MODULES,
    Exercised,
    RuleCounter,
    exercised_by,
    merged,
    missed_lines,
    never_exercised,
    rules,
    source,
)


def count(network: str, sender: str = "relay") -> tuple[Exercised, ...]:
    """What two sessions over a network exercise."""
    planned = RunRequest(("matrix",), (sender,), (network,), 2).specs(1)
    return exercised_by(planned, 60)


def test_rules_are_read_from_the_source() -> None:
    """Each has a place, and most cite the kernel's function or an RFC."""
    found = {rule.name: rule for rule in rules()}
    nagle = found["nagle.nagle"]
    assert nagle.cites[0] == "tcp_nagle_check"
    assert source("nagle")[nagle.first_line - 1].startswith("def nagle(")
    assert found["congestion.validate"].cites == ("tcp_cwnd_validate", "RFC 7661")
    assert {rule.module for rule in rules()} == set(MODULES)
    assert sum(bool(rule.cites) for rule in rules()) > 150


def test_a_session_exercises_what_its_path_asks_for() -> None:
    """A tunnel has its segments cut again, which no session over a plain path does."""
    plain = {one.rule.name: one for one in count("fddi")}
    tunnel = {one.rule.name: one for one in count("tunnel-1400")}
    assert plain["writing.write"].sessions == 2
    assert plain["writing.write"].calls > 4
    assert plain["recovery.simple_retransmit"].calls == 0
    assert tunnel["recovery.simple_retransmit"].sessions == 2
    assert tunnel["path.Path.complaint"].calls >= 2


def test_lines_that_never_ran_are_told() -> None:
    """No session here counts its window in bytes, so the line for that never runs."""
    found = count("fddi")
    missed = missed_lines(found)["nagle.nagle"]
    assert any("return not nonagle and tp.packets_out > 0" in line for line in missed)
    ran = {one.rule.name: one for one in found}["mss.to_mtu"]
    assert ran.missed == ()
    assert "byte_window.xmit_bytes" in [rule.name for rule in never_exercised(found)]


def test_what_several_counters_found() -> None:
    """Numbers add up, and a line that ran for one of them is not missed."""
    plain, tunnel = count("fddi"), count("tunnel-1400")
    together = {one.rule.name: one for one in merged([plain, tunnel])}
    for one, other in zip(plain, tunnel, strict=True):
        both = together[one.rule.name]
        assert both.calls == one.calls + other.calls
        assert both.sessions == one.sessions + other.sessions
        assert set(both.missed) == set(one.missed) & set(other.missed)


def test_counting_changes_no_record_and_leaves_no_tracer() -> None:
    """A counted session has the record that it has without."""
    ((spec, path),) = RunRequest(("matrix",), ("relay",), ("gprs",), 1).specs(1)
    before = sys.gettrace()
    with RuleCounter():
        counted = one_session(spec, path, 60, None)
    assert sys.gettrace() is before
    assert counted == one_session(spec, path, 60, None)
