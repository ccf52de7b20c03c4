"""The manifest of a run, ``run.json``: what ran, on which machine, with which settings."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from os import cpu_count
from platform import machine, python_version, release
from typing import Any, Literal, Self

import msgspec

from seglab.core import decoding
from seglab.core.lateness import Lateness, Redone
from seglab.core.observation import Layer
from seglab.core.record import SCHEMA_VERSION
from seglab.core.text import safe
from seglab.core.version import version
from seglab.errors import InputError

RunStatus = Literal["running", "complete", "interrupted", "failed"]


def now() -> str:
    """The current time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def hardware() -> str:
    """The machine's architecture and number of processors, as text."""
    return f"{machine()}, {cpu_count() or 1} processors"


def versions() -> dict[str, str]:
    """The versions of seglab, of Python, and of each package that seglab requires, by name."""
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
    """How many sessions were planned, and how many of them ended in which way."""

    planned: int = 0
    complete: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a report needs to know of a scenario that the run carried out.

    Attributes:
        name: the scenario's name, as in the sessions' ``scenario`` column.
        title: one line for people.
        published: the key of the paper's numbers for it (``scenarios.2``); ``None`` where the paper
            has none.
        layer: where the sizes of a listing are looked for: ``reads`` or ``segments``.
    """

    name: str
    title: str = ""
    published: str | None = None
    layer: Layer = "reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything about a run that is not about one session.

    Attributes:
        command: the command that made the run: ``run``, ``reproduce``...
        engine: the name of the engine that carried out its sessions.
        arguments: the command's arguments, enough to run it again or to continue it.
        scenarios: the scenarios that it carried out, in the order of the report.
        networks: the paths as they were, by name: links, router and the client's TCP.
        client_tcp: whose TCP the client has over each network: ``kernel``, or ``simulator`` with
            its personality, such as ``simulator: windows, unchecked``.
        seed: the run's seed; every session's own seed is derived from it.
        status: how far the run is. ``running`` in a folder that no process writes to means that
            its writer was killed.
        error: why the run failed, in one line.
        counts: how many sessions were planned, are complete, and have failed.
        versions: the versions of seglab, Python and each package that seglab requires.
        kernel: the release of the kernel that ran it.
        machine: the machine's architecture, and how many processors it has.
        sysctls: the sysctls that decide segmentation, by network and host, as read back.
        offloads: the offloads in force, by network and host, as read back.
        mtus: the MTU of every interface, by network and host, as read back.
        routes: the routes of every host, by network, as read back.
        rules: the packet filter's rules of every router that has some, by network, as read back.
        strays: of the wire of each network, how many frames of no open session it ``passed``, and
            how many of these frames were ``lost``, since the run was last started.
        recorder: what recorded the calls of programs, by network and host: ``trace events``, or
            ``notification`` without root; empty for emulated senders.
        late_ms: how late the sessions were, each at its worst moment; ``None`` where the run has
            not ended, or lateness was not measured.
        redone: the sessions that were carried out again because they had been late; ``None`` where
            there are none.
        started: when the run began, in UTC.
        finished: when the run ended, in UTC; ``None`` while it runs.
        timings: how many seconds each phase took.
        verdicts: the verdict on each scenario that the paper has numbers for; ``None`` where the
            command gives no verdicts.
        schema_version: the version of this file's fields and of the sessions' columns.
    """

    command: str
    engine: str = "kernel"
    arguments: dict[str, Any] = field(default_factory=dict)
    scenarios: tuple[Experiment, ...] = ()
    networks: dict[str, Any] = field(default_factory=dict)
    client_tcp: dict[str, str] = field(default_factory=dict)
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
    strays: dict[str, Any] = field(default_factory=dict)
    recorder: dict[str, Any] = field(default_factory=dict)
    late_ms: Lateness | None = None
    redone: Redone | None = None
    started: str = field(default_factory=now)
    finished: str | None = None
    timings: dict[str, float] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> bytes:
        """The manifest as indented JSON, with a newline at the end.

        Raises:
            InputError: a path or a word of the command line is not UTF-8.
        """
        try:
            return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
        except UnicodeEncodeError as error:
            raise InputError(
                f"{safe(error.object)}: expected UTF-8, found other bytes; give it another name"
            ) from error

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The manifest that ``to_json`` wrote; unknown keys are ignored.

        Raises:
            InputError: the text is not a manifest, or a later version of seglab wrote it.
        """
        manifest = decoding.from_json(text, cls, "the manifest of a run")
        if manifest.schema_version > SCHEMA_VERSION:
            raise InputError(
                f"has schema_version {manifest.schema_version}, this seglab reads up to"
                f" {SCHEMA_VERSION}; read it with the seglab that wrote it, or a later one"
            )
        return manifest
