"""A schedule: all that decides about one session, as a value and as readable TOML.

Fuzzing draws schedules, both engines carry them out, and one on which they disagreed is kept as a
file (``tests/emulation/data/schedules``). A schedule speaks raw TCP, so nothing but its own steps
is on the connection.

    about = "what the case shows"
    nodelay = false                     # TCP_NODELAY from the beginning
    steps = ["cork on", "write 1448", "write 200 more", "wait 12.5", "cork off", "nodelay on"]

    [reader]                            # as in a scenario
    [network]                           # as in a file of lab/seglab/networks; drop_data has the
                                        # positions of the segments that get lost

A wait is in milliseconds. A step ``write SIZE more`` has MSG_MORE.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from itertools import islice
from random import Random
from typing import Any, Final

from seglab.core.specfile import SpecTable, decode
from seglab.errors import InputError
from seglab.experiment.plan import SessionSpec
from seglab.experiment.reader import Reader
from seglab.experiment.readers import reader_of
from seglab.mail.message import MessageSpec
from seglab.networks.network import Network, parse
from seglab.sender.steps import SOCKET_OPTIONS, SetOption, SocketOption, Step, Wait, Write

NAME: Final = "schedule"
"""What the network, the sender and the scenario of a schedule's session are called."""

PLAIN: Final = Network(NAME, "the path of a schedule", "drawn")
"""The network that has what a schedule's own leaves out."""

WRITE_MAX_BYTES: Final = 1 << 20
STEPS_MAX: Final = 10_000

_WRITE = re.compile(r"write ([1-9]\d{0,7})( more)?", re.ASCII)
_WAIT = re.compile(r"wait (\d{1,6}(?:\.\d{1,3})?)", re.ASCII)
_SET = re.compile(rf"({'|'.join(SOCKET_OPTIONS)}) (on|off)", re.ASCII)
_OPTION_NAMES: Final[Mapping[str, SocketOption]] = {name: name for name in SOCKET_OPTIONS}
_EXPECTED_STEP: Final = (
    '"write SIZE", "write SIZE more", "wait MILLISECONDS", "cork on|off" or "nodelay on|off"'
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One session to carry out on both engines.

    Attributes:
        network: the path, and the client's TCP.
        steps: what the client's program does. The bytes of its writes are drawn (``payload``).
        nodelay: whether TCP_NODELAY is set from the beginning.
        reader: how the server reads.
        about: one line for people.
    """

    network: Network
    steps: tuple[Step, ...]
    nodelay: bool = False
    reader: Reader = field(default_factory=Reader)
    about: str = ""

    @property
    def payload_bytes(self) -> int:
        """How many bytes are written."""
        return sum(len(step.data) for step in self.steps if isinstance(step, Write))

    def session(self, name: str, seed: int) -> SessionSpec:
        """Return the session, for an engine.

        Args:
            name: becomes its id.
            seed: for what is drawn on the path, and in the hosts.
        """
        return SessionSpec(
            session_id=name,
            scenario=NAME,
            sender=NAME,
            variant="",
            parameters={},
            style="timed_writes",
            terminator=None,
            nodelay=self.nodelay,
            protocol="raw",
            network=self.network.name,
            path_condition=self.network.path_condition,
            reader=self.reader,
            repeat=0,
            seed=seed,
            message=MessageSpec(),
            message_seed=0,
        )


def written(size: int, *, more: bool = False) -> Write:
    """Return a write of that many bytes. Which bytes they are does not matter to TCP."""
    return Write(_BYTES[:size], more=more)


_BYTES: Final = Random(NAME).randbytes(WRITE_MAX_BYTES)


def step_text(step: Step) -> str:
    """Return a step as it stands in a schedule's file.

    Raises:
        ValueError: a schedule has no such step.
    """
    match step:
        case Write(data, payload=True, more=more):
            return f"write {len(data)}{' more' * more}"
        case Wait(seconds):
            return f"wait {seconds * 1000:.3f}".rstrip("0").rstrip(".")
        case SetOption(name, on):
            return f"{name} {'on' if on else 'off'}"
    raise ValueError(f"a schedule has no {step!r}")


def to_toml(schedule: Schedule) -> str:
    """Return a schedule as TOML: what ``from_toml`` reads."""
    lines = [f"about = {_value(schedule.about)}"] if schedule.about else []
    lines.append(f"nodelay = {_value(schedule.nodelay)}")
    lines.append("steps = [")
    texts = [_value(step_text(step)) for step in schedule.steps]
    lines += [f"    {line}" for line in _wrapped(texts)]
    lines.append("]")
    reader = list(_differing(schedule.reader, Reader()))
    if reader:
        lines += ["", "[reader]", *(f"{name} = {_value(value)}" for name, value in reader)]
    lines += ["", "[network]"]
    network, plain = schedule.network, PLAIN
    rows: list[tuple[str, Any]] = []
    tables: list[tuple[str, object, object]] = []
    for name, value in _differing(network, plain):
        if name in {"access", "core"}:
            link, like = getattr(network, name), getattr(plain, name)
            tables += [
                (f"links.{name}.{way}", getattr(link, way), getattr(like, way))
                for way in ("up", "down")
            ]
        elif is_dataclass(value):
            tables.append((name, value, getattr(plain, name)))
        elif name not in {"name", "title", "source", "path_condition"}:
            rows.append((name, value))
    lines += [f"{name} = {_value(value)}" for name, value in sorted(rows)]
    for name, one, like in tables:
        values = [f"{key} = {_value(value)}" for key, value in _differing(one, like)]
        if values:
            lines += ["", f"[network.{name}]", *values]
    return "\n".join(lines) + "\n"


def _differing(one: object, like: object) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a value that differ from those of another, which files leave out."""
    known: Iterable[Field[Any]] = fields(one)  # type: ignore[arg-type]
    for known_field in known:
        name = known_field.name
        value = getattr(one, name)
        if value != getattr(like, name, MISSING):
            yield name, value


def _wrapped(texts: list[str]) -> Iterator[str]:
    """Yield the texts with commas, eight in a line."""
    left = iter(texts)
    while row := list(islice(left, 8)):
        yield ", ".join(row) + ","


def _value(value: object) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if is_dataclass(value):
        pairs = [f"{f.name} = {_value(getattr(value, f.name))}" for f in fields(value)]
        return f"{{{', '.join(pairs)}}}"
    return repr(value)


def from_toml(data: bytes, where: str) -> Schedule:
    """Read a schedule.

    Raises:
        InputError: it is none; says where, what was expected and what was found.
    """
    table = SpecTable(where, decode(data, where))
    schedule = from_table(table)
    table.finish()
    return schedule


def from_table(table: SpecTable) -> Schedule:
    """Read a schedule from a table, which may hold more.

    Raises:
        InputError: as ``from_toml``.
    """
    listed = table.array("steps", "a list of steps")
    if not 1 <= len(listed) <= STEPS_MAX:
        raise table.problem("steps", f"1 to {STEPS_MAX} steps", len(listed))
    steps = tuple(_step(table, f"steps[{n}]", text) for n, text in enumerate(listed))
    if not any(isinstance(step, Write) for step in steps):
        raise table.problem("steps", "at least one write", "none")
    reader = table.table("reader")
    try:
        read = reader_of(dict(reader.items()))
    except ValueError as error:
        raise InputError(f"{table.where}: {error}") from error
    return Schedule(
        network=parse(NAME, table.table("network"), PLAIN),
        steps=steps,
        nodelay=table.boolean("nodelay", default=False),
        reader=read,
        about=table.text("about", default=""),
    )


def _step(table: SpecTable, key: str, text: object) -> Step:
    if isinstance(text, str):
        if (found := _WRITE.fullmatch(text)) and int(found[1]) <= WRITE_MAX_BYTES:
            return written(int(found[1]), more=bool(found[2]))
        if found := _WAIT.fullmatch(text):
            return Wait(float(found[1]) / 1000)
        if found := _SET.fullmatch(text):
            return SetOption(_OPTION_NAMES[found[1]], found[2] == "on")
    raise table.problem(key, _EXPECTED_STEP, text)
