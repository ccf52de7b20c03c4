"""The manifest of a dataset, ``manifest.json``: what it is, how it was made, and all its files."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from seglab.core import decoding
from seglab.core.record import SCHEMA_VERSION
from seglab.dataset.columns import COLUMNS
from seglab.dataset.plan import fingerprint
from seglab.dataset.result import FileEntry
from seglab.dataset.spec import DatasetSpec, parse_text
from seglab.engine import DEFAULT_ENGINE
from seglab.engine.client_tcp import client_tcp
from seglab.errors import InputError
from seglab.runs.manifest import now


class DatasetManifest(msgspec.Struct, kw_only=True):
    """Everything about a dataset that is not about one session.

    Attributes:
        name: of the dataset: the specification file's, without its ending.
        title: one line for people.
        description: what it is for.
        licence: the terms under which others may use it.
        creator: who made it; empty where the specification does not say.
        status: ``building`` until all shards are built and described.
        spec: the specification's text.
        spec_path: the path of the specification.
        engine: the name of the engine that carries out its sessions.
        seed: of the dataset; every session's own follows from it.
        fingerprint: a digest of all that decides about the rows (``plan.fingerprint``).
        planned: how many sessions were planned.
        complete: how many of them are rows.
        failed: how many failed; only the files of ``shards/`` have them.
        too_late: how many rows are of sessions that were late also in their last try.
        redone: how many rows are of sessions that were carried out again, since they were too late.
        failures: by network, how many sessions failed, and why the first one did.
        shards: how many shards there are.
        shard_sessions: how many sessions a shard has; the last one may have fewer.
        splits: rows by part, for each of the three columns.
        labels: rows by value and part of ``split``, for each column that is a label.
        networks: the paths, by name: links, router and the client's TCP.
        client_tcp: whose TCP the client has over each network, as in the rows' column.
        environment: by network, the settings that were in force on each host, as read back.
        differing: by network, the shards whose environment was another one.
        columns: by name, ``seed`` where every build has the same values, else ``kernel``.
        versions: of seglab, Python and the packages; several where shards differ.
        kernels: the releases of the kernels that ran the sessions.
        machines: the machines' architectures and numbers of processors.
        started: date and time, in UTC.
        finished: date and time, in UTC; ``None`` while it is built.
        timings: seconds: ``shards`` spent on shards, and ``sessions``, the sum of all sessions'
            durations.
        files: all files but this one and ``SHA256SUMS``, by name: size and SHA-256.
        schema_version: of the rows.
    """

    name: str
    title: str
    description: str
    licence: str
    creator: str
    status: Literal["building", "complete"] = "building"
    spec: str
    spec_path: str
    engine: str = DEFAULT_ENGINE
    seed: int
    fingerprint: str
    planned: int
    complete: int = 0
    failed: int = 0
    too_late: int = 0
    redone: int = 0
    failures: dict[str, dict[str, Any]] = {}
    shards: int
    shard_sessions: int
    splits: dict[str, dict[str, int]] = {}
    labels: dict[str, dict[str, dict[str, int]]] = {}
    networks: dict[str, Any] = {}
    client_tcp: dict[str, str] = {}
    environment: dict[str, Any] = {}
    differing: dict[str, list[int]] = {}
    columns: dict[str, str] = {}
    versions: list[dict[str, str]] = []
    kernels: list[str] = []
    machines: list[str] = []
    started: str = ""
    finished: str | None = None
    timings: dict[str, float] = {}
    files: dict[str, FileEntry] = {}
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def begun(cls, spec: DatasetSpec, seed: int, engine: str = DEFAULT_ENGINE) -> Self:
        """Make the manifest of a dataset without any shard."""
        return cls(
            name=spec.name,
            title=spec.title,
            description=spec.description,
            licence=spec.licence,
            creator=spec.creator,
            spec=spec.text,
            spec_path=spec.where,
            engine=engine,
            seed=seed,
            fingerprint=fingerprint(spec, seed),
            planned=spec.sessions,
            shards=spec.shards,
            shard_sessions=spec.shard_sessions,
            networks={path.name: msgspec.to_builtins(path) for path in spec.networks},
            client_tcp={path.name: client_tcp(path, engine) for path in spec.networks},
            columns={name: column.origin for name, column in COLUMNS.items()},
            started=now(),
        )

    def dataset(self, trusted: Collection[str] = ()) -> DatasetSpec:
        """Read the specification from the manifest.

        The manifest may be a stranger's, and an own sender that it names is Python code. So that
        code runs only if the caller trusts it.

        Args:
            trusted: the absolute paths of own senders whose code may run.

        Raises:
            InputError: the specification names something that this seglab, or this machine, lacks.
        """
        return parse_text(self.spec, self.spec_path, trusted=frozenset(trusted))

    def to_json(self) -> bytes:
        """The manifest as indented JSON, with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def summary(self) -> Mapping[str, Any]:
        """What a command prints: all fields but the long ones."""
        left_out = {"spec", "networks", "environment", "columns", "files", "differing"}
        values: dict[str, Any] = msgspec.to_builtins(self)
        return {key: value for key, value in values.items() if key not in left_out}


def read_manifest(path: Path) -> DatasetManifest | None:
    """The stored manifest; ``None`` where there is none.

    Raises:
        InputError: it is damaged, or a later version of seglab wrote it.
    """
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    try:
        manifest = decoding.from_json(text, DatasetManifest, "the manifest of a dataset")
    except InputError as error:
        raise InputError(f"{path}: {error}; put back the one that was there") from error
    if manifest.schema_version > SCHEMA_VERSION:
        raise InputError(
            f"{path}: has schema_version {manifest.schema_version}, this seglab reads up to "
            f"{SCHEMA_VERSION}; read it with the seglab that wrote it, or a later one"
        )
    return manifest
