"""What a program in the lab may write, and that nothing of it is on the machine."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commanding import seglab as run_seglab
from trying import PYTHON, Programs, run, skip_without_rights

from seglab.kernel.program.overlay import STORE_FILES, STORE_MIB

NOBODY = 65534


@pytest.fixture(autouse=True)
def _privileged() -> None:
    """Skip where programs cannot be recorded."""
    skip_without_rights()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """What makes programs."""
    return Programs(tmp_path)


@pytest.fixture
def queue() -> Iterator[Path]:
    """A queue of the machine's, with a mail in it."""
    folder = Path(f"/var/spool/seglab-test-{os.urandom(4).hex()}")
    queue = folder / "queue"
    queue.mkdir(parents=True)
    (queue / "mail").write_text("of somebody else")
    os.chown(queue, NOBODY, NOBODY)
    queue.chmod(0o2750)
    yield queue
    shutil.rmtree(folder)


def test_what_a_program_writes_vanishes(programs: Programs, tmp_path: Path, queue: Path) -> None:
    """It may write, change and remove anywhere; it sees that, the machine and the next do not."""
    mine, gone = tmp_path / "mine.txt", tmp_path / "gone.txt"
    mine.write_text("seen")
    gone.write_text("here")
    places = ["/etc/seglab-test", "/seglab-test", "/home/seglab-test", "/var/lib/seglab-test"]
    places += ["/tmp/seglab-test", "/run/seglab-test", "/usr/bin/seglab-test", str(queue / "own")]
    code = f"""
        places = {places!r}
        for place in places:
            assert not os.path.exists(place), place
            os.makedirs(os.path.dirname(place), exist_ok=True)
            open(place, "w").write("own")
            os.chown(place, {NOBODY}, {NOBODY})
        assert open("mine.txt").read() == "seen"
        open("mine.txt", "a").write(" and changed")
        os.chmod("mine.txt", 0o600)
        os.unlink("gone.txt")
        os.rename("/etc/passwd", "/etc/passwd.old")
        assert [open(place).read() for place in places] == ["own"] * len(places)
        assert open("mine.txt").read() == "seen and changed"
        assert not os.path.exists("gone.txt")
        send()
        """
    before = mine.stat()
    for name, record in run(
        [*programs.planned("one", code), *programs.planned("two", code)]
    ).items():
        assert record.error is None, f"{name}: {record.output}"
        assert record.notes == ()
    assert not [place for place in places if Path(place).exists()]
    assert (mine.read_text(), gone.read_text()) == ("seen", "here")
    assert (mine.stat().st_mode, mine.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert Path("/etc/passwd").exists()


def test_the_queues_of_the_machine_are_empty(programs: Programs, queue: Path) -> None:
    """A program sees their folders, with owner and mode, and none of the mail in them."""
    code = f"""
        state = os.stat({str(queue)!r})
        print(state.st_uid, state.st_gid, oct(state.st_mode & 0o7777), os.listdir({str(queue)!r}))
        send()
        """
    (record,) = run(programs.planned("looking", code)).values()
    assert record.error is None, record.output
    assert record.output == f"{NOBODY} {NOBODY} 0o2750 []\n"


def test_layers(programs: Programs, tmp_path: Path) -> None:
    """Folders above the machine's root are seen with their queues, and stay as they are."""
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for layer in (upper, lower):
        (layer / "usr/bin").mkdir(parents=True)
        (layer / "usr/bin/seglab-test").write_text(f"#!/bin/sh\necho {layer.name}")
        (layer / "usr/bin/seglab-test").chmod(0o755)
    (lower / "var/spool/own").mkdir(parents=True)
    (lower / "var/spool/own/mail").write_text("queued")
    code = """
        os.system("seglab-test")
        print(open("/var/spool/own/mail").read())
        os.unlink("/var/spool/own/mail")
        open("/usr/bin/seglab-test", "w")
        send()
        """
    (record,) = run(programs.planned("layered", code, layers=[upper, lower])).values()
    assert record.error is None, record.output
    assert record.output == "upper\nqueued\n"
    assert (lower / "var/spool/own/mail").read_text() == "queued"
    assert "echo upper" in (upper / "usr/bin/seglab-test").read_text()


def test_a_full_disk(programs: Programs) -> None:
    """It is full after a bounded amount, in bytes and in files, the run says so, and goes on."""
    fill = """
        written = 0
        try:
            with open({place!r}, "wb") as file:
                while True:
                    written += os.write(file.fileno(), bytes(1 << 20))
        except OSError as error:
            print(error.strerror, written >> 20)
        time.sleep(0.3)
        send()
        """
    many = """
        made = 0
        os.mkdir("/home/many")
        try:
            while True:
                os.mknod(f"/home/many/{made}")
                made += 1
        except OSError as error:
            print(error.strerror, made)
        send()
        """
    records = run(
        [
            *programs.planned("home", fill.format(place="/home/full")),
            *programs.planned("memory", fill.format(place="/dev/shm/full")),
            *programs.planned("many", many),
            *programs.planned("frugal", "open('/home/file', 'w').write('x'); send()"),
        ]
    )
    for name in ("home", "memory", "many"):
        record = records[name]
        assert record.error is None, f"{name}: {record.output}"
        words, amount = record.output.rsplit(" ", 1)
        limit = STORE_FILES if name == "many" else STORE_MIB
        assert words == "No space left on device"
        assert 0.9 * limit < int(amount) <= limit
        assert record.notes == ("the program filled the space that it has for files",)
    assert records["frugal"].notes == ()
    assert not Path("/home/full").exists()


def test_another_file_system(tmp_path: Path) -> None:
    """What is mounted below the root can be written, and is unchanged; read-only stays so."""
    code = """if True:
        import os, smtplib, sys
        assert open("/mnt/file").read() == "theirs\\n"
        open("/mnt/file", "w").write("own")
        assert os.listdir("/media") == ["there"]
        try:
            open("/media/there", "w")
        except OSError as error:
            print(error.strerror)
        with smtplib.SMTP(sys.argv[1], 25) as server:
            server.sendmail("a@example.org", ["b@example.org"], open(sys.argv[2], "rb").read())
    """
    script = """
        mount -t tmpfs none /mnt && echo theirs > /mnt/file &&
        mount -t tmpfs none /media && touch /media/there && mount -o remount,ro /media || exit 99
        "$@" || exit
        cat /mnt/file >&2
    """
    out = tmp_path / "run"
    run = run_seglab(
        *("try", "--out", out, "-q", "--json", "--", PYTHON, "-c", code, "{host}", "{message}"),
        before=["unshare", "--mount", "sh", "-c", script, "sh"],
    )
    assert run.process.returncode == 0, run.err + run.out
    (session,) = json.loads(run.out)["sessions"]
    assert session["output"] == "Read-only file system\n"
    assert run.err == "theirs\n"
