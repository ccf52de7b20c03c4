"""One seed for a run, and from it an independent one for each part that draws."""

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A 64-bit seed for the part called ``names``, the same on every machine and Python.

    The parts' seeds do not depend on the order in which sessions run, nor on how many run
    side by side: only on the run's seed and on the names.
    """
    text = "\0".join((str(seed), *map(str, names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
