"""Reports of stored runs: what they say, and that nothing stored can break them."""

import base64
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from rich.console import Console
from stored_runs import EXPERIMENTS, PAPER, published_sessions, stored_run
from synthetic import reads_of, record, simulated

from seglab.commands.report import report
from seglab.core.record import Captures
from seglab.core.trace import Read
from seglab.report import build, build_report
from seglab.report.figures import drawings
from seglab.report.page import grids
from seglab.report.summary import most_informative, summarise
from seglab.report.terminal import show
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Counts, Experiment

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}[red]"


@pytest.fixture(autouse=True)
def one_format(monkeypatch):
    """Draw SVG alone: what a report says does not depend on the PNG beside it."""
    monkeypatch.setattr(build, "FORMATS", ("svg",))


def reproduced_run(path, records, **changes):
    """A stored run of ``seglab reproduce``."""
    return stored_run(
        path, records, **({"command": "reproduce", "scenarios": EXPERIMENTS, "seed": 5} | changes)
    )


class Page(HTMLParser):
    """Collects what a page loads, links to and says."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text):
        """Parse at once."""
        super().__init__()
        self.tags, self.ids, self.sources, self.links = [], [], [], []
        self.open, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note a tag, its id, and what it refers to."""
        values = dict(attrs)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.sources += [values[k] for k in ("src", "data", "srcset") if k in values]
        self.links += [values["href"]] if "href" in values else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Check that tags are closed in the order of opening."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Note text."""
        self.words.append(data)


def page_of(folder_path):
    """The parsed report of a run, after the checks that every report has to pass."""
    page = Page((folder_path / "report.html").read_text())
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("script") == 2  # the sessions as data, and report.js
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    for source in page.sources:
        ElementTree.fromstring(base64.b64decode(source.partition(",")[2]))
    for link in page.links:
        assert link.startswith(("#", "wire/"))
        assert not link.startswith("#") or link[1:] in page.ids
    return page


def test_the_papers_own_sessions_reproduce_the_paper(tmp_path, monkeypatch):
    """A lab that saw exactly the printed sessions is a full reproduction, also in run.json."""
    monkeypatch.setattr(build, "FORMATS", ("svg", "png"))
    path = reproduced_run(tmp_path / "run", published_sessions(4))
    with RunFolder.resume(path) as folder:
        summary = build_report(folder)
        folder.finalise("complete")
    assert summary.reproduced is True
    stored = json.loads((path / "run.json").read_text())["verdicts"]
    assert [(v["scenario"], v["reproduced"]) for v in stored] == [
        (f"scenario-{n}", True) for n in (1, 2, 3)
    ]
    assert {c["name"] for c in stored[0]["criteria"]} == {"boundaries", "sequences", "read counts"}
    assert {p.name for p in (path / "figures").iterdir()} >= {
        *("timeline-scenario-1.svg", "sequences-scenario-2.png")
    }
    page = page_of(path)
    assert page.tags.count("img") == 8
    assert page.tags.count("h1") == 1


def test_a_missing_sequence_is_not_reproduced(tmp_path):
    """Without the one session that read all at once, scenario 2 fails and says what is missing."""
    records = [r for r in published_sessions(4) if len(r.reads) > 1 or r.payload_bytes == 5120]
    summary = build_report(RunFolder.open(reproduced_run(tmp_path / "run", records)))
    assert summary.reproduced is False
    assert summary.headline() == "Not reproduced: scenario-2"
    text = " ".join(page_of(tmp_path / "run").words)
    assert "missing: 10240" in text
    assert "Not reproduced: scenario-2" in text


def test_a_plain_run_is_described_not_judged(tmp_path):
    """A run of scenarios without published numbers, or by `run`, has no verdict and no exit 1."""
    path = reproduced_run(
        tmp_path / "run", published_sessions(), command="run", scenarios=EXPERIMENTS[:1]
    )
    summary = build_report(RunFolder.open(path))
    assert summary.reproduced is None
    assert summary.verdict_dicts() is None
    assert [row.name for row in summary.rows] == ["scenario-1", "scenario-2", "scenario-3"]
    assert {row.verdict for row in summary.rows} == {"not judged"}
    assert summary.paragraphs()[0].startswith("Not judged: only `seglab reproduce`")
    page_of(path)


@pytest.mark.parametrize(
    ("engine", "kernel"), [("kernel", "6.1-of-old"), ("simulator", "none was used")]
)
def test_the_head_says_which_kernel_it_was(tmp_path, engine, kernel):
    """A simulated run names the engine, and not the kernel of the machine that simulated it."""
    path = reproduced_run(tmp_path / "run", [], engine=engine, kernel="6.1-of-old")
    build_report(RunFolder.open(path))
    words = [word for word in page_of(path).words if word.strip()]
    for place in (words.index("engine"), len(words) - 1 - words[::-1].index("engine")):
        assert words[place + 1 : place + 4] == [engine, "kernel", kernel]
    assert ("6.1-of-old" in words) == (engine == "kernel")


def test_an_interrupted_run_has_a_report(tmp_path):
    """A run whose writer was killed is reported from its journal, and says that it is not whole."""
    records = list(published_sessions())[:5]
    path = reproduced_run(tmp_path / "run", records, status=None, counts=Counts(planned=36))
    summary = build_report(RunFolder.open(path))
    assert summary.headline() == "Interrupted: 5 of 36 sessions ended"
    assert "--resume" in " ".join(page_of(path).words)


def test_a_run_without_a_session_has_a_report(tmp_path):
    """Interrupted at once, or with every session failed, a run still has its page."""
    build_report(RunFolder.open(reproduced_run(tmp_path / "empty", [], scenarios=())))
    page_of(tmp_path / "empty")
    failed = [
        replace(r, status="failed", error="the wire died", writes=(), segments=(), reads=())
        for r in published_sessions()
    ]
    summary = build_report(RunFolder.open(reproduced_run(tmp_path / "failed", failed)))
    assert summary.reproduced is False
    assert len(summary.failures) == 36
    assert "the wire died" in " ".join(page_of(tmp_path / "failed").words)


def test_hostile_strings_are_only_text(tmp_path):
    """Whatever a stored string holds, it is shown as it is and never becomes markup."""
    odd = simulated(
        1, session_id=HOSTILE, scenario=HOSTILE, sender=HOSTILE, network=HOSTILE, reader=HOSTILE,
        gap_ms=3, captures=Captures("javascript:alert(1)", "wire/../../etc/passwd"),
    )  # fmt: skip
    failed = replace(odd, session_id=f"{HOSTILE}2", status="failed", error=HOSTILE)
    path = reproduced_run(
        tmp_path / "run",
        [odd, replace(odd, session_id="b", parameters='{"gap_ms": 9}'), failed],
        scenarios=(Experiment(HOSTILE, HOSTILE, HOSTILE),),
        arguments={HOSTILE: [HOSTILE]},
        sysctls={HOSTILE: {HOSTILE: {HOSTILE: HOSTILE}}},
        offloads={HOSTILE: HOSTILE},
        error=HOSTILE,
    )
    summary = build_report(RunFolder.open(path))
    text = "".join(page_of(path).words)
    assert HOSTILE in text
    figures = {p.name for p in (path / "figures").iterdir()}
    assert all(re.fullmatch(r"[\w-]+\.(svg|png)", name) for name in figures)
    assert len(figures) == 3
    console = Console(width=200, record=True, file=StringIO())
    show(summary, console)
    assert "[red]" in console.export_text()


def test_no_stored_name_reaches_the_terminal_as_a_command(tmp_path, recwarn):
    """A scenario's name with escape sequences and letters of no font is only text everywhere."""
    name = "\x1b]0;owned\x07\x1b[2J\u202e\u4e2d\u6587"
    odd = simulated(1, session_id=name, scenario=name, sender=name, network=name, gap_ms=3)
    failed = replace(odd, session_id=f"{name}2", status="failed", error=name)
    other = replace(odd, session_id="b", network="\x1b[1mb", sender="\x9bb", parameters='{"g": 9}')
    experiments = (Experiment(name, name, name),)
    path = reproduced_run(tmp_path / "run", [odd, other, failed], scenarios=experiments, error=name)
    result = CliRunner().invoke(report, [str(path)], standalone_mode=False)
    assert result.exception is None
    assert result.output.replace("\n", "").replace("\t", "").isprintable()
    assert "\\x1b[2J" in result.output
    assert not recwarn.list
    drawn = sorted(path.glob("figures/*.svg"))
    assert drawn
    for figure in drawn:
        ElementTree.parse(figure)  # XML cannot hold an escape
    console = Console(width=120, file=StringIO(), force_terminal=True, color_system=None)
    show(build_report(RunFolder.open(path)), console)
    assert console.file.getvalue().replace("\n", "").isprintable()


def test_links_go_to_captures_below_wire(tmp_path):
    """A session's captures are linked when they are plain paths below wire/."""
    session = record(captures=Captures("wire/a b.pcapng", "/etc/passwd"))
    path = reproduced_run(tmp_path / "run", [session])
    build_report(RunFolder.open(path))
    assert [link for link in page_of(path).links if link[0] != "#"] == ["wire/a%20b.pcapng"]


def test_out_leaves_the_run_alone(tmp_path):
    """With --out nothing in the run folder changes, so a read-only run can be reported."""
    path = reproduced_run(tmp_path / "run", published_sessions())
    before = {p: p.stat().st_mtime_ns for p in sorted(path.rglob("*"))}
    result = CliRunner().invoke(
        report, [str(path), "--out", str(tmp_path / "new" / "my.html")], standalone_mode=False
    )
    assert result.exception is None
    assert {p: p.stat().st_mtime_ns for p in sorted(path.rglob("*"))} == before
    assert (tmp_path / "new" / "my.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(("times", "code"), [(4, 0), (0, 1)])
def test_the_command_prints_json_and_its_exit_code(tmp_path, times, code):
    """--json prints one JSON object with the verdicts; 1 says that something is not reproduced."""
    path = reproduced_run(tmp_path / "run", published_sessions(times))
    result = CliRunner().invoke(report, [str(path), "--json"], standalone_mode=False)
    assert result.return_value == code
    printed = json.loads(result.stdout)
    assert printed["reproduced"] is (code == 0)
    assert [s["name"] for s in printed["scenarios"]] == ["scenario-1", "scenario-2", "scenario-3"]
    assert printed["counts"]["complete"] == 36 * times


@pytest.mark.parametrize(
    ("late_ms", "inside", "code"), [(3, False, 1), (4, False, 3), (4, True, 1), (None, False, 1)]
)
def test_a_busy_machine_is_no_verdict(tmp_path, late_ms, inside, code):
    """Load is the reason that is given, if sessions were late and load can be the reason.

    A read that ends inside a segment is never excused.
    """
    late_ns = None if late_ms is None else late_ms * 1_000_000
    reads = (Read(0, 0, 1500), Read(0, 1500, 5120)) if inside else record().reads
    rows = [record(f"scenario-1/{n}", late_ns=late_ns, reads=reads) for n in range(20)]
    path = reproduced_run(tmp_path / "run", rows, scenarios=EXPERIMENTS[:1])
    result = CliRunner().invoke(report, [str(path), "--json"], standalone_mode=False)
    assert result.return_value == code
    printed = json.loads(result.stdout)
    summary, _ = summarise(RunFolder.open(path))
    (verdict,) = summary.verdict_dicts()
    assert verdict["too_busy"] is (code == 3)
    assert printed["too_busy"] == (["scenario-1"] if code == 3 else [])
    assert printed["reproduced"] is (None if code == 3 else False)
    words = "late by 4.0 ms in the median session, 3 ms allowed, 4 ms at most"
    assert printed["headline"] == (
        f"Machine too busy to judge: scenario-1 ({words})"
        if code == 3
        else "Not reproduced: scenario-1"
    )
    (row,) = summary.rows
    assert row.verdict.startswith("machine too busy: " if code == 3 else "not reproduced: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("time limit reached", 3),
        ("the wire was too slow: the kernel dropped 3 frames unseen", 3),
        ("the client did not answer within 20 s", 3),
        ("the sender raised ValueError: no", 1),
        ("the server received other bytes than were written", 1),
    ],
)
def test_a_failure_that_load_may_have_caused_is_no_verdict(tmp_path, error, code):
    """On a busy machine; on an idle one, every failed session counts."""
    failed = record("scenario-1/99", status="failed", error=error)
    for name, late_ms, expected in (("busy", 4, code), ("idle", 1, 1)):
        rows = [record(f"scenario-1/{n}", late_ns=late_ms * 1_000_000) for n in range(20)]
        path = reproduced_run(tmp_path / name, [*rows, failed], scenarios=EXPERIMENTS[:1])
        result = CliRunner().invoke(report, [str(path), "--json"], standalone_mode=False)
        assert result.return_value == expected
        assert "failures" in summarise(RunFolder.open(path))[0].rows[0].verdict


def test_late_sessions_make_a_machine_too_busy_whatever_the_median(tmp_path):
    """Two of twenty sessions stayed too late, so no verdict is given; and the words count them."""
    rows = [
        record(f"scenario-1/{n}", late_ns=(50 if n < 2 else 1) * 1_000_000, too_late=n < 2)
        for n in range(20)
    ]
    path = reproduced_run(tmp_path / "run", rows, scenarios=EXPERIMENTS[:1])
    summary, _ = summarise(RunFolder.open(path))
    assert summary.headline() == (
        "Machine too busy to judge: scenario-1 (late by 1.0 ms in the median session, 3 ms "
        "allowed, 50 ms at most, 2 of 20 sessions too late)"
    )
    assert summary.paragraphs()[-1] == (
        "The machine was too busy for 2 of 20 sessions, which are marked (too_late), late by up to "
        "50 ms."
    )


def test_the_terminal_shows_the_table_and_the_words(tmp_path):
    """The text has a row a scenario, each criterion, and both versions of the 10 KB block."""
    path = reproduced_run(tmp_path / "run", published_sessions(4))
    console = Console(width=160, record=True, file=StringIO(), force_terminal=True)
    show(summarise(RunFolder.open(path))[0], console)
    text = console.export_text()
    for expected in ("published", "the lab", "verdict", "scenario-3", "single 10 KB block"):
        assert expected in text
    assert text.rstrip().endswith("All 3 experiments reproduced")


def test_a_pipe_gets_a_line_for_each_experiment(tmp_path):
    """However narrow: nothing is folded or framed, so that grep finds a whole row."""
    path = reproduced_run(tmp_path / "run", published_sessions(4))
    file = StringIO()
    show(summarise(RunFolder.open(path))[0], Console(width=40, file=file))
    rows = [line.split("\t") for line in file.getvalue().splitlines() if "\t" in line]
    assert [row[0] for row in rows] == ["experiment", "scenario-1", "scenario-2", "scenario-3"]
    assert [row[-1] for row in rows] == ["verdict", *["reproduced"] * 3]
    assert {len(row) for row in rows} == {4}


def test_a_pipe_gets_whole_sentences(tmp_path):
    """However narrow: no paragraph or last line is broken, and no line has blanks behind."""
    path = reproduced_run(tmp_path / "run", published_sessions(4))
    found, file = summarise(RunFolder.open(path))[0], StringIO()
    show(found, Console(width=40, file=file))
    lines = file.getvalue().splitlines()
    paragraphs = [line for text in found.paragraphs() for line in text.split("\n")]
    assert max(map(len, paragraphs)) > 80
    assert {*paragraphs, found.headline()} <= {*lines}
    assert not [line for line in lines if line != line.rstrip()]


def test_a_sweep_stays_out_of_the_verdict(tmp_path):
    """Sessions of a sweep's points count for the curve, not for the scenario's sequences."""
    sweep = [
        simulated(
            i, gap_ms=gap, scenario="scenario-3", variant=f"gap_ms={gap}", session_id=f"{gap}.{i}"
        )
        for i in range(3)
        for gap in (0, 10)
    ]
    path = reproduced_run(tmp_path / "run", [*published_sessions(2), *sweep])
    (result,) = [f for f in summarise(RunFolder.open(path))[0].results if f.separation_words]
    assert result.experiment.name == "scenario-3"
    assert result.sequences.lab_sessions == 24
    assert result.counts.complete == 30
    assert [(p.gap_ms, p.sessions) for p in result.separation] == [(0, 3), (10, 3), (100, 24)]
    assert [(p.gap_ms, p.reads) for p in result.published_separation] == [(0, 6), (100, 12)]


def test_the_telling_session_merges_writes():
    """The figure shows a session whose reads join the two writes, if there is one."""
    apart = simulated(1, reads=reads_of([1440, 3680, 5120]), session_id="apart")
    joined = simulated(2, reads=reads_of([1440, 8800]), session_id="joined")
    whole = simulated(3, reads=reads_of([10240]), session_id="whole")
    failed = simulated(4, status="failed")
    assert most_informative([apart, whole, joined, failed]).session_id == "joined"
    assert most_informative([failed]) is None


def test_nested_settings_become_tables():
    """Hosts become columns, names rows; anything else becomes a plain list."""
    (grid,) = grids({"net": {"client": {"a": "1", "b": "2"}, "server": {"a": "3"}}}, "sysctl")
    assert grid.columns == ("sysctl", "client", "server")
    assert grid.rows == (("a", "1", "3"), ("b", "2", ""))
    assert grids({"x": 5}, "c")[0].rows == (("", "5"),)


@pytest.mark.parametrize(
    ("reads", "networks", "words"),
    [
        ([[5120], [1440, 3680], [5120]], ["a"], "3 sessions, most often 5120 (2)"),
        ([[5120], [1440, 3680], [2880, 2240]], ["a"], "3 sessions, 3 different sequences"),
        ([[5120]], ["a"], "1 session, most often 5120 (1)"),
        ([[5120], [5120], [5120]], ["a", "b"], "3 sessions in 2 cells; see the report"),
    ],
)
def test_what_the_line_of_an_own_scenario_says(tmp_path, reads, networks, words):
    """The most frequent sequence only where one is, and none pooled over several cells."""
    records = [
        simulated(
            number, writes=(5120,), reads=reads_of(sizes), scenario="own",
            session_id=f"own.{number}", network=networks[number % len(networks)],
        )
        for number, sizes in enumerate(reads)
    ]  # fmt: skip
    path = reproduced_run(tmp_path / "run", records, command="run", scenarios=(Experiment("own"),))
    (row,) = summarise(RunFolder.open(path))[0].rows
    assert row.lab == words


HOLE = {"hole": {"name": "hole", "completes": False}, "paper": {"name": "paper"}}


def lost(number, network="hole", error="time limit reached; the router lost it"):
    """A failed session."""
    return simulated(
        number, scenario="own", network=network, session_id=f"own.{network}.{number}",
        status="failed", error=error,
    )  # fmt: skip


def own_run(path, records):
    """A stored run of a scenario that nothing is published about, in part over a black hole."""
    return stored_run(path, records, scenarios=(Experiment("own", "mine"),), networks=HOLE)


@pytest.mark.parametrize(
    ("failed", "unexpected", "headline"),
    [
        ([], 0, "1 of 1 session complete"),
        ([lost(1)], 0, "1 of 2 sessions complete; 1 failed, as expected of the network"),
        ([lost(1, "paper")], 1, "1 of 2 sessions complete"),
        ([lost(1, error="the lab died")], 1, "1 of 2 sessions complete"),
        (
            [lost(1), lost(2), lost(3, "paper")],
            1,
            "1 of 4 sessions complete; 2 failed, as expected of the network",
        ),
    ],
)
def test_a_failure_may_be_expected(tmp_path, failed, unexpected, headline):
    """Only of a network that says so, and only where the time limit was reached."""
    path = own_run(tmp_path / "run", [simulated(0, scenario="own"), *failed])
    summary = build_report(RunFolder.open(path))
    assert summary.unexpected_failures == unexpected
    assert summary.headline() == headline
    assert [f["expected"] for f in summary.to_dict()["failures"]].count(False) == unexpected
    text = StringIO()
    show(summary, Console(file=text, width=200))
    expected = len(failed) - unexpected
    assert ("failed, as expected: " in text.getvalue()) == (expected > 0)
    assert ("(as expected of the network)" in " ".join(page_of(path).words)) == (expected > 0)


def test_a_failure_is_one_line(tmp_path):
    """Whatever broke it: an error of several lines, or with escape sequences, is one safe line."""
    path = own_run(tmp_path / "run", [lost(1, error="boom\n\x1b]0;title\x07 next")])
    text = StringIO()
    show(summarise(RunFolder.open(path))[0], Console(file=text, width=200))
    (line,) = [line for line in text.getvalue().splitlines() if "boom" in line]
    assert line == r"failed: own.hole.1: boom \x1b]0;title\x07 next"


def test_an_own_scenario_is_not_compared_with_a_paper(tmp_path):
    """Its table says what ran, what became of it and what was seen, in a pipe and on the page."""
    sessions = [simulated(n, scenario="own", session_id=f"own.{n}") for n in range(3)]
    path = own_run(tmp_path / "run", [*sessions, lost(1)])
    summary = build_report(RunFolder.open(path))
    text = StringIO()
    show(summary, Console(file=text, width=40))
    columns, row = [line.split("\t") for line in text.getvalue().splitlines() if "\t" in line]
    assert columns == ["scenario", "ran", "complete", "failed", "seen"]
    assert row[:4] == ["own", "1 sender on 2 networks", "3", "1"]
    assert row[4] == summary.rows[0].lab.removeprefix("3 sessions, ")
    words = " ".join(page_of(path).words)
    assert " seen " in words
    assert "published" not in words.partition("Sessions")[0]


@pytest.mark.parametrize(
    ("senders", "curve"),
    [(("a", "a"), True), (("a", "b"), False), (("a", "b", "b"), True)],
)
def test_gaps_of_different_senders_are_not_compared(tmp_path, senders, curve):
    """A curve over gaps needs a sender that ran with several; others are not part of it."""
    sessions = [
        simulated(n, gap_ms=10 * n, scenario="own", session_id=f"own.{n}", sender=sender)
        for n, sender in enumerate(senders)
    ]
    (result,) = summarise(RunFolder.open(own_run(tmp_path / "run", sessions)))[0].results
    assert (result.separation_words is not None) is curve
    points = [point.gap_ms for point in result.separation]
    assert points == [10.0 * n for n, s in enumerate(senders) if senders.count(s) > 1]


def test_the_figure_of_all_shows_what_is_like_the_paper(tmp_path):
    """However rare in the lab, the sequence most often printed stands right below it."""
    rare = (1440, 1440, 1440, 800)
    assert Counter(PAPER[1].sessions).most_common(1)[0][0] == rare
    often = [
        session
        for session in published_sessions(3)
        if tuple(read.end - read.start for read in session.reads) != rare
    ]
    once = simulated(
        0, writes=(5120,), reads=reads_of(rare), scenario="scenario-1", session_id="once"
    )
    summary, grouped = summarise(RunFolder.open(reproduced_run(tmp_path / "run", [*often, once])))
    (figure,) = [drawing for drawing in drawings(summary, grouped) if drawing.name == "sizes"]
    published, like_it, other = figure.draw.args[2][:3]
    assert (published.sizes, published.published) == (rare, True)
    assert (like_it.sizes, like_it.label) == (rare, "1 of 25 sessions")
    assert other.sizes != rare
