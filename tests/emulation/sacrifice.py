"""A machine that a hostile sender may break: namespaces of its own, and a root that is read-only.

``machine`` starts this file as process 1 of new namespaces. It sets up what a host has to lose,
fills in the marks of the hostile sender, does one of two things, and prints the result as JSON:

- ``run``: carry out a scenario of it with seglab, and see which processes are left.
- ``installed``: the same with the sender among the installed ones, which tries in its steps only.
- ``control``: try some ways without seglab, each in a process of its own.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import hostile_sender

from seglab.core import plugins

HERE = Path(__file__).parent
LIMIT_S = 300


def machine(what: str, folder: Path, *arguments: str, as_root: bool) -> dict[str, Any]:
    """Make such a machine, whose only writable folder is ``folder``; return what came of it."""
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if not as_root:
        unshare += ["--user", "--map-root-user"]
    script = (
        'set -e; mount --bind "$1" "$1"; mount -o remount,bind,ro /; cd "$1"; ip link set lo up; '
        'shift; exec "$@"'
    )
    command = [*unshare, "sh", "-c", script, "sh", folder, sys.executable, __file__]
    done = subprocess.run(
        [*command, what, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        env=os.environ | {"HOSTILE_SECRET": "password", "TMPDIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Be the machine."""
    what, *arguments = sys.argv[1:]
    folder = Path.cwd()
    secret, public = folder / "secret", folder / "public"
    secret.write_text("password")
    secret.chmod(0o600)
    public.write_text("public")
    by_path, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    by_path.bind("x.sock")
    abstract.bind("\0seglab-hostile")
    server = socket.create_server(("127.0.0.1", 0))
    for one in (by_path, abstract):
        one.listen()
    seen = [*sys.path, *([str(folder)] if what == "installed" else [])]
    marks = {
        "pid": os.getpid(),
        "socket": str(folder / "x.sock"),
        "abstract": "seglab-hostile",
        "secret": str(secret),
        "public": str(public),
        "folder": str(folder),
        "port": server.getsockname()[1],
        # These folders lie on the way to Python and its packages, and hold nothing else.
        "on the way": sorted({part for path in seen for part in Path(path).parts}),
    }
    source = Path(hostile_sender.__file__).read_text()
    empty = "MARKS: dict[str, Any] = {}"
    assert empty in source
    (folder / "my hostile.py").write_text(source.replace(empty, f"MARKS = {marks!r}"))
    if what == "control":
        found = control(marks, arguments)
    else:
        found = run(folder, arguments, installed=what == "installed")
    sys.stdout.write(json.dumps(found))


def control(marks: dict[str, Any], ways: list[str]) -> dict[str, Any]:
    """What comes of each way, tried by a child of this process."""
    hostile_sender.MARKS.update(marks)
    found = {}
    for way in ways:
        end, other = os.pipe()
        if (pid := os.fork()) == 0:
            os.write(other, hostile_sender.tried(way).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(other)
        found[way] = os.read(end, 4096).decode()  # a child of the child may hold the other end
        os.close(end)
    return found


def run(folder: Path, ways: list[str], *, installed: bool) -> dict[str, Any]:
    """Run seglab; return its exit code and what it said, and the processes that are left."""
    name = "./my hostile.py"
    if installed:
        name = "hostile"
        install(folder / "my hostile.py", folder / "packages")
    variants = ",\n".join(f'{{ name = "{name}", parameters.way = "{way}" }}' for way in ways)
    (folder / "hostile.toml").write_text(
        f'title = "hostile"\nnetworks = ["unimpaired"]\nsessions = 1\nsenders = [\n{variants}\n]\n'
    )
    code = "from seglab.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "hostile.toml", "--out", "run"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        env=os.environ | ({"PYTHONPATH": str(folder / "packages" / "lab")} if installed else {}),
    )
    # Process 1 inherits whatever its parents left behind; only those count that still run.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    settled = threading.Event()
    left = others()
    for _ in range(100):
        if not left:
            break
        settled.wait(0.05)
        left = others()
    return {"status": done.returncode, "said": done.stderr[-2000:], "left": left}


def install(file: Path, folder: Path) -> None:
    """Make a checkout that has the sender of a file beside the shipped ones."""
    real = plugins.shipped("senders")
    (folder / "senders").mkdir(parents=True)
    for shipped in real.iterdir():
        (folder / "senders" / shipped.name).symlink_to(shipped)
    for name in ("lab", "scenarios"):
        (folder / name).symlink_to(real.parent / name)
    at_once = "AT_ONCE = {way: tried(way) for way in WAYS} if MARKS else {}"
    source = file.read_text()
    assert at_once in source
    source = source.replace(at_once, 'AT_ONCE = dict.fromkeys(WAYS, "")')
    (folder / "senders" / "hostile.py").write_text(source)


def others() -> list[str]:
    """The other processes of this PID namespace."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids if pid != os.getpid()]


if __name__ == "__main__":
    main()
