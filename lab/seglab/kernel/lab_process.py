"""The first process of a lab as its parent sees it: started, watched, and waited for."""

import os
import select
import signal
import subprocess
from collections.abc import Mapping
from socket import socket
from typing import IO

from seglab.core import launching


def start(
    inherited: Mapping[str, socket],
    lifeline: int,
    log: IO[bytes] | int,
    client_kind: str,
    server_kind: str,
) -> subprocess.Popen[bytes]:
    """Start the first process of a lab in namespaces of its own.

    Args:
        inherited: by name, the ends of channels that are for the lab: ``init``'s own, and one for
            each part. They are closed here once the process has them.
        lifeline: the end of a pipe for reading. The process ends when the other end is closed.
        log: a file for what the lab's processes print.
        client_kind: which client the lab has, by its name in ``parts.CLIENTS``.
        server_kind: which server it has, by its name in ``parts.SERVERS``.
    """
    program = [*launching.python_command("seglab.kernel.init"), "--lifeline", str(lifeline)]
    program += ["--client-kind", client_kind, "--server-kind", server_kind]
    for name, end in inherited.items():
        program += ["--fd" if name == "init" else f"--{name}", str(end.fileno())]
    process = subprocess.Popen(
        launching.unshare_command(program),
        env=launching.environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[lifeline, *(end.fileno() for end in inherited.values())],
        start_new_session=True,
    )
    os.close(lifeline)
    for end in inherited.values():
        end.close()
    return process


def exit_status(pid: int) -> int:
    """Wait for the end of a child; return its status as ``Popen.returncode`` gives it.

    The child stays a zombie until ``wait_for_end``, so that ``Popen`` still finds it.
    """
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if ended is None:
        return 0
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def wait_for_end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Wait until the process has ended; kill it if it has not within ``grace_s`` seconds."""
    ended = os.pidfd_open(process.pid)
    try:
        if not select.select([ended], [], [], grace_s)[0]:
            process.kill()
    finally:
        os.close(ended)
    process.wait()


def how_it_ended(status: int) -> str:
    """Say in words how a process ended, by its exit status or, below zero, its signal."""
    if status < 0:
        return f"was killed ({signal.Signals(-status).name})"
    return f"ended with status {status}"
