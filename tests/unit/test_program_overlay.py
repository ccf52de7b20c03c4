"""What an overlay is made of: the machine's mounts, and folders."""

import os
from pathlib import Path

import pytest

pytest.importorskip("fcntl")
from seglab.kernel.program.overlay import (
    Mount,
    folders_in,
    full,
    is_below,
    machine_mounts,
    make_folder,
)

MOUNTINFO = """\
22 1 253:0 / / rw,relatime - ext4 /dev/vda rw
30 31 0:40 / /home/my\\040own rw shared:2 master:1 - nfs4 host:/x rw
31 22 8:1 / /home ro,nosuid - xfs /dev/sda1 rw
32 22 0:5 / /snap rw - squashfs /dev/loop0 ro,errors=continue
33 22 0:6 / /net rw - autofs auto rw
34 22 0:7 / /snap rw - tmpfs tmpfs rw
"""


def test_the_mounts_of_the_machine() -> None:
    """Outer ones come first, the last one at a place counts, and read-only is of both kinds."""
    assert machine_mounts(MOUNTINFO) == [
        Mount("/home", "xfs", True),
        Mount("/snap", "tmpfs", False),
        Mount("/home/my own", "nfs4", False),
    ]
    assert machine_mounts(MOUNTINFO.rpartition("34 ")[0])[1] == Mount("/snap", "squashfs", True)


def test_what_lies_below() -> None:
    """A place lies in itself, and not in one whose name it begins with."""
    assert is_below("/tmp", ["/tmp"])
    assert is_below("/tmp/a", ["/var", "/tmp"])
    assert not is_below("/tmpfs", ["/tmp"])


def test_folders_without_their_files(tmp_path: Path) -> None:
    """Folders keep their modes; files and links are left out, and there is a limit."""
    (tmp_path / "from/queue/deep").mkdir(parents=True)
    (tmp_path / "from/queue").chmod(0o2750)
    (tmp_path / "from/queue/mail").touch()
    (tmp_path / "from/link").symlink_to("queue")
    found = list(folders_in(tmp_path / "from", 10))
    assert [name for name, _ in found] == ["queue", "queue/deep"]
    assert [name for name, _ in folders_in(tmp_path / "from", 1)] == ["queue"]
    if os.geteuid() == 0:
        for name, known in found:
            make_folder(tmp_path / "to" / name, known)
        assert (tmp_path / "to/queue").stat().st_mode & 0o7777 == 0o2750
        assert list((tmp_path / "to/queue").iterdir()) == [tmp_path / "to/queue/deep"]


def test_a_file_system_with_room(tmp_path: Path) -> None:
    """It is not full."""
    assert not full(str(tmp_path))
