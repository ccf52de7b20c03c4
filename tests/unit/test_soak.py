"""The soak of the server: what counts as flat, and what its report says is wrong."""

import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from soak import ROUND, Sample, Soak, judged

COUNT = 10 * ROUND


def soaked(growth_bytes: float = 0, descriptors: int = 8, mails: int = 7, **changes: Any) -> Soak:
    """A soak whose server grew by so many bytes with each connection."""
    found = Soak(1, 25, Namespace())
    found.done, found.accepted = COUNT, mails
    found.samples = [
        Sample(at, 23_000 + round(at * growth_bytes / 1024), 8, 1) for at in range(0, COUNT, 500)
    ]
    found.samples.append(found.samples[-1]._replace(connections=COUNT, descriptors=descriptors))
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("soak", "words"),
    [
        (soaked(), []),
        (soaked(growth_bytes=5), []),
        (soaked(growth_bytes=16), ["memory rises by 156 KiB in 10000 connections"]),
        (soaked(descriptors=9), ["9 descriptors, 8 at the start"]),
        (soaked(mails=8), ["7 mails in the log, 8 accepted"]),
        (soaked(failed=Counter(good=1)), ["clients failed: {'good': 1}"]),
        (
            soaked(done=COUNT - 1),
            ["100000 lines for 99999 connections", "99999 connections of 100000 in time"],
        ),
    ],
)
def test_what_a_soak_finds(soak: Soak, words: list[str]) -> None:
    """A leak of one small object a connection, and all that the log or the kernel says."""
    logged = Counter(lines=COUNT, mails=7, quit=COUNT)
    assert judged(soak, COUNT, logged)["faults"] == words


def test_a_peak_is_found() -> None:
    """Memory that came and went is a fault as well: the slope alone would not show it."""
    soak = soaked()
    middle = len(soak.samples) // 2
    soak.samples[middle] = soak.samples[middle]._replace(rss_kib=40_000)
    (fault,) = judged(soak, COUNT, Counter(lines=COUNT, mails=7))["faults"]
    assert fault == "memory rose to 40000 KiB, median 23000"
