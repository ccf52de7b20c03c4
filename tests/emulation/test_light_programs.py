"""Light named programs, installed from their registries and tried over real networks.

What each writes is known from its sources, or from strace: the comments say from which. The others
are in ``tests/software``, which takes minutes.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commanding import Seglab

from seglab.core.record import SessionRecord
from seglab.core.trace import sizes
from seglab.engine import EngineOptions
from seglab.experiment import registry
from seglab.experiment.named import plan_named
from seglab.kernel.engine import KernelEngine
from seglab.kernel.program.tracing import problem
from seglab.mail.message import MessageSpec
from seglab.software.available import available
from seglab.software.installing import install
from seglab.software.program import program
from seglab.software.store import Store

SIZE_BYTES = 30_000
NETWORKS = ("ethernet", "pppoe", "ipv6-ethernet")
LIGHT = [
    *("aiosmtplib", "curl", "msmtp", "postfix", "smtplib", "swaks"),
    *(["nodemailer-raw"] if shutil.which("npm") else []),
]
Tried = dict[tuple[str, str], SessionRecord]


def _machine() -> set[tuple[str, int]]:
    """The files of the machine that mail programs write, and when each was changed."""
    folders = ("/etc", "/var/spool", "/var/lib", "/var/mail", "/usr/sbin", "/usr/bin")
    return {
        (str(path), path.lstat().st_mtime_ns)
        for folder in folders
        for path in Path(folder).glob("*")
        if path.name not in {"apt", "dpkg"}  # tests beside this one may install something
    }


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """One session of every light program over each network."""
    if reason := problem():
        pytest.skip(reason)
    before = _machine()
    store = Store(tmp_path_factory.mktemp("software"))
    chosen = [program(name) for name in LIGHT]
    outcomes = install(chosen, store, lambda _name, _words: None)
    assert [(one.name, one.reason) for one in outcomes if one.reason] == []
    planned = [
        session
        for one in chosen
        for session in plan_named(
            available(one, store),
            [registry.network(network) for network in NETWORKS],
            MessageSpec(payload_bytes=SIZE_BYTES),
            sessions=1,
            seed=3,
            sender_address="a@example.org",
            recipient="b@example.org",
        )
    ]
    records: list[SessionRecord] = []
    asyncio.run(KernelEngine(EngineOptions()).run(planned, records.append))
    assert _machine() == before, "nothing of the machine has changed"
    yield {(record.sender, record.network): record for record in records}
    shutil.rmtree(store.path)


every_network = pytest.mark.parametrize("network", NETWORKS)


@pytest.mark.parametrize("name", LIGHT)
@every_network
def test_a_program_delivers(tried: Tried, name: str, network: str) -> None:
    """All three layers are there and agree, and the row says which version it was."""
    record = tried[name, network]
    assert (record.status, record.error) == ("complete", None), record.output
    assert record.payload_bytes >= SIZE_BYTES
    assert '"version":"' in record.parameters


@every_network
@pytest.mark.parametrize("name", ["smtplib", "aiosmtplib"])
def test_one_write(tried: Tried, name: str, network: str) -> None:
    """Smtplib's data() hands sendall() the message with its dot; aiosmtplib's transport too."""
    assert sizes(tried[name, network].writes) == [SIZE_BYTES]


@every_network
def test_curl_writes_the_terminator_by_itself(tried: Tried, network: str) -> None:
    """lib/smtp.c sends the end of data in smtp_done(), after all of the message."""
    record = tried["curl", network]
    assert record.terminator == "own_write"
    assert sizes(record.writes)[-1] in {3, 5}
    assert record.nodelay


@every_network
def test_msmtp_writes_lines(tried: Tried, network: str) -> None:
    """src/smtp.c: smtp_send_mail() has a net_puts() for each line."""
    record = tried["msmtp", network]
    assert record.style == "line_by_line"
    assert len(record.writes) > 300


@every_network
def test_postfix_has_a_buffer_of_four_segments(tried: Tried, network: str) -> None:
    """vstream_tweak_tcp() asks the kernel for the MSS, and makes the buffer four times as large."""
    record = tried["postfix", network]
    *full, last = sizes(record.writes)
    assert len(full) >= 3
    assert set(full) == {4 * record.mss}
    assert last <= 4 * record.mss
    assert ("TCP_MAXSEG", "get") in {(one.name, one.action) for one in record.options}


def test_the_cache_of_the_user_is_not_touched(tried: Tried) -> None:
    """What these tests install lies in their own folder."""
    assert tried
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    assert not (cache / "seglab" / "software" / "new").exists()


def test_the_survey(tmp_path: Path) -> None:
    """Every mail over the network, a table of it, and a resumed run that has nothing to do."""
    if reason := problem():
        pytest.skip(reason)
    cache = {"XDG_CACHE_HOME": str(tmp_path)}
    out = tmp_path / "run"
    chosen = ("--sender", "smtplib", "--network", "ethernet", "--sessions", "1", "--quiet")
    with Seglab("run", "survey", *chosen, "--out", out, environment=cache) as first:
        assert first.ended() == 0, first.err
    names, *rows = (out / "programs.tsv").read_text().splitlines()
    columns = names.split("\t")
    found = [dict(zip(columns, row.split("\t"), strict=True)) for row in rows]
    usual = [row["payload_bytes"] for row in found if row["offers"] == "PIPELINING"]
    assert usual == ["2048", "6144", "25600", "122880"]
    assert {row["offers"] for row in found} == {"PIPELINING", "PIPELINING CHUNKING", "neither"}
    assert len(found) == 3 * len(usual)
    assert {(row["program"], row["complete"], row["style"].split()[0]) for row in found} == {
        ("smtplib", "1", "single_write")
    }
    assert (out / "figures" / "programs.svg").is_file()
    with Seglab("run", "--resume", out, "--quiet", environment=cache) as again:
        assert again.ended() == 0, again.err
    assert (out / "programs.tsv").read_text().splitlines() == [names, *rows]
