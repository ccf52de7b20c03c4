"""The table of a run with named programs."""

from dataclasses import replace
from pathlib import Path

import pytest
from stored_runs import stored_run
from synthetic import simulated

from seglab.core.record import SessionRecord
from seglab.experiment import registry
from seglab.report.programs import FILE, program_rows, write_programs
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
