"""``seglab reproduce``: which experiments, in which rounds, and until when."""

import pytest
from click.testing import CliRunner
from synthetic import reads_of, record

from seglab.commands.reproduce import reproduce
from seglab.errors import InputError
from seglab.execution.paper_rounds import EXPERIMENTS, chosen, rounds, unseen
from seglab.execution.request import RunRequest
from seglab.reproduction.paper import paper
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest

LISTING_13 = paper().listings[13].sizes


@pytest.fixture
def folder(tmp_path):
    """A run that has just begun."""
    with RunFolder.create(tmp_path / "run", Manifest(command="reproduce")) as run:
        yield run


def listing_13(sizes=LISTING_13, **changes):
    """A session of Listing 13's scenario with these reads."""
    fields = {"scenario": "listing-13", "reads": reads_of(sizes), "payload_bytes": sum(sizes)}
    return record("listing-13.0", **(fields | changes))


def test_all_of_the_paper_is_covered():
    """Three scenarios, eleven listings and Table 1, and all of them exist."""
    assert len(EXPERIMENTS) == 3 + 11 + 1
    scenarios = RunRequest(EXPERIMENTS).load()
    assert len({scenario.published for scenario in scenarios}) == len(EXPERIMENTS)
    assert all(scenario.expectation is not None for scenario in scenarios)


def test_only_keeps_the_papers_order():
    """The experiments named, in the paper's order and each once; all where none is."""
    assert chosen(()) == EXPERIMENTS
    names = ("table-1", "listing-10", "listing-10", "scenario-2")
    assert chosen(names) == ("scenario-2", "listing-10", "table-1")


def test_an_unknown_experiment_is_refused():
    """A name that is none of the paper's has the nearest beside it."""
    with pytest.raises(InputError, match=r"--only 'listing-1': not an experiment; .*listing-1"):
        chosen(("listing-1",))
    with pytest.raises(InputError, match="not an experiment"):
        chosen(("matrix",))


def test_resume_takes_nothing_else(tmp_path):
    """Which experiments a run has was settled when it began."""
    arguments = ["--resume", str(tmp_path), "--only", "listing-03"]
    result = CliRunner().invoke(reproduce, arguments)
    assert result.exit_code == 2
    assert "leave out" in result.output


def test_the_reference_is_read_before_anything_runs(tmp_path):
    """A reference that is not there is an error at once, and no run folder is left."""
    arguments = ["--compare", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(reproduce, arguments)
    assert isinstance(result.exception, InputError)
    assert not (tmp_path / "out").exists()


def test_scenarios_run_before_the_listings(folder):
    """Their numbers of reads are compared, so nothing else runs beside them."""
    request = RunRequest(("listing-13", "scenario-1"), sessions=3)
    first, last = rounds(request, 1, folder)
    assert {spec.scenario for spec, _ in first} == {"scenario-1"}
    assert {spec.scenario for spec, _ in last} == {"scenario-1", "listing-13"}
    assert len(first) * 2 == len(last) == 6


def test_a_listing_that_has_not_occurred_runs_on(folder):
    """Sessions are added while no session is as published, and not beyond that."""
    request = RunRequest(("listing-13", "table-1"))
    assert unseen(request, folder) == ["listing-13"]
    going = rounds(request, 1, folder)
    first = next(going)
    folder.append(listing_13([9391]))
    second = next(going)
    assert len(first) < len(second)
    assert [spec.session_id for spec, _ in first] == [s.session_id for s, _ in second[: len(first)]]
    folder.append(listing_13())
    assert unseen(request, folder) == []
    assert next(going, None) is None


def test_failed_sessions_have_not_occurred(folder):
    """A session that failed shows nothing, whatever it read."""
    folder.append(listing_13(status="failed", error="the wire ended"))
    assert unseen(RunRequest(("listing-13",)), folder) == ["listing-13"]
