"""``seglab doctor``: whether the lab runs on this machine, and how to get what is missing."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from seglab.core import compiling, launching, open_files
from seglab.core.text import count
from seglab.kernel import capacity, sandbox
from seglab.kernel.program import notification, tracing
from seglab.report.console import as_markup

MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """The result of one check of this machine.

    Attributes:
        name: what was checked.
        status: ``ok``; ``note``, where the lab runs nevertheless; or ``lacks``.
        found: what the check found.
        remedy: what the user can do about it; empty where there is nothing to do.
    """

    name: str
    status: str
    found: str
    remedy: str = ""


def checks() -> Iterator[MachineCheck]:
    """Check everything, in the order in which a user would fix it."""
    yield MachineCheck("operating system", *_system())
    yield MachineCheck("Python", "ok", platform.python_version())
    yield from _modules()
    yield _form("capture reader", compiling.CAPTURE, "reads captures twelve times slower")
    yield _form("simulator", compiling.SIMULATOR, "simulates two to three times slower")
    yield _form("text of mail", compiling.MAIL, "makes mail up to three times slower")
    for tool, package in (sandbox.TOOLS | sandbox.FILTER_TOOLS).items():
        path = shutil.which(tool, path=launching.environment()["PATH"])
        remedy = f"sudo apt-get install --no-install-recommends {package}"
        if path:
            yield MachineCheck(tool, "ok", path)
        elif tool in sandbox.TOOLS:
            yield MachineCheck(tool, "lacks", "not found", remedy)
        else:
            found = "not found; only routers that clamp the MSS and black holes need it"
            yield MachineCheck(tool, "note", found, remedy)
    if sys.platform == "linux":
        yield from _kernel()
    free = shutil.disk_usage(Path.cwd()).free
    status, remedy = (
        ("ok", "") if free >= MIN_FREE_BYTES else ("note", "give --out on a larger disk")
    )
    yield MachineCheck("free disk space", status, f"{free / 1e9:.1f} GB", remedy)
    cores = os.cpu_count() or 1
    yield MachineCheck(
        "processors",
        "ok" if cores > 1 else "note",
        str(cores),
        "" if cores > 1 else "reads merge more on one processor: compare with care",
    )


def _system() -> tuple[str, str, str]:
    found = f"{platform.system()} {platform.release()}"
    if sys.platform == "linux":
        return "ok", found, ""
    return (
        "lacks",
        found,
        (f"the kernel engine needs Linux; use the Vagrant box (vagrant up), {sandbox.SIMULATOR}"),
    )


def _modules() -> Iterator[MachineCheck]:
    for name in ("mininet", "msgspec", "pyarrow", "scipy", "matplotlib"):
        if find_spec(name) is None:
            yield MachineCheck(name, "lacks", "not installed", "./bootstrap.sh install")
        else:
            yield MachineCheck(name, "ok", version(name))


def _form(name: str, modules: compiling.Compiled, costs: str) -> MachineCheck:
    """Check whether modules run as compiled, and say how to get that."""
    slow = f"in Python, which {costs}"
    match compiling.state(modules):
        case "compiled":
            return MachineCheck(name, "ok", "compiled")
        case "unwanted":
            found = f"{slow}: {compiling.PURE_PYTHON}=1 is set"
            return MachineCheck(name, "note", found, f"unset {compiling.PURE_PYTHON}")
        case "outdated":
            found = f"{slow}: what is compiled is of other sources"
            remedy = "in the checkout: python setup.py build_ext --inplace (with Cython)"
            return MachineCheck(name, "note", found, remedy)
    remedy = "install a C compiler and Python's headers (gcc, python3-dev), then seglab again"
    return MachineCheck(name, "note", f"{slow}: nothing is compiled", remedy)


def _kernel() -> Iterator[MachineCheck]:
    lacking = " and ".join(f"CAP_{name}" for name in launching.lacking_capabilities())
    who = "without root" if os.geteuid() else f"as root without {lacking}" if lacking else "as root"
    how = ", in a user namespace" if lacking else ""
    if sandbox.missing_tools():
        yield MachineCheck(
            "network namespaces", "lacks", "cannot be tried", "install what is missing above"
        )
    elif problem := sandbox.namespace_problem():
        yield MachineCheck(
            "network namespaces", "lacks", f"refused {who}: {problem}", sandbox.way_out()
        )
    else:
        yield MachineCheck("network namespaces", "ok", f"allowed {who}{how}")
    if (problem := tracing.problem()) and (reason := notification.problem()):
        remedy = "only seglab try needs it; everything else runs"
        yield MachineCheck("recording of programs", "note", f"{problem}; nor: {reason}", remedy)
    elif problem:
        words = "by notification of their calls; as root, by the kernel's trace events"
        yield MachineCheck("recording of programs", "ok", words)
    else:
        yield MachineCheck("recording of programs", "ok", "by the kernel's trace events")
    limit = open_files.raise_limit(capacity.FILES_WANTED)
    words = f"{limit}, which is room for {count(capacity.sessions_at_once(), 'session')} in a lab"
    if limit < capacity.FILES_MIN:
        found = f"{limit}, and a lab needs {capacity.FILES_MIN}"
        yield MachineCheck("limit of open files", "lacks", found, capacity.RAISE_FILES)
    elif limit < capacity.FILES_WANTED:
        yield MachineCheck("limit of open files", "note", words, capacity.RAISE_FILES)
    else:
        yield MachineCheck("limit of open files", "ok", words)
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    yield MachineCheck("congestion control", "ok", " ".join(available))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as a JSON list.")
def doctor(as_json: bool) -> int:
    """Check whether the lab can run on this machine.

    Looks for Linux, the Python packages, the programs and the network namespaces that the kernel
    engine needs, and prints for each what it found and how to get what is missing. Reading runs,
    captures, logs and datasets needs none of the programs.

    Exit code 0: the lab runs here; 3: something is missing, and the table says how to get it.
    """
    results = list(checks())
    if as_json:
        click.echo(json.dumps([asdict(check) for check in results], indent=2))
    else:
        _print(results)
    return 3 if any(check.status == "lacks" for check in results) else 0


def _print(results: list[MachineCheck]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    marks = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "lacks": "[red]lacks[/]"}
    for check in results:
        table.add_row(
            marks[check.status], check.name, as_markup(check.found), as_markup(check.remedy)
        )
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    lacking = [check.name for check in results if check.status == "lacks"]
    console.print(
        f"The lab cannot run here yet: {', '.join(lacking)}." if lacking else "The lab runs here."
    )
