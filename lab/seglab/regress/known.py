"""Failures that are expected, each with its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seglab.core.parameters import shown
from seglab.core.text import one_line
from seglab.errors import InputError, nearest
from seglab.regress.checks import CHECKS

_KEYS = ("check", "network", "style", "layer", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """A finding that is expected; ``None`` stands for any network, style or layer.

    Attributes:
        check: the check's name.
        reason: why it fails, in one line.
        network: the network's name.
        style: the true style.
        layer: the layer.
    """

    check: str
    reason: str
    network: str | None = None
    style: str | None = None
    layer: str | None = None

    def covers(self, check: str, network: str, style: str, layer: str) -> bool:
        """Return whether a finding is an expected one."""
        return (
            check == self.check
            and self.network in (None, network)
            and self.style in (None, style)
            and self.layer in (None, layer)
        )

    @property
    def words(self) -> str:
        """Which findings are expected, in words."""
        return " ".join(part for part in (self.check, self.network, self.style, self.layer) if part)


def parse(values: Mapping[str, Any], where: str) -> tuple[KnownFailure, ...]:
    """Read the known failures of a TOML file: an array of tables called ``known``.

    Raises:
        InputError: a key is missing, unknown, or not text; says where.
    """
    tables = values.get("known", [])
    if set(values) - {"known"} or not isinstance(tables, list):
        found = one_line(", ".join(sorted(values)))
        raise InputError(f"{where}: expected tables [[known]] and nothing else, found {found}")
    return tuple(_one(table, f"{where}: known[{number}]") for number, table in enumerate(tables))


def _one(table: object, where: str) -> KnownFailure:
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table")
    for key, value in table.items():
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key {shown(key)}; {nearest(key, _KEYS)}")
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{where}.{key}: expected text, found {shown(value)}")
    for key in ("check", "reason"):
        if key not in table:
            raise InputError(f"{where}: {key} is missing")
    names = [check.name for check in CHECKS]
    if table["check"] not in names:
        raise InputError(
            f"{where}.check: unknown {shown(table['check'])}; {nearest(table['check'], names)}"
        )
    return KnownFailure(**table)


def reason_for(
    known: Iterable[KnownFailure], check: str, network: str, style: str, layer: str
) -> str | None:
    """Return why a finding is expected, or ``None`` if it is not."""
    return next((k.reason for k in known if k.covers(check, network, style, layer)), None)
