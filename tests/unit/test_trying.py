"""What a run of `seglab try` stores, to be continued and compared, and what it refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from synthetic import record

from seglab.commands.try_ import try_
from seglab.errors import InputError
from seglab.execution.trying import TryRequest, digests_of_files, request_of, resume
from seglab.mail.source import read_source
from seglab.report.summary import summarise
from seglab.report.tried import refuse_incomparable, tried
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest

SEED = 7


def request(folder: Path, **given: Any) -> TryRequest:
    """A request to try a program of two lines."""
    program = folder / "mailer.py"
    program.write_text("import sys\nsys.exit()\n")
    values: dict[str, Any] = {
        "command": (str(program), "{host}"),
        "networks": ("ethernet", "gprs"),
        "sessions": 2,
        "sender_address": "a@example.org",
        "recipient": "b@example.org",
        "folder": str(folder),
    }
    return TryRequest(**(values | given))


def manifest_of(asked: TryRequest) -> Manifest:
    """The manifest of a run of that request."""
    return asked.manifest(asked.planned(asked.mail(), SEED), SEED, 60.0)


def stored(asked: TryRequest, path: Path) -> Path:
    """A run folder in which no session has ended."""
    with RunFolder.create(path, manifest_of(asked)):
        pass
    return path


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"send": "sendmail", "ready": "/started/", "done": "true", "name": "mta"},
        {"message": "newsletter", "payload_bytes": 20_000},
    ],
)
def test_a_request_is_stored(tmp_path: Path, given: dict[str, Any]) -> None:
    """It comes back from the run's folder as it was, and plans the same sessions."""
    asked = request(tmp_path, **given)
    folder, found = resume(stored(asked, tmp_path / "run"))
    with folder:
        assert found == asked
        assert found.planned(found.mail(), SEED) == asked.planned(asked.mail(), SEED)
        assert folder.manifest.arguments["time_limit_s"] == 60.0


def test_a_changed_program_or_message_is_refused(tmp_path: Path) -> None:
    """A run has sessions of one program and one message, and it is said which has changed."""
    mail = tmp_path / "own.eml"
    mail.write_bytes(b"Subject: x\n\nbody\n")
    asked = request(tmp_path, message=str(mail))
    path = stored(asked, tmp_path / "run")
    mail.write_bytes(b"Subject: y\n\nbody\n")
    read_source.cache_clear()  # as in another process
    with pytest.raises(InputError, match="the message has changed since this run began"):
        resume(path)
    mail.write_bytes(b"Subject: x\n\nbody\n")
    read_source.cache_clear()
    program = Path(asked.command[0])
    program.write_text("else")
    with pytest.raises(InputError, match=r"mailer\.py has changed since"):
        resume(path)
    program.unlink()
    with pytest.raises(InputError, match=r"mailer\.py has changed since"):
        resume(path)


def test_the_files_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is looked for as a shell does; arguments are files of the folder."""
    for name in ("mailer", "options.conf"):
        (tmp_path / name).write_text(name)
    (tmp_path / "mailer").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = digests_of_files(["mailer", "options.conf", "{host}", "--x", "a\0b", ""], str(tmp_path))
    assert [*found] == [str(tmp_path / "mailer"), str(tmp_path / "options.conf")]
    assert digests_of_files(["nowhere"], str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"command": "run"}, "not a run of seglab try, but of seglab run"),
        ({"arguments": {}}, "does not say what to try"),
        ({"arguments": {"sessions": "many"}}, "does not say what to try"),
        ({"arguments": {"command": []}}, "does not say what to try"),
        ({"arguments": {"sessions": 10**12}}, "does not say what to try"),
        ({"arguments": {"time_limit_s": "long"}}, "does not say what to try"),
        ({"arguments": {"time_limit_s": -1}}, "does not say what to try"),
        ({"arguments": {"files": 3}}, "does not say what to try"),
    ],
)
def test_other_manifests(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """A run of another command, or a damaged one, is no traceback."""
    whole = manifest_of(request(tmp_path))
    if changes.get("arguments"):
        changes = {"arguments": whole.arguments | changes["arguments"]}
    with pytest.raises(InputError, match=words):
        request_of(replace(whole, **changes), tmp_path)


def test_runs_that_cannot_be_compared(tmp_path: Path) -> None:
    """It is said why before a session runs: another message, no network in common, another kind."""
    there = manifest_of(request(tmp_path))
    here = manifest_of(request(tmp_path, networks=("ethernet", "pppoe"), name="other"))
    refuse_incomparable(there, tmp_path, here.arguments["messages"], here.networks)
    longer = manifest_of(request(tmp_path, payload_bytes=7000))
    for manifest, words in (
        (longer, r"sent another message; .*--seed \(7 there\)"),
        (manifest_of(request(tmp_path, networks=("pppoe",))), "has none of these networks"),
    ):
        with pytest.raises(InputError, match=words):
            refuse_incomparable(there, tmp_path, manifest.arguments["messages"], manifest.networks)
    with pytest.raises(InputError, match="but of seglab run"):
        refuse_incomparable(replace(there, command="run"), tmp_path, {}, {})


def test_earlier_runs_that_say_nothing(tmp_path: Path) -> None:
    """One without sessions, one that is being written, and one of something else: no comparison."""
    asked = request(tmp_path)
    arguments = ["--out", str(tmp_path / "new"), "--compare"]
    empty = stored(asked, tmp_path / "run")
    found = refused([*arguments, str(empty), "--", *asked.command])
    assert f"run: no session of this run is stored; try --resume {empty}" in found
    with RunFolder.resume(empty):
        assert "has not ended; wait" in refused([*arguments, str(empty), "--", *asked.command])
    other = replace(manifest_of(asked), arguments={"sessions": 10**12, "command": 3})
    with RunFolder.create(tmp_path / "other", other):
        pass
    other_path = str(tmp_path / "other")
    assert "does not say what to try" in refused([*arguments, other_path, "--", *asked.command])
    assert not (tmp_path / "new").exists()


def refused(arguments: list[str]) -> str:
    """The message of the error that a command line is."""
    error = CliRunner().invoke(try_, arguments, standalone_mode=False).exception
    assert isinstance(error, InputError)
    return str(error)


def test_sessions_that_are_lost_run_again(tmp_path: Path) -> None:
    """A run that says it is complete, and whose sessions are gone, is continued."""
    path = stored(request(tmp_path), tmp_path / "run")
    with RunFolder.resume(path) as folder:
        folder.append(record("a"))
        folder.finalise("complete")
    folder, _ = resume(path)
    with folder:
        assert not folder.writable
    (path / "sessions.parquet").unlink()
    folder, _ = resume(path)
    with folder:
        assert folder.writable


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said before a session runs, and names the file."""
    asked = request(tmp_path)
    arguments = ["--junit", str(tmp_path / "none" / "x.xml"), "--", *asked.command]
    assert "there is no folder" in refused(arguments)


def test_only_networks_with_sessions_are_compared(tmp_path: Path) -> None:
    """Of a run that was interrupted, the networks that it has not come to are not compared."""
    there = stored(request(tmp_path), tmp_path / "there")
    here = stored(request(tmp_path), tmp_path / "here")
    for path, networks in ((there, ["ethernet"]), (here, ["ethernet", "gprs", "elsewhere"])):
        with RunFolder.resume(path) as folder:
            for network in networks:
                failed = record(network, network=network, status="failed", error="e")
                folder.append(replace(failed, scenario="try"))
            folder.finalise("interrupted")
    folder = RunFolder.open(here)
    found = tried(folder, summarise(folder)[0], RunFolder.open(there))
    assert [one.record.network for one in found.sessions] == ["ethernet", "gprs", "elsewhere"]
    assert found.comparison is not None
    assert found.comparison.only_now == ("gprs",)
    assert found.comparison.only_before == ()


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """They can't be stored, and nothing is left behind."""
    arguments = ["--out", str(tmp_path / "new"), "--", "mailer", "\udcff.py"]
    assert r"\udcff.py: expected UTF-8, found other bytes" in refused(arguments)
    assert not (tmp_path / "new").exists()
