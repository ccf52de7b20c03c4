"""The specification of a dataset: a value that is read from one TOML file.

The value pickles as the text of the file, so a worker on another machine reads the same
specification.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from seglab.core.parameters import shown
from seglab.core.specfile import SpecTable, decode, read
from seglab.core.text import one_line
from seglab.dataset.splits import Splits, split_table
from seglab.errors import InputError
from seglab.experiment.reader import Reader
from seglab.experiment.readers import reader_of
from seglab.experiment.registry import networks as all_networks
from seglab.experiment.registry import senders as all_senders
from seglab.experiment.scenario import Scenario, SenderVariant, parameter_label, safe_name
from seglab.experiment.scenario_file import (
    generated_mail,
    networks_of,
    own_mail,
    own_networks,
    senders_of,
)
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource
from seglab.networks.network import Network

REPEATS_MAX: Final = 1_000_000_000
MESSAGES_MAX: Final = 100
READERS_MAX: Final = 20

SHARD_SESSIONS: Final = 2000
"""How many sessions a shard has by default: about a minute of work on two processors."""

SHARD_SESSIONS_MAX: Final = 100_000

RAW: Final = "raw"
"""The name of the message template of senders whose parameters decide about the payload."""

LICENCE: Final = "CC0-1.0"
"""The licence of a dataset whose file states none."""

DATASET_NAME_MAX: Final = 40
TEMPLATE_NAME_MAX: Final = 40
SESSION_NAME_MAX: Final = 220
"""The longest name of a session: every file system accepts the names of its captures."""


@dataclass(frozen=True, slots=True)
class Template:
    """One of the ``[[messages]]``: generated mails of one kind, or the user's own mails.

    Attributes:
        name: in the dataset; it is a part of the sessions' ids.
        mail: the measures of a generated mail, or the user's own mails; ``None`` for raw payloads.
        numbers: the numbers of the user's own mails, by the digests of their files. Mails that are
            the same on the wire have the same number.
    """

    name: str
    mail: MessageSpec | MailSource | None
    numbers: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Combination:
    """A sender with its parameters, and the message template that it sends."""

    template: Template
    sender_variant: SenderVariant


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """The specification of a dataset.

    Attributes:
        name: the file's name without its ending.
        text: the file's content.
        where: the file's absolute path; paths of the user's mails are relative to its folder.
        title: one line for people.
        description: what it is for.
        licence: of the dataset, as an SPDX name or a URL.
        creator: who made it; empty where the file does not say.
        combinations: each sender with each message; a raw sender once, with its payload.
        networks: the paths.
        readers: the server's ways of reading, each with the name of its variant.
        repeats: how many sessions each sender, message, reader and network have.
        splits: how the sessions are divided into parts.
        shard_sessions: how many sessions a shard has.
        captures: whether the packets are kept.
    """

    name: str
    text: str = field(repr=False)
    where: str
    title: str
    description: str
    licence: str
    creator: str
    combinations: tuple[Combination, ...]
    networks: tuple[Network, ...]
    readers: tuple[tuple[Reader, str], ...]
    repeats: int
    splits: Splits
    shard_sessions: int = SHARD_SESSIONS
    captures: bool = True

    def __reduce__(self) -> tuple[Any, ...]:
        return parse_text, (self.text, self.where)

    @property
    def cells(self) -> int:
        """How many different sessions the dataset has, before they are repeated."""
        return len(self.combinations) * len(self.readers) * len(self.networks)

    @property
    def sessions(self) -> int:
        """How many sessions it has."""
        return self.cells * self.repeats

    @property
    def shards(self) -> int:
        """How many shards it has."""
        return -(-self.sessions // self.shard_sessions)

    def scenario(self, combination: Combination, reader: Reader) -> Scenario:
        """The scenario to which the sessions of one combination and reader belong."""
        return Scenario(
            name=self.scenario_name(combination.template),
            title=self.title,
            source=self.where,
            senders=(combination.sender_variant,),
            networks=self.networks,
            reader=reader,
            sessions=self.repeats,
            message=combination.template.mail or MessageSpec(),
        )

    def scenario_name(self, template: Template) -> str:
        """The value of the column ``scenario`` for the sessions of a template."""
        return f"{self.name}-{template.name}"


def read_spec(path: Path) -> DatasetSpec:
    """Read the specification in a file.

    Raises:
        InputError: the file cannot be used; says where, what was expected, and what was found.
    """
    read(path)  # raises if the file itself is at fault
    where = str(path.resolve())
    try:
        where.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{path}: no UTF-8, and a manifest has to hold the path; rename it"
        ) from None
    return parse_text(path.read_text(encoding="utf-8"), where, str(path))


@lru_cache(maxsize=8)
def parse_text(
    text: str, where: str, shown_as: str | None = None, trusted: frozenset[str] | None = None
) -> DatasetSpec:
    """Read a specification from its text.

    Args:
        text: the content of the file.
        where: the absolute path of the file; paths in it are relative to its folder.
        shown_as: the name of the file in messages; ``where`` by default.
        trusted: the absolute paths of own senders whose code may run; ``None`` trusts all.

    Raises:
        InputError: as ``read_spec``.
    """
    values = decode(text.encode(), shown_as or where)
    try:
        return _parse(Path(where).stem, text, where, SpecTable(where, values), trusted)
    except InputError as error:
        raise InputError(str(error).replace(f"{where}: ", f"{shown_as or where}: ", 1)) from error


def _parse(
    name: str, text: str, where: str, table: SpecTable, trusted: frozenset[str] | None
) -> DatasetSpec:
    own = own_networks(table, all_networks())
    title = table.text("title")
    description = _prose(table, "description", title)
    parts = senders_of(table, all_senders(), trusted)
    networks = networks_of(table, own, all_networks())
    combinations = tuple(_combinations(parts, _templates(table, parts)))
    names = dict.fromkeys(combination.template.name for combination in combinations)
    splits = split_table(table.table("splits"), [path.name for path in networks], list(names))
    spec = DatasetSpec(
        name=safe_name(name)[:DATASET_NAME_MAX],
        text=text,
        where=where,
        title=title,
        description=description,
        licence=table.text("licence", default=LICENCE),
        creator=table.text("creator", default=""),
        combinations=combinations,
        networks=networks,
        readers=_readers(table),
        repeats=table.integer("repeats", 1, REPEATS_MAX),
        splits=splits,
        shard_sessions=table.integer(
            "shard_sessions", 1, SHARD_SESSIONS_MAX, default=SHARD_SESSIONS
        ),
        captures=table.boolean("captures", default=True),
    )
    table.finish()
    _refuse_long_names(spec)
    return spec


def _combinations(
    parts: tuple[SenderVariant, ...], templates: tuple[Template, ...]
) -> Iterator[Combination]:
    for part in parts:
        if part.sender.payload_bytes_of is not None:
            yield Combination(Template(RAW, None), part)
        else:
            yield from (Combination(template, part) for template in templates)


def _refuse_long_names(spec: DatasetSpec) -> None:
    """Refuse sessions whose captures would have names that are too long."""
    for combination in spec.combinations:
        names = (
            spec.scenario_name(combination.template),
            combination.sender_variant.sender.name,
            combination.sender_variant.label,
            max((variant for _, variant in spec.readers), key=len),
            max((network.name for network in spec.networks), key=len),
            str(spec.repeats),
        )
        if sum(map(len, names)) > SESSION_NAME_MAX:
            raise InputError(
                f"{spec.where}: the sessions of {combination.sender_variant.sender.name} with "
                f"{shown(combination.sender_variant.label)} would have names of more than "
                f"{SESSION_NAME_MAX} characters; give its parameter sets fewer differences"
            )


def _prose(table: SpecTable, key: str, default: str) -> str:
    """Read text of several lines."""
    if key not in table:
        return default
    value = dict(table.items())[key]
    if not isinstance(value, str) or not _is_prose(value):
        raise table.problem(key, "text of 10000 characters at most", value)
    return value.strip() or default


def _is_prose(value: str) -> bool:
    return len(value) <= 10_000 and all(c.isprintable() or c == "\n" for c in value)


def _templates(table: SpecTable, parts: tuple[SenderVariant, ...]) -> tuple[Template, ...]:
    mailing = [part for part in parts if part.sender.payload_bytes_of is None]
    values = table.array("messages", "[[messages]] tables", required=bool(mailing))
    if values and not mailing:
        raise InputError(
            f"{table.where}: messages: of no effect, the senders' parameters settle the payload; "
            "leave them out"
        )
    if len(values) > MESSAGES_MAX:
        raise table.problem("messages", f"{MESSAGES_MAX} entries at most", f"{len(values)} of them")
    found: list[Template] = []
    for index, value in enumerate(values):
        entry = table.inside(f"messages[{index}]", value)
        template = _template(entry, mailing)
        for other in found:
            if other.name == template.name:
                raise InputError(
                    f"{entry.where}.name: there is a message {template.name!r} already; "
                    "give each a name of its own"
                )
            if other.mail == template.mail:
                raise InputError(f"{entry.where}: the same as {other.name!r}; leave one out")
        found.append(template)
    return tuple(_numbered(table, found))


def _template(entry: SpecTable, parts: list[SenderVariant]) -> Template:
    given = entry.text("name", default="")
    values = dict(entry.items())
    values.pop("name", None)
    own = SpecTable(entry.file, values, entry.where.removeprefix(f"{entry.file}: "))
    mail = own_mail(own) if "source" in own else _generated(own, parts)
    default = Path(mail.path).stem if isinstance(mail, MailSource) else mail.kind
    name = given or default
    if safe_name(name) != name or name == RAW or len(name) > TEMPLATE_NAME_MAX:
        expected = f"{TEMPLATE_NAME_MAX} letters, digits, '.', '_', '-' at most, and not 'raw'"
        raise entry.problem("name", expected, name)
    return Template(name, mail)


def _generated(own: SpecTable, parts: list[SenderVariant]) -> MessageSpec:
    own.only([*(f.name for f in fields(MessageSpec)), "source", "skip_bad", "name"])
    return generated_mail(own, parts)


def _numbered(table: SpecTable, templates: list[Template]) -> Iterator[Template]:
    """Give the user's own mails numbers; mails that are the same on the wire share one.

    Raises:
        InputError: a mail is in two sources. If one of them is held out, a classifier would still
            see the mail in the other.
    """
    owner: dict[bytes, Template] = {}
    for index, template in enumerate(templates):
        if not isinstance(template.mail, MailSource):
            yield template
            continue
        seen: dict[bytes, int] = {}
        numbers: dict[str, int] = {}
        for mail in template.mail.mails:
            wire = hashlib.sha256(mail.read().wire).digest()
            numbers[mail.sha256] = seen.setdefault(wire, len(seen))
            other = owner.setdefault(wire, template)
            if other is not template:
                raise InputError(
                    f"{table.where}: messages[{index}]: {mail.name} is in {other.name!r} as well; "
                    "a mail belongs to one message"
                )
        yield replace(template, numbers=numbers)


def _readers(table: SpecTable) -> tuple[tuple[Reader, str], ...]:
    values = table.array("readers", "[[readers]] tables", required=False)
    if len(values) > READERS_MAX:
        raise table.problem("readers", f"{READERS_MAX} entries at most", f"{len(values)} of them")
    found: list[Reader] = []
    for index, value in enumerate(values):
        entry = table.inside(f"readers[{index}]", value)
        mapping: Mapping[str, Any] = dict(entry.items())
        try:
            reader = reader_of(mapping)
        except ValueError as error:
            words = one_line(str(error)).removeprefix("reader").lstrip(": ")
            raise InputError(f"{entry.where}: {words}") from error
        if reader in found:
            raise InputError(f"{entry.where}: {shown(mapping)} stands there twice")
        found.append(reader)
    readers = found or [Reader()]
    return tuple((reader, _reader_variant(reader, readers)) for reader in readers)


def _reader_variant(reader: Reader, readers: list[Reader]) -> str:
    """The name of a reader's variant: the fields in which it differs from the others."""
    return ",".join(
        parameter_label(
            "reader" if f.name == "kind" else f"reader_{f.name}", getattr(reader, f.name)
        )
        for f in fields(Reader)
        if len({getattr(other, f.name) for other in readers}) > 1
    )
