"""What a run of `seglab try` stores, to be continued and compared, and what it refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seglab.errors import InputError
from seglab.execution.trying import TryRequest, digests_of_files, request_of, resume
from seglab.mail.source import read_source
from seglab.report.tried import refuse_incomparable
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
