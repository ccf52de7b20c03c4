"""The interface that every engine has, and the options that it takes.

An engine gets planned sessions and carries them out, several side by side. It hands over a record
of each session (``seglab.core.record``) as soon as the session has ended. How it comes to know what
was written, carried and read is its own affair; how a record is made of that is the same for all
(``seglab.engine.record``), and so is how long sessions take (``seglab.engine.schedule``).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

from seglab.core.record import RecordLine, SessionRecord
from seglab.engine.schedule import Forecast
from seglab.experiment.plan import SessionSpec
from seglab.networks.network import Network

DEFAULT_JOBS: Final = 40
DEFAULT_TIME_LIMIT_S: Final = 60.0

Planned = tuple[SessionSpec, Network]
"""A session to carry out, and the network that it runs over."""

OnRecord = Callable[[SessionRecord], None]
"""A function that takes the record of a session that has ended."""

OnLine = Callable[[RecordLine], None]
"""A function that takes the record of a session that has ended, as it is stored."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine runs sessions.

    Attributes:
        jobs: how many sessions run side by side. A session over a slow link mostly waits, and
            counts only for its share of work (``schedule.weight``).
        time_limit_s: how long one session may take beyond its network's own time and its
            sender's pauses.
        folder: the folder of the run, for captures; ``None`` writes no captures.
        log: a file for what the engine's processes print; ``None`` discards it.
        priority: added to the priority of every session, where engines share their slots.
        repetition: the number of this run among several of the same plan, from 0. The seeds of the
            links are the same in all of them. An engine in virtual time draws how long the programs
            take from it; in real time they differ anyway.
    """

    jobs: int = DEFAULT_JOBS
    time_limit_s: float = DEFAULT_TIME_LIMIT_S
    folder: Path | None = None
    log: IO[bytes] | int | None = None
    priority: float = 0.0
    repetition: int = 0


class Engine(Protocol):
    """Carries out planned sessions.

    Attributes:
        name: the engine's name, which stands in the ``engine`` column of its records.
        environments: by the name of a network and then of a host, what was in force there while
            sessions ran: a mapping with any of ``sysctls``, ``offloads``, ``mtu``, ``routes``,
            ``rules`` and ``strays``. It fills while the engine runs, and an engine that sets no
            host up leaves it empty.
        forecast: when the sessions that ``run`` was given will have ended.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def environments(self) -> Mapping[str, Mapping[str, Any]]: ...  # noqa: D102

    @property
    def forecast(self) -> Forecast: ...  # noqa: D102

    def check(self, networks: Iterable[Network] = ()) -> None:
        """Make sure that this machine has what the engine needs, also for these networks.

        Raises:
            EnvironmentLacksError: something is missing; the message says how to get it.
        """

    async def run(self, specs: Iterable[Planned], on_record: OnRecord) -> None:
        """Carry out the sessions, and call ``on_record`` with each record as soon as there is one.

        A session that fails has a record too, which says why. ``run`` can be cancelled; the
        sessions that had ended by then have been handed over.

        Raises:
            EnvironmentLacksError: this machine cannot carry out any of the sessions.
            PartDiedError: the engine's own processes die again and again.
        """


async def run_as_lines(engine: Engine, specs: Iterable[Planned], on_line: OnLine) -> None:
    """Do what ``engine.run`` does, for somebody who stores the records and does not look into them.

    An engine whose processes hand over lines has a ``run_as_lines`` of its own, which saves reading
    each line and writing it again.
    """
    run: Callable[[Iterable[Planned], OnLine], Awaitable[None]] | None
    if (run := getattr(engine, "run_as_lines", None)) is not None:
        await run(specs, on_line)
    else:
        await engine.run(specs, lambda record: on_line(RecordLine.of(record)))
