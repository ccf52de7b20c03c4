"""``seglab`` from the outside: how it ends, what it says, what it leaves in the run folder."""

import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest
from commanding import Seglab, inside, interfaces, recorded, seglab, shell, wait_until
from programs import need
from striking import same_path

from seglab import cli
from seglab.experiment import registry
from seglab.runs.folder import RunFolder

SESSIONS = 40


def status(out: Path) -> str | None:
    """What the manifest says of the run; ``None`` while there is none."""
    manifest = out / "run.json"
    return json.loads(manifest.read_bytes())["status"] if manifest.exists() else None


MOMENTS = {
    "start": lambda out: (out / "log.txt").exists(),
    "sessions": lambda out: recorded(out) >= 3,
    "report": lambda out: status(out) == "complete",
}
"""When a user may lose patience, and how that moment shows in the run folder."""


@pytest.mark.parametrize(
    ("moment", "number", "whom", "times", "client"),
    [
        ("start", signal.SIGINT, os.killpg, 1, "simulator"),
        ("sessions", signal.SIGINT, os.killpg, 5, "simulator"),
        ("sessions", signal.SIGTERM, os.kill, 1, "simulator"),
        ("start", signal.SIGINT, os.kill, 1, "kernel"),
        ("start", signal.SIGINT, os.killpg, 1, "kernel"),
        ("start", signal.SIGTERM, os.kill, 1, "kernel"),
        ("sessions", signal.SIGINT, os.kill, 1, "kernel"),
        ("sessions", signal.SIGINT, os.killpg, 1, "kernel"),
        ("sessions", signal.SIGINT, os.killpg, 5, "kernel"),
        ("sessions", signal.SIGTERM, os.kill, 1, "kernel"),
        ("report", signal.SIGINT, os.killpg, 1, "kernel"),
        ("report", signal.SIGTERM, os.kill, 1, "kernel"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_interrupted(
    moment: str,
    number: signal.Signals,
    whom: object,
    times: int,
    client: str,
    tmp_path: Path,
) -> None:
    """Exit code 130, one line, a valid run folder, and nothing left behind."""
    out = tmp_path / "my run"
    scenario = same_path(tmp_path, client)
    with Seglab("run", scenario, "--sessions", str(SESSIONS), "-q", "--out", out) as run:
        wait_until(lambda: MOMENTS[moment](out), f"{moment} never came")
        for _ in range(times):
            assert callable(whom)
            whom(run.process.pid, number)
        assert run.ended() == 130, run.err
        assert run.is_gone()
    stored = RunFolder.open(out)
    kept = [*stored.sessions()]
    assert run.out == ""
    assert run.err == (
        f"interrupted: {len(kept)} sessions are kept in {out}; "
        f"continue with: seglab run --resume '{out}'\n"
    )
    assert status(out) == "interrupted"
    assert all(record.complete for record in kept)
    assert (len(kept) == SESSIONS) == (moment == "report")
    assert len(kept) >= (3 if moment == "sessions" else 0)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    """Resume, interrupted once more, and resume again: every session once, and all complete."""
    out = tmp_path / "run"
    arguments: tuple[str | Path, ...] = ("run", "scenario-1", "--sessions", "16", "--out", out)
    counts = []
    for least in (2, 6):
        with Seglab(*arguments, "--jobs", "4") as run:
            wait_until(lambda: recorded(out) >= least, "too few sessions")  # noqa: B023
            run.process.send_signal(signal.SIGINT)
            assert run.ended() == 130, run.err
        counts.append(len([*RunFolder.open(out).sessions()]))
        arguments = ("run", "--resume", out)
    assert counts == sorted(counts)
    finished = seglab(*arguments, "--json")
    assert finished.process.returncode == 0, finished.err
    sessions = [record.session_id for record in RunFolder.open(out).sessions()]
    assert len(set(sessions)) == len(sessions) == 16
    assert json.loads(finished.out)["counts"] == {"planned": 16, "complete": 16, "failed": 0}


# One run for all that looks at a finished one -------------------------------------------

OWN = 'title = "mine"\nnetworks = ["unimpaired"]\nsessions = 3\n[[senders]]\nname = "raw_writes"\n'


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a complete run of a user's own scenario, made without privileges."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "mine.toml").write_text(OWN)
    before = interfaces()
    run = seglab(
        *("run", folder / "mine.toml", "--out", folder / "run"),
        before=inside('exec "$@"'),
        environment={"TERM": "xterm-256color", "COLUMNS": "20"},
    )
    assert run.process.returncode == 0, run.err
    assert interfaces() == before
    lines = run.err.splitlines()
    assert lines[-1].startswith("3 of 3 sessions, ")
    printed = [*lines, *run.out.replace("\t", " ").splitlines()]  # tabs part a table's columns
    assert all(line.isprintable() for line in printed)
    assert f"run folder: {folder / 'run'}\n" in run.out
    return folder


@pytest.fixture
def own(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run, as if it had been interrupted, and of its scenario."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    manifest = tmp_path / "run" / "run.json"
    text = manifest.read_text().replace(str(finished), str(tmp_path))
    manifest.write_text(text.replace('"status": "complete"', '"status": "interrupted"'))
    return tmp_path


def command(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str | Path,
) -> tuple[int, str, str]:
    """The whole command line, in this process: exit code, standard output and error."""
    monkeypatch.setattr(sys, "argv", ["seglab", *map(str, arguments)])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    out, err = capfd.readouterr()
    return int(caught.value.code or 0), out, err


def test_what_the_kernel_did_is_in_the_manifest(finished: Path) -> None:
    """Also without privileges: sysctls, offloads, MTUs and routes as they were read back."""
    manifest = RunFolder.open(finished / "run").manifest
    assert manifest.status == "complete"
    client = manifest.sysctls["unimpaired"]["client"]
    assert client["net.ipv4.tcp_congestion_control"] == "reno"
    assert {*manifest.offloads["unimpaired"]["client"]["c-eth0"].values()} == {"off"}
    assert manifest.mtus["unimpaired"]["client"]["c-eth0"] == 1500
    assert (finished / "run" / "report.html").stat().st_size > 10_000


def test_resuming_a_finished_run_does_nothing(
    finished: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0; neither sessions nor manifest change, and the scenario's file may be gone."""
    run = finished / "run"
    before = [(run / name).read_bytes() for name in ("run.json", "sessions.parquet", "log.txt")]
    code, out, err = command(capfd, monkeypatch, "run", "--resume", run)
    assert (code, err) == (0, "")
    assert "3 of 3 sessions complete" in out
    after = [(run / name).read_bytes() for name in ("run.json", "sessions.parquet", "log.txt")]
    assert after == before


def test_resuming_takes_the_scenario_as_it_was(
    own: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scenario that has changed or vanished is one line, and leaves the run as it is."""
    run, file = own / "run", own / "mine.toml"
    before = (run / "run.json").read_bytes()
    file.write_text(OWN + "parameters = { writes = [7] }\n")
    code, out, err = command(capfd, monkeypatch, "run", "--resume", run)
    assert (code, out) == (2, "")
    assert err == (
        f"seglab: {run}: mine has changed since this run began (its file, a network or a sender);"
        " put it back as it was, or start a new run\n"
    )
    file.unlink()
    code, out, err = command(capfd, monkeypatch, "run", "--resume", run)
    assert (code, out, err) == (2, "", f"seglab: {file}: No such file or directory\n")
    assert (run / "run.json").read_bytes() == before
    file.write_text(OWN.replace('"mine"', '"another title"'))
    code, out, err = command(capfd, monkeypatch, "run", "--resume", run, "-q")
    assert (code, err) == (0, "")
    assert RunFolder.open(run).manifest.status == "complete"


# What cannot be run ---------------------------------------------------------------------

FILES: dict[str, tuple[str | bytes, str]] = {
    "wrong-key": (OWN + "paramters = {}\n", "unknown key 'paramters'; did you mean 'parameters'?"),
    "wrong-unit": (OWN + "[reader]\nbuffer_kb = 64\n", "unknown key 'buffer_kb'"),
    "no-network": (
        OWN.replace("unimpaired", "unimpared"),
        "unknown network 'unimpared'; did you mean 'unimpaired'?",
    ),
    "no-sender": (OWN.replace("raw_writes", "raw_write"), "did you mean 'raw_writes'?"),
    "binary": (bytes(range(256)) * 40, "not UTF-8 at line"),
    "huge": (OWN + "#" * (2 << 20), "larger than 1048576 bytes"),
    "not-toml": ("title = ", "not TOML"),
    "empty": ("", "title is missing"),
    "control": (OWN.replace("mine", "\\u001b[31m"), "expected one line of text"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_scenario_file_that_cannot_be_used(
    name: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2, one line that names the file and what is wrong, and no run folder."""
    content, named = FILES[name]
    file = tmp_path / f"{name}.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = command(capfd, monkeypatch, "run", file, "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith(f"seglab: {file}: ")
    assert named in err
    assert err[:-1].isprintable()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mtu", [12, 70_000])
def test_an_mtu_that_no_link_has(mtu: int, tmp_path: Path) -> None:
    """A network's file with it is refused by any command that reads networks, with the range."""
    packages = tmp_path / "lab"
    real = Path(cli.__file__).parent
    for name in ("senders", "scenarios"):
        (tmp_path / name).symlink_to(real.parents[1] / name)
    (packages / "seglab" / "networks").mkdir(parents=True)
    for path in real.iterdir():
        if path.name != "networks":
            (packages / "seglab" / path.name).symlink_to(path)
    for path in (real / "networks").iterdir():
        (packages / "seglab" / "networks" / path.name).symlink_to(path)
    (packages / "seglab" / "networks" / "odd.toml").write_text(f'title = "odd"\nmtu = {mtu}\n')
    run = seglab("run", "scenario-1", "--out", tmp_path / "run", packages=[packages])
    assert run.process.returncode == 2
    assert run.err == (
        "seglab: networks/odd.toml: mtu: expected an IPv4 MTU from 68 to 65535 bytes"
        f" (RFC 791), found {mtu}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "scenario-9"], "unknown scenario 'scenario-9'"),
        (["run", "no/such/file.toml"], "no/such/file.toml: No such file or directory"),
        (["run", "/tmp.toml"], "/tmp.toml: No such file or directory"),
        (["run", "{tmp}/folder.toml"], "folder.toml: expected a regular file"),
        (["run", "/dev/zero"], "/dev/zero: expected a regular file"),
        (["run", "scenario-1", "--sessions", "0"], "0 is not in the range 1<=x"),
        (["run", "scenario-1", "--sessions", "1e3"], "'1e3' is not a valid integer range"),
        (["run", "scenario-1", "--jobs", "0"], "0 is not in the range 1<=x"),
        (["run", "scenario-1", "--time-limit", "-1"], "-1.0 is not in the range"),
        (["run", "scenario-1", "--network", "ppoe"], "network 'ppoe': not in scenario-1"),
        (["run", "scenario-1", "--out", "/proc/run"], "/proc/run: cannot be written"),
        (["run", "scenario-1", "--out", "/dev/null"], "/dev/null: is a file"),
        (["run", "scenario-1", "--out", "/dev/null/run"], "/dev/null/run: cannot be written"),
        (["run", "scenario-1", "--out", "{tmp}"], "is not empty and holds no run"),
        (["run", "--resume", "{tmp}"], "no run is stored here (run.json is missing)"),
        (["run", "--resume", "{tmp}/nothing"], "does not exist"),
        (["run", "--resume", "{tmp}/damaged"], "not the manifest of a run"),
        (["run", "scenario-1", "--resume", "{tmp}"], "leave out"),
        (["run", "--resume", "{tmp}", "--seed", "7"], "leave out --seed"),
        (["run", "scenario-1", "--time-limit", "nan"], "nan is not a number"),
        (["run", "scenario-1", "scenario-1"], "is given already"),
        (["report", "{tmp}"], "no run is stored here (run.json is missing)"),
        (["report", "{tmp}/nothing"], "no run is stored here"),
        (["reproduce", "--resume", "{tmp}"], "no run is stored here"),
        (["run"], "which scenario?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_asked_for(
    arguments: list[str],
    named: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2, one line on standard error with what is wrong, nothing on standard output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text('{"half": ')
    given = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    code, out, err = command(capfd, monkeypatch, *given)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert named in err
    assert not (tmp_path / "runs").exists()


# What the machine lacks -----------------------------------------------------------------


def test_a_program_is_missing(tmp_path: Path) -> None:
    """Exit code 3, and how to install it; ``doctor`` says the same and needs nothing itself."""
    masked = shell(["mount", "--bind", "/dev/null", need("mnexec")])
    hidden = inside(f'{masked} && exec "$@"', "--mount")
    run = seglab("run", "scenario-1", "--sessions", "1", "--out", tmp_path / "run", before=hidden)
    assert run.process.returncode == 3, run.err
    assert run.err == (
        "seglab: mnexec not found; install with: "
        "sudo apt-get install --no-install-recommends mininet; "
        "or simulate the same sessions on any machine with --engine simulator\n"
    )
    doctor = seglab("doctor", "--json", before=hidden)
    assert doctor.process.returncode == 3
    lacking = {
        check["name"]: check for check in json.loads(doctor.out) if check["status"] == "lacks"
    }
    assert lacking.keys() == {"mnexec", "network namespaces"}
    assert lacking["mnexec"]["remedy"].endswith(" mininet")


def test_namespaces_are_refused(tmp_path: Path) -> None:
    """Exit code 3, and each way out of an ordinary user: sudo, the sysctls, the Vagrant box."""
    as_a_user = 'exec unshare --user "$@"'
    refusing = inside(f"echo 0 > /proc/sys/user/max_net_namespaces && {as_a_user}")
    run = seglab("run", "scenario-1", "--sessions", "1", "--out", tmp_path / "run", before=refusing)
    assert run.process.returncode == 3, run.err
    assert run.err.count("\n") == 1
    assert run.err.startswith("seglab: network namespaces are not allowed here (unshare: ")
    assert list(tmp_path.iterdir()) == []
    for way in ("sudo", "kernel.unprivileged_userns_clone=1", "vagrant up"):
        assert way in run.err
    doctor = seglab("doctor", before=refusing)
    assert doctor.process.returncode == 3
    assert "The lab cannot run here yet: network namespaces." in doctor.out


def test_serve_on_a_port_that_is_taken() -> None:
    """Exit code 2 and one line with the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = seglab("serve", "--port", port)
    assert run.process.returncode == 2
    assert run.err.count("\n") == 1
    assert f"port {port}" in run.err


# What is printed -------------------------------------------------------------------------


def test_json_is_alone_on_standard_output(
    finished: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every command that prints a result."""
    for arguments in (
        ("list", "senders", "--json"),
        ("list", "networks", "--json"),
        ("list", "scenarios", "--json"),
        ("doctor", "--json"),
        ("report", finished / "run", "--json"),
        ("run", "--resume", finished / "run", "--json"),
    ):
        code, out, err = command(capfd, monkeypatch, *arguments)
        assert (code, err) == (0, ""), arguments
        assert json.loads(out)


def test_nobody_reads_the_summary(finished: Path) -> None:
    """``seglab report | head -1``: no traceback, and no complaint."""
    piped = ["sh", "-c", '"$@" | head -1', "sh"]
    run = seglab("report", finished / "run", before=piped)
    assert run.err == ""
    assert run.out.count("\n") == 1


def test_a_wrong_network_says_which_are_near(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest of those that the scenario has."""
    (name,) = [network.name for network in registry.scenario("scenario-1").networks]
    wrong = name.replace("2014", "2041")
    code, _, err = command(capfd, monkeypatch, "run", "scenario-1", "--network", wrong)
    assert code == 2
    assert err.endswith(f"did you mean {name!r}?\n")
