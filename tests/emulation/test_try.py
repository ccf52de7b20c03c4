"""Real programs in a lab: what is recorded of them, and what becomes of those that misbehave."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from commanding import Seglab, trace_instances, wait_until
from commanding import seglab as run_seglab
from trying import PYTHON, RECORDERS, Planned, Programs, left_of, run, skip_without_rights

from seglab.kernel.program.lab import RecorderName
from seglab.kernel.program.session import OUTPUT_MAX_BYTES


@pytest.fixture(autouse=True)
def _privileged() -> None:
    """Skip where programs cannot be recorded."""
    skip_without_rights()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """What makes programs."""
    return Programs(tmp_path)


BAD = {
    "silent": ("print('no server given'); sys.exit(7)", r"never connected .* last printed: no ser"),
    "elsewhere": (
        """
        try:
            socket.create_connection((host, 587), timeout=2)
        except OSError as error:
            print(error)
        """,
        r"never connected to the server; it tried 10\.64\.0\.\d+ port 587",
    ),
    "crashing": ("s, _ = dialogue(); os.kill(os.getpid(), signal.SIGSEGV)", r"killed \(SIGSEGV\)"),
    "half": ("s, _ = dialogue(); s.sendall(mail[:100])", r"only a part of a message reached"),
    "without": ("s, _ = dialogue()", r"no message reached the server"),
    "twice": ("send(); send()", r"sent 2 messages over 2 connections"),
    "many": (
        "all = [smtplib.SMTP(host, port) for _ in range(10)]; send(all[3])",
        r"had 10 connections at once",
    ),
    "daemon": (
        """
        send()
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(1000)
        """,
        r"left processes behind: python",
    ),
}
GOOD = {
    "forking": "if os.fork() == 0: time.sleep(0.5); send()",
    "unhappy": "send(); sys.exit(3)",
    "flooding": "print('y' * 20_000_000 + 'end', flush=True); send()",
    "closing": "os.close(0); os.close(1); os.close(2); send()",
    "killing": "os.fork() or time.sleep(1000); os.kill(-1, 9); os.kill(1, 9); send()",
}


@pytest.mark.parametrize("recorder", RECORDERS)
def test_bad_days(programs: Programs, recorder: RecorderName) -> None:
    """Each that misbehaves is marked with the reason, the others go on, and nothing is left."""
    mark = f"SEGLAB_TEST_MARK={os.urandom(8).hex()}"
    name, value = mark.split("=")
    specs: Planned = []
    for kind, code in (*((k, c) for k, (c, _) in BAD.items()), *GOOD.items()):
        specs += programs.planned(kind, code)
    specs += programs.commanded("missing", ["/nowhere/mailer"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, value)
        records = run(specs, recorder=recorder)
    for kind, (_, pattern) in BAD.items():
        record = records[kind]
        assert record.status == "failed", kind
        assert record.error is not None, kind
        assert re.search(pattern, record.error), f"{kind}: {record.error}"
    for kind in GOOD:
        assert records[kind].error is None, f"{kind}: {records[kind].output}"
    assert records["unhappy"].exit_code == 3
    assert records["flooding"].output.endswith("yend\n")
    assert len(records["flooding"].output) == OUTPUT_MAX_BYTES
    assert records["silent"].exit_code == 7
    assert (
        records["missing"].error == "/nowhere/mailer: cannot be started: No such file or directory"
    )
    assert left_of(mark) == []


def test_a_program_that_hangs(programs: Programs) -> None:
    """It is ended at the time limit, with all that it started; the next one runs."""
    specs = [
        *programs.planned("hanging", "s, _ = dialogue(); os.fork(); time.sleep(1000)"),
        *programs.planned("next", "send()"),
    ]
    records = run(specs, time_limit_s=4.0)
    assert records["hanging"].error == "time limit reached; the program was still running"
    assert records["hanging"].exit_code is None
    assert records["next"].error is None


def test_what_a_program_sees_and_can_do(programs: Programs, tmp_path: Path) -> None:
    """It can neither change the machine nor leave the lab, as root as it is."""
    (tmp_path / "mine.txt").write_text("seen")
    (record,) = run(
        programs.planned(
            "prisoner",
            """
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            def fails(what, action):
                try:
                    result = action()
                except OSError as error:
                    return
                print("could", what, result)
            fails("write to /proc", lambda: open("/proc/sys/kernel/hostname", "w").write("x"))
            fails("make a device", lambda: os.mknod("/tmp/d", 0o60600, os.makedev(254, 0)))
            if any(os.path.exists(f"/dev/{disk}") for disk in os.environ["TEST_DISKS"].split()):
                print("could see a disk")
            if libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0:
                print("could mount")
            if libc.unshare(0x20000) == 0:
                print("could unshare")
            def reach(address):
                s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                s.settimeout(1)
                s.connect(address)
            fails("leave by TCP", lambda: reach(("192.0.2.1", 80)))
            def ask():
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.sendto(b"x", ("192.0.2.1", 53))
            fails("leave by UDP", ask)
            fails("open a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
            if os.listdir("/sys/kernel") or os.path.exists("/run/systemd"):
                print("could see", os.listdir("/sys/kernel"))
            numbers = {int(name) for name in os.listdir("/proc") if name.isdecimal()}
            others = numbers - {1, os.getpid()}
            if others:
                print("could see processes", others)
            for service in os.environ["TEST_SERVICES"].split(":"):
                fails(service, lambda: socket.socket(socket.AF_UNIX).connect(service))
            assert open("mine.txt").read() == "seen"
            assert socket.gethostname() == "client.seglab.test"
            assert socket.gethostbyname("mx.seglab.test") == host
            assert socket.gethostbyname("relay.example.org") == host
            assert "http_proxy" not in os.environ
            assert os.environ["SEGLAB_HOST"] == host
            assert sys.stdin.buffer.read() == mail
            send()
            """,
        )
    ).values()
    assert record.error is None, record.output
    assert record.output == ""


@pytest.fixture(autouse=True)
def _service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a service of the machine listen at a path, and a proxy in the environment."""
    path = tmp_path / "service"
    monkeypatch.setenv("TEST_SERVICES", str(path))
    disks = [path.name for path in Path("/dev").iterdir() if path.is_block_device()]
    monkeypatch.setenv("TEST_DISKS", " ".join(disks))
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield


# The command -----------------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    """It prints what each network showed, and leaves a run folder that classifies and reports."""
    out = tmp_path / "run"
    mailer = Path(__file__).parents[2] / "examples/send.py"
    run = run_seglab(
        *("try", "--network", "pppoe", "--network", "ipv6-ethernet", "--out", out, "--json"),
        *("--", PYTHON, mailer, "mx.seglab.test", "{port}", "{message}"),
    )
    assert run.process.returncode == 0, run.err
    result = json.loads(run.out)
    assert [one["network"] for one in result["sessions"]] == ["pppoe", "ipv6-ethernet"]
    for one in result["sessions"]:
        assert one["writes"] == [6000]
        assert (one["style"], one["terminator"]) == ("single_write", "with_body")
        assert one["looks_like"]["style"] == "single_write"
        assert sum(one["segments"]) == sum(one["reads"]) == 6000
        assert max(one["segments"]) == one["mss"]
    assert (out / "report.html").exists()
    shown = run_seglab("report", out, "--json")
    assert shown.process.returncode == 0, shown.err
    classified = run_seglab("classify", out, "--json")
    assert classified.process.returncode == 0, classified.err
    assert len(classified.out.splitlines()) == 2


def test_a_black_hole(tmp_path: Path) -> None:
    """The program hangs there, as the network is expected to make it hang: no finding."""
    mailer = Path(__file__).parents[2] / "examples/send.py"
    run = run_seglab(
        *("try", "--network", "black-hole", "--timeout", "4", "--out", tmp_path / "run", "--json"),
        *("--", PYTHON, mailer, "{host}", "{port}", "{message}"),
    )
    assert run.process.returncode == 0, run.err
    result = json.loads(run.out)
    assert not result["complete"]
    (session,) = result["sessions"]
    assert session["error"].startswith("time limit reached; the program was still running")


def test_ctrl_c_ends_the_program(tmp_path: Path) -> None:
    """It keeps what had ended, says where, and leaves nothing behind."""
    hanging = [PYTHON, "-c", "import time; time.sleep(1000)"]
    out = tmp_path / "run"
    with Seglab("try", "--out", out, "-q", "--", *hanging) as run:
        wait_until(lambda: any(_runs(pid, hanging) for pid in run.processes()), "it runs")
        made = trace_instances(run.processes())
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 130
        assert "0 sessions are kept" in run.err
        assert run.is_gone()
    assert made
    assert not made & trace_instances()
    assert json.loads((out / "run.json").read_bytes())["status"] == "interrupted"


def test_a_killed_parent_leaves_nothing(tmp_path: Path) -> None:
    """Neither the program nor what recorded it outlives ``kill -9``."""
    hanging = [PYTHON, "-c", "import time; print('here', flush=True); time.sleep(1000)"]
    with Seglab("try", "--out", tmp_path / "run", "-q", "--", *hanging) as run:
        wait_until(lambda: any(_runs(pid, hanging) for pid in run.processes()), "it runs")
        made = trace_instances(run.processes())
        assert made
        run.process.kill()
        run.process.wait()
        wait_until(run.is_gone, "its processes end")
    wait_until(lambda: not made & trace_instances(), "the trace instance is removed")


def _runs(pid: int, command: Sequence[str]) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes() == "".join(f"{a}\0" for a in command).encode()
        )
    except OSError:
        return False


def test_a_failed_session_is_a_finding(tmp_path: Path) -> None:
    """The exit code is 1, and the reason is printed."""
    run = run_seglab("try", "--out", tmp_path / "run", "--", "true")
    assert run.process.returncode == 1, run.err
    assert "never connected to the server; the program ended with status 0" in run.out
