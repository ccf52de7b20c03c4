"""The parent's side of a trace instance: the process that makes and removes it, and its rights."""

import json
import os
import subprocess
from typing import IO, Self

from seglab.core import launching
from seglab.errors import EnvironmentLacksError


class TraceInstance:
    """A trace instance for one lab.

    Args:
        log: a file for what its process prints.

    Attributes:
        name: of the instance.

    Raises:
        EnvironmentLacksError: this machine does not let the lab record programs.
    """

    def __init__(self, log: IO[bytes] | int = subprocess.DEVNULL) -> None:
        self._process = subprocess.Popen(
            launching.python_command("seglab.kernel.program.instance"),
            env=launching.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"lacks": "the process that makes it ended"}
        if reason := answer.get("lacks"):
            self.remove()
            raise EnvironmentLacksError(f"programs cannot be recorded: {reason}")
        self.name: str = answer["instance"]

    def remove(self) -> None:
        """Have the instance removed, and wait for that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    @classmethod
    def made(cls, log: IO[bytes] | int = subprocess.DEVNULL) -> Self:
        """Make an instance, if this process has the rights for it.

        Raises:
            EnvironmentLacksError: it has not, or this machine does not let the lab record programs.
        """
        check()
        return cls(log)


def check() -> None:
    """Make sure that programs can be recorded here, as far as rights go.

    Raises:
        EnvironmentLacksError: this process is not root, or lacks a capability.
    """
    if os.geteuid() != 0 or (lacking := launching.lacking_capabilities()):
        who = "this user is not root" if os.geteuid() != 0 else f"this root lacks {lacking}"
        raise EnvironmentLacksError(
            f"what a program writes or reads is recorded by the kernel's tracing, and {who}: run "
            "seglab with sudo, or in a virtual machine of which you are root"
        )


def problem() -> str | None:
    """Return why the kernel's tracing cannot record programs here; ``None`` where it can."""
    try:
        TraceInstance.made().remove()
    except EnvironmentLacksError as error:
        return str(error)
    return None
