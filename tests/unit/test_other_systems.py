"""What needs no namespaces works where only what every POSIX system has is there.

This is no macOS: it is this Python without the calls that only Linux has, which is what the
commands must not touch.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT_LINUX = """
import os, select, selectors, socket

selectors.DefaultSelector = selectors.PollSelector
del selectors.EpollSelector
for name in [name for name in dir(select) if name.lower().startswith("epoll")]:
    delattr(select, name)
for name in ("AF_PACKET", "MSG_MORE", "SOCK_CLOEXEC", "SO_BINDTODEVICE", "TCP_CORK", "TCP_INFO"):
    delattr(socket, name)
for name in ("sched_getaffinity", "pidfd_open", "memfd_create", "eventfd"):
    delattr(os, name)
"""
"""Put into ``sitecustomize.py``, which Python runs at its start."""

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def seglab(tmp_path: Path) -> Call:
    """A function that runs ``seglab`` in such a Python, at the root of the sources."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_LINUX, encoding="utf-8")

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        program = "import select, sys; assert not hasattr(select, 'epoll'); import seglab.cli as c"
        return subprocess.run(
            [sys.executable, "-c", f"{program}; sys.exit(c.main())", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_classify(seglab: Call) -> None:
    """A capture is classified, in several processes as well."""
    one = seglab("classify", "examples/mail.pcapng", "--json")
    assert one.returncode == 0, one.stderr
    assert one.stdout.count("\n") == 10
    two = seglab("classify", "examples/mail.pcapng", "--json", "--jobs", "2")
    assert two.stdout == one.stdout


def test_regress(seglab: Call) -> None:
    """The checks run over the sample, in as many processes as there are processors."""
    done = seglab("regress", "paper", "--sessions", "sample")
    assert "label_ignores_mtu" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_all_commands(seglab: Call) -> None:
    """``seglab --help`` imports every command, those included that cannot work there."""
    done = seglab("--help")
    assert done.returncode == 0, done.stderr
    assert "serve" in done.stdout


def test_the_server_says_what_it_lacks(seglab: Call) -> None:
    """``seglab serve`` needs Linux, says so in one line and exits with 3."""
    done = seglab("serve", "--port", "0")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "only Linux has" in done.stderr
