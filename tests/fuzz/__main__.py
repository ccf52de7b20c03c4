"""Runs the fuzzers: ``python tests/fuzz --seconds 60``, or ``python -m tests.fuzz``."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
for _folder in (_TESTS, _TESTS / "unit", _TESTS / "helpers"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

from fuzz.runner import main  # noqa: E402 - the folders come first

if __name__ == "__main__":
    sys.exit(main())
