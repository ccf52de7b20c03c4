"""Makes an independent seed for each part of a run that draws, from the seed of the run."""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """Make a 64-bit seed for the part ``names``, the same on every machine and Python.

    It depends on the run's seed and on the names only. The order in which sessions run, and how
    many run side by side, do not change it.
    """
    text = "\0".join((str(seed), *map(str, names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
