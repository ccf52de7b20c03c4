"""Private namespaces for a lab: where it may be built, and how to start a process in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seglab.core import plugins
from seglab.errors import EnvironmentLacksError
from seglab.networks.network import Network

TOOLS = {
    "unshare": "util-linux",
    "mnexec": "mininet",
    "ifconfig": "net-tools",
    "ip": "iproute2",
    "ethtool": "ethtool",
}
"""Programs that a lab runs, and the Debian package that each comes in."""

FILTER_TOOLS = {"nft": "nftables"}
"""Likewise, what only a network needs whose router clamps the MSS or is a black hole."""

WAY_OUT = (
    "run it with sudo; or allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces=10000, and where it "
    "exists kernel.apparmor_restrict_unprivileged_userns=0); or use the Vagrant box (vagrant up)"
)
_PROBE_LIMIT_S = 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment() -> dict[str, str]:
    """The environment of a lab's processes: the user's, and where to find programs and modules.

    The system's sbin is on the path, and Python finds what this process finds.
    """
    return os.environ | {
        "PATH": f"{os.environ.get('PATH', '')}:{_PATH}",
        "PYTHONPATH": os.pathsep.join([str(plugins.PACKAGE.parent), *filter(None, sys.path)]),
        "LC_ALL": "C.UTF-8",
    }


def python_command(module: str) -> list[str]:
    """The command that runs a module of ours in ``environment()``, and is there soon.

    Without ``site`` (``-S``): its search for ``.pth`` files takes as long as the interpreter's
    own start, and an editable installation's finder as long again. Nothing is imported from the
    folder that the user happens to be in (``-P``).
    """
    return [sys.executable, "-S", "-P", "-m", module]


def missing_tools(tools: Iterable[str] = TOOLS) -> list[str]:
    """The names of programs that a lab needs and this machine lacks."""
    path = environment()["PATH"]
    return [tool for tool in tools if shutil.which(tool, path=path) is None]


def unshare_command(program: Sequence[str]) -> list[str]:
    """The command that runs ``program`` as process 1 of new namespaces.

    Network, mount and PID namespaces of its own; where the user is not root, a user namespace
    too, in which they are.
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
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    return [*command, "--", *program]


def check() -> None:
    """Make sure that a lab can be built here.

    Raises:
        EnvironmentLacksError: a program or a permission is missing.
    """
    if sys.platform != "linux":
        raise EnvironmentLacksError(
            f"the kernel engine needs Linux, this is {sys.platform}; use the Vagrant box"
        )
    _refuse_without(TOOLS)
    if problem := namespace_problem():
        raise EnvironmentLacksError(
            f"network namespaces are not allowed here ({problem}); {WAY_OUT}"
        )


def check_network(network: Network) -> None:
    """Make sure that this machine has what one network needs beyond ``check``.

    Raises:
        EnvironmentLacksError: a program is missing.
    """
    if network.router.filters:
        _refuse_without(FILTER_TOOLS, f"network {network.name}: ")


def _refuse_without(tools: Mapping[str, str], who: str = "") -> None:
    if missing := missing_tools(tools):
        packages = " ".join(sorted({tools[tool] for tool in missing}))
        raise EnvironmentLacksError(
            f"{who}{', '.join(missing)} not found; install with: "
            f"sudo apt-get install --no-install-recommends {packages}"
        )


def congestion_controls() -> str:
    """The congestion control algorithms that the kernel has at hand."""
    path = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    return ", ".join(path.read_text().split())


def namespace_problem() -> str | None:
    """Why the namespaces of a lab cannot be made here; ``None`` where they can."""
    probe = "mount -t sysfs sysfs /sys && ip link add seglab0 type veth peer name seglab1"
    try:
        result = subprocess.run(
            unshare_command(["sh", "-c", probe]),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_LIMIT_S,
            start_new_session=True,  # Ctrl-C, which a terminal sends to all, is not a refusal
        )
    except subprocess.TimeoutExpired:
        return f"unshare did not end within {_PROBE_LIMIT_S} s"
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines()
    return lines[-1] if lines else f"unshare ended with status {result.returncode}"


def network_namespace() -> int:
    """The inode number of the caller's network namespace: its identity."""
    return Path("/proc/self/ns/net").stat().st_ino
