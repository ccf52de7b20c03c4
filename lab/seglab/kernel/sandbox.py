"""The private namespaces of a lab: whether they can be made here, and what else a lab needs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from seglab.core.launching import environment, lacking_capabilities, unshare_command
from seglab.errors import EnvironmentLacksError
from seglab.networks.network import Network

TOOLS = {
    "unshare": "util-linux",
    "mnexec": "mininet",
    "ifconfig": "net-tools",
    "ip": "iproute2",
    "ethtool": "ethtool",
}
"""The programs that every lab runs, with the Debian package of each."""

FILTER_TOOLS = {"nft": "nftables"}
"""The programs of a lab whose router clamps the MSS or is a black hole, with their packages."""

_ALLOW_USER_NAMESPACES = (
    "allow user namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces=10000, and where it "
    "exists kernel.apparmor_restrict_unprivileged_userns=0)"
)
SIMULATOR: Final = "or simulate the same sessions on any machine with --engine simulator"
"""What else a user can do who has no lab."""

_ELSEWHERE = f"or use the Vagrant box (vagrant up); {SIMULATOR}"
_PROBE_LIMIT_S = 20


def missing_tools(tools: Iterable[str] = TOOLS) -> list[str]:
    """Return the names of the programs among ``tools`` that this machine lacks."""
    path = environment()["PATH"]
    return [tool for tool in tools if shutil.which(tool, path=path) is None]


def way_out() -> str:
    """Return what the user can do where the namespaces of a lab are refused."""
    if os.geteuid() != 0:
        return f"run it with sudo; or {_ALLOW_USER_NAMESPACES}; {_ELSEWHERE}"
    if lacking := lacking_capabilities():
        options = " ".join(f"--cap-add {name}" for name in lacking)
        return (
            f"this root lacks {' and '.join(f'CAP_{name}' for name in lacking)}, as in a "
            f"container: start the container with {options}, and where it has AppArmor with "
            f"--security-opt apparmor=unconfined; or {_ALLOW_USER_NAMESPACES}; {_ELSEWHERE}"
        )
    return (
        "this root has the capabilities, so a limit (sysctl user.max_net_namespaces, "
        "user.max_mnt_namespaces, user.max_pid_namespaces) or a security module (seccomp, "
        f"AppArmor, SELinux) of this system forbids it: allow it there; {_ELSEWHERE}"
    )


def check() -> None:
    """Make sure that a lab can be built here.

    Raises:
        EnvironmentLacksError: a program or a permission is missing.
    """
    if sys.platform != "linux":
        raise EnvironmentLacksError(
            f"the kernel engine needs Linux, this is {sys.platform}; "
            f"use the Vagrant box, {SIMULATOR}"
        )
    _refuse_without(TOOLS)
    if problem := namespace_problem():
        raise EnvironmentLacksError(
            f"network namespaces are not allowed here ({problem}); {way_out()}"
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
            f"sudo apt-get install --no-install-recommends {packages}; {SIMULATOR}"
        )


def congestion_controls() -> str:
    """Return the names of the congestion control algorithms that the kernel has ready."""
    path = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    return ", ".join(path.read_text().split())


def namespace_problem() -> str | None:
    """Return why the namespaces of a lab cannot be made here; ``None`` where they can."""
    probe = "mount -t sysfs sysfs /sys && ip link add seglab0 type veth peer name seglab1"
    try:
        while (result := _probed(probe)).returncode == -signal.SIGINT:
            pass  # a Ctrl-C, which a terminal sends to all, came before it had its own session
    except subprocess.TimeoutExpired:
        return f"unshare did not end within {_PROBE_LIMIT_S} s"
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines()
    return lines[-1] if lines else f"unshare ended with status {result.returncode}"


def _probed(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        unshare_command(["sh", "-c", command]),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_PROBE_LIMIT_S,
        start_new_session=True,
    )


def network_namespace() -> int:
    """Return the inode number of the caller's network namespace, which identifies it."""
    return Path("/proc/self/ns/net").stat().st_ino
