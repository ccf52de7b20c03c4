"""Limits and readers: what they accept, and how they say what they don't."""

import resource
from typing import Any

import pytest

from seglab.experiment.reader import Reader
from seglab.server.limits import Limits
from seglab.server.listening import Listener
from seglab.server.process import raise_descriptor_limit


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        ({"conections": 1}, "did you mean 'connections'"),
        ({"connections": 0}, "connections"),
        ({"connections": 1.5}, "connections"),
        ({"connections": True}, "connections"),
        ({"message_bytes": "10M"}, "message_bytes"),
        ({"idle_s": -1}, "idle_s"),
        ({"session_s": float("nan")}, "session_s"),
        ({"command_line_bytes": 8}, "command_line_bytes"),
    ],
)
def test_limits_name_the_bad_field(mapping: dict[str, Any], named: str) -> None:
    """A limit that cannot be used is named, a misspelt one gets the nearest name."""
    with pytest.raises(ValueError, match=named):
        Limits.from_mapping(mapping)


def test_limits_by_name() -> None:
    """Named limits are set, the others keep their defaults."""
    assert Limits.from_mapping({"idle_s": 2}) == Limits(idle_s=2)


@pytest.mark.parametrize(
    ("mapping", "named"),
    [
        ({"kind": "event_loop"}, "did you mean 'event-loop'"),
        ({"buffer_bytes": 0}, "buffer_bytes"),
        ({"buffer_bytes": 1e6}, "buffer_bytes"),
        ({"turn_us": -1}, "turn_us"),
        ({"kind": "recv-loop", "turn_us": 5}, "turn_us"),
        ({"buffer": 10}, "did you mean 'buffer_bytes'"),
    ],
)
def test_reader_names_the_bad_field(mapping: dict[str, Any], named: str) -> None:
    """A reader that makes no sense is refused with the name of the field."""
    with pytest.raises(ValueError, match=named):
        Reader.from_mapping(mapping)


def test_reader_reads_as_libuv_by_default() -> None:
    """Libuv's suggested buffer is 64 KiB."""
    assert Reader.from_mapping({}) == Reader("event-loop", 64 * 1024)


@pytest.mark.parametrize(("field", "value"), [("port", 65536), ("protocol", "lmtp")])
def test_listener_names_the_bad_field(field: str, value: object) -> None:
    """A listener that makes no sense is refused with the name of the field."""
    with pytest.raises(ValueError, match=field):
        Listener(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "wanted", "soft", "allowed"),
    [
        ((1024, 4096), 1000, 1032, 1000),
        ((1024, 4096), 100, 1024, 100),
        ((1024, 2000), 5000, 2000, 1968),
        ((1024, resource.RLIM_INFINITY), 5000, 5032, 5000),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 5000, resource.RLIM_INFINITY, 5000),
    ],
)
def test_descriptor_limit(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    wanted: int,
    soft: int,
    allowed: int,
) -> None:
    """The soft limit rises to what the connections need, never above the hard one."""
    in_force = list(limits)
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(in_force))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: in_force.__setitem__(0, pair[0]))
    assert raise_descriptor_limit(wanted) == allowed
    assert in_force[0] == soft
