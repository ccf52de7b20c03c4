"""What the benchmarks share: where we are, and how to compare two things on a busy machine."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def unshared() -> list[str]:
    """The command's beginning that starts a program in private namespaces, root or not."""
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return command if os.geteuid() == 0 else [*command, "--user", "--map-root-user"]


def environment() -> dict[str, str]:
    """The environment for programs of sbin and for modules of this work tree."""
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}


def machine() -> dict[str, Any]:
    """What a number cannot be read without."""
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "processors": len(os.sched_getaffinity(0)),
        "load_1_min": round(os.getloadavg()[0], 2),
    }


def machine_line(found: dict[str, Any]) -> str:
    """The same in one line."""
    return (
        f"Linux {found['kernel']}, Python {found['python']}, {found['processors']} processors, "
        f"load {found['load_1_min']} at the start"
    )


def processor_s() -> float:
    """Processor time of this process and of all below it that live, or were waited for."""
    times: dict[int, tuple[int, int]] = {}
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if folder.name.isdecimal():
            times[int(folder.name)] = int(stat[1]), sum(map(int, stat[11:15]))
    family, grown = {os.getpid()}, 0
    while len(family) != grown:
        grown = len(family)
        family |= {pid for pid, (parent, _) in times.items() if parent in family}
    return sum(times[pid][1] for pid in family) / os.sysconf("SC_CLK_TCK")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and extremes."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Ours over theirs, pair by pair: what slows the machine for a while slows both."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])
