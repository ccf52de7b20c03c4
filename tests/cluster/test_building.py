"""Datasets from a cluster: the same rows as at home, each once, whatever ends in the middle."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install distributed")

from clusters import Processes, processes
from commanding import Seglab, seglab, wait_until
from test_dataset import SESSIONS, SPEC, is_whole, of_the_seed

from seglab.dataset.manifest import read_manifest
from seglab.dataset.reading import rows

pytestmark = pytest.mark.emulation

LONG = SPEC.replace("repeats = 4", "repeats = 16").replace("= 15", "= 24")
LONG_SESSIONS = 96


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A specification's file."""
    path = tmp_path / "tiny.toml"
    path.write_text(SPEC)
    return path


def under_way(folder: Path) -> int:
    """How many sessions have ended in shards that are being built somewhere below a folder."""
    ended = 0
    for name, _, files in os.walk(folder):  # folders may go while it walks, which glob takes ill
        if Path(name).parent.name == "building" and "sessions.jsonl" in files:
            with suppress(FileNotFoundError):
                ended += Path(name, "sessions.jsonl").read_bytes().count(b"\n")
    return ended


def scratch(folder: Path) -> list[str]:
    """The scratch folders of jobs below a folder, of which some may be going just now."""
    return [one for _, names, _ in os.walk(folder) for one in names if one.startswith("seglab-")]


def built(out: Path) -> int:
    """How many shards are in place."""
    return len(list((out / "shards").glob("*.json")))


def test_the_same_rows(cluster: Processes, spec: Path, tmp_path: Path) -> None:
    """All that is said to be the seed's is equal, row by row; the manifest tells of one build."""
    home, far = tmp_path / "home", tmp_path / "far"
    run = seglab("dataset", "build", spec, "--out", home, "--seed", "5")
    assert run.process.returncode == 0, run.err
    run = seglab(
        "dataset", "build", spec, "--out", far, "--seed", "5", "--cluster", cluster.address
    )
    assert run.process.returncode == 0, run.err
    assert is_whole(far, SESSIONS)
    assert [of_the_seed(row) for row in rows(home)] == [of_the_seed(row) for row in rows(far)]
    assert {p.relative_to(home) for p in home.rglob("*")} == {
        p.relative_to(far) for p in far.rglob("*")
    }
    manifest = read_manifest(far / "manifest.json")
    assert manifest is not None
    assert (manifest.status, manifest.complete, manifest.failed) == ("complete", SESSIONS, 0)
    assert scratch(cluster.folder) == []
    again = seglab("dataset", "build", spec, "--out", far, "--cluster", cluster.address)
    assert again.process.returncode == 0
    assert "all 2 shards are built" in again.err


def test_the_same_simulated_rows(cluster: Processes, spec: Path, tmp_path: Path) -> None:
    """From the simulator the files with the rows are the same to the byte."""
    home, far = tmp_path / "home", tmp_path / "far"
    build = ("dataset", "build", spec, "--seed", "5", "--engine", "simulator")
    run = seglab(*build, "--out", home)
    assert run.process.returncode == 0, run.err
    run = seglab(*build, "--out", far, "--cluster", cluster.address)
    assert run.process.returncode == 0, run.err
    made = {path.name: path.read_bytes() for path in (home / "data").iterdir()}
    assert len(made) >= 3
    assert made == {path.name: path.read_bytes() for path in (far / "data").iterdir()}
    assert len([*rows(far)]) == SESSIONS
    assert {row["engine"] for row in rows(far)} == {"simulator"}


def test_a_worker_killed_in_the_middle_of_a_shard(spec: Path, tmp_path: Path) -> None:
    """Its shard is built by the other one; no session is lost or double; its labs have gone."""
    spec.write_text(LONG)
    out = tmp_path / "far"
    with (
        processes(tmp_path / "c", "one", "two") as cluster,
        Seglab(
            "dataset", "build", spec, "--out", out, "--jobs", "2", "--cluster", cluster.address
        ) as run,
    ):
        doomed = cluster.folder / "one"
        wait_until(lambda: under_way(doomed) > 3, "sessions with the worker that will die")
        cluster.kill("one")
        assert 3 < under_way(doomed) < 24, "it had ended its shard: too short a test"
        assert run.ended() == 0, run.err
    assert is_whole(out, LONG_SESSIONS)
    assert f"{LONG_SESSIONS} sessions in 4 shards" in run.out


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_begun_there_and_gone_on_with_here(
    cluster: Processes, spec: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """After Ctrl-C or a kill, what is in place stays, workers are free; the rest is built here."""
    spec.write_text(LONG)
    out = tmp_path / "far"
    far = ("--jobs", "2", "--cluster", cluster.address)
    with Seglab("dataset", "build", spec, "--out", out, *far) as run:
        wait_until(lambda: built(out) >= 1, "a shard in place")
        os.killpg(run.process.pid, how)
        code = run.ended()
    assert code == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGINT:
        assert f"--seed 2014 --cluster {cluster.address}" in run.err
        assert "Traceback" not in run.err
    kept = {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    assert 1 <= len(kept) < 4
    with cluster.client() as client:
        wait_until(lambda: not any(cluster.busy(client).values()), "no worker has a job")
    wait_until(lambda: not scratch(cluster.folder), "no scratch folder is left")
    again = seglab("dataset", "build", spec, "--out", out)
    assert again.process.returncode == 0, again.err
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert is_whole(out, LONG_SESSIONS)


def test_begun_here_and_gone_on_with_there(cluster: Processes, spec: Path, tmp_path: Path) -> None:
    """What was broken off here is ended there: finished shards stay, the others are built again."""
    spec.write_text(LONG)
    out = tmp_path / "made"
    with Seglab("dataset", "build", spec, "--out", out, "--jobs", "2") as run:
        wait_until(lambda: built(out) >= 1 and under_way(out) > 0, "a shard, and part of another")
        os.killpg(run.process.pid, signal.SIGINT)
        assert run.ended() == 130
    kept = {path: path.stat().st_mtime_ns for path in (out / "shards").iterdir()}
    again = seglab("dataset", "build", spec, "--out", out, "--cluster", cluster.address)
    assert again.process.returncode == 0, again.err
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert is_whole(out, LONG_SESSIONS)
    assert not (out / "building").exists()


def test_mail_that_a_worker_has_not(tmp_path: Path) -> None:
    """A specification that a worker cannot read ends with one line, before anything is made."""
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "a.eml").write_bytes(b"From: a@example.org\r\nSubject: a\r\n\r\nhello\r\n")
    spec = tmp_path / "own.toml"
    spec.write_text(
        'title = "Own"\nsenders = ["single_write"]\nnetworks = ["unimpaired"]\nrepeats = 1\n'
        '[[messages]]\nname = "own"\nsource = "mail"\n'
    )
    with processes(tmp_path / "c") as cluster:
        # A worker for which another folder lies over the one with the mail, as on another machine.
        cluster.add("one", before=("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                                   f'mount -t tmpfs none "{mail}" && exec "$@"', "sh"))  # fmt: skip
        run = seglab(
            "dataset", "build", spec, "--out", tmp_path / "far", "--cluster", cluster.address
        )
    assert run.process.returncode == 2, run.err
    (line,) = run.err.splitlines()
    assert "cannot build this: " in line
    assert str(mail) in line
    assert not (tmp_path / "far").exists()
