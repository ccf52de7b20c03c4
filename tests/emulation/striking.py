"""Sessions for tests of faults, and what halts the processes of a lab for a while."""

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from commanding import Seglab

from seglab.core import plugins
from seglab.experiment import plan as plan_
from seglab.experiment import registry
from seglab.experiment.plan import SessionSpec
from seglab.kernel.lab import KernelLab
from seglab.networks.network import Network


def planned(
    sessions: int, scenario: str | Path = "scenario-1", client: str = "kernel"
) -> list[tuple[SessionSpec, Network]]:
    """Sessions to run, by the kernel's TCP or by the simulator's as the client's."""
    what = registry.scenario(scenario)
    specs = plan_.plan(what, seed=5, sessions=sessions)
    found = [(spec, what.network(spec.network)) for spec in specs if not spec.variant]
    return found if client == "kernel" else [(spec, modelled(path)) for spec, path in found]


def modelled(network: Network) -> Network:
    """The same path, whose client has the simulator's TCP."""
    return replace(network, client=replace(network.client, tcp="simulator"))


def same_path(folder: Path, client: str) -> str:
    """The scenario of ``planned``, for a command: its name, or a file for another client."""
    if client == "kernel":
        return "scenario-1"
    text = (plugins.shipped("scenarios") / "scenario-1.toml").read_text()
    own = '[[network]]\nname = "own"\nlike = "vb2014"\ntitle = "t"\nclient.tcp = "simulator"\n'
    file = folder / "scenario-one.toml"
    file.write_text(text.replace('published = "scenarios.1"\nnetworks = ["vb2014"]\n', "") + own)
    return str(file)


def child_of(pid: int) -> int:
    """The one child of a process."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def stop(lab: KernelLab, part: str, number: int = signal.SIGSTOP) -> None:
    """Halt a part, as a machine does that has no more memory; or let it continue."""
    assert lab._process is not None
    init = child_of(lab._process.pid)
    order = {"wire": 0, "server": 1, "client": 2}[part]
    children = Path(f"/proc/{init}/task/{init}/children").read_text().split()
    os.kill(int(children[order]), number)


def halt(run: Seglab, seconds: float) -> None:
    """Let no process of a run's labs run for a while, as if others had the processors.

    The program itself runs on: it keeps no time.
    """
    halted = [pid for pid in run.processes() if pid != run.process.pid]
    try:
        for pid in halted:
            _signal(pid, signal.SIGSTOP)
        time.sleep(seconds)
    finally:
        for pid in halted:
            _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it may have ended
        os.kill(pid, number)


class BusyMachine:
    """A machine that is always late: ``halt`` again and again, inside a ``with`` block.

    Unlike busy loops, which the scheduler may treat well or badly, it makes each session late that
    lasts for some tenths of a second.

    Args:
        run: the program whose labs are halted.
        halted_s: how long they are halted each time.
        running_s: how long they run in between.
    """

    def __init__(self, run: Seglab, halted_s: float, running_s: float) -> None:
        self._run = run
        self._times = halted_s, running_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._halt)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _halt(self) -> None:
        halted_s, running_s = self._times
        while not self._over.wait(running_s):
            halt(self._run, halted_s)
