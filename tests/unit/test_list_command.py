"""``seglab list``."""

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner

from seglab.commands.list import list_command
from seglab.experiment import registry


def listed(*arguments: str) -> str:
    """What the command prints to a pipe."""
    result = CliRunner().invoke(list_command, arguments, standalone_mode=False)
    assert result.exception is None
    return result.output


def objects(what: str) -> list[dict[str, Any]]:
    """What the command prints as JSON."""
    values: list[dict[str, Any]] = json.loads(listed(what, "--json"))
    return values


def test_senders_as_json() -> None:
    """Each sender with its ground truth, and each parameter with its default."""
    found = {entry["name"]: entry for entry in objects("senders")}
    assert found.keys() == registry.senders().keys()
    bot = found["headers_then_body"]
    assert bot["kind"] == "emulated"
    assert bot["style"] == "headers_then_body"
    assert bot["terminator"] == "own_write"
    assert bot["parameters"]["terminator_bytes"]["default"] == 5
    assert found["raw_writes"]["terminator"] is None
    assert found["raw_writes"]["parameters"]["writes"]["default"] == [5120]


def test_networks_as_json() -> None:
    """Each network with its MTU, the MSS that follows, and every link's parameters."""
    found = {entry["name"]: entry for entry in objects("networks")}
    assert found.keys() == registry.networks().keys()
    assert (found["vb2014"]["mtu"], found["vb2014"]["mss"]) == (1480, 1440)
    assert found["vb2014"]["client"]["timestamps"] is False
    assert found["gprs"]["access"]["up"]["bw_mbit"] == 0.02
    assert found["gprs"]["round_trip_ms"] == 1300


def test_scenarios_as_json() -> None:
    """Each scenario with its senders, networks, reader and sweep."""
    found = {entry["name"]: entry for entry in objects("scenarios")}
    assert found.keys() == registry.scenarios().keys()
    third = found["scenario-3"]
    assert third["published"] == "scenarios.3"
    assert third["networks"] == ["vb2014"]
    assert third["senders"][0]["parameters"]["writes"] == [5120, 5120]
    assert third["sweep"]["parameter"] == "gap_ms"
    assert third["reader"]["kind"] == "event-loop"


@pytest.mark.parametrize("what", ["senders", "networks", "scenarios"])
def test_a_pipe_gets_one_line_each(what: str) -> None:
    """The name comes first, tabs stand between, and every line has as many columns."""
    lines = [line.split("\t") for line in listed(what).splitlines()]
    assert [line[0] for line in lines] == [entry["name"] for entry in objects(what)]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("what", ["senders", "networks", "scenarios"])
def test_a_terminal_of_80_columns_keeps_names_whole(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other columns fold; a name can be copied from the table."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    list_command.callback(what, files=(), as_json=False)  # type: ignore[misc]
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    words = {line.split()[0] for line in lines if line.split()}
    assert words >= {entry["name"] for entry in objects(what)}
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("what", "sentence"), [("senders", "summary"), ("networks", "title")])
def test_a_sentence_without_room_stands_below_its_row(
    what: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On 80 columns no word of it is broken; on 160 it is in the row."""
    entries = objects(what)
    for width, below in ((80, True), (160, False)):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        list_command.callback(what, files=(), as_json=False)  # type: ignore[misc]
        text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        lines = [line for line in text.splitlines() if line.startswith(entries[0]["name"])]
        assert (entries[0][sentence].split()[-1] not in lines[0]) == below
        if below:
            words = " ".join(text.split())
            assert all(" ".join(entry[sentence].split()) in words for entry in entries)


def test_unknown_kind() -> None:
    """What cannot be listed is a usage error: exit code 2."""
    result = CliRunner().invoke(list_command, ["sender"])
    assert result.exit_code == 2
    assert "senders" in result.output
