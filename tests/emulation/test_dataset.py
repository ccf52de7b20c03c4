"""Datasets from the real kernel: what is equal from build to build, and what survives an end."""

import asyncio
import os
import re
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from commanding import PROGRAM, Seglab, inside, seglab, wait_until

from seglab.dataset import records
from seglab.dataset.check import check
from seglab.dataset.columns import COLUMNS
from seglab.dataset.folder import begin, finish
from seglab.dataset.reading import rows
from seglab.dataset.shard import build_shard
from seglab.dataset.spec import read_spec
from seglab.kernel import engine as engine_
from seglab.kernel.lab import KernelLab

SPEC = """
title = "Twice the same"
senders = ["single_write", "relay", { name = "fixed_buffer", parameters = { buffer_bytes = 1024 } }]
networks = ["unimpaired", "lossy"]
repeats = 4
shard_sessions = 15

[[network]]
name = "lossy"
title = "a short way that loses some"
like = "unimpaired"
mtu = 1006
[network.links.access]
delay_ms = 3
jitter_ms = 1
loss_pct = 2

[[messages]]
payload_bytes = 5000

[splits]
train = 50
validation = 25
test = 25
networks = { test = ["lossy"] }
"""
SESSIONS = 24


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A specification's file."""
    path = tmp_path / "tiny.toml"
    path.write_text(SPEC)
    return path


def recorded(out: Path, shard_sessions: int) -> int:
    """How many sessions have ended: in shards that are built, and in those that are not yet."""
    built = {path.stem for path in (out / "shards").glob("*.json")}
    lines = 0
    for path in (out / "building").glob("*/sessions.jsonl"):
        with suppress(FileNotFoundError):
            lines += 0 if path.parent.name in built else path.read_bytes().count(b"\n")
    return len(built) * shard_sessions + lines


def is_whole(out: Path, sessions: int) -> bool:
    """Whether a dataset is as it must be, with so many sessions, each once."""
    checked = check(out)
    found = [f for f in checked.findings if f.check != "balance"]
    assert found == []
    ids = Counter(row["session_id"] for row in rows(out))
    return len(ids) == sessions == ids.total()


def of_the_seed(row: dict[str, object]) -> dict[str, object]:
    """What of a row is said to be equal from build to build."""
    kept: dict[str, object] = {}
    for name, column in COLUMNS.items():
        outer, _, inner = name.partition(".")
        if column.origin != "seed" or column.kind in ("list", "struct"):
            continue
        value = row[outer]
        if inner and isinstance(value, list):
            kept[name] = [item[inner] for item in value]
        else:
            kept[name] = value[inner] if inner else value  # type: ignore[index]
    return kept


def test_two_builds_with_one_seed(spec: Path, tmp_path: Path) -> None:
    """Rows, their order, and each column that is said to be the seed's are equal; times are not."""
    for name, jobs in (("one", "40"), ("other", "3")):
        run = seglab(
            "dataset", "build", spec, "--out", tmp_path / name, "--jobs", jobs, "--seed", "5"
        )
        assert run.process.returncode == 0, run.err
        assert is_whole(tmp_path / name, SESSIONS)
    one, other = (list(rows(tmp_path / name)) for name in ("one", "other"))
    assert [of_the_seed(row) for row in one] == [of_the_seed(row) for row in other]
    for column in ("t0_ns", "duration_ns"):
        assert [row[column] for row in one] != [row[column] for row in other]
    assert COLUMNS["t0_ns"].origin == COLUMNS["duration_ns"].origin == "kernel"
    dropped = [any(s["dropped"] for s in row["segments"]) for row in one]
    assert any(dropped), "the lossy network lost nothing: too short a test"


def test_another_seed_has_other_messages(spec: Path, tmp_path: Path) -> None:
    """Another seed sends other messages, and no payload of the first."""
    text = SPEC.replace("repeats = 4", "repeats = 1").replace(
        '"unimpaired", "lossy"', '"unimpaired"'
    )
    spec.write_text(text.replace('networks = { test = ["lossy"] }', ""))
    payloads = []
    for seed in ("5", "6"):
        out = tmp_path / seed
        run = seglab("dataset", "build", spec, "--out", out, "--seed", seed)
        assert run.process.returncode == 0, run.err
        payloads.append({row["payload_sha256"] for row in rows(out)})
    assert len(payloads[0]) == len(payloads[1]) == 3
    assert not payloads[0] & payloads[1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_broken_off_and_gone_on_with(spec: Path, tmp_path: Path, how: signal.Signals) -> None:
    """After Ctrl-C, a termination or a kill the same command goes on; nothing is lost or double."""
    spec.write_text(SPEC.replace("repeats = 4", "repeats = 20").replace("= 15", "= 50"))
    out = tmp_path / "made"
    with Seglab("dataset", "build", spec, "--out", out, "--jobs", "2") as run:
        wait_until(lambda: recorded(out, 50) > 60, "sessions of the second shard")
        before = recorded(out, 50)
        os.killpg(run.process.pid, how)
        code = run.ended()
        wait_until(run.is_gone, "all of its processes end")
    assert code == (130 if how != signal.SIGKILL else -signal.SIGKILL)
    if how != signal.SIGKILL:
        assert "continue with: seglab dataset build" in run.err
    kept = {p: p.stat().st_mtime_ns for p in (out / "data").iterdir() if f"{p.stem[-5:]}.json" in
            {q.name for q in (out / "shards").iterdir()}}  # fmt: skip
    again = seglab("dataset", "build", spec, "--out", out)
    assert again.process.returncode == 0, again.err
    told = re.search(r"continuing a build: (\d) of 3 shards are there, and (\d+) s", again.err)
    assert told is not None, again.err
    assert int(told[1]) * 50 + int(told[2]) >= before
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert is_whole(out, 120)
    assert not (out / "building").exists()


def test_a_part_that_dies_costs_no_session(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is killed while all sessions of a shard run: none had completed, all are tried."""
    waiting: list[object] = []
    struck = asyncio.Event()

    class Struck(KernelLab):
        async def session(self, *arguments: object) -> object:
            waiting.append(arguments)
            if len(waiting) == SESSIONS // 4:
                self.kill("client")
                struck.set()
            await struck.wait()
            return await super().session(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(engine_, "KernelLab", Struck)
    text = SPEC.replace('"unimpaired", "lossy"', '"lossy"').replace("repeats = 4", "repeats = 2")
    spec.write_text(text.replace('networks = { test = ["lossy"] }', ""))
    what, out = read_spec(spec), tmp_path / "made"
    begin(what, 5, out)
    result = build_shard(what, 5, 0, out)
    assert what.sessions == SESSIONS // 4
    assert (result.complete, result.failed) == (what.sessions, ())
    finish(what, 5, out)
    late = sum(len(record.discarded_late_ns) for record in records(out))
    assert len(waiting) == 2 * what.sessions + late
    assert is_whole(out, what.sessions)


def test_a_full_disk(spec: Path, tmp_path: Path) -> None:
    """On a disk that fills up the error is one line; with room again, the same command goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
        mount -t tmpfs -o size=4m none '{disk}' || exit 77
        head -c 3700k /dev/zero > '{disk}/ballast'
        "$@" --yes
        code=$?
        test $code = 3 || exit 70
        rm '{disk}/ballast'
        "$@" --yes || exit 71
        cp -r '{disk}/made' '{tmp_path}/kept'
    """
    spec.write_text(SPEC.replace("repeats = 4", "repeats = 16").replace("= 15", "= 48"))
    command = [*PROGRAM, "dataset", "build", str(spec), "--out", f"{disk}/made"]
    root = str(Path(__file__).parents[2])
    ended = subprocess.run(
        [*inside(script, "--mount"), *command],
        capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"PYTHONPATH": root},
    )  # fmt: skip
    if ended.returncode == 77 or ("unshare" in ended.stderr and ended.returncode):
        pytest.skip(f"user namespaces are not allowed here: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    told = [line for line in ended.stderr.splitlines() if line.startswith("seglab: ")]
    assert len(told) == 1
    assert "the disk is full" in told[0]
    assert "Traceback" not in ended.stderr
    assert is_whole(tmp_path / "kept", 96)
