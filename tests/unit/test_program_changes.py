"""What counts as a difference between two versions of a program."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from synthetic import simulated

from seglab.core.record import SessionRecord
from seglab.core.trace import SocketOption, Write, WriteCall
from seglab.report.program_aspects import ASPECTS, Value, words
from seglab.report.program_changes import (
    Change,
    Judgement,
    changes,
    judge,
    least_p,
    permutation_p,
)
from seglab.report.tried import Comparison, Tried, TriedSession
from seglab.report.tried_junit import to_junit

BY_NAME = {aspect.name: aspect for aspect in ASPECTS}
A, B, C = ("1440", "560"), ("2000",), ("1440", "500", "60")


def judgement(name: str, before: list[Value], now: list[Value], limit: float = 0.01) -> Judgement:
    """The judgement alone."""
    return judge(BY_NAME[name], before, now, limit)[0]


@pytest.mark.parametrize(
    ("name", "before", "now", "expected"),
    [
        ("writes", [A], [A, A], "same"),
        ("writes", [A], [B, B], "differs"),
        ("writes", [A, A], [B, B], "differs"),
        # Only lengths differ, as a Message-ID of another length makes them.
        ("writes", [("2000",)], [("2001",), ("2001",)], "untold"),
        ("writes", [("2000",)] * 3, [("2001",)] * 3, "differs"),
        ("writes", [("2000",), ("2001",)], [("2002",), ("2003",)], "untold"),
        ("writes", [(str(n),) for n in range(9)], [(str(n),) for n in range(20, 29)], "varies"),
        # Each length is another one, but now there is a second write.
        ("writes", [("2000",), ("2001",)], [("1998", "5"), ("1997", "5")], "differs"),
        ("options", [("set TCP_NODELAY=1",)], [("set TCP_NODELAY=0",)] * 2, "differs"),
        ("options", [()], [("set TCP_CORK=1",)] * 2, "differs"),
        ("dialogue", [("EHLO a",)], [("HELO a",)], "differs"),
        ("outcome", [("complete", "exit code 0")], [("complete", "exit code 1")] * 2, "differs"),
        # What the wire shows also depends on when things happened.
        ("segments", [A], [B, B], "untold"),
        ("reads", [A] * 5, [B] * 5, "differs"),
        ("reads", [A] * 4, [B] * 4, "untold"),
        ("reads", [A, B, A, B, A], [B, A, B, B, A], "varies"),
        ("segments", [A] * 9 + [B], [A] * 8 + [C] * 2, "varies"),
        ("reads", [A, A, B], [B, B], "varies"),
    ],
)
def test_judgements(name: str, before: list[Value], now: list[Value], expected: str) -> None:
    """Only what the sessions of one run do not show by themselves is a difference."""
    assert judgement(name, before, now) == expected
    assert judgement(name, now, before) == expected


def test_p_is_the_share_of_deals() -> None:
    """Of the 20 ways to deal six sessions to two runs of three, two part A from B."""
    assert permutation_p([A] * 3, [B] * 3) == pytest.approx(2 / 20)
    assert least_p(3, 3) == pytest.approx(2 / 20)
    assert least_p(2, 4) == pytest.approx(1 / 15)
    assert permutation_p([A] * 3, [A] * 3) == 1
    assert permutation_p([(str(n),) for n in range(4)], [(str(n),) for n in range(4, 9)]) == 1
    assert permutation_p([A] * 30, [B] * 30) < 0.001
    assert permutation_p([A, B] * 15, [B, A] * 15) > 0.5


def test_the_share_of_false_findings() -> None:
    """Runs that draw from one distribution are hardly ever said to differ."""
    draw = random.Random(5)
    found = 0
    for _ in range(300):
        before = [draw.choice([A, A, B, C]) for _ in range(6)]
        now = [draw.choice([A, A, B, C]) for _ in range(6)]
        found += judgement("segments", before, now) == "differs"
    assert found <= 9  # 3 expected at most, and 10 or more have a probability of 0.1 %


def program(**given: Any) -> SessionRecord:
    """A session of a program over PPPoE, complete unless asked for otherwise."""
    plain = {"kind": "program", "exit_code": 0, "message": "text", "network": "pppoe"}
    return replace(simulated(1), **(plain | given))


def test_the_aspects_of_a_session() -> None:
    """Each is read from the row; flags have names, and addresses are none of it."""
    record = program(
        writes=(Write(0, 0, 700), Write(9, 700, 720)),
        calls=(
            WriteCall(0, "sendto", 0, 700, 700, 700, 0xC000),
            WriteCall(9, "write", 700, 700, 20, -11, None),
            WriteCall(9, "write", 700, 712, 20, 12, None),
            WriteCall(9, "write", 712, 720, 8, 8, None),
        ),
        options=(SocketOption(0, "TCP_CORK", "set", 1), SocketOption(1, "TCP_MAXSEG", "get")),
        dialogue=("EHLO a", "MAIL FROM:<a@b.c>\nRCPT TO:<d@e.f>\nDATA"),
    )
    read = {name: aspect.read(record) for name, aspect in BY_NAME.items()}
    assert read["calls"] == ("sendto MSG_NOSIGNAL MSG_MORE", "write")
    assert read["options"] == ("set TCP_CORK=1", "get TCP_MAXSEG")
    assert read["writes"] == ("700", "20")
    assert read["outcome"] == ("complete", "exit code 0")
    assert words(read["dialogue"]) == ("EHLO a, MAIL FROM:<a@b.c> | RCPT TO:<d@e.f> | DATA")
    assert words(("1440", "1440", "5")) == "1440 x2, 5"
    assert words(("1440", "1440", "5", "6", "7"), 2) == "1440 x2, 5, ... (5 in all)"
    failed = replace(record, status="failed", exit_code=None, error="tried 10.64.0.7 port 587")
    assert BY_NAME["outcome"].read(failed) == (
        "failed", "still running", "tried HOST port 587",
    )  # fmt: skip


def test_cells() -> None:
    """Sessions meet by network and message; one that failed is compared by its outcome alone."""
    before = [program(), program(network="gprs")]
    now = [program(status="failed", error="x"), program(network="ethernet")]
    found = changes(before, now)
    assert [(c.network, c.aspect.name, c.judgement) for c in found] == [
        ("pppoe", "outcome", "differs")
    ]
    same = changes(before, [program(message="html"), *before])
    assert {c.judgement for c in same} == {"same"}
    assert {(c.network, c.message) for c in same} == {("pppoe", "text"), ("gprs", "text")}


def test_junit() -> None:
    """What differs is a failure, what cannot be told is skipped, and so is what had to fail."""
    compared = Comparison(
        reference=Path("runs/a"),
        command=["a"],
        settings=(),
        changes=(
            Change("pppoe", "text", BY_NAME["writes"], Counter([A]), Counter([B, B]), "differs"),
            Change("pppoe", "text", BY_NAME["reads"], Counter([A]), Counter([B]), "untold", 0.5),
            Change("pppoe", "text", BY_NAME["calls"], Counter([A]), Counter([A]), "same"),
        ),
        only_before=(),
        only_now=(),
    )
    failed = program(session_id="b", status="failed", error="it failed", output="bad\x1b")
    hole = program(session_id="c", status="failed", error="time limit reached")
    sessions = tuple(TriedSession(one, None) for one in (program(), failed, hole))
    path = compared.reference
    result = Tried(path, path, "a", ["a"], sessions, frozenset({"c"}), compared)
    assert result.findings
    root = ElementTree.fromstring(to_junit(result))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6", "failures": "2", "errors": "0", "skipped": "2",
    }  # fmt: skip
    messages = [one.get("message") for one in root.iter("failure")]
    assert messages == ["it failed", "before: 1440, 560; now: 2000"]
    assert not replace(result, comparison=None, sessions=sessions[::2]).findings
