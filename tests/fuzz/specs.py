"""TOML of every sort: scenarios, networks, specifications of datasets, weights, known failures.

The first line of an input is a comment that says which of them it is. Most are shipped files,
changed as trees and written again, or changed as text.
"""

import json
import tomllib
from datetime import date, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

from dataset_making import SPEC

from fuzz.kind import Kind, Refusal, outcome
from fuzz.mutation import EDGES, changed_bytes, changed_text, changed_tree, scalar
from seglab.classification import weights
from seglab.core.specfile import SpecTable, decode
from seglab.dataset.estimate import estimate
from seglab.dataset.spec import parse_text
from seglab.experiment.plan import plan
from seglab.experiment.registry import parse_scenario
from seglab.networks import network
from seglab.regress import known

_ROOT = Path(__file__).resolve().parents[2]
_PLANNED = 200
_WORDS = (
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    '"""',
    "'''",
    "#",
    ".",
    ",",
    "0x",
    "1e",
    "inf",
    "nan",
)
_LITERALS = (
    *("0x" + "f" * 9000, "1" * 5000, "1e400", "-inf", "nan", "0b1", "1_0", "+0", "1979-05-27"),
    *(
        "1979-05-27T07:32:00Z",
        "07:32:00",
        '"\\u0007"',
        "[[[[]]]]",
        "{a.b.c = 1}",
        "'''\n'''",
        "[1, 'a']",
    ),
    *("{" + "a = {" * 40 + "}" * 41, "[" * 400 + "]" * 400, "a." * 40 + "a"),
)


@cache
def _good() -> tuple[tuple[str, str], ...]:
    """Return a sort and the text of each file that is at hand."""
    found = [("dataset", SPEC)]
    for sort, folder in (
        ("scenario", _ROOT / "scenarios"),
        ("network", _ROOT / "lab" / "seglab" / "networks"),
    ):
        found += [(sort, path.read_text()) for path in sorted(folder.glob("*.toml"))]
    for sort, path in (
        ("dataset", _ROOT / "examples" / "dataset.toml"),
        ("known", _ROOT / "examples" / "known.toml"),
        ("weights", _ROOT / "lab" / "seglab" / "classification" / "example.toml"),
    ):
        found += [(sort, path.read_text())] * 4
    return tuple(found)


def toml(value: Any, path: tuple[str, ...] = ()) -> str:
    """Return a tree as TOML: plain values first, then tables, each under its own heading."""
    plain, tables = [], []
    for key, one in value.items():
        if isinstance(one, dict) and len(path) < 3 and one:
            tables.append(f"[{_path((*path, key))}]\n{toml(one, (*path, key))}")
        elif isinstance(one, list) and one and all(isinstance(e, dict) and e for e in one):
            tables += [f"[[{_path((*path, key))}]]\n{toml(e, (*path, key))}" for e in one]
        elif one is not None:
            plain.append(f"{_key(key)} = {_inline(one)}\n")
    return "".join(plain + tables)


def _path(names: tuple[str, ...]) -> str:
    return ".".join(map(_key, names))


def _key(key: str) -> str:
    return key if key and key.isascii() and key.replace("_", "a").isalnum() else _inline(key)


def _inline(value: Any) -> str:  # noqa: PLR0911 - a case each
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if value is None:
        return '""'
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def _value(random: Random) -> Any:
    """Return a value for a key of these files."""
    return random.choice(
        (
            lambda: scalar(random),
            lambda: random.choice(EDGES),
            lambda: random.choice(
                ("all", "relay", "ethernet", "./x.py", "../x.toml", "/etc/shadow")
            ),
            lambda: random.choice((float("inf"), float("nan"), -1.0, 1e-9, date(2000, 1, 1))),
            lambda: [scalar(random) for _ in range(random.randint(0, 4))],
            lambda: {"name": "relay", "parameters": {"x": scalar(random)}},
        )
    )()


def make(random: Random) -> bytes:
    """Return a file of one sort, changed as a tree, as text or as bytes."""
    sort, text = random.choice(_good())
    if random.random() < 0.7:
        tree = tomllib.loads(text)
        changed = changed_tree(random, tree, _value, most=4)
        text = toml(changed) if isinstance(changed, dict) else _inline(changed)
    if random.random() < 0.3:
        text = changed_text(random, text, (*_WORDS, *_LITERALS))
    if random.random() < 0.1:
        text = text.replace("= ", f"= {random.choice(_LITERALS)} # ", random.randint(1, 2))
    data = f"# {sort}\n{text}".encode("utf-8", "surrogatepass")
    return changed_bytes(random, data, 2) if random.random() < 0.1 else data


def check(data: bytes) -> None:
    """A file is refused in one line, or what it says can be planned and estimated."""
    sort = data[2 : data.find(b"\n")].decode("latin-1")
    values = outcome(lambda: decode(data, "x.toml"))
    if isinstance(values, Refusal):
        return
    table = SpecTable("x.toml", values)
    if sort == "network":
        _use_network(outcome(lambda: network.parse("x", table)))
    elif sort == "dataset":
        spec = outcome(lambda: parse_text(data.decode(), "/nowhere/x.toml", "x.toml"))
        if not isinstance(spec, Refusal):
            outcome(lambda: estimate(spec, 2).words)
            for path in spec.networks:
                _use_network(path)
    elif sort == "weights":
        outcome(lambda: weights.parse(table))
    elif sort == "known":
        outcome(lambda: known.parse(values, "x.toml"))
    else:
        _use_scenario(outcome(lambda: parse_scenario("x", table)))


def _use_network(path: Any) -> None:
    if isinstance(path, Refusal):
        return
    assert 0 < path.mss < path.mtu
    assert path.round_trip_s >= 0
    assert path.estimate_s(5000) >= 0
    assert path.typical_condition
    list(islice(path.router.changes(), 100))


def _use_scenario(scenario: Any) -> None:
    if isinstance(scenario, Refusal):
        return
    outcome(scenario.check_size)
    for path in scenario.networks:
        _use_network(path)
    sizes = [count for _, count in scenario.variants()]
    if sum(sizes) * len(scenario.networks) <= _PLANNED:
        outcome(lambda: plan(scenario, 1))


TOML: Final = Kind("toml", "scenarios, networks, specifications, weights", make, check)
