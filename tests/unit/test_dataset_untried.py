"""Sessions over which a part of the lab died: they were not tried, and are done again."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dataset_making import ENGINE, KILLED, SESSIONS, SPEC, PureEngine, build, spec_of

from seglab.dataset.check import check
from seglab.dataset.folder import begin, built, finish, settled
from seglab.dataset.layout import Layout
from seglab.dataset.manifest import read_manifest
from seglab.dataset.plan import fingerprint, planned
from seglab.dataset.result import read_result
from seglab.dataset.shard import UNTRIED_TRIES, build_shard
from seglab.engine.record import is_untried

ALWAYS = 10**6


@pytest.fixture(autouse=True)
def _reset() -> None:
    """Let no test see what another one wanted of the engine."""
    PureEngine.reset()


def ids(shard: int, network: str | None = None) -> list[str]:
    """The ids of a shard's sessions, or of those over one network."""
    return [
        place.spec.session_id
        for place in planned(spec_of(), 1, shard)
        if network in (None, place.network.name)
    ]


@pytest.mark.parametrize(
    "error",
    [
        "the client was killed (SIGKILL)",
        "the wire was killed (SIGSEGV)",
        "the server ended with status 1",
        "the lab ended",
        "the init ended",
        "the wire failed: MemoryError",
        "the client did not answer within 10 s",
        "the lab did not start within 30 s; log.txt has what it said",
        "the server could not start: port 25 is taken",
        "the lab was taken down",
        "gave up after 3 labs in a row died: the client was killed (SIGKILL)",
    ],
)
def test_what_a_lab_says_when_it_dies(error: str) -> None:
    """The words of the kernel engine, of this version and of earlier ones."""
    assert is_untried(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        "",
        "time limit reached",
        "the server received other bytes than were written",
        "the sender raised ValueError: the client was killed (SIGKILL)",
        "write 0:5: the peer reset the connection",
        "the client sent nothing",
    ],
)
def test_failures_that_say_something_about_the_session(error: str | None) -> None:
    """A session that was tried and failed is none of these."""
    assert not is_untried(error)


def test_a_whole_shard_dies_once(tmp_path: Path) -> None:
    """All sessions of a shard die with a part: none had completed, and yet all are tried again."""
    PureEngine.kills = dict.fromkeys(ids(1), 1)
    manifest = build(tmp_path)
    assert (manifest.complete, manifest.failed) == (SESSIONS, 0)
    assert check(tmp_path).findings == []


def test_each_session_has_its_tries(tmp_path: Path) -> None:
    """A part that dies is no try of the session, and does not take its second one."""
    one, other, *_ = ids(0, "ethernet")
    PureEngine.kills = {one: UNTRIED_TRIES - 1}
    PureEngine.fails = {other: ALWAYS}
    manifest = build(tmp_path)
    assert PureEngine.ran.count(one) == UNTRIED_TRIES
    assert PureEngine.ran.count(other) == 2
    assert (manifest.complete, manifest.failed) == (SESSIONS - 1, 1)


def test_a_resume_does_them_again(tmp_path: Path) -> None:
    """A build that gave up is a finding, and the next one does these sessions and no other."""
    spec = spec_of()
    dying = ids(1)[:3]
    PureEngine.kills = dict.fromkeys(dying, ALWAYS)
    manifest = build(tmp_path, spec)
    assert manifest.failed == 3
    before = pq.read_table(tmp_path / "data" / "train-00001.parquet").to_pylist()
    (finding,) = check(tmp_path).findings
    assert str(finding) == (
        f"completeness: shard 1: 3 of 50 sessions were not tried, because a part of the lab died "
        f"({KILLED}); the same build does them again"
    )
    digest = fingerprint(spec, 1)
    assert built(spec, tmp_path, digest) == {0, 1, 2}
    assert settled(spec, tmp_path, digest) == {0, 2}

    PureEngine.reset()
    build_shard(spec, 1, 1, tmp_path)
    assert sorted(PureEngine.ran) == sorted(dying)
    manifest = finish(spec, 1, tmp_path)
    assert (manifest.complete, manifest.failed) == (SESSIONS, 0)
    assert check(tmp_path, thorough=True).findings == []
    after = pq.read_table(tmp_path / "data" / "train-00001.parquet").to_pylist()
    assert [row for row in after if row["session_id"] not in dying] == before


def test_a_resume_of_an_older_build(tmp_path: Path) -> None:
    """Failed sessions of a description that an earlier version wrote are known by their words."""
    build(tmp_path)
    layout = Layout(tmp_path)
    for part in ("train", "validation", "test"):
        layout.data(part, 2).unlink(missing_ok=True)
    layout.wire(2).unlink()
    result = json.loads(layout.result(2).read_text())
    error = "gave up after 3 labs in a row died: the wire was killed (SIGKILL)"
    result |= {"complete": 0, "files": {}, "splits": {}, "labels": {}, "failed": [
        {"number": p.number, "session_id": p.spec.session_id, "network": p.network.name,
         "error": error}
        for p in planned(spec_of(), 1, 2)
    ]}  # fmt: skip
    layout.result(2).write_text(json.dumps(result))
    PureEngine.reset()
    spec = spec_of()
    begin(spec, 1, tmp_path, ENGINE)
    build_shard(spec, 1, 2, tmp_path)
    assert sorted(PureEngine.ran) == sorted(ids(2))
    assert finish(spec, 1, tmp_path).complete == SESSIONS
    assert check(tmp_path).findings == []


def test_a_shard_that_cannot_be_taken_back(tmp_path: Path) -> None:
    """Where the archive is damaged, the whole shard is built again."""
    dying = ids(0)[0]
    PureEngine.kills = {dying: ALWAYS}
    build(tmp_path)
    layout = Layout(tmp_path)
    size = layout.wire(0).stat().st_size
    layout.wire(0).write_bytes(b"x" * size)
    PureEngine.reset()
    spec = spec_of()
    result = build_shard(spec, 1, 0, tmp_path)
    assert result.failed == ()
    assert len(PureEngine.ran) == 50
    finish(spec, 1, tmp_path)
    assert check(tmp_path).findings == []


def test_without_captures(tmp_path: Path) -> None:
    """A dataset that keeps no packets is taken back as well."""
    spec = spec_of("captures = false\n" + SPEC)
    dying = ids(0)[0]
    PureEngine.kills = {dying: ALWAYS}
    build(tmp_path, spec)
    PureEngine.reset()
    build_shard(spec, 1, 0, tmp_path)
    assert PureEngine.ran == [dying]
    finish(spec, 1, tmp_path)
    assert check(tmp_path).findings == []


def test_sessions_that_failed_on_their_own_stay_failed(tmp_path: Path) -> None:
    """A dataset with failed sessions that were tried is built: the same command does nothing."""
    spec = spec_of()
    PureEngine.fails = {ids(0, "ethernet")[0]: ALWAYS}
    build(tmp_path, spec)
    PureEngine.reset()
    manifest = build(tmp_path, spec)
    assert PureEngine.ran == []
    assert manifest.failed == 1
    result = read_result(Layout(tmp_path).result(0))
    assert result is not None
    assert result.untried == ()
    assert read_manifest(Layout(tmp_path).manifest) is not None
