"""An environment that holds seglab and its dependencies, away from the sources."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BUILDING = {"CFLAGS": "-O0", "PIP_NO_COMPILE": "1"}
"""What is compiled here need not be fast, and pip would compile thousands of modules, one after the
other; Python compiles those that it imports.
"""
LIMIT_S = 60
"""Each command ends within this time, even on a busy machine."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with seglab and its dependencies, and nothing else.

    Attributes:
        bin: the folder of its programs.
        wheel: the wheel, built from the source archive.
        checkout: a copy of the checkout, to be installed in editable form.
    """

    bin: Path
    wheel: Path
    checkout: Path

    def run(
        self, program: str, *arguments: str | Path, cwd: str | Path = "/"
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, with nothing of this environment around it."""
        environment = {
            "HOME": str(self.bin.parent),
            "LANG": "C.UTF-8",
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            # What is compiled once serves all later commands. It lies apart: pip does not remove
            # what Python compiles beside a module, and a folder that stays hides an editable
            # installation.
            "PYTHONPYCACHEPREFIX": str(self.bin.parent / "compiled"),
        }
        return subprocess.run(
            [self.bin / program, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def succeed(self, program: str, *arguments: str | Path, cwd: str | Path = "/") -> str:
        """Like ``run``; return what it printed, once it has been seen to exit with 0."""
        result = self.run(program, *arguments, cwd=cwd)
        said = f"{result.stdout}\n{result.stderr}"
        assert result.returncode == 0, f"{program} {' '.join(map(str, arguments))}\n{said}"
        return result.stdout

    def pip(self, *arguments: str | Path) -> None:
        """Run pip on the environment; it has the machine's own configuration and all the time."""
        call(*pip_on(self.bin / "python"), *arguments)


def pip_on(python: Path) -> list[str | Path]:
    """Return the command of the pip that is here, for the environment of another Python."""
    return [sys.executable, "-m", "pip", "--python", python]


def call(*command: str | Path) -> None:
    """Run a command from ``/``, and see it exit with 0."""
    result = subprocess.run(
        command, cwd="/", env=os.environ | BUILDING, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
