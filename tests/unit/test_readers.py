"""Named readers: the shipped files, and where a reader can be named."""

from dataclasses import replace
from pathlib import Path

import pytest
from checkout import ROOT

from seglab.core.specfile import SpecTable, decode
from seglab.errors import EnvironmentLacksError, InputError
from seglab.execution import request
from seglab.execution.request import RunRequest
from seglab.experiment import registry
from seglab.experiment.reader import Reader
from seglab.experiment.readers import parse, reader_of, readers
from seglab.experiment.serving import ServerProgram, check, served_by
from seglab.software.available import AvailableProgram
from seglab.software.program import programs, server, servers
from seglab.software.store import Store

GOOD = """
summary = "a server"
source = "its manual"
server = "postfix-server"
version = "1"
[reader]
kind = "recv-loop"
buffer_bytes = 8191
"""


def table(text: str) -> SpecTable:
    """A file's content."""
    return SpecTable("readers/mine.toml", decode(text.encode(), "readers/mine.toml"))


@pytest.mark.parametrize("name", readers())
def test_a_shipped_reader(name: str) -> None:
    """It says which server was measured, and how that calls the kernel."""
    reader = readers()[name]
    assert reader.server in servers()
    assert reader.measured is not None
    assert reader.measured.sessions > 0
    assert any(call.endswith(f" {reader.reader.buffer_bytes}") for call in reader.measured.calls)


@pytest.mark.parametrize("name", servers())
def test_a_shipped_server(name: str) -> None:
    """It serves at the lab's port, and is nobody's name who sends."""
    found = server(name)
    words = "\n".join([*found.command, *found.files.values()])
    assert "{port}" in words or "smtp      inet" in words
    assert name not in programs()


def test_a_file() -> None:
    """The parameters are a reader's, and all keys are known."""
    mine = parse("mine", table(GOOD))
    assert (mine.reader, mine.measured) == (Reader("recv-loop", 8191), None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"postfix-server"', '"postfix"'), "unknown server 'postfix'; did you mean"),
        (("8191", "0"), "buffer_bytes: expected 1 to"),
        (('version = "1"', 'version = "1"\nmore = 1'), "more"),
    ],
)
def test_a_file_that_cannot_be_used(change: tuple[str, str], message: str) -> None:
    """The message names the file and what is wrong."""
    with pytest.raises(InputError, match=r"mine\.toml") as error:
        parse("mine", table(GOOD.replace(*change)))
    assert message in str(error.value)


def test_a_name_stands_for_parameters() -> None:
    """What is given beside the name replaces the reader's own."""
    own = readers()["postfix"].reader
    assert reader_of({"name": "postfix"}) == own
    assert reader_of({"name": "postfix", "buffer_bytes": 100}) == replace(own, buffer_bytes=100)
    assert reader_of({"kind": "recv-loop"}) == Reader("recv-loop")
    for wrong in ("postfx", 7, ["postfix"]):
        with pytest.raises(ValueError, match=r"reader name: .*postfix"):
            reader_of({"name": wrong})


def test_a_scenario_names_a_reader(tmp_path: Path) -> None:
    """Also a scenario's file and a run can."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = "t"\nsenders = ["single_write"]\nnetworks = ["ethernet"]\n'
        'reader = { name = "exim" }\n'
    )
    assert registry.scenario(file).reader == readers()["exim"].reader
    (loaded,) = RunRequest((file,), reader="postfix").load()
    assert loaded.reader == readers()["postfix"].reader
    with pytest.raises(InputError, match="unknown reader 'postfx'; did you mean 'postfix'"):
        RunRequest((file,), reader="postfx").load()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AvailableProgram:
    """A server that seems to be installed."""
    found = AvailableProgram(server("postfix-server"), "3.7", "", tmp_path)
    monkeypatch.setattr(request, "available", lambda _program, _store: found)
    return found


def test_a_run_with_a_real_server(installed: AvailableProgram) -> None:
    """Its sessions have the program as their reader; a plan of it is another plan."""
    plain = RunRequest(("regress",), networks=("ethernet",), sessions=1)
    real = replace(plain, server="postfix-server")
    specs = [spec for spec, _ in real.specs(1)]
    assert {spec.reader for spec in specs} == {served_by(installed)}
    assert {spec.reader.kind for spec in specs} == {"program:postfix-server"}
    assert real.fingerprints(1) != plain.fingerprints(1)
    arguments = real.manifest("run", 1, 1, 60.0).arguments
    assert arguments["server"] == "postfix-server"
    assert "server" not in plain.manifest("run", 1, 1, 60.0).arguments


def test_what_a_real_server_cannot_do(installed: AvailableProgram) -> None:
    """The simulator runs none, none speaks raw TCP, and two readers are one too many."""
    real = RunRequest(("regress",), server="postfix-server", sessions=1)
    with pytest.raises(InputError, match="the engine simulator runs no programs"):
        real.manifest("run", 1, 1, 60.0, "simulator")
    with pytest.raises(InputError, match="leave out one"):
        replace(real, reader="exim").load()
    with pytest.raises(InputError, match="speaks no SMTP"):
        RunRequest(("scenario-1",), server="postfix-server").load()
    with pytest.raises(InputError, match="programs send to the lab's own server alone"):
        RunRequest(("survey",), server="postfix-server").load()
    with pytest.raises(InputError, match="unknown server 'postfix'"):
        replace(real, server="postfix").load()
    check({"single_write": "smtp"}, "mine")
    assert isinstance(served_by(installed), ServerProgram)


def test_what_a_real_server_offers_is_its_own_choice(
    installed: AvailableProgram, tmp_path: Path
) -> None:
    """A scenario that says what the server offers is refused, even if no program runs."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = "t"\nsenders = ["single_write"]\nprograms = ["swaks"]\n'
        'networks = ["ethernet"]\n[[offers]]\nchunking = true\n'
    )
    plain = RunRequest((file,), ("single_write",))
    assert len(plain.load()) == 1
    with pytest.raises(InputError, match=r"^mine: \[\[offers\]\].*postfix-server") as caught:
        replace(plain, server=installed.program.name).load()
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    file.write_text(file.read_text().partition("[[offers]]")[0])
    assert len(replace(plain, server=installed.program.name).load()) == 1


def test_a_server_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message says how to get it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store.usual().path.is_relative_to(tmp_path)
    with pytest.raises(EnvironmentLacksError, match="seglab software install exim-server"):
        RunRequest(("regress",), server="exim-server").load()


def test_the_folders_are_there() -> None:
    """A checkout has them beside the senders."""
    assert {file.stem for file in (ROOT / "servers").glob("*.toml")} == set(servers())
    assert {file.stem for file in (ROOT / "servers/readers").glob("*.toml")} == set(readers())
