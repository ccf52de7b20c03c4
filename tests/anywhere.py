"""Runs unit tests in a copy of the checkout, at a path that is easily got wrong.

The path is long, and holds blanks and letters beyond ASCII: printed paths widen lines, and an
unquoted path falls apart. ``.ci/run`` calls this with the Python of the tests' environment::

    .tox/tests/bin/python tests/anywhere.py [ARGUMENTS OF PYTEST]

Without arguments it runs the tests that can notice where the checkout lies. Those are the files
that start processes, run commands, change folders, or name files of the checkout. All others only
compute, and have passed elsewhere already.

In CI these tests run here and nowhere else: with ``SEGLAB_PATHS_LATER=1`` pytest leaves them out.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent / "helpers"))

from checkout import copy_checkout

AWKWARD = "a folder whose name is long, with blanks and létters bèyond ASCII, ein gültiger Ordner"

LOOKS_AT_PATHS = re.compile(
    r"\b(__file__|ROOT|DOCUMENTS|PROGRAM|subprocess|sys\.executable|sys\.argv|chdir|cli|examples"
    r"|plugins|registry|sender_path)\b"
)
"""What the source of a test says that can notice where the checkout lies."""


def looking_at_paths(tests: Path) -> list[str]:
    """The files of unit tests that can notice where the checkout lies, from the folder of tests."""
    files = sorted((tests / "unit").glob("test_*.py"))
    return [str(f.relative_to(tests)) for f in files if LOOKS_AT_PATHS.search(f.read_text("utf-8"))]


def main() -> int:
    """Copy, run, and return pytest's exit code."""
    with TemporaryDirectory(prefix="seglab-anywhere-") as scratch:
        copy = copy_checkout(Path(scratch, AWKWARD, "seglab"), compiled=True)
        workers = ["--numprocesses", "auto", "--dist", "worksteal"]
        files = [f"tests/{name}" for name in looking_at_paths(copy / "tests")]
        environment = os.environ | {"PYTHONPATH": str(copy / "lab")}
        environment.pop("SEGLAB_PATHS_LATER", None)
        arguments = sys.argv[1:] or [*files, *workers]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=copy,
            env=environment,
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
