"""Which part of a dataset a session belongs to: pure, and the same for the same seed.

What must never lie in two parts is a message: a classifier that has seen a payload over one
network knows its writes over every other. So parts are drawn for messages, not for sessions, and
all sessions of a message, over whatever networks, share its part.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Final, Literal, get_args

from seglab.core.parameters import shown
from seglab.core.seeds import derive
from seglab.core.specfile import SpecTable
from seglab.errors import InputError, nearest

Part = Literal["train", "validation", "test"]

PARTS: Final[tuple[Part, ...]] = get_args(Part)

DEFAULT_PCT: Final[Mapping[Part, int]] = {"train": 80, "validation": 10, "test": 10}


@dataclass(frozen=True, slots=True)
class Splits:
    """How the sessions of a dataset are divided into parts.

    Attributes:
        pct: the share of messages in each part, in per cent; the shares add up to 100.
        networks: the networks that are held out, and the part that each is held out for.
        templates: the message templates that are held out, and the part of each.
    """

    pct: Mapping[Part, int] = field(default_factory=lambda: DEFAULT_PCT)
    networks: Mapping[str, Part] = field(default_factory=dict)
    templates: Mapping[str, Part] = field(default_factory=dict)

    @property
    def block(self) -> int:
        """The smallest number of messages at which each part can have exactly its share."""
        return 100 // math.gcd(100, *self.pct.values())

    def of_message(self, seed: int, kind: str, number: int) -> Part:
        """The part of message ``number`` of one kind. A sender's messages of a template are a kind.

        Parts are drawn in blocks, so that each kind has its shares after every block, and nearly
        so in between (permuted block randomisation, as in clinical trials).
        """
        block, place = divmod(number, self.block)
        order = _shuffled(self.block, derive(seed, "split", kind, block))
        at = order[place] * 100 // self.block
        for part in PARTS[:-1]:
            at -= self.pct[part]
            if at < 0:
                return part
        return PARTS[-1]

    def of_network(self, network: str, message: Part) -> Part | None:
        """The part of a session in the split by networks; ``None`` where it belongs to none.

        A part has the sessions on its networks whose message is in the same part; otherwise a
        message would be in two parts. A network that is not held out belongs to the training part.
        If no network is held out for validation, it belongs to the validation part, too.

        Args:
            network: the session's.
            message: the part of its message.
        """
        if not self.networks:
            return None
        return message if message in self._parts_of(network) else None

    def of_template(self, template: str) -> Part | None:
        """The part of a session in the split by templates; ``None`` where none is held out."""
        return self.templates.get(template, "train") if self.templates else None

    def _parts_of(self, network: str) -> Collection[Part]:
        held_out = self.networks.get(network)
        if held_out is not None:
            return {held_out}
        return {"train"} if "validation" in self.networks.values() else {"train", "validation"}


@lru_cache(maxsize=1024)
def _shuffled(number: int, seed: int) -> tuple[int, ...]:
    """The numbers below ``number`` in a drawn order. Only ``random`` draws, as everywhere."""
    order = list(range(number))
    draw = Random(seed)
    for last in range(number - 1, 0, -1):
        other = int(draw.random() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return tuple(order)


def split_table(table: SpecTable, networks: Collection[str], templates: Collection[str]) -> Splits:
    """Read the splits from a table.

    Raises:
        InputError: says where, what was expected, and what was found.
    """
    pct: Mapping[Part, int] = DEFAULT_PCT
    if any(part in table for part in PARTS):
        pct = {part: table.integer(part, 0, 100, default=0) for part in PARTS}
        if sum(pct.values()) != 100:
            words = " + ".join(f"{pct[part]}" for part in PARTS)
            raise InputError(
                f"{table.where}: expected train + validation + test to be 100 per cent, "
                f"found {words} = {sum(pct.values())}"
            )
        if not pct["train"]:
            raise table.problem("train", "1 per cent or more", 0)
    splits = Splits(
        pct=pct,
        networks=_held_out(table, "networks", networks, "network"),
        templates=_held_out(table, "messages", templates, "message"),
    )
    table.finish()
    for part in {*splits.networks.values()}:
        if not pct[part]:
            raise InputError(
                f"{table.where}.networks.{part}: of no effect while {part} = 0, since a session "
                f"on a held-out network counts only with a message of that part"
            )
    return splits


def _held_out(table: SpecTable, key: str, known: Collection[str], what: str) -> dict[str, Part]:
    own = table.table(key)
    found: dict[str, Part] = {}
    parts: tuple[Part, ...] = ("validation", "test")
    for part in parts:
        for index, name in enumerate(own.array(part, f"a list of {key}", required=False)):
            where = f"{own.where}.{part}[{index}]"
            if not isinstance(name, str) or name not in known:
                hint = (
                    nearest(name, known) if isinstance(name, str) else f"known: {', '.join(known)}"
                )
                raise InputError(f"{where}: no {what} of this dataset: {shown(name)}; {hint}")
            if name in found:
                raise InputError(f"{where}: {name!r} is held out already")
            found[name] = part
    own.finish()
    if known and set(found) == set(known):
        raise InputError(f"{own.where}: every {what} is held out; leave one to train on")
    if found and "test" not in found.values():
        raise InputError(f"{own.where}: none is held out for the test; expected test = [...]")
    return found
