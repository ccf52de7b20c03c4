"""The manifest of a run, ``run.json``: what ran, on what, with what in force."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from os import cpu_count
from platform import machine, python_version, release
from typing import Any, Literal, Self

import msgspec

from seglab.core import decoding
from seglab.core.observation import Layer
from seglab.core.record import SCHEMA_VERSION
from seglab.core.version import version
from seglab.errors import InputError

RunStatus = Literal["running", "complete", "interrupted", "failed"]


def now() -> str:
    """This instant in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def hardware() -> str:
    """The machine's architecture, and how many processors it has."""
    return f"{machine()}, {cpu_count() or 1} processors"


def versions() -> dict[str, str]:
    """The versions of seglab, of Python, and of each package that seglab needs."""
    found = {"seglab": version(), "python": python_version()}
    try:
        needs = metadata.requires("seglab") or []
    except metadata.PackageNotFoundError:
        return found
    for need in needs:
        requirement, _, marker = need.partition(";")
        if "extra" not in marker:
            name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
            found[name] = metadata.version(name)
    return found


@dataclass(frozen=True, slots=True)
class Counts:
    """How many sessions were planned, and how those that ran ended."""

    planned: int = 0
    complete: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """A scenario that the run carried out, as much of it as a report needs.

    Attributes:
        name: as in the rows' ``scenario`` column.
        title: one line for people.
        published: the key of the paper's numbers for it (``scenarios.2``); ``None`` without.
        layer: where a listing's sizes are looked for: ``reads`` or ``segments``.
    """

    name: str
    title: str = ""
    published: str | None = None
    layer: Layer = "reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything about a run that is not about one session.

    Attributes:
        command: the command that made it: ``run``, ``reproduce``...
        engine: the name of the engine that carried out its sessions.
        arguments: that command's arguments, enough to do it again or go on with it.
        scenarios: what it carried out, in the order of the report.
        networks: the paths as they were run over, by name: links, router and the client's TCP.
        seed: the run's seed, from which every session's own is derived.
        status: ``running`` in a folder that nobody writes to means that its writer was killed.
        error: why the run failed, in one line.
        counts: of its sessions.
        versions: of seglab, Python and each package that seglab needs.
        kernel: the release of the kernel that ran it.
        machine: the machine's architecture, and how many processors it has.
        sysctls: those in force that decide segmentation, by namespace, as read back.
        offloads: those in force, by interface, as read back.
        mtus: of every interface, as read back.
        routes: of every host, as read back.
        rules: of every router that filters, as read back.
        started: date and time, in UTC.
        finished: likewise; ``None`` while it runs.
        timings: seconds spent in each phase.
        verdicts: of the scenarios that the paper prints, where the command judges.
        schema_version: of this file and of the rows beside it.
    """

    command: str
    engine: str = "kernel"
    arguments: dict[str, Any] = field(default_factory=dict)
    scenarios: tuple[Experiment, ...] = ()
    networks: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    status: RunStatus = "running"
    error: str | None = None
    counts: Counts = Counts()
    versions: dict[str, str] = field(default_factory=versions)
    kernel: str = field(default_factory=release)
    machine: str = field(default_factory=hardware)
    sysctls: dict[str, Any] = field(default_factory=dict)
    offloads: dict[str, Any] = field(default_factory=dict)
    mtus: dict[str, Any] = field(default_factory=dict)
    routes: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    started: str = field(default_factory=now)
    finished: str | None = None
    timings: dict[str, float] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> bytes:
        """The manifest as JSON for people: indented, a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The manifest that ``to_json`` wrote; keys it does not know are passed over.

        Raises:
            InputError: the text is no manifest, or that of a later version of seglab.
        """
        manifest = decoding.from_json(text, cls, "the manifest of a run")
        if manifest.schema_version > SCHEMA_VERSION:
            raise InputError(
                f"has schema_version {manifest.schema_version}, this seglab reads up to"
                f" {SCHEMA_VERSION}; read it with the seglab that wrote it, or a later one"
            )
        return manifest
