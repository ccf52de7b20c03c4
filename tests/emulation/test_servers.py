"""Real mail servers in the lab: light ones from their registries, and what can go wrong with one.

What each asks the kernel for is known from its sources: Postfix's VSTREAM_BUFSIZE is 4096
(``src/util/vstream.h``), and asyncio's transport reads 256 KiB (``selector_events.py``).
"""

import asyncio
import os
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from commanding import trace_instances
from scripted import WHOLE, scripted
from trying import skip_without_rights

from seglab.core.reading import ServerReading, spans
from seglab.core.record import SessionRecord
from seglab.engine import EngineOptions
from seglab.errors import SeglabError
from seglab.experiment import registry
from seglab.experiment.plan import plan
from seglab.experiment.scenario import Scenario, SenderVariant
from seglab.experiment.serving import ServerProgram, served_by
from seglab.kernel.engine import KernelEngine
from seglab.kernel.program.served_lab import ServedLab
from seglab.mail.message import MessageSpec
from seglab.software.available import available
from seglab.software.installing import install
from seglab.software.program import server
from seglab.software.store import Store
from seglab.validation.reading import derive

LIGHT = ("aiosmtpd-server", "postfix-server")
NETWORKS = ("dsl", "ethernet", "ipv6-ethernet")
SIZE_BYTES = 25_000


@dataclass(frozen=True)
class Served:
    """What a run with a real server left."""

    records: dict[str, SessionRecord]
    readings: tuple[ServerReading, ...]
    log: str


def serve(
    program: ServerProgram,
    folder: Path,
    networks: tuple[str, ...] = ("ethernet",),
    sessions: int = 1,
    time_limit_s: float = 60,
) -> Served:
    """Run a sender over networks to a real server."""
    sender = registry.sender("single_write")
    scenario = Scenario(
        name="served",
        title="",
        source="",
        senders=(SenderVariant(sender, sender.resolve({})),),
        networks=tuple(map(registry.network, networks)),
        reader=program,
        sessions=sessions,
        message=MessageSpec(payload_bytes=SIZE_BYTES),
    )
    (folder / "wire").mkdir(parents=True)
    specs = [(spec, scenario.network(spec.network)) for spec in plan(scenario, 3)]
    records: list[SessionRecord] = []
    log = folder / "log.txt"
    try:
        with log.open("wb") as file:
            options = EngineOptions(jobs=4, time_limit_s=time_limit_s, folder=folder, log=file)
            asyncio.run(KernelEngine(options).run(specs, records.append))
    finally:
        assert trace_instances([os.getpid()]) == set()
    readings = tuple(
        msgspec.json.decode(path.read_bytes(), type=ServerReading)
        for path in sorted(folder.glob("reading/*.json"))
    )
    found = {f"{record.network}.{record.repeat}": record for record in records}
    return Served(found, readings, log.read_text("utf-8", "replace"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """Sessions to each light server over each network."""
    skip_without_rights()
    store = Store(tmp_path_factory.mktemp("software"))
    outcomes = install([server(name) for name in LIGHT], store, lambda _name, _words: None)
    assert [(one.name, one.reason) for one in outcomes if one.reason] == []
    yield {
        name: serve(
            served_by(available(server(name), store)),
            tmp_path_factory.mktemp("run") / name,
            NETWORKS,
            2,
        )
        for name in LIGHT
    }
    shutil.rmtree(store.path)


@pytest.mark.parametrize("name", LIGHT)
def test_a_server_takes_the_mail(served: dict[str, Served], name: str) -> None:
    """All three layers are there and agree, and the row says who read."""
    found = served[name]
    errors = {key: record.error for key, record in found.records.items()}
    assert errors == {f"{network}.{n}": None for network in NETWORKS for n in range(2)}, found.log
    assert len(found.readings) == len(errors)
    for record in found.records.values():
        assert (record.reader, record.buffer_bytes) == (f"program:{name}", 0)
        assert sum(read.end - read.start for read in record.reads) == record.payload_bytes


@pytest.mark.parametrize(
    ("name", "kind", "buffer_bytes", "waits"),
    [
        ("aiosmtpd-server", "event-loop", 262_144, {"epoll_wait"}),
        ("postfix-server", "event-loop", 4096, {"poll"}),
    ],
)
def test_how_a_server_reads(
    served: dict[str, Served], name: str, kind: str, buffer_bytes: int, waits: set[str]
) -> None:
    """What its sources say of its buffer and its waiting is what the kernel saw."""
    found = derive(served[name].readings)
    assert (found.reader.kind, found.reader.buffer_bytes) == (kind, buffer_bytes)
    assert set(found.waits) == waits
    for reading in served[name].readings:
        assert reading.program == name
        assert all(b - a <= buffer_bytes for _, a, b in spans(reading.calls))


def test_the_named_reader_is_what_was_measured(served: dict[str, Served]) -> None:
    """The shipped parameters are those of the servers as they are installed now."""
    for reader in registry.readers().values():
        if reader.server in served:
            assert derive(served[reader.server].readings).reader == reader.reader


def test_a_server_that_does_not_start(tmp_path: Path) -> None:
    """The reason, its status and its last words are the error's."""
    skip_without_rights()
    with pytest.raises(SeglabError, match="ended with status 3 and last printed: no licence"):
        serve(scripted("print('no licence', flush=True)\nsys.exit(3)"), tmp_path / "run")


def test_a_server_that_cannot_be_found(tmp_path: Path) -> None:
    """So is what cannot be started at all."""
    skip_without_rights()
    with pytest.raises(SeglabError, match="/no/such/server: cannot be started"):
        serve(replace(scripted(""), command=("/no/such/server",)), tmp_path / "run")


def test_a_server_that_never_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lab does not wait for ever."""
    skip_without_rights()
    monkeypatch.setattr(ServedLab, "start_limit_s", 2.0)
    with pytest.raises(SeglabError, match="did not listen on port 25 within 2 s"):
        serve(scripted("time.sleep(1000)"), tmp_path / "run")


def test_a_server_that_hangs(tmp_path: Path) -> None:
    """The session ends at its time limit, and the next one still runs."""
    skip_without_rights()
    code = WHOLE.replace(
        "for s in accept():",
        "connections = accept()\nheld = next(connections)\n"
        "lines = dialogue(held)\nfor s in connections:",
    )
    found = serve(scripted(code), tmp_path / "run", sessions=2, time_limit_s=3)
    errors = [record.error for record in found.records.values()]
    assert sorted(map(str, errors))[0] == "None", errors
    assert any(error and error.startswith("time limit reached") for error in errors), errors


def test_a_server_that_crashes(tmp_path: Path) -> None:
    """Its session says how it ended."""
    skip_without_rights()
    code = "for s in accept():\n    dialogue(s).readline()\n    os._exit(7)"
    (record,) = serve(scripted(code), tmp_path / "run").records.values()
    assert record.status == "failed"
    assert record.error in {  # who notices it first, the lab or the client
        "the server failed: own-server ended with status 7",
        "socket: Connection reset by peer",
        "the server closed the connection early",
    }


def test_what_a_server_prints_and_leaves(tmp_path: Path) -> None:
    """It reaches nothing outside, its last words are in the log, and its daemon ends with it."""
    skip_without_rights()
    code = """
    try:
        socket.create_connection(("192.0.2.1", 25), timeout=2)
        print("the way out is open")
    except OSError as error:
        print("no way out:", error)
    try:
        open("/etc/seglab-was-here", "w").write("x")
        print("wrote where it likes", socket.gethostname(), flush=True)
    except OSError as error:
        print(error, flush=True)
    ended, end = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)", "MARK"])
    os.close(end)
    os.read(ended, 1)
    """
    mark = f"daemon-{uuid4()}"
    code = textwrap.dedent(code).replace("MARK", mark)
    found = serve(scripted(code + WHOLE), tmp_path / "run")
    (record,) = found.records.values()
    assert (record.status, record.error) == ("complete", None), found.log
    assert "no way out: [Errno 101]" in found.log
    assert "wrote where it likes mx.seglab.test" in found.log
    assert not Path("/etc/seglab-was-here").exists()
    assert not _running(mark)


def _running(mark: str) -> list[Path]:
    """The processes of this machine that have the mark on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path.parent)
    return found
