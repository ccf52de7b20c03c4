"""The table of a run with named programs."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from stored_runs import stored_run
from synthetic import simulated

from seglab.classification.classifier import Verdict
from seglab.core.record import SessionRecord
from seglab.core.written import WrittenLabels
from seglab.experiment import registry
from seglab.plots.programs import ProgramCell, programs
from seglab.report.programs import FILE, ProgramRow, draw_programs, program_rows, write_programs
from seglab.runs.folder import RunFolder


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
    write_programs(folder, program_rows(folder))
    first, *lines = (tmp_path / "run" / FILE).read_text().splitlines()
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


def test_the_figure(tmp_path: Path) -> None:
    """It has every program, size and network, and a sign for what the wire shows."""
    records = [
        program("postfix", size, network, writes=writes)
        for size, writes in ((2048, (2048,)), (25600, (5792, 5792, 5792, 5792, 2432)))
        for network in ("ethernet", "pppoe")
    ]
    networks = {name: registry.networks()[name] for name in ("ethernet", "pppoe")}
    stored_run(tmp_path / "run", records, networks=networks)
    folder = RunFolder.open(tmp_path / "run")
    rows = program_rows(folder)
    draw_programs(folder, rows)
    svg = (folder.figures / "programs.svg").read_text()
    for words in ("postfix", "2048 bytes", "25600 bytes", "ethernet", "pppoe"):
        assert f"<!-- {words} -->" in svg
    assert (folder.figures / "programs.png").stat().st_size > 1000


@pytest.mark.parametrize("networks", [1, 2, 7])
def test_headings_of_the_figure_stand_apart(networks: int) -> None:
    """The headings of the sizes do not cover each other, however few networks there are."""
    sizes = [f"{size} bytes" for size in (2048, 6144, 25600, 122880)]
    labels = [f"network-{i}" for i in range(networks)]
    cell = ProgramCell("single_write", right=True)
    row = [cell] * (networks * len(sizes))
    figure = programs("how", ["curl"], [(size, labels) for size in sizes], [row])
    figure.draw_without_rendering()
    texts = {found.get_text(): found for found in figure.axes[0].texts}
    spans = [texts[size].get_window_extent() for size in sizes]
    assert all(left.x1 < right.x0 for left, right in pairwise(spans))


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
