"""Makes the header block of generated mail: its fields, their order, and where values begin.

A block is a row of sections. A specification may say at which offset the value of a field begins:
then a section ends right there. The last section ends with the block.

A section whose length is known is filled exactly. It has all required fields, and each optional
field that fits beside them. A field of random text takes up the bytes that are left; it stands
before the section's last field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Final

from seglab.core.kept import Kept
from seglab.mail import fields
from seglab.mail.fields import (
    FIELD_MAX_BYTES,
    FILLER_MIN_BYTES,
    NATURAL_RECEIVED_BYTES,
    RECEIVED_BYTES,
    VALUE_NAMES,
    Story,
)

_ADDRESS_MAX: Final = 50

HEADER_MAX_BYTES: Final = 1 << 16
"""The longest header block that is generated."""

BOUNDARY_MAX_BYTES: Final = 29
"""The longest delimiter of parts that any kind of mail draws."""

FIRST: Final = ("Received", "Return-Path", "From", "MIME-Version", "Date")
"""The fields that a block can begin with."""

_MAX_BYTES: Final = {
    "Date": 39,
    "X-Received": 104,
    "Return-Path": FIELD_MAX_BYTES,
    "Reply-To": FIELD_MAX_BYTES,
    "List-Unsubscribe": FIELD_MAX_BYTES,
    "MIME-Version": 19,
}


@dataclass(frozen=True, slots=True)
class HeaderTemplate:
    """The header fields that a kind of mail can have.

    Attributes:
        order: all fields in their order. The first one begins the block unless a specification
            asks for another one.
        required: the fields that even the shortest block has, beside the first one.
        fixed: the values that never change, by field; ``$boundary`` stands for the mail's own.
    """

    order: tuple[str, ...]
    required: frozenset[str]
    fixed: Mapping[str, str]

    def __post_init__(self) -> None:
        assert self.required <= {*self.order}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderSpec:
    """The header block that a message is to have.

    ``seglab.mail.message.MessageSpec`` explains the attributes.

    Raises:
        ValueError: no such block can be made; the message begins with the attribute's name.
    """

    template: HeaderTemplate
    header_bytes: int | None = None
    first: str | None = None
    received_bytes: int | None = None
    value_at: Mapping[str, int] = field(default_factory=dict)
    value_bytes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.first is not None and self.first not in FIRST:
            raise ValueError(f"first: expected one of {', '.join(FIRST)}, found {self.first!r}")
        received = self.received_bytes
        if received is not None and received not in RECEIVED_BYTES:
            raise ValueError(
                f"received_bytes: expected {RECEIVED_BYTES[0]} to {RECEIVED_BYTES[-1]}, "
                f"found {received}"
            )
        self._check_values()
        at = 0
        for section in self.sections:
            least = at + self._min_bytes_of(section.names)
            if section.mark is None:
                end = self.header_bytes
                if end is not None and not least <= end <= HEADER_MAX_BYTES:
                    raise ValueError(
                        f"header_bytes: expected {least} to {HEADER_MAX_BYTES}, found {end}"
                    )
                continue
            opening = len(section.mark) + 1
            if not section.names:
                raise ValueError(f"value_at.{section.mark}: the first field has its value's place")
            found = self.value_at[section.mark]
            if not least + opening <= found <= HEADER_MAX_BYTES:
                raise ValueError(
                    f"value_at.{section.mark}: expected {least + opening} to "
                    f"{HEADER_MAX_BYTES}, found {found}"
                )
            at = found - opening

    def _check_values(self) -> None:
        known = [name for name in self.order if name in VALUE_NAMES]
        for what, given in (("value_at", self.value_at), ("value_bytes", self.value_bytes)):
            for name, size in given.items():
                if name not in known:
                    raise ValueError(f"{what}: expected some of {', '.join(known)}, found {name!r}")
                if type(size) is not int:
                    raise ValueError(f"{what}.{name}: expected a whole number, found {size!r}")
        for name, size in self.value_bytes.items():
            fits = fields.value_range(name)
            if size not in fits:
                raise ValueError(
                    f"value_bytes.{name}: expected {fits[0]} to {fits[-1]}, found {size}"
                )

    @property
    def order(self) -> tuple[str, ...]:
        """The fields in the order of the block: the first one, then the others."""
        return _with_first(self.first, self.template.order)

    @property
    def required(self) -> frozenset[str]:
        """The fields that the block has, however short it is."""
        return _required(self)

    @property
    def sections(self) -> "Sequence[_Section]":
        """The fields, cut before each whose value's offset is given."""
        return _sections(self)

    @property
    def min_bytes(self) -> int:
        """The length of the shortest block that can always be made."""
        return _min_bytes(self)

    def _min_bytes_of(self, names: Sequence[str]) -> int:
        """The length of a section of these fields that can always be made."""
        required = self.required
        longest = [self._max_bytes_of(name) for name in names if name in required]
        return sum(longest) + FILLER_MIN_BYTES if longest else 0

    def _max_bytes_of(self, name: str) -> int:
        """The most bytes that a field takes; of Received, the fewest that it can take."""
        if name in self.value_bytes:
            return len(name) + len(":\r\n") + self.value_bytes[name]
        if name == "Received":
            return self.received_bytes or RECEIVED_BYTES[0]
        if name in self.template.fixed:
            longest = self.template.fixed[name].replace("$boundary", "-" * BOUNDARY_MAX_BYTES)
            return len(name) + len(": \r\n") + len(longest)
        return _MAX_BYTES.get(name, FIELD_MAX_BYTES)

    def block(self, draw: Random, story: Story, limit: int) -> bytes:
        """Make the header block: each field with its CRLF, without the empty line.

        Args:
            draw: the source of all draws.
            story: the mail's.
            limit: the most bytes that the block may have where its length is not given; never
                less than ``min_bytes``.
        """
        made = b""
        required = self.required
        for section in self.sections:
            if section.mark is not None:
                exact: int | None = self.value_at[section.mark] - len(section.mark) - 1
            else:
                exact = self.header_bytes
            room = (limit if exact is None else exact) - len(made)
            candidates = dict(self._candidates(draw, story, section.names, room))
            kept = _fitting(candidates, required, room)
            left = room - sum(map(len, kept)) if exact is not None else 0
            if left:
                kept.insert(len(kept) - 1 or 1, fields.filler(draw, left))
            made += b"".join(kept)
        return made

    def _candidates(
        self, draw: Random, story: Story, names: Sequence[str], room: int
    ) -> Iterator[tuple[str, bytes]]:
        """Yield each field of a section with its name, whether or not it will fit."""
        longer = NATURAL_RECEIVED_BYTES - RECEIVED_BYTES[0]
        spare = room - (self._min_bytes_of(names) if len(self.sections) > 1 else self.min_bytes)
        received = self.received_bytes or (
            NATURAL_RECEIVED_BYTES if spare >= longer else RECEIVED_BYTES[0]
        )
        for name in names:
            yield name, self._field(draw, story, name, received)

    def _field(self, draw: Random, story: Story, name: str, received_bytes: int) -> bytes:
        if name in VALUE_NAMES:
            return fields.adjustable(draw, story, name, self.value_bytes.get(name))
        if name in self.template.fixed:
            return fields.line(name, self.template.fixed[name].replace("$boundary", story.boundary))
        if name == "Received":
            return fields.received(draw, story, received_bytes)
        if name == "X-Received":
            return fields.x_received(draw, story)
        return fields.line(name, _value(story, name))


def _required_by(spec: HeaderSpec) -> frozenset[str]:
    asked = {spec.order[0], *spec.value_at, *spec.value_bytes}
    if spec.received_bytes is not None:
        asked.add("Received")
    return spec.template.required | asked


def _sections_of(spec: HeaderSpec) -> "Sequence[_Section]":
    cut: list[_Section] = []
    names: list[str] = []
    for name in spec.order:
        if name in spec.value_at:
            cut.append(_Section(tuple(names), name))
            names = []
        names.append(name)
    return (*cut, _Section(tuple(names), None))


def _min_bytes_by(spec: HeaderSpec) -> int:
    *before, last = spec.sections
    if not before:
        return spec._min_bytes_of(last.names)
    mark = before[-1].mark
    assert mark is not None
    return spec.value_at[mark] - len(mark) - 1 + spec._min_bytes_of(last.names)


_required = Kept(_required_by)
_sections = Kept(_sections_of)
_min_bytes = Kept(_min_bytes_by)


def _value(story: Story, name: str) -> str:
    if name == "Date":
        return story.date
    if name == "MIME-Version":
        return "1.0"
    address = story.author.address[-_ADDRESS_MAX:]
    return f"<mailto:{address}>" if name == "List-Unsubscribe" else f"<{address}>"


@dataclass(frozen=True, slots=True)
class _Section:
    """The fields up to the one whose value begins at a given offset.

    Attributes:
        names: of the fields.
        mark: the field after them, whose value ends the section; ``None`` in the last section.
    """

    names: tuple[str, ...]
    mark: str | None


def _fitting(candidates: Mapping[str, bytes], required: frozenset[str], room: int) -> list[bytes]:
    """The required fields, and each other one that leaves no byte or enough for a filler."""
    left = room - sum(len(candidates[name]) for name in candidates if name in required)
    kept = []
    for name, text in candidates.items():
        if name not in required:
            rest = left - len(text)
            if rest != 0 and rest < FILLER_MIN_BYTES:
                continue
            left = rest
        kept.append(text)
    return kept


@cache
def _with_first(first: str | None, order: tuple[str, ...]) -> tuple[str, ...]:
    first = first or order[0]
    return (first, *(name for name in order if name != first))
