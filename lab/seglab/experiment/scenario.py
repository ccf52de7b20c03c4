"""A scenario: senders x networks x repeats with one reader, read from TOML."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from seglab.core.observation import LAYERS, Layer
from seglab.core.parameters import Parameters, shown
from seglab.core.seeds import derive
from seglab.core.specfile import Table, near
from seglab.core.text import one_line
from seglab.errors import InputError
from seglab.experiment.reader import Reader
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource, read_source
from seglab.networks.network import Network
from seglab.networks.network import parse as parse_network
from seglab.reproduction import paper
from seglab.sender.sender import Sender

SESSIONS_MAX: Final = 1_000_000
"""The most sessions of a scenario, all its senders, networks and sweep values together."""

ALL: Final = "all"
"""What a scenario says instead of a list of all senders, or of all networks."""

LISTED_MAX: Final = 1000
"""The most senders, networks, or values of a sweep."""

NAME_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Cast:
    """A sender's part in a scenario: who, with which parameters, under which variant's name.

    Attributes:
        sender: who sends.
        parameters: all of its parameters.
        variant: tells two parts of one sender apart, such as ``buffer_bytes=4096``; empty where
            the sender has only one part.
    """

    sender: Sender
    parameters: Parameters
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One parameter of all senders, taken through some values, beside the scenario itself.

    Attributes:
        parameter: its name.
        values: what it takes, each a variant of its own.
        sessions: how many sessions a value, on each network.
    """

    parameter: str
    values: tuple[Any, ...]
    sessions: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is to be run, as data.

    Attributes:
        name: the file's name without its ending.
        title: one line for people.
        source: where the experiment is described.
        senders: who sends, with which parameters.
        networks: over which paths.
        reader: how the server reads.
        sessions: how many sessions for each sender on each network, by default.
        published: the paper's numbers for it, as a key of ``seglab.reproduction.paper.published``.
        layer: where a listing's sizes are to be found.
        message: the mails: generated ones, or the user's own; of no effect for raw senders.
        sweep: more variants, of one parameter.
    """

    name: str
    title: str
    source: str
    senders: tuple[Cast, ...]
    networks: tuple[Network, ...]
    reader: Reader
    sessions: int
    published: str | None = None
    layer: Layer = "reads"
    message: MessageSpec | MailSource = field(default_factory=MessageSpec)
    sweep: Sweep | None = None

    @property
    def expectation(self) -> paper.Published | None:
        """What the paper printed for it, if anything."""
        return None if self.published is None else paper.published(self.published)

    def network(self, name: str) -> Network:
        """The network of that name; raises KeyError where the scenario has none."""
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(name)

    def check_size(self, sessions: int | None = None) -> None:
        """Refuse more sessions than a run can hold; ``sessions`` as in ``variants``.

        Raises:
            InputError: says how many they are.
        """
        each = sessions or self.sessions
        if self.sweep is not None:
            each += len(self.sweep.values) * min(self.sweep.sessions, sessions or SESSIONS_MAX)
        total = len(self.senders) * len(self.networks) * each
        if total > SESSIONS_MAX:
            raise InputError(
                f"senders x networks x sessions make {total} sessions; "
                f"expected {SESSIONS_MAX} at most"
            )

    def variants(self, sessions: int | None = None) -> tuple[tuple[Cast, int], ...]:
        """Every part that is played, the sweep's included, and how often on each network.

        Args:
            sessions: instead of the scenario's own number. A sweep keeps its own number, but
                never has more than this.
        """
        played = [(part, sessions or self.sessions) for part in self.senders]
        if self.sweep is not None:
            swept = min(self.sweep.sessions, sessions or self.sweep.sessions)
            played += [(part, swept) for part in self._swept(self.sweep)]
        return tuple(played)

    def _swept(self, sweep: Sweep) -> Iterator[Cast]:
        for part in self.senders:
            for value in sweep.values:
                names = (part.variant, label(sweep.parameter, value))
                yield Cast(
                    part.sender,
                    {**part.parameters, sweep.parameter: value},
                    ",".join(name for name in names if name),
                )


def parse(
    name: str, table: Table, senders: Mapping[str, Sender], networks: Mapping[str, Network]
) -> Scenario:
    """The scenario that a table describes.

    Args:
        name: what it is called: the file's name without its ending.
        table: the file's content. Its ``[[network]]`` tables define networks of its own.
        senders: all that can be named.
        networks: all that can be named, beside its own.

    Raises:
        InputError: says where in which file, what was expected and what was found.
    """
    own = own_networks(table, networks)
    title = table.text("title")
    source = table.text("source", default="")
    published = _published(table)
    parts = senders_of(table, senders)
    scenario = Scenario(
        name=safe_name(name),
        title=title,
        source=source,
        senders=parts,
        networks=networks_of(table, own, networks),
        reader=_reader(table),
        sessions=table.integer("sessions", 1, SESSIONS_MAX, default=100),
        published=published,
        layer=table.choice("layer", LAYERS, default="reads"),
        message=_message(table, parts),
        sweep=_sweep(table, parts),
    )
    table.finish()
    try:
        scenario.check_size()
    except InputError as error:
        raise InputError(f"{table.where}: {error}") from error
    return scenario


def own_networks(table: Table, taken: Mapping[str, Network]) -> dict[str, Network]:
    """The networks that a file defines itself, in its ``[[network]]`` tables, by name."""
    found: dict[str, Network] = {}
    for index, value in enumerate(_listed(table, "network", "[[network]] tables", required=False)):
        entry = table.inside(f"network[{index}]", value)
        name = entry.text("name")
        if name in taken or name in found:
            raise InputError(
                f"{entry.where}.name: there is a network {name!r} already; choose another name"
            )
        known = {**taken, **found}
        like = entry.text("like", default="")
        if like and like not in known:
            raise InputError(
                f"{entry.where}.like: unknown network {shown(like)}; {near(like, known)}"
            )
        found[name] = parse_network(name, entry, known.get(like))
    return found


def networks_of(
    table: Table, own: Mapping[str, Network], others: Mapping[str, Network]
) -> tuple[Network, ...]:
    """The networks named, by default those that the file itself defines."""
    known = {**others, **own}
    expected = "a list of networks' names, or 'all'"
    if table.is_word("networks", ALL):
        names = [*known]
    else:
        names = _listed(table, "networks", expected, required=not own) or [*own]
    for index, name in enumerate(names):
        where = f"networks[{index}]"
        if not isinstance(name, str):
            raise table.problem(where, "a network's name", name)
        if name not in known:
            raise InputError(
                f"{table.where}: {where}: unknown network {shown(name)}; {near(name, known)}"
            )
        if name in names[:index]:
            raise InputError(f"{table.where}: {where}: {name!r} stands there twice")
    return tuple(known[name] for name in names)


def senders_of(table: Table, known: Mapping[str, Sender]) -> tuple[Cast, ...]:
    """The senders that a file names, each with its parameters, and told apart where they recur."""
    parts: list[Cast] = []
    if table.is_word("senders", ALL):
        return tuple(Cast(sender, sender.resolve({})) for sender in known.values())
    values = _listed(table, "senders", "a list of senders' names, [[senders]] tables, or 'all'")
    for index, value in enumerate(values):
        where = f"senders[{index}]"
        given: dict[str, Any] = {}
        name = value
        if isinstance(value, dict):
            entry = table.inside(where, value)
            name = entry.text("name")
            given = dict(entry.table("parameters").items())
            entry.finish()
        if not isinstance(name, str):
            raise table.problem(where, "a sender's name, or a table with its name", name)
        if name not in known:
            raise InputError(
                f"{table.where}: {where}: unknown sender {shown(name)}; {near(name, known)}"
            )
        sender = known[name]
        parameters = sender.resolve(given, f"{table.where}: {where}.parameters")
        if any(part.sender is sender and part.parameters == parameters for part in parts):
            raise InputError(f"{table.where}: {where}: the same sender stands there twice")
        parts.append(Cast(sender, parameters))
    return tuple(_told_apart(part, parts) for part in parts)


def _told_apart(part: Cast, parts: Sequence[Cast]) -> Cast:
    """The part with a variant that names the parameters by which its sender's parts differ."""
    same = [other for other in parts if other.sender is part.sender]
    differing = [
        label(name, value)
        for name, value in part.parameters.items()
        if any(other.parameters[name] != value for other in same)
    ]
    return replace(part, variant=",".join(differing))


def _reader(table: Table) -> Reader:
    values = dict(table.table("reader").items())
    try:
        return Reader.from_mapping(values)
    except ValueError as error:
        raise InputError(f"{table.where}: {one_line(str(error))}") from error


def _published(table: Table) -> str | None:
    if "published" not in table:
        return None
    key = table.text("published")
    try:
        paper.published(key)
    except InputError as error:
        raise InputError(f"{table.where}: published: {error}") from error
    return key


def _message(table: Table, parts: Sequence[Cast]) -> MessageSpec | MailSource:
    own = table.table("message")
    if "message" in table and all(part.sender.payload_bytes_of for part in parts):
        raise InputError(
            f"{own.where}: of no effect, the senders' parameters settle the payload; leave it out"
        )
    if "source" in own:
        return own_mail(own)
    own.only([*_MESSAGE_KEYS, "source"])
    return generated_mail(own, parts)


def generated_mail(own: Table, parts: Iterable[Cast]) -> MessageSpec:
    """The generated mail that a table describes, one that each of the senders can send."""
    names = _MESSAGE_KEYS
    try:
        spec = MessageSpec(**{name: _message_value(own, name) for name in names if name in own})
        for part in parts:
            part.sender.mail_for(spec)
    except ValueError as error:
        raise InputError(f"{own.where}.{one_line(str(error))}") from error
    return spec


def _message_value(own: Table, name: str) -> Any:
    if name in ("kind", "first"):
        return own.text(name)
    if name in ("value_at", "value_bytes"):
        return dict(own.table(name).items())
    return own.integer(name, 1)


def own_mail(own: Table) -> MailSource:
    """The user's own mail that a table names; a relative path counts from the file it is in."""
    path = Path(own.file).parent / own.text("source")
    skip_bad = own.boolean("skip_bad", default=False)
    own.finish()
    try:
        return read_source(path.resolve(), skip_bad=skip_bad)
    except InputError as error:
        raise InputError(f"{own.where}.source: {error}") from error


def _sweep(table: Table, parts: Sequence[Cast]) -> Sweep | None:
    if "sweep" not in table:
        return None
    own = table.table("sweep")
    parameter = own.text("parameter")
    given = _listed(own, "values", "a list of values")
    checked: list[Any] = []
    for index, value in enumerate(given):
        where = f"{own.where}.values[{index}]"
        for part in parts:
            if parameter not in part.sender.parameters:
                raise InputError(
                    f"{own.where}.parameter: {part.sender.name} has no {shown(parameter)}; "
                    f"{near(parameter, part.sender.parameters)}"
                )
            try:
                taken = part.sender.parameters[parameter].check(value)
            except ValueError as error:
                raise InputError(f"{where}: expected {error}, found {shown(value)}") from error
        if taken in checked:
            raise InputError(f"{where}: {shown(value)} stands there twice")
        checked.append(taken)
    sweep = Sweep(
        parameter=parameter,
        values=tuple(checked),
        sessions=own.integer("sessions", 1, SESSIONS_MAX, default=20),
    )
    own.finish()
    return sweep


def _listed(table: Table, key: str, expected: str, *, required: bool = True) -> list[Any]:
    values = table.array(key, expected, required=required)
    if len(values) > LISTED_MAX:
        raise table.problem(key, f"{LISTED_MAX} entries at most", f"{len(values)} of them")
    return values


def label(parameter: str, value: object) -> str:
    """A parameter and its value as a part of names: short, and fit for a file's name."""
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
    """A name that is fit for a file's name, whatever the scenario's file is called."""
    return _UNSAFE.sub("-", name).strip("-.")[:NAME_MAX] or "scenario"


_LABEL_MAX = 40
_MESSAGE_KEYS = tuple(f.name for f in fields(MessageSpec))
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
