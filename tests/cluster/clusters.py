"""Dask clusters of real processes on the loopback, which a test may kill one by one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from commanding import DEADLINE_S, ROOT, wait_until
from distributed import Client

DASK = [sys.executable, "-m", "dask"]


class Processes:
    """A scheduler and workers, each a process of its own.

    Args:
        folder: where their scratch files and what they say go.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._all: list[subprocess.Popen[bytes]] = []
        found = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--scheduler-file", str(found), "--host", "127.0.0.1"
        )
        wait_until(lambda: found.exists() and bool(found.read_bytes()), "the scheduler is there")
        self.address = str(json.loads(found.read_text())["address"])

    def add(
        self,
        name: str,
        packages: Path | None = None,
        cwd: Path = Path("/"),
        before: Sequence[str] = (),
    ) -> str:
        """Start a worker and wait until the scheduler knows it; its name.

        Args:
            name: its own.
            packages: where its Python looks for packages first.
            cwd: its current folder.
            before: what to start it with.
        """
        self.workers[name] = self._start(
            "worker", self.address, "--name", name, "--nthreads", "1", "--no-nanny",
            "--local-directory", str(self.folder / name), packages=packages, cwd=cwd, before=before,
        )  # fmt: skip
        with self.client() as client:
            wait_until(lambda: name in self.names(client).values(), f"worker {name} is there")
        return name

    def client(self) -> Client:
        """A connection of the test's own."""
        return Client(self.address, set_as_default=False, timeout=DEADLINE_S)

    @staticmethod
    def names(client: Client) -> dict[str, str]:
        """The workers' names by their addresses."""
        workers = client.scheduler_info(n_workers=-1)["workers"]
        return {address: str(worker["name"]) for address, worker in workers.items()}

    def busy(self, client: Client) -> dict[str, int]:
        """How many jobs are with each worker, by its name."""
        names = self.names(client)
        jobs = client.processing()
        return {names[who]: len(keys) for who, keys in jobs.items() if who in names}

    def kill(self, name: str) -> None:
        """End a worker without warning."""
        self.workers[name].send_signal(signal.SIGKILL)
        self.workers[name].wait()

    def close(self) -> None:
        """End what is left."""
        for process in reversed(self._all):
            if process.poll() is None:
                process.kill()
            process.wait()

    def _start(
        self,
        *arguments: str,
        packages: Path | None = None,
        cwd: Path = Path("/"),
        before: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(map(str, filter(None, [packages, ROOT, Path(__file__).parent])))
        with (self.folder / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [*before, *DASK, *arguments, "--no-dashboard"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=cwd,
                env=os.environ | {"PYTHONPATH": path},
            )  # fmt: skip
        self._all.append(process)
        return process


@contextmanager
def processes(folder: Path, *names: str) -> Iterator[Processes]:
    """A cluster with workers of these names, as long as the block lasts."""
    cluster = Processes(folder)
    try:
        for name in names:
            cluster.add(name)
        yield cluster
    finally:
        cluster.close()
