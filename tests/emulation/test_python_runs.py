"""``seglab.run`` on the real kernel: the document's examples, and packets of a session."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from scapy.layers.inet import TCP
from test_docs import blocks

import seglab

DOCUMENT = "docs/python.md"
RUNNING = [program for program in blocks(DOCUMENT, "python") if "seglab.run(" in program]


@pytest.mark.parametrize("program", RUNNING)
def test_examples_that_run_scenarios(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each prints a line or more, and leaves a complete run."""
    monkeypatch.chdir(tmp_path)
    output = StringIO()
    with redirect_stdout(output):
        exec(compile(program, DOCUMENT, "exec"), {})
    assert output.getvalue().strip()
    (path,) = (tmp_path / "runs").iterdir()
    assert seglab.open_run(path).manifest.status == "complete"


def test_packets_hold_the_segments(tmp_path: Path) -> None:
    """The client's capture has each recorded segment, in order, with its payload's length."""
    (session,) = seglab.run("scenario-2", sessions=1, out=tmp_path / "run")
    sent = [
        len(packet[TCP].payload)
        for packet in session.packets()
        if packet[TCP].dport == 2007 and packet.comment.startswith(b"data")
    ]
    assert sent == [segment.end - segment.start for segment in session.segments]
