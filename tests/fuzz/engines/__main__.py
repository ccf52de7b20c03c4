"""Fuzzes the two engines: ``python tests/fuzz/engines --seconds 600 --out FOLDER``."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[2]
if str(_TESTS) not in sys.path:
    sys.path.insert(0, str(_TESTS))

from fuzz.engines.running import main  # noqa: E402 - the folder comes first

if __name__ == "__main__":
    sys.exit(main())
