"""A run, a build or a server that is refused leaves no folder and no file behind."""

import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_making import SPEC
from synthetic import record

import seglab
from seglab import cli, engine
from seglab.engine.base import EngineOptions, OnRecord, Planned
from seglab.engine.schedule import Forecast
from seglab.errors import DiskFullError, EnvironmentLacksError, PartDiedError, SeglabError
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest

REFUSAL = EnvironmentLacksError("no engine can be built here")
Act = Callable[[EngineOptions, OnRecord, list[Planned]], None]


class RefusingEngine:
    """An engine that does what a test asks for, and then raises."""

    name = "refusing"
    error: SeglabError = REFUSAL
    act: Act = staticmethod(lambda *_: None)

    def __init__(self, options: EngineOptions, _slots: object = None) -> None:
        self.options = options
        self.environments: dict[str, dict[str, object]] = {}
        self.forecast = Forecast(1)

    def check(self, _networks: Iterable[object] = ()) -> None:
        """Refuse nothing yet: a machine may find out only later."""

    async def run(self, specs: Iterable[Planned], on_record: OnRecord) -> None:
        """Act, and refuse."""
        type(self).act(self.options, on_record, list(specs))
        raise type(self).error


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(engine._factories, RefusingEngine.name, RefusingEngine)
    monkeypatch.chdir(tmp_path)


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Run a command; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["seglab", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.mark.parametrize("out", [None, "made", "made/by/this"])
@pytest.mark.parametrize(
    "command",
    [
        ["run", "scenario-1", "--sessions", "1"],
        ["reproduce", "--sessions", "1"],
        ["regress", "paper", "--repeats", "1"],
        ["dataset", "build", "small.toml", "--yes"],
    ],
    ids=lambda command: command[0],
)
def test_a_refused_command_leaves_nothing(
    command: list[str],
    out: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither its folder nor those above it that it made; the reason is one line, and exit code 3.

    A build needs --out, the other commands have a default.
    """
    (tmp_path / "small.toml").write_text(SPEC)
    if command[0] == "dataset":
        out = out or "other"
    given = [*command, "--engine", "refusing", *(["--out", out] if out else [])]
    assert ended(monkeypatch, *given) == 3
    assert str(REFUSAL) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


@pytest.mark.parametrize("command", ["run", "dataset"])
def test_the_users_own_folders_stay(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty folder that was there is there again, and empty."""
    (tmp_path / "small.toml").write_text(SPEC)
    (tmp_path / "made").mkdir()
    what = ["run", "scenario-1"] if command == "run" else ["dataset", "build", "small.toml"]
    assert ended(monkeypatch, *what, "--engine", "refusing", "--out", "made") == 3
    assert list((tmp_path / "made").iterdir()) == []


def test_from_python_too(tmp_path: Path) -> None:
    """``seglab.run`` leaves nothing either."""
    with pytest.raises(EnvironmentLacksError, match=str(REFUSAL)):
        seglab.run("scenario-1", sessions=1, engine="refusing", out="runs/mine")
    assert list(tmp_path.iterdir()) == []


def say(options: EngineOptions, _on_record: OnRecord, _specs: list[Planned]) -> None:
    """Write to the log, as the processes of a lab do."""
    assert isinstance(options.log, int)
    os.write(options.log, b"init: Traceback\n")


def complete_one(_options: EngineOptions, on_record: OnRecord, specs: list[Planned]) -> None:
    """Hand over a session."""
    spec, _ = specs[0]
    on_record(replace(record(spec.session_id), network=spec.network))


@pytest.mark.parametrize(
    ("error", "act"),
    [
        (REFUSAL, say),
        (REFUSAL, complete_one),
        (DiskFullError("the disk is full"), None),
        (PartDiedError("the wire was killed (SIGKILL)"), None),
    ],
    ids=["log", "session", "full disk", "dead part"],
)
@pytest.mark.parametrize("command", ["run", "dataset"])
def test_what_holds_something_stays(
    command: str,
    error: SeglabError,
    act: Act | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder stays that holds a session or a log, or whose run may go better the next time."""
    (tmp_path / "small.toml").write_text(SPEC)
    monkeypatch.setattr(RefusingEngine, "error", error)
    if act is not None:
        monkeypatch.setattr(RefusingEngine, "act", staticmethod(act))
    what = ["run", "scenario-1"] if command == "run" else ["dataset", "build", "small.toml"]
    code = ended(monkeypatch, *what, "--engine", "refusing", "--out", "made")
    assert code == error.exit_code
    kept = RunFolder.open(Path("made")).manifest.status == "failed" if command == "run" else True
    assert kept
    assert (tmp_path / "made" / ("run.json" if command == "run" else "manifest.json")).exists()


def test_a_resumed_run_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody began it earlier, so a refusal does not remove it, even without sessions."""
    monkeypatch.setattr(RefusingEngine, "error", PartDiedError("the wire was killed (SIGKILL)"))
    assert ended(monkeypatch, "run", "scenario-1", "--engine", "refusing", "--out", "made") == 1
    monkeypatch.setattr(RefusingEngine, "error", REFUSAL)
    assert ended(monkeypatch, "run", "--resume", "made") == 3
    assert RunFolder.open(tmp_path / "made").manifest.error == str(REFUSAL)


def test_a_run_folder_that_cannot_be_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of it when its first file cannot be written."""

    def full(_folder: RunFolder) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(RunFolder, "_save", full)
    with pytest.raises(SeglabError, match="Input/output error"):
        RunFolder.create(tmp_path / "a" / "b", Manifest(command="run"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def taken() -> Iterator[str]:
    """A port of the loopback that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def test_a_server_that_cannot_listen_leaves_no_log(
    taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is opened when the port is."""
    assert ended(monkeypatch, "serve", "--port", taken, "--out", "log.jsonl") == 2
    assert list(tmp_path.iterdir()) == []
