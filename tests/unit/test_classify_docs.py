"""What ``docs/classify.md`` says is true: programs, commands, columns, limits, drawing."""

import re
import shlex
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import click
import pytest
from documents import blocks, table, text

from seglab.classification import weights
from seglab.cli import seglab
from seglab.core.observation import SIZES_MAX
from seglab.core.specfile import SpecTable, decode
from seglab.logs import LINE_MAX_BYTES, observations, visible
from seglab.logs.reading import BAD_LINES_MAX
from seglab.report.strip import in_ascii
from seglab.report.strip_explained import drawing
from seglab.report.strip_table import COLUMNS, WIDE

DOCUMENT = "docs/classify.md"
PAPER = Path(__file__).parents[2] / "examples" / "paper.log"


@pytest.mark.parametrize("program", blocks(DOCUMENT, "python"))
def test_programs_run(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each program prints verdicts of the paper's log."""
    (tmp_path / "examples").mkdir()
    shutil.copy(PAPER, tmp_path / "examples" / "paper.log")
    monkeypatch.chdir(tmp_path)
    output = StringIO()
    with redirect_stdout(output):
        exec(compile(program, DOCUMENT, "exec"), {})
    lines = output.getvalue().splitlines()
    assert len(lines) in {6, 1}
    assert not lines[0].startswith("examples/paper.log:"), "an error"


def shown_commands() -> list[str]:
    """Return the indented command lines of the document."""
    return re.findall(
        r"^    (?:tcpdump .* \| )?(seglab classify .+)$", text(DOCUMENT), re.MULTILINE
    )


def test_commands_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command accepts every command line that the document shows."""
    monkeypatch.chdir(tmp_path)
    command = seglab.get_command(click.Context(seglab), "classify")
    assert command is not None
    lines = shown_commands()
    assert len(lines) == 5
    for line in lines:
        command.make_context("classify", shlex.split(line, comments=True)[2:])


def test_options_are_all_there() -> None:
    """The document names each option of the command, and no other."""
    command = seglab.get_command(click.Context(seglab), "classify")
    assert command is not None
    options = {name for one in command.params for name in one.opts if name.startswith("--")}
    named = set(re.findall(r"--[a-z][a-z-]+", text(DOCUMENT)))
    assert named == options


def test_the_weights_are_some() -> None:
    """The example is a valid file of weights and has all four tables."""
    (block,) = blocks(DOCUMENT, "toml")
    found = weights.parse(SpecTable("w", decode(block.encode(), "w")))
    assert all((found.style, found.terminator, found.buffer, found.path_condition))


def test_columns_are_those_of_the_table() -> None:
    """The table names the columns of a terminal, the text those of a pipe, in order."""
    assert table(DOCUMENT, "## What it prints") == [
        "no", "id", "client", "style", "terminator", "path", "buffer", "conf", "score", "sizes",
    ]  # fmt: skip
    (listed,) = re.findall(r"with tabs between ([^;]+); ", " ".join(text(DOCUMENT).split()))
    words = re.sub(r" \(.*?\)", "", listed).replace(" and ", ", ").split(", ")
    assert [word.replace(" ", "_") for word in words] == [*COLUMNS]


def test_limits_are_those_of_the_code() -> None:
    """The limits in the text are those of the code."""
    words = " ".join(text(DOCUMENT).split())
    assert LINE_MAX_BYTES == 32 << 20
    assert SIZES_MAX == 1_000_000
    assert "32 MiB, a message at most a million sizes" in words
    assert f"after {BAD_LINES_MAX} lines" in words
    assert f"more than {visible.HIDDEN_IN_FIELD_MAX} hidden bytes" in words
    assert f"at most {visible.HIDDEN_MAX} bytes before it" in words
    assert f"of {WIDE} columns or more" in words


def test_the_drawing_is_ours() -> None:
    """The bars and sizes of Listing 6 are those that the document shows."""
    _, listing_6, *_ = observations(PAPER.read_bytes().splitlines(), "paper.log")
    bars, numbers, *_ = drawing(listing_6, None, 80)
    block = blocks(DOCUMENT, "text")[1]
    assert bars in block.splitlines()
    assert numbers in block.splitlines()


def test_the_ascii_marks_are_as_told() -> None:
    """Each mark has the letter that the table names for a terminal without Unicode."""
    assert in_ascii("█▲◆└──┘▏") == "#^H+--+|"
