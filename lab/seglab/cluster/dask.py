"""A Dask cluster that does the lab's work, job by job.

Theory of operation
-------------------
``connected`` opens a cluster in three steps, each with an error that says what to do: a plain
connection finds out whether a scheduler listens at the address; Dask's client connects; and
``Cluster.check`` compares versions. Jobs are functions of this package with plain values as
arguments, so every worker needs the very same source files: ``sources`` is their digest. Results
come back through the scheduler, and no folder has to be shared.

``Cluster.each`` gives jobs away and yields their results in the order in which they end:

=========== ============================== ===================================================
a job is    who changes that               when
=========== ============================== ===================================================
not taken   ``each``                       there are fewer than two jobs a thread of the cluster
                                           under way: the next one is taken from ``jobs``
under way   Dask                           it ends, on any worker; Dask repeats a job that
                                           raised (``RETRIES`` times), and gives the job of a
                                           dead worker to another one
ended       Dask's thread, into ``ended``  ``each`` takes it from there, and yields its result
cancelled   ``each``, when it is left      the caller's loop ended early, or something raised
=========== ============================== ===================================================

Invariant: ``waiting`` holds exactly the jobs under way, by a key that no other job ever had. So
there may be any number of jobs, and a few results at most are in memory.

A job that fails for good yields ``Failed``; the other jobs continue. Two things end the work with
``EnvironmentLacksError``: the scheduler is gone, or the cluster has had no worker for ``alone_s``
seconds. A cluster without workers is given that time because supervisors restart workers.

Deliberately ignored: how long a job takes, since a worker that is slow is not dead, and Dask's own
warnings and log lines, since this module reports what a user has to know.
"""

import asyncio
import hashlib
import logging
import socket
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final
from urllib.parse import urlsplit

from seglab.core import plugins
from seglab.core.text import one_line
from seglab.errors import EnvironmentLacksError, InputError, SeglabError

TIME_LIMIT_S: Final = 10.0
"""How many seconds a scheduler may take to answer, and the first worker to be there."""

ALONE_S: Final = 120.0
"""How many seconds to wait without any worker; a supervisor restarts one in that time."""

RETRIES: Final = 2
"""How often a job that raised is tried once more."""

_SOURCES = (".py", ".toml", ".json")
_GREETING_MAX = 1 << 20
_TICK_S = 0.2
_LOOK_S = 2.0

Job = tuple[str, tuple[Any, ...]]
"""A job's name, which no other job of the same call has, and its arguments."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a job has no result, in one line."""

    reason: str


@contextmanager
def connected(
    address: str,
    *,
    time_limit_s: float = TIME_LIMIT_S,
    alone_s: float = ALONE_S,
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator["Cluster"]:
    """Connect to a cluster whose machines have the same seglab as this one, while the block lasts.

    Args:
        address: ``tcp://HOST:PORT`` of its scheduler, or ``tls://HOST:PORT``.
        time_limit_s: for the scheduler's answer, and again for the first worker.
        alone_s: how many seconds to wait without any worker.
        say: takes what a user should know while it works, a line each.

    Raises:
        InputError: the address is not one.
        EnvironmentLacksError: no scheduler answers there, it has no workers, or they have other
            versions; or Dask is not installed here.
    """
    host, port = _host_and_port(address)
    try:
        import distributed  # noqa: PLC0415 -- an extra, and slow to import
    except ImportError as error:
        raise EnvironmentLacksError(
            f"--cluster needs Dask ({error}); install it with: pip install distributed"
        ) from error
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # this module reports what happens
    _reach(address, host, port, time_limit_s)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: they are compared below
            client = distributed.Client(address, timeout=time_limit_s, set_as_default=False)
    except Exception as error:
        raise EnvironmentLacksError(
            f"{address}: no Dask scheduler has answered within {time_limit_s:g} s"
            f" ({_words(error)}); is it the scheduler's address?"
        ) from error
    try:
        cluster = Cluster(client, address, alone_s, say)
        cluster.check(time_limit_s)
        yield cluster
    finally:
        with suppress(Exception):
            client.close(timeout=time_limit_s)


class Cluster:
    """A connection to a cluster; made by ``connected``.

    Attributes:
        address: of its scheduler.
        name: tells this connection from all others.
    """

    def __init__(
        self, client: Any, address: str, alone_s: float, say: Callable[[str], None]
    ) -> None:
        self.address = address
        self.name = uuid.uuid4().hex
        self._client = client
        self._alone_s = alone_s
        self._say = say
        self._serial = 0
        self._threads = 1
        self._alone_since: float | None = None
        self._looked = time.monotonic()

    @property
    def threads(self) -> int:
        """How many jobs the cluster does at once, as far as is known."""
        with suppress(Exception):
            self._threads = sum(self._client.nthreads().values()) or self._threads
        return self._threads

    def check(self, time_limit_s: float) -> None:
        """Make sure that there are workers, and that all run the same code as this machine.

        Raises:
            EnvironmentLacksError: there is no worker, or a machine has another version.
        """
        try:
            self._client.wait_for_workers(1, timeout=time_limit_s)
            versions = self._client.get_versions(check=False)
        except TimeoutError as error:
            raise EnvironmentLacksError(
                f"{self.address}: the scheduler has no workers; start some: "
                f"dask worker {self.address} --nthreads 1"
            ) from error
        except Exception as error:
            raise self._gone() from error
        here = _of(versions["client"])
        others = {"the scheduler": versions["scheduler"]} | versions["workers"]
        for who, there in others.items():
            for package, version in _of(there).items():
                if version != here[package]:
                    raise EnvironmentLacksError(
                        f"{self.address}: {who} has {package} {version}, here it is "
                        f"{here[package]}; install the same everywhere"
                    )
        for who, found in self.everywhere(installed).items():
            if isinstance(found, Failed):
                raise EnvironmentLacksError(
                    f"{self.address}: {who} has no such seglab: {found.reason}"
                )
            (version, digest), (own, own_digest) = found, installed()
            if version != own:
                raise EnvironmentLacksError(
                    f"{self.address}: {who} has seglab {version}, here it is {own}; "
                    "install the same everywhere"
                )
            if digest != own_digest:
                raise EnvironmentLacksError(
                    f"{self.address}: {who} has seglab {own} as well, but not the same "
                    "one (other source files); install the same everywhere"
                )

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """Call a function on each worker, beside the jobs; return its results by worker.

        Where it raises, the result is ``Failed``.

        Raises:
            EnvironmentLacksError: the scheduler is gone.
        """
        try:
            found = self._client.run(_beside, function, arguments, on_error="return")
        except Exception as error:
            raise self._gone() from error
        return {
            who: Failed(_words(value)) if isinstance(value, Exception) else value
            for who, value in found.items()
        }

    def each(
        self,
        function: Callable[..., Any],
        jobs: Iterable[Job],
        tick: Callable[[], None] = lambda: None,
    ) -> Generator[tuple[str, Any]]:
        """Have all jobs done, and yield each one's name and result when it ends, in any order.

        If the loop over the results ends early, the jobs that have not ended are cancelled.

        Args:
            function: is called on a worker with an empty folder, which is removed afterwards,
                and the job's arguments.
            jobs: are taken only when they can be given away, so there may be any number.
            tick: is called several times a second; an exception of it ends the work.

        Yields:
            A name and what the function returned, or ``Failed``.

        Raises:
            EnvironmentLacksError: the scheduler is gone, or there has been no worker for too long.
        """
        ended: SimpleQueue[Any] = SimpleQueue()
        waiting: dict[str, tuple[str, Any]] = {}
        left = iter(jobs)
        try:
            while True:
                for name, arguments in islice(left, max(0, 2 * self.threads - len(waiting))):
                    self._serial += 1
                    key = f"seglab-{name}-{self._serial}-{self.name}"
                    with self._there():
                        future = self._client.submit(
                            _in_scratch, function, arguments, key=key, retries=RETRIES, pure=False
                        )
                    waiting[key] = name, future
                    future.add_done_callback(ended.put)
                if not waiting:
                    return
                future = self._next(ended, tick)
                name, _ = waiting.pop(future.key)
                result = self._result(future)
                future.release()
                yield name, result
        finally:
            if waiting:
                with suppress(Exception):
                    self._client.cancel([future for _, future in waiting.values()], force=True)

    def _next(self, ended: SimpleQueue[Any], tick: Callable[[], None]) -> Any:
        while True:
            tick()
            try:
                return ended.get(timeout=_TICK_S)
            except Empty:
                self._look()

    def _look(self) -> None:
        """Look from time to time whether there is still a worker."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        with self._there():
            workers = len(self._client.nthreads())
        if workers:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
            self._say(f"{self.address}: no worker is left; waiting for one to come")
        elif now - self._alone_since > self._alone_s:
            raise EnvironmentLacksError(
                f"{self.address}: there has been no worker for {self._alone_s:g} s; start some, "
                "and the same command goes on with what is kept"
            )

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except CancelledError as error:
            raise self._gone() from error
        except Exception as error:
            if type(error).__name__ == "KilledWorker":
                tried = getattr(error, "allowed_failures", 3) + 1
                return Failed(f"{tried} workers died over it, one after the other: out of memory?")
            return Failed(_words(error))

    @contextmanager
    def _there(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._gone() from error

    def _gone(self) -> EnvironmentLacksError:
        return EnvironmentLacksError(
            f"{self.address}: the connection to the scheduler is lost; what has come back is kept, "
            "and the same command goes on"
        )


def installed() -> tuple[str, str]:
    """Return the version of the installed seglab, and the digest of its files."""
    return metadata.version("seglab"), sources()


@cache
def sources() -> str:
    """Return a digest of the files of this seglab, which another build of its version has not."""
    return digest_of(plugins.PACKAGE, plugins.shipped("senders"), plugins.shipped("scenarios"))


def digest_of(*folders: Path) -> str:
    """Return a digest of the names and contents of all source files in some folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for name, data in sorted(_files(folder, folder.name)):
            digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def _files(folder: Path, where: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        name = f"{where}/{entry.name}"
        if entry.is_dir():
            if entry.name not in ("__pycache__", "shipped"):
                yield from _files(entry, name)
        elif entry.name.endswith(_SOURCES):
            yield name, entry.read_bytes()


def _in_scratch(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function with an empty folder beside Dask's scratch files; runs on a worker."""
    import distributed  # noqa: PLC0415

    where = distributed.get_worker().local_directory
    with tempfile.TemporaryDirectory(prefix="seglab-", dir=where) as scratch:
        return function(Path(scratch), *arguments)


async def _beside(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function beside the jobs, without delaying the heartbeat; runs on a worker."""
    return await asyncio.to_thread(function, *arguments)


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in ("tcp", "tls") or parts.path.strip("/"):
        raise InputError(
            f"--cluster {one_line(address)}: expected a scheduler's address, tcp://HOST:PORT"
        )
    return host, port


def _reach(address: str, host: str, port: int, time_limit_s: float) -> None:
    """Find out at once whether a scheduler listens at an address.

    Dask itself tries again until its time is over if nothing listens, and waits for ever if
    something accepts the connection and stays silent. A scheduler that does not use TLS sends the
    first message, with its length in front.
    """
    try:
        with socket.create_connection((host, port), timeout=time_limit_s) as probe:
            if address.startswith("tcp:"):
                length = int.from_bytes(probe.recv(8, socket.MSG_WAITALL), "little")
                if not 0 < length <= _GREETING_MAX:
                    raise EnvironmentLacksError(
                        f"{address}: what listens there is no Dask scheduler; is the port right?"
                    )
    except TimeoutError as error:
        raise EnvironmentLacksError(
            f"{address}: no Dask scheduler has answered within {time_limit_s:g} s; is the address "
            "the scheduler's, and does it run?"
        ) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise EnvironmentLacksError(
            f"{address}: no Dask scheduler can be reached there ({why}); "
            "start one with: dask scheduler"
        ) from error


def _of(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that have to be equal on all machines."""
    packages = found["packages"]
    python = str(packages["python"]).split(".")
    return {
        "Python": ".".join(python[:2]),
        "distributed": packages.get("distributed") or "not installed",
    }


def _words(error: BaseException) -> str:
    """Describe an error in one line."""
    text = one_line(str(error))
    return (
        text if isinstance(error, SeglabError) else f"{type(error).__name__}: {text}".rstrip(": ")
    )
