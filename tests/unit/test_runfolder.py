"""The run folder: nothing finished is lost, whatever happens."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from synthetic import record

from seglab.core.files import replace_file
from seglab.errors import EnvironmentLacksError, InputError
from seglab.runs import folder as runfolder
from seglab.runs import journal
from seglab.runs.folder import RunFolder, natural_sort_key
from seglab.runs.manifest import Counts, Manifest

MANIFEST = Manifest(command="run", seed=7, counts=Counts(planned=3))
RECORDS = [record(f"scenario-1/{i}") for i in (1, 2, 10)]


def started(path, records=RECORDS, **options):
    """A run in progress with these sessions recorded."""
    folder = RunFolder.create(path, MANIFEST, **options)
    for item in records:
        folder.append(item)
    return folder


def test_a_run_from_start_to_end(tmp_path):
    """A finished run has its manifest, its Parquet file, and no journal."""
    out = tmp_path / "a b" / "run"
    with started(out, reversed(RECORDS)) as folder:
        folder.log("two\nlines")
        folder.finalise("complete")
    assert {p.name for p in out.iterdir()} == {
        *("run.json", "sessions.parquet", "wire", "figures", "log.txt")
    }
    stored = RunFolder.open(out)
    assert list(stored.sessions()) == RECORDS
    assert stored.manifest.status == "complete"
    assert stored.manifest.counts == Counts(planned=3, complete=3)
    assert stored.manifest.finished
    assert (out / "log.txt").read_text().count("\n") == 1
    text = json.loads((out / "run.json").read_text())
    assert {"versions", "kernel", "sysctls", "offloads", "seed", "arguments"} <= set(text)
    assert "python" in text["versions"]


def test_an_interrupted_run_can_be_read(tmp_path):
    """While it goes on a run says so; once its writer is gone it is interrupted."""
    folder = started(tmp_path / "run")
    assert RunFolder.open(tmp_path / "run").manifest.status == "running"
    folder.close()
    stored = RunFolder.open(tmp_path / "run")
    assert stored.manifest.status == "interrupted"
    assert list(stored.sessions()) == RECORDS
    assert stored.statuses() == dict.fromkeys(
        ["scenario-1/1", "scenario-1/2", "scenario-1/10"], "complete"
    )


@pytest.mark.parametrize("cut", [1, 30, -1])
def test_a_torn_last_line_is_cut(tmp_path, cut):
    """Whatever part of the last line reached the disk, the others are kept and appending works."""
    started(tmp_path / "run").close()
    journal = tmp_path / "run" / "sessions.jsonl"
    torn = record("scenario-1/11").to_json()
    with journal.open("ab") as file:
        file.write(torn[:cut])
    assert list(RunFolder.open(tmp_path / "run").sessions()) == RECORDS
    with RunFolder.resume(tmp_path / "run") as folder:
        assert len(folder.statuses()) == 3
        folder.append(record("scenario-1/12"))
        folder.finalise("complete")
    ids = [r.session_id for r in RunFolder.open(tmp_path / "run").sessions()]
    assert ids == ["scenario-1/1", "scenario-1/2", "scenario-1/10", "scenario-1/12"]


def test_a_damaged_line_is_named(tmp_path):
    """A line that is whole but no record is an error with its number."""
    started(tmp_path / "run").close()
    with (tmp_path / "run" / "sessions.jsonl").open("ab") as file:
        file.write(b"rubbish\n")
    with pytest.raises(InputError, match="line 4 is not a session record"):
        RunFolder.open(tmp_path / "run")


def test_resume_after_the_end_adds_and_replaces(tmp_path):
    """New sessions join a finished run, and a session run again replaces its failed record."""
    failed = replace(RECORDS[1], status="failed", error="server died")
    with started(tmp_path / "run", [RECORDS[0], failed]) as folder:
        folder.finalise("interrupted")
    with RunFolder.resume(tmp_path / "run") as folder:
        assert folder.statuses() == {"scenario-1/1": "complete", "scenario-1/2": "failed"}
        folder.append(RECORDS[2])
        folder.append(RECORDS[1])
        assert list(folder.sessions()) == RECORDS
        folder.finalise("complete")
        assert folder.manifest.counts == Counts(planned=3, complete=3)
    assert list(RunFolder.open(tmp_path / "run").sessions()) == RECORDS


@pytest.mark.parametrize("kept_most", [len(RECORDS), len(RECORDS) - 1, 0])
def test_records_are_kept_in_memory(tmp_path, kept_most):
    """Where they are asked for and not too many; else they are read, and are the same."""
    with started(tmp_path / "run", reversed(RECORDS), kept_most=kept_most) as folder:
        for ended in (False, True):
            if ended:
                folder.finalise("complete")
            found = list(folder.sessions())
            assert found == RECORDS
            kept = [one is other for one, other in zip(found, RECORDS, strict=True)]
            assert kept == [kept_most == len(RECORDS)] * len(RECORDS)


def test_killed_between_parquet_and_journal(tmp_path):
    """A journal that was left beside its own Parquet file counts no session twice."""
    with started(tmp_path / "run") as folder:
        journal = (tmp_path / "run" / "sessions.jsonl").read_bytes()
        folder.finalise("complete")
    (tmp_path / "run" / "sessions.jsonl").write_bytes(journal)
    assert list(RunFolder.open(tmp_path / "run").sessions()) == RECORDS


def test_a_second_writer_is_kept_out(tmp_path):
    """Two processes never write one run; reading it meanwhile is allowed."""
    with started(tmp_path / "run"), pytest.raises(InputError, match="another seglab"):
        RunFolder.resume(tmp_path / "run")
    RunFolder.resume(tmp_path / "run").close()


def test_folders_that_are_in_use_are_refused(tmp_path):
    """A run, a folder of other things and a file are each refused with what to do."""
    started(tmp_path / "run").close()
    with pytest.raises(InputError, match="--resume"):
        RunFolder.create(tmp_path / "run", MANIFEST)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match="another --out"):
        RunFolder.create(tmp_path / "mine", MANIFEST)
    with pytest.raises(InputError, match="another --out"):
        RunFolder.create(tmp_path / "mine" / "thesis.txt", MANIFEST)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no run is stored here"),
        (b"{", "not the manifest of a run"),
        (b'{"command": "run", "schema_version": 99}', "schema_version 99"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, content, expected):
    """A folder without a manifest, or with one that cannot be used, is one clear line."""
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    for opened in (RunFolder.open, RunFolder.resume):
        with pytest.raises(InputError, match=expected):
            opened(tmp_path)


@pytest.mark.parametrize("durable", [False, True])
def test_replacing_a_file_waits_for_the_disk_where_it_is_to_last(durable, tmp_path, monkeypatch):
    """For the file and its folder; what can be made again needs no wait."""
    waits = []
    monkeypatch.setattr(os, "fsync", waits.append)
    replace_file(tmp_path / "file", lambda file: file.write(b"new"), durable=durable)
    assert len(waits) == 2 * durable
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


@pytest.mark.parametrize("durable", [False, True])
def test_replacing_a_file_fails_without_a_trace(durable, tmp_path):
    """If the new content cannot be written, the old file stays and no temporary one does."""
    path = tmp_path / "run.json"
    path.write_text("old")

    def full(file):
        file.write(b"half of the n")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        replace_file(path, full, durable=durable)
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert path.read_text() == "old"


def test_natural_order():
    """Numbers in ids sort as numbers."""
    names = ["s-1/10", "s-1/9", "s-10/1", "s-2/1"]
    assert sorted(names, key=natural_sort_key) == ["s-1/9", "s-1/10", "s-2/1", "s-10/1"]


IN_CHILD = """
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import pytest
from synthetic import record
from seglab.errors import InputError
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Manifest

def limit_files(size):
    "Let no file of this process grow beyond a size: a write then fails in its middle."
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

records = [record(f"scenario-1/{{i}}") for i in (1, 2, 10)]
folder = RunFolder.create(Path({out!r}), Manifest(command="run"))
"""


def in_child(out, script):
    """Run a script in a process of its own, whose limits and end are its own; its exit code.

    It has the open ``folder`` at ``out``, ``records``, and ``limit_files``.
    """
    head = IN_CHILD.format(tests=str(Path(__file__).parents[1] / "helpers"), out=str(out))
    environment = os.environ | {"PYTHONPATH": str(Path(runfolder.__file__).parents[2])}
    command = [sys.executable, "-c", head + dedent(script)]
    return subprocess.run(command, env=environment, check=False).returncode


def test_kill_minus_nine_loses_nothing(tmp_path):
    """Each appended session is there after its writer was killed in the next instant."""
    script = """
        for one in records:
            folder.append(one)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert in_child(tmp_path / "run", script) == -signal.SIGKILL
    assert list(RunFolder.open(tmp_path / "run").sessions()) == RECORDS


def test_a_write_that_fails_halfway_leaves_whole_lines(tmp_path):
    """When the journal cannot grow, the half-written line is taken back, and it goes on later."""
    script = """
        folder.append(records[0])
        journal = folder.path / "sessions.jsonl"
        size = journal.stat().st_size
        limit_files(size + 100)
        with pytest.raises(InputError, match="cannot be written"):
            folder.append(records[1])
        assert journal.stat().st_size == size
        assert list(folder.sessions()) == records[:1]
        limit_files(size * 100)
        folder.append(records[1])
        folder.finalise("complete")
    """
    assert in_child(tmp_path / "run", script) == 0
    assert list(RunFolder.open(tmp_path / "run").sessions()) == RECORDS[:2]


def test_parquet_that_cannot_be_written_keeps_the_journal(tmp_path):
    """If the Parquet file fails, the journal stays, no half file does, and the run is readable."""
    script = """
        for one in records:
            folder.append(one)
        limit_files(1000)
        with pytest.raises(InputError, match=r"sessions\\.parquet: cannot be written"):
            folder.finalise("complete")
    """
    assert in_child(tmp_path / "run", script) == 0
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        *("run.json", "sessions.jsonl", "wire", "figures")
    }
    assert list(RunFolder.open(tmp_path / "run").sessions()) == RECORDS


def test_no_space_is_the_environments_fault(tmp_path, monkeypatch):
    """ENOSPC becomes one line that says what to do, with the environment's exit code."""
    folder = started(tmp_path / "run", RECORDS[:1])

    def full(_fd, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(EnvironmentLacksError, match=r"the disk is full.*--resume") as caught:
        folder.append(RECORDS[1])
    assert caught.value.exit_code == 3
    monkeypatch.undo()
    folder.close()
    assert list(RunFolder.open(tmp_path / "run").sessions()) == RECORDS[:1]


def test_a_line_of_the_journal_that_is_nested_without_end(tmp_path):
    """It is reported with its number, as every other line that is no record."""
    path = tmp_path / "sessions.jsonl"
    path.write_bytes(b'{"x":' * 100_000 + b"\n")
    with pytest.raises(InputError, match="line 1 is not a session record"):
        list(journal.entries(path))
