"""Runs the unit tests in a copy of the checkout, at a path that is easily got wrong.

The path is long, and holds blanks and letters beyond ASCII: printed paths widen lines, and an
unquoted path falls apart. ``.ci/run`` calls this with the Python of the environment ``unit``::

    .tox/unit/bin/python tests/anywhere.py [ARGUMENTS OF PYTEST]
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

from checkout import copy_checkout

AWKWARD = "a folder whose name is long, with blanks and létters bèyond ASCII, ein gültiger Ordner"


def main() -> int:
    """Copy, run, and return pytest's exit code."""
    with TemporaryDirectory(prefix="seglab-anywhere-") as scratch:
        copy = copy_checkout(Path(scratch, AWKWARD, "seglab"), compiled=True)
        arguments = sys.argv[1:] or ["tests/unit", "--numprocesses", "auto", "--maxprocesses", "8"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy / "lab")},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
