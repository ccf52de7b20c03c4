"""The rules of the simulator's TCP, and how often sessions exercise each of them.

Theory of operation
-------------------
A *rule* is a function of the simulator that models a function of Linux, or a part of an RFC: the
docstring names it. So the list of rules is read from the source, and cannot fall behind it. The
functions that name nothing are parts of the rules that call them. They are listed as well, with no
citation.

``RuleCounter`` watches a process with ``sys.settrace`` while it carries out sessions. It counts the
calls of each rule, the sessions that called it, and which lines of it never ran. A rule that was
called may still have a branch that no session took, and the lines show that branch.

    with RuleCounter() as counter:
        for spec, network in planned:
            with counter.session():
                one_session(spec, network, 60, None)
    counter.exercised()

``exercised_by`` does that.

Nothing in the simulator knows of this, and it costs nothing while no counter is at work. Tracing
needs the Python form of the modules: compiled code reports no lines.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, Self

from seglab.engine.base import Planned
from seglab.simulator.worker import one_session

MODULES: Final = (
    "acknowledging", "acks", "byte_window", "congestion", "cubic", "endpoint", "handshake", "marks",
    "mss", "nagle", "output", "path", "probing", "rack", "receive", "recovery", "resend", "rtt",
    "state", "timers", "transmit", "window", "writing",
)  # fmt: skip
"""The modules of ``seglab.simulator`` that hold rules."""

_CITATION: Final = re.compile(
    r"``(_*(?:tcp|sk|reqsk|rt6|ip|cubictcp|bictcp|hystart|tso|retransmits|packet)\w*_\w+"
    r"|ssthresh|undo_cwnd|cong_avoid|SIOCOUTQ)``|\b(RFC \d+)"
)
_NO_RULES: Final = ("__init__", "__repr__")


@dataclass(frozen=True, slots=True)
class Rule:
    """A function of the simulator's TCP.

    Attributes:
        name: its module and qualified name, such as ``nagle.nagle``.
        cites: the kernel's functions and the RFCs that its docstring names, in order.
        summary: the docstring's first line; empty where there is none.
        first_line: where it begins in its module.
        lines: the numbers of the lines with code.
    """

    name: str
    cites: tuple[str, ...]
    summary: str
    first_line: int
    lines: frozenset[int]

    @property
    def module(self) -> str:
        """The name of its module in ``seglab.simulator``."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Exercised:
    """How often sessions exercised a rule.

    Attributes:
        rule: the rule.
        sessions: how many sessions called it.
        calls: how often they did.
        missed: the numbers of its lines that never ran.
    """

    rule: Rule
    sessions: int
    calls: int
    missed: tuple[int, ...]


@cache
def source(module: str) -> tuple[str, ...]:
    """Return the lines of a module of the simulator."""
    return tuple(_path(module).read_text("utf-8").splitlines())


@cache
def rules() -> tuple[Rule, ...]:
    """Return all rules, by their modules and their places there."""
    return tuple(rule for module in MODULES for rule in _rules_of(module))


def _path(module: str) -> Path:
    """The Python file of a module, also where a compiled form lies beside it."""
    package = find_spec("seglab.simulator")
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0], f"{module}.py")


def _rules_of(module: str) -> Iterator[Rule]:
    path = _path(module)
    text = path.read_text("utf-8")
    docs: dict[int, str] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            docs[first] = ast.get_docstring(node) or ""
    codes = _functions(compile(text, str(path), "exec"))
    for code in sorted(codes, key=lambda code: code.co_firstlineno):
        if code.co_name in _NO_RULES or code.co_firstlineno not in docs:
            continue
        doc = docs[code.co_firstlineno]
        cites = tuple(dict.fromkeys(a or b for a, b in _CITATION.findall(doc)))
        yield Rule(
            f"{module}.{code.co_qualname}",
            cites,
            doc.partition("\n")[0],
            code.co_firstlineno,
            _lines(code),
        )


def _functions(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name.isidentifier():
                yield constant
            if not constant.co_flags & 0x0001:  # CO_OPTIMIZED: a function, and not a class
                yield from _functions(constant)


def _lines(code: CodeType) -> frozenset[int]:
    """The lines that a tracer sees when the whole function runs."""
    found = {line for _, _, line in code.co_lines() if line is not None}
    return frozenset(found - {code.co_firstlineno} or found)


@dataclass(slots=True)
class _Count:
    """What is known of a rule so far; ``left`` are its lines that have not run."""

    rule: Rule
    left: set[int]
    sessions: int = 0
    calls: int = 0
    session: int = 0


@dataclass(slots=True)
class RuleCounter:
    """Counts what this thread exercises, as a context manager; another tracer waits meanwhile."""

    _counts: dict[tuple[str, int], _Count] = field(default_factory=dict)
    _by_code: dict[CodeType, _Count | None] = field(default_factory=dict)
    _session: int = 0
    _before: Any = None

    def __post_init__(self) -> None:
        for rule in rules():
            key = str(_path(rule.module)), rule.first_line
            self._counts[key] = _Count(rule, set(rule.lines))

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._on_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Mark what belongs to one session."""
        self._session += 1
        yield

    def exercised(self) -> tuple[Exercised, ...]:
        """Return how often each rule was exercised so far, in the order of ``rules``."""
        return tuple(
            Exercised(one.rule, one.sessions, one.calls, tuple(sorted(one.left)))
            for one in self._counts.values()
        )

    def _on_call(self, frame: FrameType, _event: str, _argument: object) -> Any:
        code = frame.f_code
        try:
            count = self._by_code[code]
        except KeyError:
            count = self._by_code[code] = self._counts.get((code.co_filename, code.co_firstlineno))
        if count is None:
            return None
        count.calls += 1
        if count.session != self._session or not count.sessions:
            count.session = self._session
            count.sessions += 1
        left = count.left
        if not left:
            return None

        def on_line(frame: FrameType, event: str, _argument: object) -> Any:
            if event == "line":
                left.discard(frame.f_lineno)
            return on_line if left else None

        return on_line


def exercised_by(planned: Iterable[Planned], time_limit_s: float) -> tuple[Exercised, ...]:
    """Carry sessions out on the simulator, and count which rules they exercise.

    Args:
        planned: the sessions.
        time_limit_s: how long one of them may take, in virtual time.
    """
    with RuleCounter() as counter:
        for spec, network in planned:
            with counter.session():
                one_session(spec, network, time_limit_s, None)
    return counter.exercised()


def merged(parts: Iterable[Sequence[Exercised]]) -> tuple[Exercised, ...]:
    """Return what several counters found together, for instance those of several processes."""
    found: dict[str, Exercised] = {}
    for part in parts:
        for one in part:
            other = found.get(one.rule.name, one)
            both = other is not one
            found[one.rule.name] = Exercised(
                one.rule,
                one.sessions + both * other.sessions,
                one.calls + both * other.calls,
                tuple(sorted({*one.missed} & {*other.missed})),
            )
    return tuple(found.values())


def never_exercised(found: Sequence[Exercised]) -> tuple[Rule, ...]:
    """Return the rules with a citation that no session called."""
    return tuple(one.rule for one in found if one.rule.cites and not one.calls)


def missed_lines(found: Sequence[Exercised]) -> Mapping[str, tuple[str, ...]]:
    """Return, by a rule's name, the text of its lines that never ran though the rule was called."""
    return {
        one.rule.name: tuple(
            f"{one.rule.module}.py:{number}: {source(one.rule.module)[number - 1].strip()}"
            for number in one.missed
        )
        for one in found
        if one.calls and one.missed
    }
