"""Which sessions a dataset consists of, and which shard has which: pure, and in any order.

Sessions are numbered. What a session is follows from its number, so a shard is planned without
the others, on whatever machine. The numbers go repeat by repeat through everything, so that each
shard has some of everything.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from seglab.core.record import SCHEMA_VERSION
from seglab.dataset.spec import Combination, DatasetSpec
from seglab.dataset.splits import Part
from seglab.errors import InputError
from seglab.experiment import plan as sessions_
from seglab.experiment.plan import SessionSpec
from seglab.experiment.scenario import SenderVariant
from seglab.mail.source import MailSource
from seglab.networks.network import Network


@dataclass(frozen=True, slots=True)
class PlacedSession:
    """One planned session of a dataset, and where it belongs.

    Attributes:
        number: among all of the dataset's, from 0.
        spec: the session.
        network: what it runs over.
        template: the name of what it sends: one of the ``[[messages]]``, or ``raw``.
        message_id: tells its message from all others; the same over all networks, readers and
            parameter sets of a sender. Every sender that sends one of the user's own mails has
            the same one.
        split: the part that its message was drawn for.
        split_network: the part in the split by networks; ``None`` where it belongs to none.
        split_template: the part in the split by templates; ``None`` where none is held out.
    """

    number: int
    spec: SessionSpec
    network: Network
    template: str
    message_id: str
    split: Part
    split_network: Part | None
    split_template: Part | None


def shard_range(spec: DatasetSpec, shard: int) -> range:
    """The numbers of a shard's sessions.

    Raises:
        InputError: the dataset has no such shard.
    """
    if not 0 <= shard < spec.shards:
        raise InputError(f"shard {shard}: expected 0 to {spec.shards - 1}")
    first = shard * spec.shard_sessions
    return range(first, min(first + spec.shard_sessions, spec.sessions))


def planned(spec: DatasetSpec, seed: int, shard: int) -> Iterator[PlacedSession]:
    """The sessions of a shard, in the order of their numbers."""
    for number in shard_range(spec, shard):
        yield session_at(spec, seed, number)


def session_at(spec: DatasetSpec, seed: int, number: int) -> PlacedSession:
    """The session of that number."""
    rest, network_at = divmod(number, len(spec.networks))
    rest, reader_at = divmod(rest, len(spec.readers))
    repeat, combination_at = divmod(rest, len(spec.combinations))
    combination, network = spec.combinations[combination_at], spec.networks[network_at]
    reader, reader_variant = spec.readers[reader_at]
    part = _with_variant(combination.part, reader_variant)
    scenario = spec.scenario(combination, reader)
    session = sessions_.session(scenario, part, network, repeat, seed)
    kind, at, message_id = _message(spec, combination, repeat)
    split = spec.splits.of_message(seed, kind, at)
    return PlacedSession(
        number=number,
        spec=session,
        network=network,
        template=combination.template.name,
        message_id=message_id,
        split=split,
        split_network=spec.splits.of_network(network.name, split),
        split_template=spec.splits.of_template(combination.template.name),
    )


def fingerprint(spec: DatasetSpec, seed: int) -> str:
    """What tells this dataset's plan from any other: not its title, but all that decides rows."""
    value = {
        "name": spec.name,
        "seed": seed,
        "combinations": [_identity(combination) for combination in spec.combinations],
        "networks": spec.networks,
        "readers": spec.readers,
        "repeats": spec.repeats,
        "splits": spec.splits,
        "shard_sessions": spec.shard_sessions,
        "captures": spec.captures,
        "schema_version": SCHEMA_VERSION,
    }
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def _identity(combination: Combination) -> dict[str, object]:
    mail = combination.template.mail
    return {
        "template": combination.template.name,
        "sender": combination.part.sender.name,
        "variant": combination.part.label,
        "parameters": combination.part.parameters,
        "mail": [m.sha256 for m in mail.mails] if isinstance(mail, MailSource) else mail,
    }


def _with_variant(part: SenderVariant, variant: str) -> SenderVariant:
    return replace(part, label=",".join(v for v in (part.label, variant) if v))


def _message(spec: DatasetSpec, combination: Combination, repeat: int) -> tuple[str, int, str]:
    """What kind of message it is, which of its kind, and its own name.

    One of the user's own mails is the same message whoever sends it; a generated one is made for
    its sender.
    """
    template = combination.template
    if isinstance(template.mail, MailSource):
        mail = template.mail.mail(repeat)
        number = template.numbers[mail.sha256]
        return template.name, number, f"{spec.scenario_name(template)}.{number:04}"
    sender = combination.part.sender.name
    kind = f"{template.name}.{sender}"
    return kind, repeat, f"{spec.scenario_name(template)}.{sender}.{repeat:04}"
