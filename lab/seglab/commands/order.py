"""What a user asked to run: scenarios, and which part of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from seglab.commands.running import Planned
from seglab.errors import InputError, nearest
from seglab.experiment import registry
from seglab.experiment.plan import plan
from seglab.experiment.scenario import Scenario
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Experiment, Manifest


@dataclass(frozen=True, slots=True)
class Order:
    """What to run; all that ``--resume`` needs to plan the same sessions again."""

    scenarios: tuple[str, ...]
    senders: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    sessions: int | None = None

    def load(self) -> list[Scenario]:
        """The scenarios, by name or path.

        Raises:
            InputError: one is not known, or two have one name, which their sessions would share.
        """
        found: dict[str, Scenario] = {}
        for given in self.scenarios:
            scenario = registry.scenario(given)
            if scenario.name in found:
                raise InputError(
                    f"{given}: a scenario called {scenario.name!r} is given already; "
                    "give each once, or rename a file"
                )
            found[scenario.name] = scenario
        return list(found.values())

    def specs(self, seed: int) -> list[Planned]:
        """Every session to run.

        Raises:
            InputError: a name is not known, or nothing is left to run.
        """
        scenarios = self.load()
        self._check("sender", self.senders, {c.sender.name for s in scenarios for c in s.senders})
        self._check("network", self.networks, {n.name for s in scenarios for n in s.networks})
        specs = [planned for scenario in scenarios for planned in self._planned(scenario, seed)]
        if not specs:
            raise InputError("nothing to run: no sender and network of these scenarios is left")
        return specs

    def manifest(self, command: str, seed: int, jobs: int, time_limit_s: float) -> Manifest:
        """The manifest of a run of this order that is about to begin."""
        known = registry.scenarios()
        return Manifest(
            command=command,
            arguments={
                "scenarios": [
                    str(Path(n).resolve()) if n not in known else n for n in self.scenarios
                ],
                "senders": list(self.senders),
                "networks": list(self.networks),
                "sessions": self.sessions,
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
            seed=seed,
        )

    def fingerprints(self, seed: int) -> dict[str, str]:
        """By scenario, what tells its plan (sessions, senders, networks) from any other."""
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
            senders=self.senders or None,
            networks=self.networks or None,
        )
        return [(spec, scenario.network(spec.network)) for spec in specs]

    def _check(self, what: str, asked: tuple[str, ...], known: set[str]) -> None:
        for name in asked:
            if name not in known:
                raise InputError(
                    f"--{what} {name!r}: not in {', '.join(self.scenarios)}; {nearest(name, known)}"
                )


def order_of(manifest: Manifest, path: Path) -> Order:
    """The order that a stored run was given.

    Raises:
        InputError: the manifest holds none.
    """
    arguments = manifest.arguments
    try:
        return Order(
            scenarios=tuple(map(str, arguments["scenarios"])),
            senders=tuple(map(str, arguments["senders"])),
            networks=tuple(map(str, arguments["networks"])),
            sessions=arguments["sessions"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: run.json does not say what to run ({error} is missing)"
        ) from error


def resumed(path: Path) -> tuple[RunFolder, Order]:
    """A stored run to go on with, and its order. One that has nothing left to do is only read.

    Raises:
        InputError: no run is there, another process writes it, or a scenario is not what it was.
    """
    folder = RunFolder.open(path)
    manifest = folder.manifest
    order = order_of(manifest, path)
    if manifest.status == "complete" and not manifest.counts.failed:
        return folder, order
    began_with = manifest.arguments.get("plan", {})
    for name, now in order.fingerprints(manifest.seed).items():
        if began_with.get(name, now) != now:
            raise InputError(
                f"{path}: {name} has changed since this run began (its file, a network or a "
                "sender); put it back as it was, or start a new run"
            )
    return RunFolder.resume(path), order
