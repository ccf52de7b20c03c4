"""Sessions under a low limit of open files: fewer side by side, and none of them fails."""

from pathlib import Path

import pytest
from commanding import seglab

from seglab.runs.folder import RunFolder

SPEC = """
title = "Two shards, each over several networks"
senders = ["relay"]
networks = ["unimpaired", "ethernet", "pppoe", "tunnel-1420"]
repeats = 20
shard_sessions = 40

[[messages]]
name = "short"
payload_bytes = 2000

[splits]
train = 60
validation = 20
test = 20
"""


def limited(files: int) -> list[str]:
    """What to start a command with that may open this number of files, and may not raise it."""
    return ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh"]


@pytest.mark.parametrize("command", ["run", "reproduce --only"])
def test_all_sessions_complete(command: str, tmp_path: Path) -> None:
    """With 64 files, and though 60 sessions side by side were asked for."""
    what = (*command.split(), "scenario-1", "--sessions", "60", "--jobs", "60")
    run = seglab(*what, "--quiet", "--out", tmp_path / "run", before=limited(64))
    assert run.err == ""
    counts = RunFolder.open(tmp_path / "run").manifest.counts
    assert (counts.complete, counts.failed) == (60, 0)


def test_a_dataset_is_built(tmp_path: Path) -> None:
    """Two shards at once, with four labs each, stay below 64 files too."""
    (tmp_path / "spec.toml").write_text(SPEC)
    build = ("dataset", "build", tmp_path / "spec.toml", "--quiet", "--out", tmp_path / "made")
    run = seglab(*build, before=limited(64))
    assert (run.process.returncode, run.err) == (0, "")
    assert run.out.startswith("80 sessions in 2 shards")


def test_too_few_for_a_lab(tmp_path: Path) -> None:
    """One line with the limit that it takes, exit code 3, and no folder."""
    run = seglab("regress", "paper", "--quiet", "--out", tmp_path / "run", before=limited(50))
    assert run.process.returncode == 3
    assert run.err.startswith("seglab: the limit of open files is 50, and a lab needs 64: raise it")
    assert run.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    doctor = seglab("doctor", before=limited(50))
    assert doctor.process.returncode == 3
    assert "The lab cannot run here yet: limit of open files." in doctor.out
