"""A scenario: senders x networks x repeats with one reader, as data.

``scenario_file`` reads it from a file.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from seglab.confined.own_sender import own_sender
from seglab.core.lookup import named
from seglab.core.observation import Layer
from seglab.core.parameters import Parameters
from seglab.core.seeds import derive
from seglab.errors import InputError
from seglab.experiment.offers import USUAL_OFFERS, Offers
from seglab.experiment.reader import Reader
from seglab.experiment.serving import ServerProgram
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource
from seglab.networks.network import Network
from seglab.reproduction import paper
from seglab.sender.profiles import PREFIX, profiles
from seglab.sender.registry import SenderFile, is_path
from seglab.sender.sender import Sender

SESSIONS_MAX: Final = 1_000_000
"""A scenario has at most so many sessions, with all its senders, networks and sweep values."""

NAME_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class SenderVariant:
    """A sender with a set of its parameters, as a scenario runs it.

    Attributes:
        sender: the sender.
        parameters: a value for each of its parameters.
        label: distinguishes the variants of one sender, for instance ``buffer_bytes=4096``; empty
            where the sender has only one variant. Sessions have it in their ``variant`` column.
        file: the file of a user's own sender; ``None`` for a shipped one.
    """

    sender: Sender
    parameters: Parameters
    label: str = ""
    file: SenderFile | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Further variants of all senders, in which one parameter takes some values.

    Attributes:
        parameter: the parameter's name.
        values: the values that it takes; each makes a variant of every sender.
        sessions: how many sessions there are of each value on each network.
    """

    parameter: str
    values: tuple[Any, ...]
    sessions: int


@dataclass(frozen=True, slots=True)
class Offered:
    """What the server offers the programs of a scenario over some of its networks.

    Attributes:
        offers: the service extensions.
        networks: the names of the networks.
        sessions: the most sessions of each program, size and network; ``None`` for as many as the
            scenario has.
    """

    offers: Offers
    networks: tuple[str, ...]
    sessions: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is to be run, as data.

    Attributes:
        name: the file's name without its ending.
        title: one line for people.
        source: where the experiment is described.
        senders: the senders, each with a set of its parameters.
        networks: the paths that every sender sends over.
        reader: how the server reads, or the program that serves instead of it.
        sessions: how many sessions for each sender on each network, by default.
        published: the key of the paper's numbers for it (``seglab.reproduction.paper.published``);
            ``None`` where the paper has none.
        layer: the layer in which the sizes of a listing of the paper are looked for.
        message: the mails, generated or the user's own. It has no effect on raw senders.
        sweep: further variants, in which one parameter takes some values; ``None`` without.
        programs: names of mail programs that send as well, as far as they are installed.
        sizes_bytes: the sizes of the mails that each program sends; empty is the message's own.
        offered: what the server offers the programs, where that is not the usual over all networks.
    """

    name: str
    title: str
    source: str
    senders: tuple[SenderVariant, ...]
    networks: tuple[Network, ...]
    reader: Reader | ServerProgram
    sessions: int
    published: str | None = None
    layer: Layer = "reads"
    message: MessageSpec | MailSource = field(default_factory=MessageSpec)
    sweep: Sweep | None = None
    programs: tuple[str, ...] = ()
    sizes_bytes: tuple[int, ...] = ()
    offered: tuple[Offered, ...] = ()

    @property
    def offers(self) -> tuple[Offered, ...]:
        """What the server offers the programs, and over which networks."""
        everywhere = Offered(USUAL_OFFERS, tuple(network.name for network in self.networks))
        return self.offered or (everywhere,)

    @property
    def expectation(self) -> paper.Published | None:
        """The paper's numbers for this scenario; ``None`` where it prints none."""
        return None if self.published is None else paper.published(self.published)

    def network(self, name: str) -> Network:
        """The network of that name.

        Raises:
            KeyError: the scenario has no such network.
        """
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(name)

    def check_size(self, sessions: int | None = None) -> None:
        """Refuse a scenario with more sessions than a run can hold.

        Args:
            sessions: as for ``variants``.

        Raises:
            InputError: the scenario has too many sessions; says how many.
        """
        each = sessions or self.sessions
        if self.sweep is not None:
            each += len(self.sweep.values) * min(self.sweep.sessions, sessions or SESSIONS_MAX)
        mails = len(self.programs) * max(len(self.sizes_bytes), 1)
        total = len(self.senders) * each * len(self.networks)
        for one in self.offers:
            count = sessions or self.sessions
            total += mails * min(count, one.sessions or count) * len(one.networks)
        if total > SESSIONS_MAX:
            raise InputError(
                f"senders x networks x sessions make {total} sessions; "
                f"expected {SESSIONS_MAX} at most"
            )

    def variants(self, sessions: int | None = None) -> tuple[tuple[SenderVariant, int], ...]:
        """Every variant, those of the sweep included, and how many sessions it has on each network.

        Args:
            sessions: replaces the scenario's own number of sessions. A sweep keeps its own number,
                unless that is larger.
        """
        all_variants = [(variant, sessions or self.sessions) for variant in self.senders]
        if self.sweep is not None:
            swept = min(self.sweep.sessions, sessions or self.sweep.sessions)
            all_variants += [(variant, swept) for variant in self._swept(self.sweep)]
        return tuple(all_variants)

    def _swept(self, sweep: Sweep) -> Iterator[SenderVariant]:
        for variant in self.senders:
            for value in sweep.values:
                names = (variant.label, parameter_label(sweep.parameter, value))
                yield SenderVariant(
                    variant.sender,
                    {**variant.parameters, sweep.parameter: value},
                    ",".join(name for name in names if name),
                    variant.file,
                )


def added_sender(name: str) -> tuple[Sender, SenderFile | None]:
    """The sender that a user adds to a scenario: ``profile:NAME``, or the path of a file.

    Raises:
        InputError: there is no such profile, or the file holds no sender.
    """
    if not name.startswith(PREFIX):
        return own_sender(Path(name))
    called = name.removeprefix(PREFIX)
    return named("profile", called, profiles()).sender, None


def is_added(name: str) -> bool:
    """Whether a sender's name adds it to a scenario, and does not only choose one of its own."""
    return name.startswith(PREFIX) or is_path(name)


def with_own_senders(scenario: Scenario, names: Sequence[str]) -> Scenario:
    """The scenario with further senders, of files or profiles, with their default parameters.

    Raises:
        InputError: there is no such sender, or one that this scenario cannot run.
    """
    variants = list(scenario.senders)
    for path in names:
        sender, file = added_sender(path)
        if any(variant.sender.name == sender.name for variant in variants):
            raise InputError(f"{path}: {scenario.name} has a sender {sender.name!r} already")
        sweep = scenario.sweep
        if sweep is not None and sweep.parameter not in sender.parameters:
            raise InputError(
                f"{path}: {sender.name} has no {sweep.parameter!r}, which {scenario.name} varies"
            )
        try:
            if isinstance(scenario.message, MessageSpec):
                sender.mail_for(scenario.message)
        except ValueError as error:
            raise InputError(f"{path}: {scenario.name}: message.{error}") from error
        variants.append(SenderVariant(sender, sender.resolve({}), file=file))
    return replace(scenario, senders=tuple(variants))


def parameter_label(parameter: str, value: object) -> str:
    """A parameter and its value as a part of names.

    Returns:
        ``name=value``, short and fit for a file's name. Where the value is long, its beginning and
        a digest stand for it.
    """
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, tuple | list):
        text = "+".join(map(str, value))
    else:
        text = str(value)
    if len(text) > _LABEL_MAX:
        text = f"{text[:16]}-{derive(0, text):016x}"
    return f"{parameter}={text}"


def safe_name(name: str) -> str:
    """The name without what does not belong into a file's name, and at most 64 characters long."""
    return _UNSAFE.sub("-", name).strip("-.")[:NAME_MAX] or "scenario"


_LABEL_MAX = 40
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
