"""``seglab`` as a process of its own, and what it starts and leaves behind."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from seglab.cli import main; main()"]
DEADLINE_S = 60.0


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for something that can be observed; fail where it does not come."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"in {deadline_s:g} s: {what}"
        time.sleep(0.005)


class Seglab:
    """One ``seglab`` that runs.

    Args:
        arguments: its own.
        before: what to start it with, such as ``inside(...)``.
        packages: folders in which Python looks for packages first.
    """

    def __init__(
        self,
        *arguments: str | Path,
        before: Iterable[str] = (),
        packages: Iterable[Path] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self._mark = f"SEGLAB_TEST_MARK={os.urandom(8).hex()}"
        path = os.pathsep.join(map(str, [*packages, ROOT]))
        self.process = subprocess.Popen(
            [*before, *PROGRAM, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",  # Python would look for packages here, before all others
            env=os.environ
            | {"PYTHONPATH": path}
            | (environment or {})
            | dict([self._mark.split("=")]),
            start_new_session=True,  # a process group that a test may send Ctrl-C to
        )
        self.out = self.err = ""
        self._held: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what is left, whatever the test found."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        for descriptor in self._held:
            os.close(descriptor)

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        self.out, self.err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode

    def processes(self) -> list[int]:
        """Itself and all that it started, wherever they went since."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self._mark.encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    def network_namespaces(self) -> set[str]:
        """Those that its processes are in, its own excepted.

        They stay until the block ends, so no namespace of another test gets the number of one.
        """
        found = set()
        for pid in self.processes():
            try:
                self._held.append(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY))
            except OSError:
                continue
            found.add(str(Path(f"/proc/self/fd/{self._held[-1]}").readlink()))
        return found - {namespace()}

    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return not self.processes()


def namespace(pid: int | str = "self") -> str | None:
    """The network namespace of a process; ``None`` where it has just ended."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


def in_use(namespaces: set[str]) -> set[str]:
    """Those of the network namespaces in which a process is left."""
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return {link for pid in pids if (link := namespace(pid)) in namespaces and link}


def trace_instances(makers: Iterable[int] | None = None) -> set[str]:
    """The trace instances that the kernel has: all, or those that these processes made."""
    listed = subprocess.run(
        ["unshare", "--mount", "sh", "-c",
         "mount -t tracefs none /sys/kernel/tracing && ls /sys/kernel/tracing/instances"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = set(listed.stdout.split())
    if makers is None:
        return names
    return {name for name in names for pid in makers if name.startswith(f"seglab-{pid}-")}


def interfaces() -> set[str]:
    """The network interfaces that the machine itself has."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


def seglab(*arguments: str | Path, **options: object) -> Seglab:
    """A ``seglab`` that has ended, and left nothing behind."""
    with Seglab(*arguments, **options) as run:  # type: ignore[arg-type]
        run.ended()
        assert run.is_gone()
    return run


def recorded(out: Path) -> int:
    """How many sessions stand in a run's journal."""
    journal = out / "sessions.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def inside(script: str, *namespaces: str) -> list[str]:
    """What to start a command with: a script without privileges, which has it as ``"$@"``."""
    return ["unshare", "--user", "--map-root-user", *namespaces, "sh", "-c", script, "sh"]


def shell(command: Sequence[str | Path]) -> str:
    """A command as a shell would take it."""
    return shlex.join(map(str, command))
