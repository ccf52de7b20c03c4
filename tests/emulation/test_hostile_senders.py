"""Senders are code: a stranger's reaches nothing, neither in its steps nor while it is loaded."""

import os
import platform
from pathlib import Path

import pytest
from hostile_sender import WAYS
from sacrifice import machine

from seglab.runs.folder import RunFolder

USERS = ["user", *(["root"] if os.geteuid() == 0 else [])]
OPEN = (
    "enter_the_host",
    "path_socket",
    "abstract_socket",
    "read_secret",
    "read_public",
    "list_folders",
    "write_anywhere",
    "environment",
    "raw_frames",
    "raw_ip",
    "netlink",
    "dns",
    "tcp_to_the_host",
    "udp",
    "kill_others",
    "new_user_namespace",
    "mount_something",
    "fork",
    "thread",
    "memory_file",
    "capabilities",
    "unmount_proc",
)
"""Ways that are open on every machine; the others need a right or a part of the kernel as well."""

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the hostile sender knows the system calls of x86-64"
)


@pytest.mark.parametrize("who", USERS)
def test_the_ways_are_open_elsewhere(who: str, tmp_path: Path) -> None:
    """Outside of the lab the same code gets through, so that the next test can fail."""
    found = machine("control", tmp_path, *OPEN, as_root=who == "root")
    assert found == dict.fromkeys(OPEN, "REACHED")


@pytest.mark.parametrize("who", USERS)
def test_a_strangers_sender(who: str, tmp_path: Path) -> None:
    """Each way is closed, sessions that found them closed are complete, and nobody is left."""
    found = machine("run", tmp_path, *WAYS, as_root=who == "root")
    records = [*RunFolder.open(tmp_path / "run").sessions()]
    reached = {r.variant.removeprefix("way="): r.error for r in records}
    assert reached == dict.fromkeys(WAYS), found["said"]
    assert found["status"] == 0, found["said"]
    assert found["left"] == []
    assert not (tmp_path / "seglab-hostile").exists()


@pytest.mark.parametrize("who", USERS)
def test_an_installed_sender(who: str, tmp_path: Path) -> None:
    """The client, in which installed senders run, is shut in too; they may read each other."""
    ways = [way for way in WAYS if way not in ("read_own_file", "much_memory")]
    found = machine("installed", tmp_path, *ways, as_root=who == "root")
    records = [*RunFolder.open(tmp_path / "run").sessions()]
    reached = {r.variant.removeprefix("way="): r.error for r in records}
    assert reached == dict.fromkeys(ways), found["said"]
    assert found["status"] == 0, found["said"]
    assert found["left"] == []
