"""The table of a run with named programs."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from drawn import shapes
from stored_runs import stored_run
from synthetic import simulated

from seglab.classification.classifier import Verdict
from seglab.core.record import SessionRecord
from seglab.core.written import WrittenLabels
from seglab.experiment import registry
from seglab.plots.programs import ProgramCell, programs
from seglab.report import build_report
from seglab.report.programs import ProgramRow, program_rows, write_programs
from seglab.runs.folder import PROGRAMS, RunFolder


def program(
    sender: str,
    size: int,
    network: str,
    repeat: int = 0,
    *,
    writes: tuple[int, ...],
    **values: object,
) -> SessionRecord:
    """A session of a program that wrote these sizes."""
    return replace(
        simulated(repeat, writes=writes),
        session_id=f"survey.{sender}.{size}.{network}.{repeat}",
        scenario="survey",
        sender=sender,
        network=network,
        variant=f"payload_bytes={size}",
        repeat=repeat,
        kind="program",
        parameters='{"version":"1.2","settings":"composed"}',
        **values,  # type: ignore[arg-type]
    )


@pytest.fixture
def table(tmp_path: Path) -> list[dict[str, str]]:
    """The table of a run of two programs, each line by its columns."""
    failed = {"status": "failed", "error": "it hung", "writes": (), "segments": (), "reads": ()}
    records = [
        program("postfix", 25600, "pppoe", writes=(5792, 308)),
        program("postfix", 2048, "pppoe", writes=(2048,)),
        replace(program("postfix", 2048, "ethernet", 0, writes=(2048,)), **failed),
        program("postfix", 2048, "ethernet", 1, writes=(2000, 48)),
        program("postfix", 2048, "ethernet", 2, writes=(2048,)),
        replace(program("curl", 2048, "ethernet", writes=(2048,)), **failed),
        simulated(9, writes=(100,), session_id="emulated"),
    ]
    networks = {name: registry.networks()[name] for name in ("ethernet", "pppoe")}
    stored_run(tmp_path / "run", records, networks=networks)
    folder = RunFolder.open(tmp_path / "run")
    write_programs(folder, program_rows(folder, folder.sessions()))
    first, *lines = (tmp_path / "run" / PROGRAMS).read_text().splitlines()
    return [dict(zip(first.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_its_order(table: list[dict[str, str]]) -> None:
    """By program, then the size of the mail as a number, then the run's order of networks."""
    assert [(row["program"], row["message"], row["network"]) for row in table] == [
        ("curl", "payload_bytes=2048", "ethernet"),
        ("postfix", "payload_bytes=2048", "ethernet"),
        ("postfix", "payload_bytes=2048", "pppoe"),
        ("postfix", "payload_bytes=25600", "pppoe"),
    ]


def test_a_line_counts_its_sessions(table: list[dict[str, str]]) -> None:
    """The first complete one is shown, with how many others wrote as many pieces."""
    row = table[1]
    assert (row["sessions"], row["complete"], row["alike"]) == ("3", "2", "1")
    assert (row["writes"], row["write_sizes"]) == ("2", "2000 48")
    assert (row["version"], row["settings"], row["runtime"]) == ("1.2", "composed", "")


def test_a_program_that_always_failed(table: list[dict[str, str]]) -> None:
    """It has a line with the reason, and nothing that was not seen."""
    assert table[0]["complete"] == "0"
    assert table[0]["error"] == "it hung"
    assert table[0]["writes"] == table[0]["style"] == table[0]["looks_like"] == ""


def survey(tmp_path: Path) -> RunFolder:
    """A stored run of a program with two mails over two networks, and CHUNKING over one."""
    records = [
        program("postfix", size, network, writes=writes, initcwnd=initcwnd)
        for size, writes in ((2048, (2048,)), (25600, (5792, 5792, 5792, 5792, 2432)))
        for network, initcwnd in (("ethernet", 10), ("pppoe", 64))
    ]
    usual = program("postfix", 2048, "pppoe", writes=(2048,), initcwnd=10)
    chunked = {
        "session_id": "survey.postfix.2048.pppoe.chunking",
        "variant": "payload_bytes=2048,chunking=true",
        "offers": ("PIPELINING", "CHUNKING"),
    }
    records = [replace(one, offers=("PIPELINING",)) for one in records]
    records.append(replace(usual, **chunked))
    networks = {name: registry.networks()[name] for name in ("ethernet", "pppoe")}
    stored_run(tmp_path / "run", records, networks=networks, command="run")
    return RunFolder.open(tmp_path / "run")


def test_a_line_says_its_setting(tmp_path: Path) -> None:
    """What the server offered and the initial window have columns; the mail is the mail alone."""
    folder = survey(tmp_path)
    write_programs(folder, program_rows(folder, folder.sessions()))
    first, *lines = (folder.path / PROGRAMS).read_text().splitlines()
    rows = [dict(zip(first.split("\t"), line.split("\t"), strict=True)) for line in lines]
    found = [(row["message"], row["network"], row["offers"], row["initcwnd"]) for row in rows]
    assert found == [
        ("payload_bytes=2048", "ethernet", "PIPELINING", "10"),
        ("payload_bytes=2048", "pppoe", "PIPELINING", "64"),
        ("payload_bytes=2048", "pppoe", "PIPELINING CHUNKING", "10"),
        ("payload_bytes=25600", "ethernet", "PIPELINING", "10"),
        ("payload_bytes=25600", "pppoe", "PIPELINING", "64"),
    ]


def test_a_report_has_table_and_figure(tmp_path: Path) -> None:
    """`seglab report` makes both again, as they were, and the page shows them."""
    folder = survey(tmp_path)
    build_report(folder)
    made = [folder.path / PROGRAMS, folder.figures / "programs.svg"]
    svg = made[1].read_text()
    for words in ("postfix", "ethernet", "pppoe", "pppoe, chunking=true"):
        assert f"<!-- {words} -->" in svg
    assert "2048 bytes, 25600 bytes" in svg
    assert (folder.figures / "programs.png").stat().st_size > 1000
    before = [path.read_bytes() for path in made]
    for path in made:
        path.unlink()
    build_report(RunFolder.open(folder.path))
    assert [path.read_bytes() for path in made] == before
    page = folder.report.read_text()
    assert '<figure id="programs"' in page
    assert "<td>5792x4 2432</td>" in page
    assert page.count('<tr><th scope="row">postfix</th>') == 5


def test_a_page_elsewhere_leaves_the_run_as_it_is(tmp_path: Path) -> None:
    """With `--out`, the page has the table, and the run folder gets no file."""
    folder = survey(tmp_path)
    build_report(folder, tmp_path / "page.html")
    assert '<figure id="programs"' in (tmp_path / "page.html").read_text()
    assert not (folder.path / PROGRAMS).exists()


@pytest.mark.parametrize("columns", [1, 2, 31])
def test_bars_of_the_figure_lie_in_their_column(columns: int) -> None:
    """Each column has a bar for each mail, beside each other, and a blank where none was sent."""
    mails = [f"{size} bytes" for size in (2048, 6144, 25600, 122880)]
    cell = ProgramCell("single_write", right=True)
    row = [[cell, None, cell, cell]] * columns
    figure = programs("how", ["curl"], [f"network-{i}" for i in range(columns)], mails, [row])
    area = figure.areas[0]
    wide = area.width / columns
    bars = [
        shape.outlines[0]
        for shape in shapes(figure)
        if shape.fill and area.top < shape.outlines[0][0][1] < area.top + area.height
    ]
    spans = [((bar[0][0] - area.left) / wide, (bar[1][0] - area.left) / wide) for bar in bars]
    assert len(spans) == 3 * columns
    assert all(left[1] <= right[0] for left, right in pairwise(sorted(spans)))
    assert [int(a) for a, _ in sorted(spans)] == [n for n in range(columns) for _ in range(3)]
    assert all(int(a) == int(b) for a, b in spans)


def test_a_cell_of_the_figure() -> None:
    """An answer is right where it admits one of the styles that admit the writes."""
    record = program("postfix", 2048, "ethernet", writes=(2048,))
    labels = WrittenLabels(("single_write", "fixed_buffer"), ("with_body",))

    def right(style: str | list[str] | None, known: WrittenLabels | None = labels) -> bool | None:
        return ProgramRow([record], record, known, Verdict(id="one", style=style)).cell.right

    assert right("fixed_buffer") is True
    assert right(["relay", "single_write"]) is True
    assert right("relay") is False
    assert right(None) is None
    assert right("relay", WrittenLabels((), ())) is None
    failed = replace(record, status="failed", error="it hung")
    assert ProgramRow([failed], failed, None, None).cell == ProgramCell("", None)
