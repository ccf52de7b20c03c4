"""How seglab starts Python programs of its own: the command, the environment, and namespaces."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from seglab.core import plugins

CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "SYS_ADMIN": 21}
"""What root needs to make a lab without a user namespace, with the numbers of capabilities(7)."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment() -> dict[str, str]:
    """Return the environment of seglab's own processes.

    It is the user's own, with the system's sbin on the path, and with a PYTHONPATH by which they
    find the same modules as this process.
    """
    return os.environ | {
        "PATH": f"{os.environ.get('PATH', '')}:{_PATH}",
        "PYTHONPATH": os.pathsep.join([str(plugins.PACKAGE.parent), *filter(None, sys.path)]),
        "LC_ALL": "C.UTF-8",
    }


def python_command(module: str) -> list[str]:
    """Return the command that runs one of seglab's modules in ``environment()``, and starts soon.

    It leaves out ``site`` (``-S``), whose search for ``.pth`` files takes as long as the start of
    the interpreter, and an editable installation's finder as long again. It imports nothing from
    the folder that the user is in (``-P``).
    """
    return [sys.executable, "-S", "-P", "-m", module]


def lacking_capabilities() -> list[str]:
    """Return the names among ``CAPABILITIES`` that this process does not have."""
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
    except OSError:
        return []  # without /proc there is no lab; ``namespace_problem`` will say so
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return [name for name, number in CAPABILITIES.items() if not effective >> number & 1]


def unshare_command(program: Sequence[str]) -> list[str]:
    """Return the command that runs ``program`` as process 1 of new namespaces.

    The program gets new network, mount and PID namespaces. A user who is not root, or is root
    without ``CAPABILITIES``, also gets a user namespace, and is root in it with all of them.
    """
    command = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=SIGKILL",
        "--mount-proc",
    ]
    if os.geteuid() != 0 or lacking_capabilities():
        command += ["--user", "--map-root-user"]
    return [*command, "--", *program]
