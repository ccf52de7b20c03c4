"""Jobs on real workers: each has one result, whatever dies; and clusters that are none."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install distributed")

import farjobs
from clusters import Processes, processes
from commanding import ROOT, seglab, wait_until

from seglab.cluster.dask import RETRIES, Failed, connected
from seglab.errors import EnvironmentLacksError


def test_every_job_once(cluster: Processes) -> None:
    """Each of many jobs has its own result, once, and an empty folder that goes again."""
    with connected(cluster.address) as far:
        found = list(far.each(farjobs.doubled, ((f"job-{n}", (n,)) for n in range(40))))
    assert sorted(found) == sorted((f"job-{n}", 2 * n) for n in range(40))
    assert not any("left" in files for _, _, files in os.walk(cluster.folder))


def test_a_job_that_raises(cluster: Processes, tmp_path: Path) -> None:
    """It is tried again, then told in one printable line; all others have their results."""
    tally = tmp_path / "tally"
    with connected(cluster.address) as far:
        jobs = ((str(n), (n, str(tally))) for n in range(6))
        found = dict(far.each(farjobs.fussy, jobs))
    assert found.pop("3") == Failed(r"ValueError: not\x1b[2J three")
    assert found == {str(n): n for n in (0, 1, 2, 4, 5)}
    calls = tally.read_text().split()
    assert calls.count("3") == 1 + RETRIES
    assert len(calls) == 6 + RETRIES


def test_jobs_are_taken_as_they_can_be_given_away(cluster: Processes, tmp_path: Path) -> None:
    """Of a billion jobs, few are sent; where nobody wants the rest, they are taken back."""
    go = tmp_path / "go"
    taken: list[int] = []

    def jobs() -> Iterator[tuple[str, tuple[int, str]]]:
        for number in range(1_000_000_000):
            taken.append(number)
            yield str(number), (number, str(go))

    def tick() -> None:
        if len(list(tmp_path.glob("go.*"))) >= 2:
            go.touch()

    with connected(cluster.address) as far:
        with closing(far.each(farjobs.until, jobs(), tick)) as ended:
            assert next(ended)[1] in (0, 1)
        assert len(taken) == 4
        with cluster.client() as client:
            wait_until(lambda: not any(cluster.busy(client).values()), "no job is left")


def test_a_worker_that_dies(tmp_path: Path) -> None:
    """The job that was with it, and those behind it, are done by another; each has one result."""
    go = tmp_path / "go"
    with processes(tmp_path / "c", "one", "two") as cluster, connected(cluster.address) as far:
        doomed = cluster.workers["one"].pid

        def tick() -> None:
            begun = list(tmp_path.glob("go.*"))
            if any(path.suffix == f".{doomed}" for path in begun) and not go.exists():
                cluster.kill("one")
                go.touch()

        jobs = ((str(n), (n, str(go))) for n in range(6))
        found = list(far.each(farjobs.until, jobs, tick))
    assert sorted(found) == [(str(n), n) for n in range(6)]
    begun = [path.name.split(".") for path in tmp_path.glob("go.*")]
    twice = {number for _, number, pid in begun if pid == str(doomed)}
    assert len(twice) == 1
    assert len(begun) == 7


def test_the_last_worker_dies(tmp_path: Path) -> None:
    """Without any worker it says so, waits for one, and ends after a while."""
    said: list[str] = []
    with (
        processes(tmp_path / "c", "one") as cluster,
        connected(cluster.address, alone_s=1, say=said.append) as far,
    ):

        def tick() -> None:
            if list(tmp_path.glob("go.*")) and "one" in cluster.workers:
                cluster.kill("one")
                del cluster.workers["one"]

        jobs = [("0", (0, str(tmp_path / "go")))]
        with pytest.raises(EnvironmentLacksError, match="there has been no worker for 1 s"):
            list(far.each(farjobs.until, jobs, tick))
    assert said == [f"{cluster.address}: no worker is left; waiting for one to come"]


def test_the_scheduler_dies(tmp_path: Path) -> None:
    """When the scheduler ends, the work ends with one line."""
    with (
        processes(tmp_path / "c", "one") as cluster,
        connected(cluster.address, time_limit_s=3) as far,
    ):

        def tick() -> None:
            if list(tmp_path.glob("go.*")):
                cluster.scheduler.kill()

        jobs = [("0", (0, str(tmp_path / "go")))]
        with pytest.raises(EnvironmentLacksError, match="connection to the scheduler is lost"):
            list(far.each(farjobs.until, jobs, tick))


def refusal(*arguments: str | Path) -> str:
    """The one line with which the command ends, whose exit code is 3."""
    run = seglab(*arguments)
    assert run.process.returncode == 3, run.err
    lines = run.err.splitlines()
    assert len(lines) == 1, run.err
    return lines[0]


def test_nobody_listens() -> None:
    """An address at which nobody listens is reported at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    line = refusal(
        "regress", "paper", "--sessions", "sample", "--cluster", f"tcp://127.0.0.1:{port}"
    )
    assert f"tcp://127.0.0.1:{port}: no Dask scheduler can be reached there" in line


def test_somebody_listens_who_says_nothing() -> None:
    """One that accepts and does not greet has a time limit."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(EnvironmentLacksError, match="no Dask scheduler has answered within 1 s"),
            connected(address, time_limit_s=1),
        ):
            pass


@pytest.mark.parametrize("greeting", [b"220 mail.example.org ESMTP\r\n", b""])
def test_somebody_else_listens(greeting: bytes) -> None:
    """One that greets in another way, or hangs up, is reported at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            other, _ = server.accept()
            with other:
                other.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(EnvironmentLacksError, match="no Dask scheduler"),
            connected(address),
        ):
            pass
        thread.join()


def test_no_workers(tmp_path: Path) -> None:
    """A scheduler without workers is reported, with how to start one."""
    with (
        processes(tmp_path / "c") as cluster,
        pytest.raises(EnvironmentLacksError, match=r"no workers; start some: dask worker tcp://"),
        connected(cluster.address, time_limit_s=1),
    ):
        pass


def test_another_version(tmp_path: Path) -> None:
    """A worker with another seglab is reported with its address and both versions."""
    info = tmp_path / "other" / "seglab-9.9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: seglab\nVersion: 9.9.9\n")
    with processes(tmp_path / "c", "one") as cluster:
        cluster.add("two", packages=tmp_path / "other")
        line = refusal("regress", "paper", "--sessions", "sample", "--cluster", cluster.address)
    assert "has seglab 9.9.9, here it is" in line
    assert "tcp://127.0.0.1:" in line.replace(cluster.address, "")


def test_other_sources_of_one_version(tmp_path: Path) -> None:
    """A worker whose networks differ by a byte is reported, though its version is the same."""
    for package in ("lab", "senders", "scenarios"):
        shutil.copytree(
            ROOT / package,
            tmp_path / "other" / package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    with (tmp_path / "other" / "lab" / "seglab" / "networks" / "gprs.toml").open("a") as file:
        file.write("#")
    with processes(tmp_path / "c") as cluster:
        cluster.add("one", packages=tmp_path / "other" / "lab")
        line = refusal("regress", "paper", "--sessions", "sample", "--cluster", cluster.address)
    assert "as well, but not the same one (other source files)" in line
