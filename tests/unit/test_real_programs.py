"""Mail programs as Debian 12 ships them: what `boundaries` makes of what they sent.

``data/real-programs.jsonl`` has a message a line: the sizes that tcpdump saw, at the receiver, over
loopback or between two network namespaces joined by veth, without offloads. ``style`` and
``terminator`` are the programs' own, from their system calls (strace) and their sources: ssmtp
2.64 and s-nail 14.9 write line by line, Perl's swaks through a buffer of 8192 bytes, Postfix's
smtp-source through one of 4096, Python's smtplib all at once, curl all and then the end of data.
"""

import json
import random
from pathlib import Path

import pytest

from seglab.classifiers.boundaries import classify
from seglab.core.observation import Observation

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data/real-programs.jsonl").read_text().splitlines()
]
PEOPLE = [
    pytest.param(case, id=f"{case['program']}, {case['link']}, {sum(case['observation']['sizes'])}")
    for case in CASES
]


def observed(case: dict, **changes: object) -> Observation:
    """The observation of a case."""
    return Observation.from_dict({"id": "x", "layer": "segments", **case["observation"], **changes})


@pytest.mark.parametrize("case", PEOPLE)
def test_a_program_is_known_by_its_writes(case):
    """The program's own style is named, and nothing is said of its end of data that is not so."""
    found = classify(observed(case))
    assert case["style"] in found.possible_styles
    assert case["terminator"] in (None, found.terminator) or found.terminator is None


@pytest.mark.parametrize("case", PEOPLE)
def test_no_path_changed(case):
    """Nothing happened to a path between two namespaces: it is steady, or its MSS is small."""
    assert classify(observed(case)).path_condition in ("steady", "small_mss")


@pytest.mark.parametrize("program", ["ssmtp", "s-nail"])
def test_lines_behind_nagle_are_lines_at_any_mtu(program):
    """A full segment, then the rest of the line that it cut: lines, and no other style."""
    shown = [c for c in CASES if c["program"] == program and len(c["observation"]["sizes"]) > 4]
    assert {case["link"] for case in shown} >= {"MTU 576", "MTU 1500"}
    assert [classify(observed(case)).styles for case in shown] == [("line_by_line",)] * len(shown)


@pytest.mark.parametrize(
    ("layer", "largest", "mss"),
    [
        ("segments", 1460, None),
        ("segments", 1448, 1448),
        ("segments", 16344, 16344),
        ("reads", 1460, None),
        ("reads", 60000, None),
        ("reads", 1448, 1448),
        ("reads", 5000, 1448),
        ("reads", 60000, 1448),
        ("reads", 16344, 16344),
    ],
)
def test_many_random_sizes_have_no_style(layer, largest, mss):
    """Twenty random sizes are nobody's writes: at most one message of twelve is named."""
    draw = random.Random(f"{layer} {largest} {mss}")
    named = [
        found.styles
        for _ in range(12)
        if (found := classify(random_sizes(draw, largest, layer, mss))).styles
    ]
    assert len(named) <= 1, named


def random_sizes(draw: random.Random, largest: int, layer: str, mss: int | None) -> Observation:
    """A message of twenty sizes that mean nothing."""
    sizes = tuple(draw.randint(1, largest) for _ in range(20))
    return Observation(id="x", sizes=sizes, layer=layer, mss=mss)
