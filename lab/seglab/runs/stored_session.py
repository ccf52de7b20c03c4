"""A stored session as Python programs get it: its record, and its captures."""

import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

from seglab.core.observation import Layer, Observation
from seglab.core.record import SessionRecord
from seglab.errors import InputError

if TYPE_CHECKING:
    from seglab.runs.packets import PacketList

Side = Literal["client", "server"]
"""Where a capture was taken: on the client's own link, or on the server's."""

_FIELDS: Final = tuple(field.name for field in fields(SessionRecord))


class StoredSession(SessionRecord):
    """A session of a stored run or dataset.

    It has all attributes of its record, such as ``sender``, ``network``, ``writes``, ``segments``
    and ``reads``, and finds its captures.

    Attributes:
        folder: the run folder or dataset that the session is stored in; ``None`` for a session
            that is not stored.
    """

    __slots__ = ("folder",)

    folder: Path | None

    def __init__(self, *, folder: Path | None = None, **values: Any) -> None:
        super().__init__(**values)
        object.__setattr__(self, "folder", folder)

    @classmethod
    def of(cls, record: SessionRecord, folder: Path | None) -> Self:
        """The session of a record that is stored in ``folder``."""
        return cls(folder=folder, **{name: getattr(record, name) for name in _FIELDS})

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.folder, {name: getattr(self, name) for name in _FIELDS})

    def observation(self, layer: Layer = "segments") -> Observation:
        """What a classifier is shown of this session, for instance by ``seglab.classify``.

        Args:
            layer: whose sizes it has: those of the wire's ``segments``, or the server's ``reads``.
        """
        return Observation.of_record(self, layer)

    def capture(self, side: Side = "client") -> bytes:
        """The content of a capture, as pcapng.

        Args:
            side: where the capture was taken. A packet that the path lost is in the capture of
                the side that sent it, and not in the other.

        Raises:
            InputError: the session has no capture, or its file cannot be read.
        """
        if side not in get_args(Side):
            raise InputError(f"side: expected {' or '.join(get_args(Side))}, found {side!r}")
        name: str | None = getattr(self.captures, side)
        if self.folder is None or name is None:
            raise InputError(f"{self.session_id}: no capture of the {side}'s side is stored")
        path = self.folder / name
        try:
            if path.parent.suffix == ".zip":  # a dataset has one archive of captures a shard
                with zipfile.ZipFile(path.parent) as archive:
                    return archive.read(path.name)
            return path.read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path}: cannot be read: {reason}") from error

    def packets(self, side: Side = "client") -> "PacketList":
        """The frames of a capture as Scapy packets, in the order in which they were seen.

        A packet's ``time`` is the time of day in seconds. Its ``comment`` says what became of its
        payload, for instance ``data 1440:2880, arrived after 91.563 ms``.

        Args:
            side: where the capture was taken, as for ``capture``.

        Raises:
            EnvironmentLacksError: Scapy is not installed.
            InputError: the session has no capture, or its file cannot be read.
        """
        from seglab.runs.packets import packets  # noqa: PLC0415 -- Scapy takes a second to import

        return packets(self.capture(side), f"{self.session_id}.{side}.pcapng")


def sessions_of(folder: Path, records: Iterator[SessionRecord]) -> Iterator[StoredSession]:
    """Yield the sessions of the records that are stored in ``folder``."""
    return (StoredSession.of(record, folder) for record in records)


def _restored(folder: Path | None, values: dict[str, Any]) -> StoredSession:
    """Make a session again that was pickled."""
    return StoredSession(folder=folder, **values)
