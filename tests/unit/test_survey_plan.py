"""The sessions of named programs in a scenario."""

from dataclasses import replace
from pathlib import Path

import pytest

from seglab.core.specfile import SpecTable, decode
from seglab.errors import EnvironmentLacksError, InputError
from seglab.execution.request import RunRequest, request_of
from seglab.experiment import registry
from seglab.experiment.named import plan_programs
from seglab.experiment.offers import Offers
from seglab.experiment.program import content
from seglab.experiment.scenario import Scenario
from seglab.kernel.engine import _Group
from seglab.software.available import AvailableProgram
from seglab.software.program import programs
from seglab.software.store import Store


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store in place of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Store.usual()


def scenario(text: str) -> Scenario:
    """The scenario of a file with this text."""
    table = SpecTable("mine.toml", decode(f'title = "t"\n{text}'.encode(), "mine.toml"))
    return registry.parse_scenario("mine", table)


def installed(name: str, tree: Path | None = None) -> AvailableProgram:
    """A program of version 1."""
    return AvailableProgram(programs()[name], "1", "", tree)


TWO = 'programs = ["swaks", "postfix"]\nsizes_bytes = [2048, 6144]\nnetworks = ["pppoe", "gprs"]\n'


def test_every_program_sends_every_mail_over_every_network() -> None:
    """Ids are unique; all programs send the same bytes, and another repetition other ones."""
    found = [installed("swaks"), installed("postfix", Path("/cache/postfix"))]
    planned = plan_programs(scenario(f"{TWO}sessions = 3"), found, seed=1)
    assert len({spec.session_id for spec, _ in planned}) == len(planned) == 2 * 2 * 2 * 3
    assert planned[0][0].session_id == "mine.swaks.payload_bytes=2048.pppoe.0000"
    mails: dict[tuple[str, int], set[bytes]] = {}
    for spec, _ in planned:
        mails.setdefault((spec.variant, spec.repeat), set()).add(content(spec))
    assert [len(one) for one in mails.values()] == [1] * 6
    assert len(set.union(*mails.values())) == 6


def test_a_session_has_what_its_program_needs() -> None:
    """Folder, files, accounts and environment come from the program; the version is a parameter."""
    found = [installed("postfix", Path("/cache/postfix"))]
    (spec, network), *_ = plan_programs(scenario(TWO), found, seed=1, sessions=1)
    program = programs()["postfix"]
    assert spec.layers == ("/cache/postfix",)
    assert spec.equipment is not None
    assert dict(spec.equipment.files) == program.files
    assert spec.equipment.accounts == ("postfix", "postdrop")
    assert (spec.ready, spec.send) == (program.ready, program.send)
    assert spec.parameters == {"version": "1"}
    assert network.name == "pppoe"


def test_what_the_server_offers_is_an_axis() -> None:
    """Over its networks, with the same mails and the same links, in sessions of their own."""
    offers = "[[offers]]\n[[offers]]\nchunking = true\nnetworks = ['gprs']\nsessions = 1\n"
    mine = scenario(f"{TWO}sessions = 2\n{offers}")
    planned = plan_programs(mine, [installed("swaks")], seed=1)
    assert len({spec.session_id for spec, _ in planned}) == len(planned) == 2 * 2 * 2 + 2
    chunked = [spec for spec, _ in planned if spec.offers.chunking]
    assert [spec.session_id for spec in chunked] == [
        "mine.swaks.payload_bytes=2048,chunking=true.gprs.0000",
        "mine.swaks.payload_bytes=6144,chunking=true.gprs.0000",
    ]
    for spec in chunked:
        twin = next(
            other
            for other, _ in planned
            if other.session_id == spec.session_id.replace(",chunking=true", "")
        )
        assert (spec.seed, content(spec)) == (twin.seed, content(twin))


def test_too_many_sessions_with_offers() -> None:
    """Each setting of the server counts, with its own number of sessions."""
    text = f"{TWO}sessions = 200000\n[[offers]]\n[[offers]]\nchunking = true\n"
    with pytest.raises(InputError, match="3200000 sessions"):
        scenario(text)
    assert scenario(f"{text}sessions = 1\n".replace("200000", "2000")).sessions == 2000


def test_what_is_not_installed_is_left_out() -> None:
    """The rest runs, and the run's manifest has its names, so that it can be resumed."""
    request = RunRequest((replace(scenario(TWO), programs=("swaks", "smtplib"), name="mine"),))
    assert {spec.sender for spec, _ in request.specs(1)} == {"smtplib"}
    assert request.missing_programs() == ["swaks"]
    manifest = request.manifest("run", 1, jobs=2, time_limit_s=60)
    assert request_of(manifest, Path("run")).programs == ("smtplib",)


def test_what_has_begun_without_a_program_continues_without_it() -> None:
    """A program that ran before and is gone is an error, not a smaller run."""
    mine = replace(scenario(TWO), programs=("swaks", "smtplib"))
    assert {s.sender for s, _ in RunRequest((mine,), programs=("smtplib",)).specs(1)} == {"smtplib"}
    with pytest.raises(EnvironmentLacksError, match="seglab software install swaks"):
        RunRequest((mine,), programs=("swaks",)).specs(1)


def test_nothing_is_installed() -> None:
    """The message says how to get programs."""
    with pytest.raises(EnvironmentLacksError, match="seglab software install --all"):
        RunRequest((scenario(TWO),)).specs(1)


def test_programs_do_not_run_on_the_simulator() -> None:
    """They use the kernel's TCP, and the message says so before a folder is made."""
    with pytest.raises(InputError, match="simulator runs no programs"):
        RunRequest((scenario(TWO),)).manifest("run", 1, 2, 60, engine="simulator")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('programs = ["swak"]', "programs[0]: unknown program 'swak'; did you mean 'swaks'?"),
        ('programs = ["swaks", "swaks"]', "programs[1]: 'swaks' stands there twice"),
        ("programs = [1]", "programs[0]: unknown program 1"),
        ('programs = "all"\nsizes_bytes = [5]', "sizes_bytes: "),
        ('programs = "all"\nsizes_bytes = [2048, 2048]', "expected sizes that differ"),
        ("sizes_bytes = [2048]", "senders is missing"),
        ('programs = "all"\n[[offers]]\nnetworks = ["gprs"]', "unknown network 'gprs'"),
        ('programs = "all"\n[[offers]]\n[[offers]]\n', "table offers ethernet the same"),
        ('programs = "all"\n[[offers]]\npipelining = 1', "offers[0].pipelining: expected true"),
        ('programs = "all"\n[[offers]]\nehlo = 1', "unknown key 'ehlo'"),
        ('senders = ["relay"]\n[[offers]]', "unknown key 'offers'"),
        ('senders = ["relay"]\nsizes_bytes = [2048]', "unknown key 'sizes_bytes'"),
    ],
)
def test_scenarios_that_cannot_be_used(text: str, message: str) -> None:
    """The error says where and what."""
    with pytest.raises(InputError) as error:
        scenario(f'networks = ["ethernet"]\n{text}')
    assert message in str(error.value)


def test_programs_over_a_slow_link_have_several_labs() -> None:
    """Each session is in one of them; a fast network has one lab, and emulated senders too."""
    many = [installed("swaks")] * 10
    slow = plan_programs(scenario(TWO.replace('"pppoe", ', "")), many, seed=1, sessions=3)
    group = _Group(slow[0][1], slow[0][0].reader, Offers(), True, [spec for spec, _ in slow])  # type: ignore[arg-type]
    parts = group.divided(10)
    assert 1 < len(parts) <= 10
    assert sorted(s.session_id for part in parts for s in part.pending) == sorted(
        spec.session_id for spec, _ in slow
    )
    assert len(group.divided(1)) == 1
    fast = plan_programs(scenario(TWO.replace(', "gprs"', "")), many[:1], seed=1, sessions=1)
    group = _Group(fast[0][1], fast[0][0].reader, Offers(), True, [spec for spec, _ in fast])  # type: ignore[arg-type]
    assert len(group.divided(10)) == 1
