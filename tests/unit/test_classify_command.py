"""``seglab classify``: what it prints, filters, explains and follows, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from classifying_inputs import capture
from click.testing import CliRunner, Result
from stored_runs import stored_run
from stub_classifiers import failing_at_nine, stub, style_alone
from synthetic import record

from seglab import cli
from seglab.classification.registry import classifiers, of_callable
from seglab.commands.classify import classify
from seglab.errors import InputError
from seglab.server.logs import session_line

PAPER = Path(__file__).parents[2] / "examples" / "paper.log"
STUB = ("--classifier", "stub")
OWN_STUB = ("--classifier", "stub_classifiers:stub")
COMMAND = "from seglab.cli import main; main()"
FOLDER = str(Path(__file__).parents[1] / "helpers")
"""Where a new process finds the module of ``OWN_STUB``."""


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those classifiers are built in, so that asking them starts no process."""
    known = {**classifiers()} | {
        one.__name__: of_callable(one) for one in (stub, style_alone, failing_at_nine)
    }
    monkeypatch.setattr("seglab.classification.registry.classifiers", lambda: known)


def ran(*arguments: str | Path, stdin: bytes = b"") -> Result:
    """The command with the stub, as a pipe sees it."""
    return CliRunner().invoke(
        classify, [*STUB, *map(str, arguments)], standalone_mode=False, input=stdin
    )


def rows(*arguments: str | Path, stdin: bytes = b"") -> list[list[str]]:
    """The columns of each line for a pipe."""
    result = ran(*arguments, stdin=stdin)
    assert result.exception is None, result.exception
    return [line.split("\t") for line in result.stdout.splitlines()]


def on_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    *arguments: str | Path,
) -> list[str]:
    """What a terminal of that width shows, without colours."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with classify.make_context("classify", [*STUB, *map(str, arguments)]) as context:
        assert classify.invoke(context) == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


def test_a_pipe_gets_a_line_a_message() -> None:
    """Ten columns with tabs between; the summary goes to standard error."""
    result = ran(PAPER)
    found = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[1] for row in found] == ["1", "2", "3", "4", "5"]
    assert {len(row) for row in found} == {11}
    source, _, client, style, terminator, path, buffer, confidence, score, sizes, _ = found[2]
    assert (source, client, buffer, score) == (str(PAPER), "-", "-", "-")
    assert (style, terminator, path, confidence) == (
        "single_write|fixed_buffer", "own_write", "steady", "0.500",
    )  # fmt: skip
    assert sizes == "9366 5"
    assert found[4][-2] == "1388 72 1388 x5 991"
    assert result.stderr.strip() == (
        "5 messages: single_write 2, relay 1, headers_then_body 1, one of several 1 "
        "(single_write 1, fixed_buffer 1), end of data by itself 2, path pmtu_fall 1, with notes 2"
    )


def test_json_lines() -> None:
    """The verdict's keys, those of the observation, and where it came from."""
    result = ran(PAPER, "--json")
    first, *_, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert first | {"style": "relay", "sizes": [77, 2896, 329], "boundaries": [77]} == first
    assert first["evidence"] == ["begins with 77"]
    assert first["source"] == str(PAPER)
    assert last["path_condition"] == "pmtu_fall"
    assert "score" not in first
    assert (first["mss"], first["timestamps"], first["layer"]) == (None, None, "reads")


def test_a_confidence_that_is_not_given_is_not_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A classifier may name a style alone; that is unknown in every form, and below any minimum."""
    sure = ("--classifier", "style_alone")
    assert {row[7] for row in rows(PAPER, *sure)} == {"-"}
    result = ran(PAPER, "--json", *sure)
    assert {json.loads(line)["confidence"] for line in result.stdout.splitlines()} == {None}
    assert "(confidence not given)" in ran(PAPER, "--explain", "1", *sure).stdout
    assert rows(PAPER, "--min-confidence", "0.01", *sure) == []
    assert len(rows(PAPER, "--min-confidence", "0", *sure)) == 5
    shown = on_terminal(monkeypatch, capsys, 140, PAPER, *sure)
    assert not any("0.00" in text for text in shown)


def test_an_abstention_is_a_line_too() -> None:
    """With no style; its sizes are there."""
    (row,) = rows("-", stdin=b"[1] (1) 5120\n")
    assert row == ["stdin", "1", "-", "-", "-", "-", "-", "-", "-", "5120", "1"]
    result = ran("-", "--json", stdin=b"[1] (1) 5120\n")
    assert json.loads(result.stdout)["style"] is None
    assert "1 message: no style 1" in result.stderr


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ((), "12345"),
        (("--style", "relay"), "1"),
        (("--style", "relay", "--style", "fixed_buffer"), "13"),
        (("--style", "single_write", "--path-condition", "pmtu_fall"), "5"),
        (("--terminator", "own_write"), "23"),
        (("--min-confidence", "0.9"), "1245"),
        (("--client", "192.0.2.9"), ""),
        (("--abstained",), ""),
        (("--abstained", "--style", "relay"), "1"),
    ],
)
def test_filters(options: tuple[str, ...], ids: str) -> None:
    """Of one kind any has to fit, and each kind has to; the summary says how many of how many."""
    result = ran(PAPER, *options)
    assert "".join(line.split("\t")[1] for line in result.stdout.splitlines()) == ids
    assert result.stderr.startswith("5 messages" if not options else f"{len(ids)} of 5 messages")


def test_clients_and_push_of_a_capture(tmp_path: Path) -> None:
    """A client is found by any part of its address and port."""
    capture(tmp_path / "c.pcap", (77, 1448))
    assert [row[2] for row in rows(tmp_path / "c.pcap", "--client", ":40000")] == [
        "192.0.2.2:40000"
    ]
    assert rows(tmp_path / "c.pcap", "--client", "192.0.2.20") == []


def test_an_id_of_a_capture_is_short_beside_its_source(tmp_path: Path) -> None:
    """The table leaves the file's name out of it, and --explain takes it either way."""
    path = tmp_path / "c.pcap"
    capture(path, (77, 1448))
    ((source, short, *_),) = rows(path)
    assert source == str(path)
    assert str(path) not in short
    whole = json.loads(ran(path, "--json").stdout)["id"]
    for name in (short, whole, f"{path}:{short}"):
        assert f"message {short} of {path}" in ran(path, "--explain", name).stdout


@pytest.mark.parametrize("columns", [80, 200])
def test_an_id_is_never_cut(
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A long one stands above its line, so that it can be copied."""
    ids = ["short", "matrix.custom_headers.black-hole-probing.0000"]
    log = tmp_path / "a.jsonl"
    log.write_text("\n".join(json.dumps({"id": name, "sizes": [77, 5]}) for name in ids))
    lines = on_terminal(monkeypatch, capsys, columns, log)
    assert ids[1] in lines
    assert any(line.startswith(" 1  short  relay") for line in lines)


def test_a_score_by_weights(tmp_path: Path) -> None:
    """In the table, and in JSON with its parts; a set has a range."""
    (tmp_path / "w.toml").write_text("[style]\nrelay = -2\nsingle_write = 1\n[terminator]\n"
                                     "own_write = 0.25\n")  # fmt: skip
    assert [row[8] for row in rows(PAPER, "--weights", tmp_path / "w.toml")] == [
        "-2", "+0.25", "+0.75", "+1", "+1",
    ]  # fmt: skip
    result = ran(PAPER, "--weights", tmp_path / "w.toml", "--json")
    third = json.loads(result.stdout.splitlines()[2])
    assert third["score"] == 0.5 + 0.25
    assert third["score_range"] == [0.25, 1.25]
    assert third["score_parts"] == {
        "style": 0.5, "terminator": 0.25, "buffer": 0, "path_condition": 0,
    }  # fmt: skip


def test_what_cannot_be_read_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    """Each has a line on standard error, the others are printed, and the exit code is 2."""
    (tmp_path / "bad").write_text("hello\n")
    result = ran(tmp_path / "none", PAPER, tmp_path / "bad")
    assert result.return_value == 2
    assert len(result.stdout.splitlines()) == 5
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"seglab: {tmp_path}/none: No such file")
    assert lines[1].startswith(f"seglab: {tmp_path}/bad: neither a capture nor a known log")


def test_several_sources_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line with its name before its messages; a column with nothing in it is not shown."""
    log = tmp_path / "a.log"
    log.write_text(session_line(1, (77, 1448)))
    monkeypatch.chdir(tmp_path)
    one = on_terminal(monkeypatch, capsys, 130, "a.log")
    assert one[0].split() == ["id", "style", "terminator", "path", "conf", "sizes"]
    two = on_terminal(monkeypatch, capsys, 130, "a.log", ".")
    assert two[1] == "a.log:"
    assert [line.split()[:2] for line in two[2:4]] == [["1", "1"], ["2", "1"]]


@pytest.mark.parametrize("columns", [40, 60, 80, 119, 120, 200])
def test_no_line_is_wider_than_the_terminal(
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """But for the names, at 80 columns and more; sizes are cut, and say so."""
    log = tmp_path / "a.log"
    many = tuple(100 + n * 7 % 1300 for n in range(300))
    log.write_text("\n".join((session_line(1, many), session_line(2, (1440,) * 40 + (5,)))))
    lines = on_terminal(monkeypatch, capsys, columns, log)
    table = lines[: lines.index("")]
    if columns >= 80:
        assert max(map(len, table)) <= columns
    assert table[-2 if columns >= 120 else -3].endswith("…")
    assert "1440 x40 5" in table[-1]
    assert len(table) == 1 + 2 * (1 if columns >= 120 else 2)


@pytest.mark.parametrize("columns", [80, 130])
def test_all_columns_at_once(
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Sources, clients, sets of styles, buffers and scores fit, with names cut short."""
    lines = [
        {"id": str(n) * 18, "sizes": [first, 5], "client": "203.0.113.255:65535"}
        for n, first in enumerate((1460, 9366))
    ]
    log = tmp_path / "a.jsonl"
    log.write_text("\n".join(map(json.dumps, lines)))
    shown = on_terminal(monkeypatch, capsys, columns, log, PAPER, "--weights", "example")
    columns_shown = shown[0].split()
    assert {"id", "style", "terminator", "path", "buffer", "conf", "score"} <= {*columns_shown}
    assert ("client" in columns_shown) == (columns == 130)
    headings = {f"{log}:", f"{PAPER}:"}
    assert headings <= {*shown}, "a source's name is never cut, so its line may be longer"
    assert any("203.0.113.255:65535" in line for line in shown)
    table = [line for line in shown[: shown.index("")] if line not in headings]
    assert max(map(len, table)) <= columns
    assert any("000000000000000000" in line for line in shown)


def test_no_name_reaches_the_terminal_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Ids, clients, notes, file names: what moves a cursor is shown as an escape."""
    evil = "\x1b]0;x\x07\u202e\n\t"
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"id": evil, "sizes": [77, 5], "client": evil, "source": evil, "notes": [evil]})
    )
    for lines in (
        on_terminal(monkeypatch, capsys, 80, tmp_path / "a.jsonl"),
        on_terminal(monkeypatch, capsys, 80, tmp_path / "a.jsonl", "--explain", evil),
    ):
        assert all(line.isprintable() for line in lines)
        assert any("\\x1b]0;x\\x07\\u202e\\n\\t" in line for line in lines)
    (row,) = rows(tmp_path / "a.jsonl")
    assert all(cell.isprintable() for cell in row)


def test_explain() -> None:
    """The bars with their sizes, the boundary with its probability, the header's end, and why."""
    result = ran(PAPER, "--explain", "2")
    lines = result.stdout.splitlines()
    assert lines[0] == f"message 2 of {PAPER}"
    assert "  4750 bytes in 5 reads" in lines
    assert "  style        headers_then_body (confidence 0.94)" in lines
    numbers = next(line for line in lines if line.split() == ["520", "1440", "1440", "1345", "5"])
    bars = lines[lines.index(numbers) - 1]
    widths = [len(bar) for bar in bars.split()[1:]]
    assert widths[1] == widths[2] == max(widths)
    assert widths[0] == pytest.approx(widths[1] * 520 / 1440, abs=1)
    marks = lines[lines.index(numbers) + 1]
    assert marks.index("▲") == bars.index("█") + widths[0], "the header ends where the bar does"
    assert any("520 88% header ends" in line for line in lines)
    assert "  - begins with 520" in lines
    assert max(map(len, lines[1:])) <= 80, "all but the line with the source's name"
    assert result.return_value == 0


def test_explain_takes_the_number_that_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Every number of the table and of a pipe finds the message that had it, filtered or not."""
    path = tmp_path / "c.jsonl"
    path.write_text(
        "".join(json.dumps({"id": f"{n}.1", "sizes": [77 + n, 1448]}) + "\n" for n in range(4))
    )
    shown = [line for line in on_terminal(monkeypatch, capsys, 140, path) if ".1 " in line]
    pairs = [line.split()[:2] for line in shown]
    assert pairs == [["1", "0.1"], ["2", "1.1"], ["3", "2.1"], ["4", "3.1"]]
    assert [[row[-1], row[1]] for row in rows(path)] == pairs
    for number, short in pairs:
        assert ran(path, "--explain", number).stdout.splitlines()[0].startswith(f"message {short}")
    found = json.loads(ran(path, "--explain", "3", "--json").stdout)
    assert (found["id"], found["number"]) == ("2.1", 3)
    assert "no message has this id or number" in str(ran(path, "--explain", "5").exception)


def test_an_id_comes_before_a_number(tmp_path: Path) -> None:
    """Ids of a log are numbers: the id counts, whether it comes before or after that place."""
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps({"id": n, "sizes": [77]}) + "\n" for n in "231"))
    for name in "123":
        assert ran(path, "--explain", name).stdout.count(f"message {name} of") == 1


def test_by_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """All messages of an address count together, whatever their port; filters count."""
    path, weights = tmp_path / "c.jsonl", tmp_path / "w.toml"
    clients = ["192.0.2.1:1000", "192.0.2.1:1001", "[2001:db8::1]:25", None]
    path.write_text(
        "".join(
            json.dumps({"id": str(n), "sizes": [77, 1448] if n else [5120], "client": client})
            + "\n"
            for n, client in enumerate(clients)
        )
    )
    weights.write_text("[style]\nrelay = 2.0\n")
    found = rows(path, "--by", "client", "--weights", weights)
    assert found == [
        ["192.0.2.1", "2", "relay 1", "1", "+1", "+0", "+2"],
        ["-", "1", "relay 1", "0", "+2", "+2", "+2"],
        ["2001:db8::1", "1", "relay 1", "0", "+2", "+2", "+2"],
    ]
    result = ran(path, "--by", "client", "--json", "--style", "relay")
    first = json.loads(result.stdout.splitlines()[0])
    assert first == {"client": None, "messages": 1, "styles": {"relay": 1}, "no_style": 0}
    assert "3 of 4 messages" in result.stderr
    shown = on_terminal(monkeypatch, capsys, 100, path, "--by", "client")
    assert shown[0].split() == ["client", "messages", "styles", "no", "style"]
    assert shown[1].split() == ["192.0.2.1", "2", "relay", "1", "1"]


def test_explain_by_source_and_several(tmp_path: Path) -> None:
    """SOURCE:ID tells equal ids apart; the error for an unknown id lists some others."""
    log = tmp_path / "a.log"
    log.write_text(session_line(2, (77, 1448)))
    both = ran(PAPER, log, "--explain", "2").stdout
    assert both.count("message 2 of") == 2
    one = ran(PAPER, log, "--explain", f"{log}:2").stdout
    assert one.count("message 2 of") == 1
    assert f"message 2 of {log}" in one
    result = ran(PAPER, log, "--explain", "9")
    assert result.exception is not None
    assert str(result.exception) == (
        "--explain 9: no message has this id or number; there are 1, 2, 3, 4, 5"
    )
    assert json.loads(ran(PAPER, "--explain", "2", "--json").stdout)["id"] == "2"


def test_layers_of_a_run(tmp_path: Path) -> None:
    """The wire's segments, or the server's reads."""
    stored_run(tmp_path / "run", [record("scenario-1/1")])
    assert [row[-2] for row in rows(tmp_path / "run")] == ["1440 x3 800"]
    assert [row[-2] for row in rows(tmp_path / "run", "--layer", "reads")] == ["5120"]


def test_several_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same order."""
    monkeypatch.chdir(FOLDER)
    log = tmp_path / "a.log"
    log.write_text("\n".join(session_line(n, (n, 77, 5)) for n in range(1, 300)))
    assert rows(log, *OWN_STUB, "--jobs", "2") == rows(log)
    assert rows(log, "--classifier", "paper", "--jobs", "2") == rows(log, "--classifier", "paper")
    assert [row[1] for row in rows(log)] == [str(n) for n in range(1, 300)]


def test_a_program_as_a_classifier() -> None:
    """It is asked by lines of JSON; the error of one that fails has one line."""
    program = (
        "import sys, json\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'style': 'relay'}), flush=True)\n"
    )
    good = rows(PAPER, "--classifier", f'cmd:"{sys.executable}" -c "{program}"')
    assert {row[3] for row in good} == {"relay"}
    bad = ran(PAPER, "--classifier", "cmd:false")
    assert isinstance(bad.exception, InputError)
    assert str(bad.exception).startswith(
        "classifier cmd:false: failed at message 1: exited with status 1"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "which file?"),
        (("x", "--style", "single_wirte"), "unknown 'single_wirte'; did you mean 'single_write'?"),
        (("x", "--follow", "--explain", "1"), "--follow goes neither"),
        (("x", "--evaluate", "."), "takes the run alone"),
        (("x", "--network", "gprs"), "is for --evaluate"),
        (("x", "--side", "tuning"), "--figures and --side are for --evaluate"),
        (("--evaluate", ".", "--figures", "a.json"), "--figures FILE and --side NAME go together"),
        (
            ("--evaluate", ".", "--figures", "a", "--side", "b", "--layer", "reads"),
            "--figures goes without --layer",
        ),
        (("--evaluate", ".", "--style", "relay"), "--evaluate goes without --style"),
        (("--evaluate", ".", "--jobs", "2", "--follow"), "goes without --follow, --jobs"),
        (("x", "--explain", "1", "--abstained"), "--explain goes without --abstained"),
        (("x", "--explain", "1", "--by", "client"), "--explain goes without --by"),
        (("x", "--follow", "--by", "client"), "--follow goes neither"),
        (("x", "--explain", "1", "--jobs", "2"), "--explain goes without --jobs"),
        (("x", "--classifier", "a:b", "--style", "relais"), "'relais'; did you mean 'relay'?"),
        (("x", "--time-limit", "2"), "--time-limit is for a classifier of your own"),
        (("x", "--time-limit", "nan", "--classifier", "a:b"), "nan is not a number"),
        (("x", "--min-confidence", "2"), "0<=x<=1"),
        (("x", "--min-confidence", "nan"), "nan is not a number"),
        (("x", "--classifier", "paepr"), "unknown classifier 'paepr'"),
        (("x", "--classifier", "paepr", "--jobs", "2"), "unknown classifier 'paepr'"),
        (("x", "--classifier", "paepr:x"), "classifier 'paepr:x' cannot be loaded: ModuleNotFound"),
        (("x", "--classifier", "paepr:x", "--jobs", "2"), "'paepr:x' cannot be loaded: ModuleNotF"),
    ],
)
def test_wrong_options_are_told(
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, with the exit code 2."""
    monkeypatch.setattr(sys, "argv", ["seglab", "classify", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    _, error = capsys.readouterr()
    assert words in error
    assert error.count("\n") == 1


def test_evaluate_is_given_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the classifier, and what part of it is asked for; its exit code is the command's."""
    given: list[Any] = []

    def evaluate_run(runs: Any, classifier: Any, **options: Any) -> int:
        given.extend((list(runs), classifier.name, options))
        return 1

    monkeypatch.setattr("seglab.commands.evaluate.evaluate_run", evaluate_run)
    result = ran("--evaluate", tmp_path, "--network", "gprs", "--layer", "reads", "--json")
    assert result.return_value == 1
    assert given == [
        [tmp_path],
        STUB[1],
        {"as_json": True, "layers": ("reads",), "networks": ("gprs",), "kept": None},
    ]


def test_evaluate_is_given_the_file_of_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the side whose figures change."""
    given: list[Any] = []

    def evaluate_run(_runs: Any, _classifier: Any, *, kept: Any, **_options: Any) -> int:
        given.append((kept.path, kept.side))
        return 0

    monkeypatch.setattr("seglab.commands.evaluate.evaluate_run", evaluate_run)
    file = tmp_path / "figures.json"
    ran("--evaluate", tmp_path, "--figures", file, "--side", "tuning")
    assert given == [(file, "tuning")]


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    """``| head -1`` ends it quietly, as any filter."""
    log = tmp_path / "a.log"
    log.write_text("\n".join(session_line(n, (77, 5)) for n in range(1, 20_000)))
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "classify", *OWN_STUB, str(log), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": FOLDER},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["id"] == "1"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_what_came_before_a_failure_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table waits for its columns' widths, but not when the classifier fails."""
    with pytest.raises(InputError, match="failed at message 4"):
        on_terminal(monkeypatch, capsys, 80, PAPER, "--classifier", "failing_at_nine")
    assert "headers_then_body" in capsys.readouterr().out


def test_a_damaged_file_says_nothing_to_the_terminal(tmp_path: Path) -> None:
    """PyArrow's errors have bytes of the file in them; they are escaped (found by fuzzing)."""
    file = tmp_path / "x.parquet"
    footer = b"\x1d" + b"\x0e" * 20
    file.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    done = ran(file)
    assert done.return_value == 2
    (line,) = (line for line in done.stderr.split("\n") if line.startswith("seglab: "))
    assert "not a readable Parquet file" in line
    assert line.isprintable()
