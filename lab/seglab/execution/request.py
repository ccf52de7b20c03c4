"""What a user asked to run: scenarios, and which part of them."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from seglab.engine import DEFAULT_ENGINE
from seglab.engine.base import Planned
from seglab.engine.client_tcp import client_tcp
from seglab.errors import EnvironmentLacksError, InputError, nearest
from seglab.experiment import registry, serving
from seglab.experiment.named import plan_programs
from seglab.experiment.plan import plan
from seglab.experiment.reader import Reader
from seglab.experiment.readers import named_reader
from seglab.experiment.scenario import Scenario, added_sender, is_added, with_own_senders
from seglab.experiment.serving import ServerProgram
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Experiment, Manifest
from seglab.sender.registry import is_path
from seglab.software.available import AvailableProgram, available, is_available
from seglab.software.program import program, server
from seglab.software.store import Store


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run. A run stores it, so that the same sessions can be planned again later.

    Attributes:
        scenarios: names of shipped scenarios, paths of TOML files, or scenarios as values.
        senders: names of the senders to keep, and those that run as well: profiles as
            ``profile:NAME``, and paths of files with senders of the user's own; empty keeps all.
        networks: names of the networks to keep; empty keeps all.
        sessions: how many for each sender on each network; ``None`` is each scenario's own number.
        programs: the mail programs that run; ``None`` takes those that are installed now.
        reader: the named reader that replaces the scenarios' own.
        server: the program that serves in the place of the lab's server.
    """

    scenarios: tuple[str | Path | Scenario, ...]
    senders: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    sessions: int | None = None
    programs: tuple[str, ...] | None = None
    reader: str | None = None
    server: str | None = None

    def load(self) -> list[Scenario]:
        """The scenarios as values.

        Raises:
            InputError: a scenario is not known, or two have the same name, which would give their
                sessions the same ids; or the reader or the server cannot be used.
            EnvironmentLacksError: the server is not installed.
        """
        reader = self._reader()
        found: dict[str, Scenario] = {}
        for given in self.scenarios:
            scenario = given if isinstance(given, Scenario) else registry.scenario(given)
            if scenario.name in found:
                name = scenario.name if isinstance(given, Scenario) else given
                raise InputError(
                    f"{name}: a scenario called {scenario.name!r} is given already; "
                    "give each once, or rename a file"
                )
            made = with_own_senders(scenario, list(filter(is_added, self.senders)))
            found[scenario.name] = made if reader is None else replace(made, reader=reader)
            if self.server is not None:
                protocols = {
                    one.sender.name: one.sender.protocol
                    for one in made.senders
                    if not self.senders or one.sender.name in self.senders
                }
                serving.check(protocols, made.name)
                if self._wanted(made):
                    raise InputError(
                        f"{made.name}: programs send to the lab's own server alone; choose senders "
                        "by --sender, or leave out --server"
                    )
                if made.offered:
                    raise InputError(
                        f"{made.name}: [[offers]] say what the lab's own server offers, and "
                        f"{self.server} offers what it does; take them out, or leave out --server"
                    )
        return list(found.values())

    def _reader(self) -> Reader | ServerProgram | None:
        """What reads instead of the scenarios' own readers; ``None`` where nothing does."""
        if self.server is None:
            return None if self.reader is None else named_reader(self.reader).reader
        if self.reader is not None:
            raise InputError("a named reader, or a program that serves? leave out one of them")
        return serving.served_by(available(server(self.server), Store.usual()))

    def specs(self, seed: int) -> list[Planned]:
        """Every session to run.

        Raises:
            InputError: a scenario, sender or network is not known, or no session is left.
        """
        scenarios = self.load()
        named = tuple(sender for sender in self.senders if not is_added(sender))
        known = {c.sender.name for s in scenarios for c in s.senders}
        known |= {name for s in scenarios for name in s.programs}
        self._check("sender", named, known)
        self._check("network", self.networks, {n.name for s in scenarios for n in s.networks})
        specs = [planned for scenario in scenarios for planned in self._planned(scenario, seed)]
        if not specs and (missing := self.missing_programs()):
            raise EnvironmentLacksError(
                f"none of the programs is installed ({', '.join(missing)}): "
                "seglab software install --all"
            )
        if not specs:
            raise InputError("nothing to run: no sender and network of these scenarios is left")
        return specs

    def manifest(
        self, command: str, seed: int, jobs: int, time_limit_s: float, engine: str = DEFAULT_ENGINE
    ) -> Manifest:
        """The manifest of a run of this request that is about to begin.

        Args:
            command: the command that can resume the run.
            seed: the run's.
            jobs: how many sessions run side by side.
            time_limit_s: for one session.
            engine: the name of the engine that carries out the sessions.

        Raises:
            InputError: a scenario is not known, or cannot be used.
        """
        programs = [name for scenario in self.load() for name in self._wanted(scenario)]
        if programs and engine != DEFAULT_ENGINE:
            raise InputError(f"the engine {engine} runs no programs ({programs[0]}, ...)")
        if self.server is not None and engine != DEFAULT_ENGINE:
            raise InputError(
                f"the engine {engine} runs no programs ({self.server}); a named reader reads as "
                "one does: `seglab list readers`"
            )
        return Manifest(
            command=command,
            engine=engine,
            arguments={
                "scenarios": [_reference(given) for given in self.scenarios],
                "senders": [str(Path(s).absolute()) if is_path(s) else s for s in self.senders],
                "networks": list(self.networks),
                "sessions": self.sessions,
                **({"programs": [one.program.name for one in self._found()]} if programs else {}),
                **{key: one for key in ("reader", "server") if (one := getattr(self, key))},
                "jobs": jobs,
                "time_limit_s": time_limit_s,
                "plan": self.fingerprints(seed),
            },
            scenarios=tuple(Experiment(s.name, s.title, s.published, s.layer) for s in self.load()),
            networks={
                network.name: msgspec.to_builtins(network)
                for scenario in self.load()
                for network in scenario.networks
            },
            client_tcp={
                network.name: client_tcp(network, engine)
                for scenario in self.load()
                for network in scenario.networks
            },
            seed=seed,
        )

    def fingerprints(self, seed: int) -> dict[str, str]:
        """A digest of each scenario's plan, by the scenario's name.

        It differs where the sessions, senders, networks or messages differ.
        """
        return {
            scenario.name: hashlib.sha256(
                msgspec.json.encode(self._planned(scenario, seed), order="deterministic")
            ).hexdigest()[:16]
            for scenario in self.load()
        }

    def _planned(self, scenario: Scenario, seed: int) -> list[Planned]:
        specs = plan(
            scenario,
            seed,
            sessions=self.sessions,
            senders=[self._sender_name(sender) for sender in self.senders] or None,
            networks=self.networks or None,
        )
        found: list[Planned] = [(spec, scenario.network(spec.network)) for spec in specs]
        names = self._wanted(scenario)
        programs = [one for one in self._found() if one.program.name in names]
        found += plan_programs(scenario, programs, seed, self.sessions, self.networks or None)
        return found

    def _wanted(self, scenario: Scenario) -> list[str]:
        """The names of a scenario's programs that are to run, if they can."""
        return [name for name in scenario.programs if not self.senders or name in self.senders]

    def _found(self) -> list[AvailableProgram]:
        """The programs of all scenarios that run.

        Raises:
            EnvironmentLacksError: one that must run cannot.
        """
        wanted = dict.fromkeys(name for one in self.load() for name in self._wanted(one))
        if self.programs is not None:
            return [_available(name) for name in wanted if name in self.programs]
        return [_available(name) for name in wanted if _is_available(name)]

    def missing_programs(self) -> list[str]:
        """The names of programs that would run if they were installed."""
        wanted = dict.fromkeys(name for one in self.load() for name in self._wanted(one))
        return [name for name in wanted if not _is_available(name)]

    @staticmethod
    def _sender_name(sender: str) -> str:
        return added_sender(sender)[0].name if is_added(sender) else sender

    def _check(self, what: str, asked: tuple[str, ...], known: set[str]) -> None:
        for name in asked:
            if name not in known:
                where = ", ".join(
                    given.name if isinstance(given, Scenario) else str(given)
                    for given in self.scenarios
                )
                hint = nearest(name, known)
                if what == "sender" and name in registry.profiles():
                    hint = f"to send from the profile of that name, write profile:{name}"
                raise InputError(f"{what} {name!r}: not in {where}; {hint}")


def _available(name: str) -> AvailableProgram:
    return available(program(name), Store.usual())


def _is_available(name: str) -> bool:
    return is_available(program(name), Store.usual())


def _reference(given: str | Path | Scenario) -> str:
    """How a run's manifest names a scenario: by its name, or its file's path from the root."""
    if isinstance(given, Scenario):
        return given.name
    if isinstance(given, str) and given in registry.scenarios():
        return given
    return str(Path(given).resolve())


def request_of(manifest: Manifest, path: Path) -> RunRequest:
    """The request that a stored run carries out.

    Args:
        manifest: the run's.
        path: of the run's folder, for the error message.

    Raises:
        InputError: the manifest does not hold it.
    """
    arguments = manifest.arguments
    try:
        return RunRequest(
            scenarios=tuple(map(str, arguments["scenarios"])),
            senders=tuple(map(str, arguments["senders"])),
            networks=tuple(map(str, arguments["networks"])),
            sessions=arguments["sessions"],
            programs=None if (names := arguments.get("programs")) is None else tuple(names),
            reader=arguments.get("reader"),
            server=arguments.get("server"),
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: run.json does not say what to run ({error} is missing)"
        ) from error


def resume(path: Path) -> tuple[RunFolder, RunRequest]:
    """Open a stored run to continue it.

    Returns:
        The folder and the run's request. The folder is open for writing, unless every session is
        complete already: then it is open for reading only.

    Raises:
        InputError: there is no run, another process writes it, or a scenario is not what it was
            when the run began.
    """
    folder = RunFolder.open(path)
    manifest = folder.manifest
    request = request_of(manifest, path)
    if manifest.status == "complete" and not manifest.counts.failed:
        return folder, request
    began_with = manifest.arguments.get("plan", {})
    for name, now in request.fingerprints(manifest.seed).items():
        if began_with.get(name, now) != now:
            raise InputError(
                f"{path}: {name} has changed since this run began (its file, a network or a "
                "sender); put it back as it was, or start a new run"
            )
    return RunFolder.resume(path), request
