"""Runs and builds on a disk that fills up: a small tmpfs in a mount namespace of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_making import without_captures
from programs import need

from seglab.dataset import records
from seglab.runs.folder import RunFolder

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r} + "/lab", {root!r} + "/tests/helpers"]
from synthetic import simulated
from seglab.errors import EnvironmentLacksError
from seglab.runs.manifest import Manifest
from seglab.runs.folder import RunFolder

disk = Path({disk!r})
folder = RunFolder.create(disk / "run", Manifest(command="run"))
recorded = 0
try:
    while recorded < 100_000:
        folder.append(simulated(recorded))
        recorded += 1
except EnvironmentLacksError as error:
    print(error)
else:
    sys.exit("the disk never filled")
try:
    folder.finalise("interrupted")
except EnvironmentLacksError as error:
    print(error)
folder.close()
assert len(list(RunFolder.open(disk / "run").sessions())) == recorded > 100
(disk / "ballast").unlink()
with RunFolder.resume(disk / "run") as folder:
    folder.append(simulated(recorded))
    folder.finalise("complete")
stored = RunFolder.open(disk / "run")
assert len(list(stored.sessions())) == recorded + 1
assert stored.manifest.status == "complete"
print("readable", recorded)
"""


@pytest.mark.emulation
def test_a_full_disk_loses_no_session(tmp_path):
    """On a full tmpfs the error is one line, the run stays readable, and resume finishes it."""
    script = SCRIPT.format(root=str(ROOT), disk=str(tmp_path))
    inside = (
        f"mount -t tmpfs -o size=2m none '{tmp_path}' &&"
        f" head -c 1m /dev/zero > '{tmp_path}/ballast' && exec '{sys.executable}' -c \"$0\""
    )
    command = [need("unshare"), "--user", "--map-root-user", "--mount", "sh", "-c", inside, script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if "unshare" in ended.stderr and ended.returncode:
        pytest.skip(f"user namespaces are not allowed here: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    first, *_, last = ended.stdout.splitlines()
    assert "sessions.jsonl: the disk is full" in first
    assert last.startswith("readable")


PROGRAM = (sys.executable, "-c", "from seglab.cli import main; main()")

FULL = """
mount -t tmpfs -o size=8m none {disk} || exit 77
room=$(df --output=avail -B1 {disk} | tail -n 1)
head -c $((room - {free})) /dev/zero > {disk}/ballast
"$@"
test $? = 3 || exit 70
cp -r {disk}/made {kept}-full
rm {disk}/ballast
{again} || exit 71
cp -r {disk}/made {kept}
"""
"""The command fails on a full disk, and goes on when there is room again."""


def on_a_full_disk(folder: Path, free: int, command: list[str], again: str) -> str:
    """Run a command on a disk with little room, and again with room; return what it reported.

    What it left is in ``folder / "kept-full"``, and what the second left in ``folder / "kept"``.
    """
    script = FULL.format(disk=folder / "disk", kept=folder / "kept", free=free, again=again)
    (folder / "disk").mkdir()
    unshared = [need("unshare"), "--user", "--map-root-user", "--mount"]
    ended = subprocess.run(
        [*unshared, "sh", "-c", script, "sh", *command],
        capture_output=True, text=True, check=False, timeout=600,
        env=os.environ | {"PYTHONPATH": str(ROOT / "lab")},
    )  # fmt: skip
    if ended.returncode == 77 or ("unshare" in ended.stderr and ended.returncode):
        pytest.skip(f"user namespaces are not allowed here: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("seglab: ")]
    assert "Traceback" not in ended.stderr
    return line


def contents(*folders: Path) -> dict[str, bytes]:
    """The files of folders, by their names."""
    return {path.name: path.read_bytes() for folder in folders for path in folder.iterdir()}


@pytest.mark.emulation
@pytest.mark.parametrize("free", [64 << 10, 400 << 10])
def test_a_simulated_run_on_a_full_disk(free: int, tmp_path: Path) -> None:
    """What was recorded stays readable, with its captures, and ``--resume`` makes the same run."""
    run = ["run", "scenario-1", "--sessions", "40", "--jobs", "1", "-q", "--engine", "simulator"]
    made = tmp_path / "disk" / "made"
    again = " ".join(map(repr, [*PROGRAM, "run", "--resume", str(made), "-q"]))
    said = on_a_full_disk(tmp_path, free, [*PROGRAM, *run, "--out", str(made)], again)
    assert "the disk is full; what is recorded stays readable" in said
    kept = [*RunFolder.open(tmp_path / "kept-full").sessions()]
    assert len(kept) < 40
    assert all(record.complete for record in kept)
    names = {name for one in kept for name in (one.captures.client, one.captures.server)}
    assert names <= {f"wire/{path.name}" for path in (tmp_path / "kept-full" / "wire").iterdir()}
    whole = tmp_path / "whole"
    subprocess.run([*PROGRAM, *run, "--out", whole], check=True, capture_output=True)
    stored = (tmp_path / "kept" / "sessions.parquet").read_bytes()
    assert stored == (whole / "sessions.parquet").read_bytes()
    assert contents(tmp_path / "kept" / "wire") == contents(whole / "wire")


@pytest.mark.emulation
@pytest.mark.parametrize("what", ["journal", "rows"])
def test_a_simulated_dataset_on_a_full_disk(what: str, tmp_path: Path) -> None:
    """No session is lost where its journal, or later its Parquet file, cannot be written."""
    spec, whole = tmp_path / "spec.toml", tmp_path / "whole"
    spec.write_text(without_captures(repeats=30))
    build = [*PROGRAM, "dataset", "build", str(spec), "--yes", "-q", "--engine", "simulator"]
    subprocess.run([*build, "--out", str(whole)], check=True, capture_output=True)
    lines = [record.to_json() for record in records(whole)]
    journal_bytes = sum(len(line) + 1 for line in lines)
    besides = 5 << 12  # the manifest and other small files have a page each
    free = (16 << 10 if what == "journal" else journal_bytes) + besides
    command = [*build, "--out", str(tmp_path / "disk" / "made")]
    said = on_a_full_disk(tmp_path, free, command, " ".join(map(repr, command)))
    assert "the disk is full" in said
    (journal,) = (tmp_path / "kept-full" / "building").glob("*/sessions.jsonl")
    written = journal.read_bytes().count(b"\n")
    assert written == len(lines) if what == "rows" else 0 < written < len(lines)
    assert contents(tmp_path / "kept" / "data") == contents(whole / "data")
