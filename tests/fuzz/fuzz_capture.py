"""Feeds hostile captures to the reader for as long as one likes.

    .venv/bin/python tests/fuzz/fuzz_capture.py [--minutes 10] [--seed 0]

It ends at the first failure, with the smallest capture that shows it, or after that time. The
property is the one that ``tests/unit/test_capture_hostile.py`` holds for a second or two.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from capture_mutations import check, hostile
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROUND = 2000


def round_of(number: int) -> None:
    """Some thousand examples from one seed."""

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(hostile(), st.integers(1, 3000), st.sampled_from(["smtp", "raw"]))
    def property_holds(data: bytes, size: int, protocol: str) -> None:
        check(data, size, protocol)

    property_holds()


def main() -> None:
    """Go from seed to seed until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun, number = time.monotonic(), options.seed
    while time.monotonic() - begun < 60 * options.minutes:
        round_of(number)
        number += 1
        seconds = time.monotonic() - begun
        examples = (number - options.seed) * ROUND
        print(f"{examples} captures in {seconds:.0f} s, seeds {options.seed} to {number - 1}")


if __name__ == "__main__":
    main()
