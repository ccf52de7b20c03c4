"""Comparing a run with an earlier one: what is reported, what is chance, and bad references."""

import json
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from stored_runs import stored_run
from synthetic import reads_of, record

from seglab.commands.report import report
from seglab.core.trace import Segment
from seglab.errors import InputError
from seglab.execution.paper_rounds import EXPERIMENTS
from seglab.report import build
from seglab.report import reference as compare_
from seglab.report.summary import summarise
from seglab.report.terminal import show_comparison
from seglab.reproduction.comparison import compare
from seglab.reproduction.stored_summary import StoredSummary
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Experiment, Manifest

LISTING = Experiment("listing-03", "MTA", "listings.3")
GOOD, MERGED = [1400] * 7 + [36], [1400] * 6 + [1436]
SEGMENTS = tuple(Segment(0, 1, read.start, read.end) for read in reads_of(GOOD))


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """What is compared does not depend on the figures, which take seconds to draw."""
    monkeypatch.setattr(build, "drawings", lambda *_: [])


def stored(path, good, merged, **manifest):
    """A run of Listing 3: so many sessions as published, and so many with a merged last read."""
    fields = {
        "command": "reproduce",
        "scenarios": (LISTING,),
        "kernel": "6.1.0",
        "versions": {"seglab": "1", "scipy": "1.15"},
        "sysctls": {n: {"client": {"net.ipv4.tcp_sack": "1"}} for n in ("a", "b")},
        "started": "2026-01-02T03:04:05+00:00",
    } | manifest
    sessions = [
        record(
            f"listing-03.{number}",
            scenario="listing-03",
            payload_bytes=9836,
            mss=1400,
            reads=reads_of(sizes),
            segments=SEGMENTS,
        )
        for number, sizes in enumerate([GOOD] * good + [MERGED] * merged)
    ]
    return stored_run(path, sessions, **fields)


def held(there, here):
    """One run held against another."""
    summary, _ = summarise(RunFolder.open(here))
    return compare_.against(compare_.load(there), summary)


def test_the_same_run_does_nothing_differently(tmp_path):
    """A run held against itself: the same results, the same environment."""
    path = stored(tmp_path / "a", 20, 10)
    found = held(path, path)
    assert not found.settings
    assert not any(experiment.differs for experiment in found.experiments)
    assert "the same verdicts on all 1 experiments in common; no difference" in found.headline()
    assert "6.1.0" in found.headline()


def test_chance_is_not_told(tmp_path):
    """20 of 30 and 24 of 30 may well be the same share; both are said, neither is called other."""
    (found,) = held(stored(tmp_path / "a", 20, 10), stored(tmp_path / "b", 24, 6)).experiments
    assert not found.differs
    assert found.shares == (pytest.approx(2 / 3), pytest.approx(0.8))
    assert "67 % there, 80 % here" in found.words()


def test_another_share_is_told_with_its_sequences(tmp_path):
    """29 of 30 and 5 of 30 are not the same share, and the sequence that took over is named."""
    (found,) = held(stored(tmp_path / "a", 29, 1), stored(tmp_path / "b", 5, 25)).experiments
    assert found.differs
    assert "another share" in found.words()
    assert "1400 1400 1400 1400 1400 1400 1436 in 3 % there, 83 % here" in found.words()


def test_another_verdict_is_told(tmp_path):
    """What was reproduced there and is not here stands first, however few the sessions are."""
    found = held(stored(tmp_path / "a", 1, 0), stored(tmp_path / "b", 0, 1))
    assert "another verdict on listing-03" in found.headline()
    assert found.experiments[0].words().startswith("reproduced there, not reproduced here; ")


def test_the_environment_is_compared(tmp_path):
    """Kernel, versions and sysctls that differ are each told once, however many networks."""
    there = stored(tmp_path / "a", 3, 0)
    here = stored(
        tmp_path / "b", 3, 0, kernel="6.18.4", versions={"seglab": "1", "numpy": "2"},
        sysctls={n: {"client": {"net.ipv4.tcp_sack": "0"}} for n in ("a", "b", "c")},
    )  # fmt: skip
    words = [setting.words() for setting in held(there, here).settings]
    assert words == [
        "kernel: 6.1.0 there, 6.18.4 here",
        "version numpy: absent there, 2 here",
        "version scipy: 1.15 there, absent here",
        "sysctl client net.ipv4.tcp_sack: 1 there, 0 here (over 2 networks)",
    ]


def test_experiments_of_one_run_alone_are_listed():
    """What only one of the runs has is named, and not compared."""

    def one(name):
        return {"name": name, "sequences": {"lab_sessions": 0}}

    there, here = (
        StoredSummary.of({"scenarios": [one(name) for name in names]})
        for names in (("x", "y"), ("y", "z"))
    )
    manifest = Manifest(command="reproduce")
    found = compare(there, manifest, here, manifest)
    assert (found.only_there, found.only_here) == (("x",), ("z",))
    assert [experiment.name for experiment in found.experiments] == ["y"]


def test_table_1_is_compared_by_its_segments():
    """A medium whose largest segment is another one is named."""

    def table(largest):
        medium = {"name": "FDDI", "timestamps": True, "largest": [largest]}
        seen = {"sessions": 2, "media": [medium]}
        one = {"name": "table-1", "sequences": {"lab_sessions": 2}, "seen": seen}
        return StoredSummary.of({"scenarios": [one]})

    manifest = Manifest(command="reproduce")
    (found,) = compare(table(4300), manifest, table(4312), manifest).experiments
    assert found.differences == ("FDDI with timestamps: segments of 4300 there, 4312 here",)
    (same,) = compare(table(4300), manifest, table(4300), manifest).experiments
    assert not same.differs


def held_counts(there, here, **sequences):
    """Two runs of a scenario with so many sessions of so many reads each, held together."""
    stored_runs = []
    for counts in (there, here):
        total = sum(counts.values())
        one = {
            "name": "scenario-2",
            "reproduced": True,
            "verdict": {"read_counts": {"p": 0.1, "lab_mean": sum(
                reads * times for reads, times in counts.items()) / total}},
            "sequences": {"lab_sessions": total, "others": [
                {"sizes": [1440] * reads, "lab": times} for reads, times in counts.items()]},
        }  # fmt: skip
        one["sequences"] |= sequences
        stored_runs.append(StoredSummary.of({"scenarios": [one]}))
    manifest = Manifest(command="reproduce")
    return compare(stored_runs[0], manifest, stored_runs[1], manifest)


def test_another_mean_is_told_where_no_share_is():
    """Each sequence alone may differ by chance; that all shift to more reads does not."""
    there = dict.fromkeys(range(2, 8), 200)
    here = {reads: 200 + 8 * (2 * reads - 9) for reads in range(2, 8)}
    found = held_counts(there, here)
    (one,) = found.experiments
    assert one.reads_p < 0.001
    assert one.differences == (
        "another mean of reads a session (p < 0.001; it drifts with the machine's load)",
    )
    assert one.words().endswith("; the same verdict")
    assert "experiments in common; differences beyond chance in scenario-2" in found.headline()


def test_means_of_constant_counts():
    """Without spread: the same number is no difference, another one is, with enough sessions."""
    assert held_counts({3: 20}, {3: 10}).experiments[0].reads_p == 1
    assert held_counts({3: 20}, {4: 10}).experiments[0].reads_p < 1e-6
    assert not held_counts({3: 2}, {4: 2}).experiments[0].differs


def test_means_that_cannot_be_tested_are_not_called_the_same():
    """Where not all sequences are stored, or one session alone is, nothing is claimed of means."""
    for found in (held_counts({3: 20}, {3: 20}, lab_sessions=30), held_counts({3: 1}, {4: 9})):
        (one,) = found.experiments
        assert one.reads_p is None
        assert one.words().endswith("means are not tested; no other difference beyond chance")
        assert "no difference beyond chance in what is tested" in found.headline()


def test_a_simulated_run_has_no_kernel(tmp_path):
    """The machine's kernel is no setting of it, and it is not a run on that kernel."""
    there = stored(tmp_path / "a", 30, 0, engine="simulator")
    here = stored(tmp_path / "b", 30, 0, engine="simulator", kernel="6.18.0")
    real = stored(tmp_path / "c", 30, 0)
    assert not held(there, here).settings
    assert held(there, here).reference == "the run of 2026-01-02 on the simulator"
    assert [setting.words() for setting in held(real, here).settings] == [
        "engine: kernel there, simulator here",
        "kernel: 6.1.0 there, absent here",
    ]


def test_what_is_kept_is_as_good_as_the_run(tmp_path):
    """A run and what was kept of it compare alike; what is kept holds no path of the machine."""
    there, here = stored(tmp_path / "a", 29, 1), stored(tmp_path / "b", 5, 25)
    kept = tmp_path / "kept"
    result = CliRunner().invoke(report, [str(there), "--keep", str(kept)], standalone_mode=False)
    assert result.exception is None
    assert held(kept, here) == held(there, here)
    assert all(str(tmp_path) not in file.read_text() for file in kept.iterdir())


def test_the_command_compares(tmp_path):
    """The comparison is printed, and stands in --json beside the summary."""
    there, here = stored(tmp_path / "a", 29, 1), stored(tmp_path / "b", 5, 25)
    arguments = [str(here), "--compare", str(there)]
    found = CliRunner().invoke(report, [*arguments, "--json"], standalone_mode=False)
    comparison = json.loads(found.output)["comparison"]
    assert comparison["experiments"][0]["differs"] is True
    assert comparison["headline"].startswith("Against the run of 2026-01-02 on kernel 6.1.0: the")
    assert "; differences beyond chance in listing-03; " in comparison["headline"]
    text = StringIO()
    show_comparison(held(there, here), Console(file=text, width=40))
    assert comparison["headline"] in text.getvalue()
    assert "another share of sessions" in text.getvalue()


def break_summary(path):
    """The summary is no JSON."""
    (path / "summary.json").write_text("{")


def strip_summary(path):
    """The summary lacks what is compared."""
    (path / "summary.json").write_text('{"scenarios": [{"name": "x"}]}')


def drop_manifest(path):
    """The environment is missing."""
    (path / "summary.json").write_text('{"scenarios": []}')
    (path / "run.json").unlink()


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (break_summary, "summary.json: not the summary of a run"),
        (strip_summary, "summary.json: not the summary of a run"),
        (drop_manifest, "run.json: No such file"),
    ],
)
def test_a_damaged_reference_is_named(tmp_path, harm, expected):
    """Each file that cannot be used is named, in one line."""
    (tmp_path / "run.json").write_bytes(Manifest(command="reproduce").to_json())
    harm(tmp_path)
    with pytest.raises(InputError, match=expected) as caught:
        compare_.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_place_without_a_reference_is_refused(tmp_path):
    """A folder of something else, and one that is not there."""
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="no reference is here; expected summary"):
            compare_.load(path)


def test_the_reference_that_is_shipped():
    """It is small, can be compared with, and has every experiment, all reproduced."""
    folder = Path(__file__).parents[2] / "results" / "reference"
    summary, manifest = compare_.load(folder)
    assert [experiment.name for experiment in summary.scenarios] == list(EXPERIMENTS)
    assert all(experiment.reproduced for experiment in summary.scenarios)
    assert manifest.status == "complete"
    assert set(manifest.sysctls) >= {"vb2014", "listing-10", "fddi"}
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 2_000_000
    manifested = compare(summary, manifest, summary, manifest)
    assert manifested.headline().endswith(
        "in common; no difference beyond chance; the same environment"
    )
