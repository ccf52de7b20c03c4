"""Plans: which sessions there are, what they are called, and what their randomness depends on."""

import re
from collections import Counter
from pathlib import Path

import pytest

from seglab.errors import InputError
from seglab.experiment import registry
from seglab.experiment.plan import message, plan
from seglab.experiment.scenario import Scenario, parameter_label

MATRIX = """
title = "two senders and a sweep on two networks"
networks = ["vb2014", "gprs"]
senders = ["relay", "fixed_buffer", { name = "relay", parameters = { nodelay = true } }]
sessions = 3
message = { payload_bytes = 5000 }
sweep = { parameter = "terminator_bytes", values = [0, 3, 5], sessions = 2 }
"""


def scenario_of(path: Path, text: str) -> Scenario:
    """The scenario that a text describes."""
    path.write_text(text)
    return registry.scenario(path)


@pytest.fixture
def matrix(tmp_path: Path) -> Scenario:
    """A scenario with all that multiplies."""
    return scenario_of(tmp_path / "matrix.toml", MATRIX)


def test_every_combination_is_planned(matrix: Scenario) -> None:
    """Three parts three times, and each with three values twice, on both networks."""
    specs = plan(matrix, 1)
    assert len(specs) == (3 * 3 + 3 * 3 * 2) * 2
    counts = Counter((spec.sender, spec.variant, spec.network) for spec in specs)
    assert counts["relay", "nodelay=true", "gprs"] == 3
    assert counts["relay", "nodelay=true,terminator_bytes=5", "gprs"] == 2
    assert counts["fixed_buffer", "", "vb2014"] == 3
    assert counts["fixed_buffer", "terminator_bytes=0", "vb2014"] == 2


def test_names_are_unique_and_fit_for_files(matrix: Scenario) -> None:
    """A session's name can be a file's on any system, and no two have the same in any case."""
    names = [spec.session_id for spec in plan(matrix, 1)]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._,=+-]{0,200}", name) for name in names)
    assert "matrix.fixed_buffer.terminator_bytes=3.gprs.0001" in names


def test_swept_parameter_reaches_the_session(matrix: Scenario) -> None:
    """A variant's parameters and ground truth are those of its value, the rest as before."""
    for spec in plan(matrix, 1):
        swept = re.search(r"terminator_bytes=(\d)", spec.variant)
        assert spec.parameters["terminator_bytes"] == (int(swept[1]) if swept else 0)
        own = spec.parameters["terminator_bytes"] > 0
        assert spec.terminator == ("own_write" if own else "with_body")
        assert spec.parameters.get("buffer_bytes", 2048) == 2048


def test_ground_truth_follows_the_parameters() -> None:
    """The gap of scenario 3's sweep decides the style: none is a buffer, any is timed."""
    specs = plan(registry.scenario("scenario-3"), 1, sessions=1)
    styles = {spec.variant: spec.style for spec in specs}
    assert styles["gap_ms=0"] == "fixed_buffer"
    assert styles["gap_ms=1"] == styles["gap_ms=200"] == styles[""] == "timed_writes"
    assert all(spec.nodelay and spec.terminator is None for spec in specs)


def test_filters_change_nothing_about_what_is_left(matrix: Scenario) -> None:
    """A session that runs alone is the very session of the whole run."""
    whole = {spec.session_id: spec for spec in plan(matrix, 1)}
    left = plan(matrix, 1, senders=["relay"], networks=["gprs"])
    assert len(left) == 2 * 3 + 2 * 3 * 2
    assert {(spec.sender, spec.network) for spec in left} == {("relay", "gprs")}
    assert all(whole[spec.session_id] == spec for spec in left)
    assert plan(matrix, 1, senders=["single_write"]) == ()
    assert plan(matrix, 1, networks=["pppoe"]) == ()


def test_number_of_sessions_changes_nothing_about_them(matrix: Scenario) -> None:
    """More sessions are the same ones and more; a sweep keeps its own number as a limit."""
    few, many = plan(matrix, 1, sessions=1), plan(matrix, 1, sessions=5)
    assert len(few) == (3 + 9) * 2
    assert len(many) == (3 * 5 + 9 * 2) * 2
    assert {spec.session_id for spec in few} < {spec.session_id for spec in many}
    by_name = {spec.session_id: spec for spec in many}
    assert all(by_name[spec.session_id] == spec for spec in few)


def test_a_run_stopped_early_has_some_of_everything(matrix: Scenario) -> None:
    """The first repeats of all parts on all networks come before the second of any."""
    repeats = [spec.repeat for spec in plan(matrix, 1)]
    assert repeats == sorted(repeats)


def test_seeds(matrix: Scenario) -> None:
    """Each session draws from a seed of its own, another one in another run."""
    seeds = [spec.seed for spec in plan(matrix, 1)]
    assert len({*seeds}) == len(seeds)
    assert not {*seeds} & {spec.seed for spec in plan(matrix, 2)}
    assert [spec.seed for spec in plan(matrix, 1)] == seeds
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_same_message_on_every_network_and_variant(matrix: Scenario) -> None:
    """The bytes depend on run, scenario, sender and repeat alone: the network is the difference."""
    payloads: dict[tuple[str, int], set[bytes]] = {}
    for spec in plan(matrix, 1):
        wire = message(spec, registry.sender(spec.sender)).wire
        assert len(wire) == 5000
        payloads.setdefault((spec.sender, spec.repeat), set()).add(wire)
    assert all(len(wires) == 1 for wires in payloads.values())
    assert len(set.union(*payloads.values())) == 2 * 3
    other = plan(matrix, 2)[0]
    assert message(other, registry.sender(other.sender)).wire not in set.union(*payloads.values())


def test_message_of_raw_sender_is_as_long_as_its_writes() -> None:
    """The writes settle the payload."""
    spec = plan(registry.scenario("scenario-2"), 1, sessions=1)[0]
    assert len(message(spec, registry.sender(spec.sender)).wire) == 10_240


@pytest.mark.parametrize("sessions", [0, -1])
def test_no_sessions(matrix: Scenario, sessions: int) -> None:
    """A run of nothing is a mistake."""
    with pytest.raises(InputError, match=f"sessions: expected 1 or more, found {sessions}"):
        plan(matrix, 1, sessions=sessions)


def test_too_many_sessions(matrix: Scenario) -> None:
    """What no run could hold is refused before it is made."""
    with pytest.raises(InputError, match="make 6000036 sessions; expected 1000000 at most"):
        plan(matrix, 1, sessions=1_000_000)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100, "p=100"),
        (0.5, "p=0.5"),
        (True, "p=true"),
        ((5120, 5120), "p=5120+5120"),
    ],
)
def test_labels(value: object, text: str) -> None:
    """A value reads in a name as it does in the file."""
    assert parameter_label("p", value) == text


def test_long_labels_stay_short_and_different() -> None:
    """A thousand writes make a short label, and another thousand another one."""
    first, second = parameter_label("p", (1,) * 1000), parameter_label("p", (1,) * 999 + (2,))
    assert first != second
    assert max(len(first), len(second)) < 60
