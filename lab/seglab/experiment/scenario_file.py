"""Reads scenarios, and what they share with datasets' specifications, from TOML.

``scenarios/README.md`` shows every key of the file. Each function of this module takes a part of
the file and returns a value, or raises an ``InputError`` that says where in which file it found
what instead of what it expected.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from seglab.confined.own_sender import own_sender
from seglab.core.lookup import named
from seglab.core.observation import LAYERS
from seglab.core.parameters import shown
from seglab.core.specfile import SpecTable
from seglab.core.text import one_line
from seglab.errors import InputError, nearest
from seglab.experiment.offers import USUAL_OFFERS, Offers
from seglab.experiment.reader import Reader
from seglab.experiment.readers import reader_of
from seglab.experiment.scenario import (
    SESSIONS_MAX,
    Offered,
    Scenario,
    SenderVariant,
    Sweep,
    parameter_label,
    safe_name,
)
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource, read_source
from seglab.networks.network import Network
from seglab.networks.network import parse as parse_network
from seglab.reproduction import paper
from seglab.sender.profiles import PREFIX, profiles
from seglab.sender.registry import SenderFile, is_path
from seglab.sender.sender import Sender
from seglab.software.program import NamedProgram

ALL: Final = "all"
"""The word that stands in a scenario's file for the list of all senders, or of all networks."""

PROFILES: Final = "profiles"
"""The word that stands in a scenario's file for the list of all profiles."""

LISTED_MAX: Final = 1000
"""A list of senders, networks or sweep values has at most so many entries."""


def parse(
    name: str,
    table: SpecTable,
    senders: Mapping[str, Sender],
    networks: Mapping[str, Network],
    programs: Mapping[str, NamedProgram] = MappingProxyType({}),
) -> Scenario:
    """The scenario that a table describes.

    Args:
        name: the file's name without its ending.
        table: the file's content. Its ``[[network]]`` tables define more networks.
        senders: the senders that the file can name.
        networks: the networks that the file can name, beside those that it defines.
        programs: the mail programs that the file can name, by name.

    Raises:
        InputError: the table cannot be used; says where in which file, what was expected and what
            was found.
    """
    own = own_networks(table, networks)
    title = table.text("title")
    source = table.text("source", default="")
    published = _published(table)
    programs_ = _programs(table, programs)
    variants = senders_of(table, senders) if "senders" in table or not programs_ else ()
    message = _message(table, variants)
    paths = networks_of(table, own, networks)
    scenario = Scenario(
        name=safe_name(name),
        title=title,
        source=source,
        senders=variants,
        networks=paths,
        reader=_reader(table),
        sessions=table.integer("sessions", 1, SESSIONS_MAX, default=100),
        published=published,
        layer=table.choice("layer", LAYERS, default="reads"),
        message=message,
        sweep=_sweep(table, variants),
        programs=programs_,
        sizes_bytes=_sizes(table, message) if programs_ else (),
        offered=_offered(table, [path.name for path in paths]) if programs_ else (),
    )
    table.finish()
    try:
        scenario.check_size()
    except InputError as error:
        raise InputError(f"{table.where}: {error}") from error
    return scenario


def own_networks(table: SpecTable, taken: Mapping[str, Network]) -> dict[str, Network]:
    """The networks that the ``[[network]]`` tables of a file define, by name."""
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
        base = named("network", like, known, where=f"{entry.where}.like") if like else None
        found[name] = parse_network(name, entry, base)
    return found


def networks_of(
    table: SpecTable, own: Mapping[str, Network], others: Mapping[str, Network]
) -> tuple[Network, ...]:
    """The networks that a file names; where it names none, those that it defines."""
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
        named("network", name, known, where=f"{table.where}: {where}")
        if name in names[:index]:
            raise InputError(f"{table.where}: {where}: {name!r} stands there twice")
    return tuple(known[name] for name in names)


def senders_of(
    table: SpecTable, known: Mapping[str, Sender], trusted: Collection[str] | None = None
) -> tuple[SenderVariant, ...]:
    """The senders that a file names, each with its parameters and a label where it recurs.

    A name with a slash, or with the ending ``.py``, is the path of a user's own sender. A relative
    path counts from the folder of the file that the table is in.

    Args:
        table: names the senders.
        known: the shipped senders.
        trusted: the absolute paths of own senders whose code may run; ``None`` trusts all that the
            table names.
    """
    variants: list[SenderVariant] = []
    if table.is_word("senders", ALL):
        return tuple(SenderVariant(sender, sender.resolve({})) for sender in known.values())
    if table.is_word("senders", PROFILES):
        return tuple(_of_profile(name) for name in profiles())
    expected = "a list of senders' names, [[senders]] tables, 'all' or 'profiles'"
    values = _listed(table, "senders", expected)
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
        sender, file = _sender_called(name, table, where, known, trusted)
        if any(v.sender.name == sender.name and v.file != file for v in variants):
            raise InputError(
                f"{table.where}: {where}: two files have a sender called {sender.name!r}"
            )
        parameters = sender.resolve(given, f"{table.where}: {where}.parameters")
        if any(
            variant.sender is sender and variant.parameters == parameters for variant in variants
        ):
            raise InputError(f"{table.where}: {where}: the same sender stands there twice")
        variants.append(SenderVariant(sender, parameters, file=file))
    return tuple(_with_variant_label(variant, variants) for variant in variants)


def _sender_called(
    name: str,
    table: SpecTable,
    where: str,
    known: Mapping[str, Sender],
    trusted: Collection[str] | None,
) -> tuple[Sender, SenderFile | None]:
    """The sender of a name or path in a file, and the file of a user's own one."""
    if is_path(name):
        path = (Path(table.file).parent / name).absolute()
        if trusted is not None and str(path) not in trusted:
            raise InputError(
                f"{table.where}: {where}: {shown(name)} is Python code; if you trust it, give "
                f"--sender {path}"
            )
        try:
            return own_sender(path)
        except InputError as error:
            raise InputError(f"{table.where}: {where}: {error}") from error
    if name in known:
        return known[name], None
    called = name.removeprefix(PREFIX)
    if called in profiles():
        return profiles()[called].sender, None
    raise InputError(
        f"{table.where}: {where}: unknown sender {shown(name)}; "
        f"{nearest(called, [*known, *profiles()])}"
    )


def _of_profile(name: str) -> SenderVariant:
    """The variant of a profile, which has the profile's parameters as its defaults."""
    sender = profiles()[name].sender
    return SenderVariant(sender, sender.resolve({}))


def _with_variant_label(variant: SenderVariant, variants: Sequence[SenderVariant]) -> SenderVariant:
    """The variant, labelled by the parameters in which its sender's variants differ."""
    same = [other for other in variants if other.sender is variant.sender]
    differing = [
        parameter_label(name, value)
        for name, value in variant.parameters.items()
        if any(other.parameters[name] != value for other in same)
    ]
    return replace(variant, label=",".join(differing))


def _reader(table: SpecTable) -> Reader:
    values = dict(table.table("reader").items())
    try:
        return reader_of(values)
    except ValueError as error:
        raise InputError(f"{table.where}: {one_line(str(error))}") from error


def _programs(table: SpecTable, known: Mapping[str, NamedProgram]) -> tuple[str, ...]:
    """Return the mail programs that a file names; none where it names none."""
    if "programs" not in table:
        return ()
    if table.is_word("programs", ALL):
        return tuple(known)
    names = _listed(table, "programs", "a list of programs' names, or 'all'")
    for index, name in enumerate(names):
        where = f"{table.where}: programs[{index}]"
        named("program", name, known, where=where)
        if name in names[:index]:
            raise InputError(f"{where}: {name!r} stands there twice")
    return tuple(names)


def _sizes(table: SpecTable, message: MessageSpec | MailSource) -> tuple[int, ...]:
    """Return the sizes of mails that programs are to send; none where each mail has its own."""
    if "sizes_bytes" not in table:
        return ()
    if isinstance(message, MailSource):
        raise InputError(f"{table.where}: sizes_bytes: mails of your own have their own sizes")
    sizes = table.integers("sizes_bytes")
    for size in sizes:
        try:
            replace(message, payload_bytes=size)
        except ValueError as error:
            raise InputError(f"{table.where}: sizes_bytes: {one_line(str(error))}") from error
    if not sizes or len(set(sizes)) < len(sizes):
        raise InputError(f"{table.where}: sizes_bytes: expected sizes that differ, found {sizes}")
    return tuple(sizes)


def _offered(table: SpecTable, networks: Sequence[str]) -> tuple[Offered, ...]:
    """Return what the server offers the programs, from ``[[offers]]`` tables; empty without any.

    Args:
        table: the scenario's file.
        networks: the names of its networks.
    """
    found: list[Offered] = []
    for index, value in enumerate(_listed(table, "offers", "[[offers]] tables", required=False)):
        own = table.inside(f"offers[{index}]", value)
        usual = USUAL_OFFERS
        offers = Offers(
            pipelining=own.boolean("pipelining", default=usual.pipelining),
            chunking=own.boolean("chunking", default=usual.chunking),
        )
        names = _listed(own, "networks", "a list of networks' names", required=False) or networks
        for name in names:
            if name not in networks:
                raise InputError(
                    f"{own.where}.networks: unknown network {shown(name)}; "
                    f"{nearest(str(name), networks)}"
                )
        sessions = own.integer("sessions", 1, SESSIONS_MAX) if "sessions" in own else None
        own.finish()
        taken = {name for one in found if one.offers == offers for name in one.networks}
        if twice := next((name for name in names if name in taken), None):
            raise InputError(f"{own.where}: another [[offers]] table offers {twice} the same")
        found.append(Offered(offers, tuple(dict.fromkeys(names)), sessions))
    return tuple(found)


def _published(table: SpecTable) -> str | None:
    if "published" not in table:
        return None
    key = table.text("published")
    try:
        paper.published(key)
    except InputError as error:
        raise InputError(f"{table.where}: published: {error}") from error
    return key


def _message(table: SpecTable, variants: Sequence[SenderVariant]) -> MessageSpec | MailSource:
    own = table.table("message")
    if (
        "message" in table
        and variants
        and all(variant.sender.payload_bytes_of for variant in variants)
    ):
        raise InputError(
            f"{own.where}: of no effect, the senders' parameters settle the payload; leave it out"
        )
    if "source" in own:
        return own_mail(own)
    own.only([*_MESSAGE_KEYS, "source"])
    return generated_mail(own, variants)


def generated_mail(own: SpecTable, variants: Iterable[SenderVariant]) -> MessageSpec:
    """The generated mail that a table describes.

    Raises:
        InputError: a key cannot be used, or one of the senders cannot send such a mail.
    """
    names = _MESSAGE_KEYS
    try:
        spec = MessageSpec(**{name: _message_value(own, name) for name in names if name in own})
        for variant in variants:
            variant.sender.mail_for(spec)
    except ValueError as error:
        raise InputError(f"{own.where}.{one_line(str(error))}") from error
    return spec


def _message_value(own: SpecTable, name: str) -> Any:
    if name in ("kind", "first"):
        return own.text(name)
    if name in ("value_at", "value_bytes"):
        return dict(own.table(name).items())
    return own.integer(name, 1)


def own_mail(own: SpecTable) -> MailSource:
    """The user's own mail that a table names.

    A relative path counts from the folder of the file that the table is in.

    Raises:
        InputError: there is no mail at that path, or a mail cannot be sent.
    """
    path = Path(own.file).parent / own.text("source")
    skip_bad = own.boolean("skip_bad", default=False)
    own.finish()
    try:
        return read_source(path.resolve(), skip_bad=skip_bad)
    except InputError as error:
        raise InputError(f"{own.where}.source: {error}") from error


def _sweep(table: SpecTable, variants: Sequence[SenderVariant]) -> Sweep | None:
    if "sweep" not in table:
        return None
    own = table.table("sweep")
    parameter = own.text("parameter")
    given = _listed(own, "values", "a list of values")
    checked: list[Any] = []
    for index, value in enumerate(given):
        where = f"{own.where}.values[{index}]"
        for variant in variants:
            if parameter not in variant.sender.parameters:
                raise InputError(
                    f"{own.where}.parameter: {variant.sender.name} has no {shown(parameter)}; "
                    f"{nearest(parameter, variant.sender.parameters)}"
                )
            try:
                taken = variant.sender.parameters[parameter].check(value)
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


def _listed(table: SpecTable, key: str, expected: str, *, required: bool = True) -> list[Any]:
    values = table.array(key, expected, required=required)
    if len(values) > LISTED_MAX:
        raise table.problem(key, f"{LISTED_MAX} entries at most", f"{len(values)} of them")
    return values


_MESSAGE_KEYS = tuple(f.name for f in fields(MessageSpec))
