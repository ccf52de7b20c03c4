"""Plans the sessions of a dataset: what each session is, and which shard it belongs to.

Sessions have numbers, and a session follows from its number. So any machine can plan a shard
without the others. The numbers run through all combinations, readers and networks before the next
repeat begins, so each shard has some sessions of every kind.
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
from seglab.experiment.scenario import Scenario, SenderVariant
from seglab.mail.source import MailSource
from seglab.networks.network import Network


@dataclass(frozen=True, slots=True)
class PlacedSession:
    """One planned session of a dataset, and the parts that it belongs to.

    Attributes:
        number: of the session in the dataset, from 0.
        spec: the session.
        network: the path that it runs over.
        template: the name of its ``[[messages]]`` table, or ``raw``.
        message_id: identifies its message. It is the same over all networks, readers and parameter
            sets of a sender, and for one of the user's own mails also for all senders.
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
    """The numbers of the sessions in a shard.

    Raises:
        InputError: the dataset has no such shard.
    """
    if not 0 <= shard < spec.shards:
        raise InputError(f"shard {shard}: expected 0 to {spec.shards - 1}")
    first = shard * spec.shard_sessions
    return range(first, min(first + spec.shard_sessions, spec.sessions))


def planned(spec: DatasetSpec, seed: int, shard: int) -> Iterator[PlacedSession]:
    """Yield the sessions of a shard in the order of their numbers."""
    parts: dict[tuple[int, int], tuple[Scenario, SenderVariant]] = {}
    for number in shard_range(spec, shard):
        yield _session_at(spec, seed, number, parts)


def session_at(spec: DatasetSpec, seed: int, number: int) -> PlacedSession:
    """Plan the session with that number."""
    return _session_at(spec, seed, number, {})


def _session_at(
    spec: DatasetSpec,
    seed: int,
    number: int,
    parts: dict[tuple[int, int], tuple[Scenario, SenderVariant]],
) -> PlacedSession:
    """Plan a session.

    Args:
        spec: of the dataset.
        seed: of the dataset.
        number: of the session.
        parts: what sessions of the same combination and reader have in common; it fills.
    """
    rest, network_at = divmod(number, len(spec.networks))
    rest, reader_at = divmod(rest, len(spec.readers))
    repeat, combination_at = divmod(rest, len(spec.combinations))
    combination, network = spec.combinations[combination_at], spec.networks[network_at]
    key = combination_at, reader_at
    if key not in parts:
        reader, reader_variant = spec.readers[reader_at]
        part = _with_variant(combination.sender_variant, reader_variant)
        parts[key] = spec.scenario(combination, reader), part
    session = sessions_.session(*parts[key], network, repeat, seed)
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
    """A digest of all that decides about the rows of a dataset; its title, for one, does not."""
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
    file = combination.sender_variant.file
    own = {} if file is None else {"sender_sha256": file.sha256}
    return own | {
        "template": combination.template.name,
        "sender": combination.sender_variant.sender.name,
        "variant": combination.sender_variant.label,
        "parameters": combination.sender_variant.parameters,
        "mail": [m.sha256 for m in mail.mails] if isinstance(mail, MailSource) else mail,
    }


def _with_variant(part: SenderVariant, variant: str) -> SenderVariant:
    return replace(part, label=",".join(v for v in (part.label, variant) if v))


def _message(spec: DatasetSpec, combination: Combination, repeat: int) -> tuple[str, int, str]:
    """The kind of a message, its number in that kind, and its id.

    One of the user's own mails is the same message for all senders. A generated message belongs to
    its sender.
    """
    template = combination.template
    if isinstance(template.mail, MailSource):
        mail = template.mail.mail(repeat)
        number = template.numbers[mail.sha256]
        return template.name, number, f"{spec.scenario_name(template)}.{number:04}"
    sender = combination.sender_variant.sender.name
    kind = f"{template.name}.{sender}"
    return kind, repeat, f"{spec.scenario_name(template)}.{sender}.{repeat:04}"
