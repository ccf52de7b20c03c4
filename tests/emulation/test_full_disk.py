"""A run on a disk that fills up: a small tmpfs in a mount namespace of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from programs import need

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
