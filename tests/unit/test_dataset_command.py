"""``seglab dataset`` as its users meet it: estimates, questions, mistakes, going on."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dataset_making import ENGINE, SESSIONS, SPEC, Breakdown, PureEngine, spec_of

from seglab import cli
from seglab.commands import dataset
from seglab.dataset.estimate import duration, estimate, room_bytes, size
from seglab.dataset.integrity import COMPARED_MAX_BYTES
from seglab.dataset.plan import planned

BILLION = SPEC.replace("repeats = 5", "repeats = 37_037_038")
SLOW = (
    SPEC.replace('"ethernet"', '"slow"')
    + """
[[network]]
name = "slow"
title = "a session takes hours"
links.core.delay_ms = 3_600_000
"""
)


@pytest.fixture(autouse=True)
def _pure_engine() -> None:
    """Let no test see what another one wanted of the engine."""
    PureEngine.reset()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A specification's file."""
    path = tmp_path / "small.toml"
    path.write_text(SPEC)
    return path


def _begun(arguments: tuple[str | Path, ...]) -> bool:
    """Whether the folder of a build holds a dataset, which keeps its engine."""
    return (Path(arguments[arguments.index("--out") + 1]) / "manifest.json").exists()


class Run:
    """What a command printed, and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> None:
        if arguments[0] == "build" and not _begun(arguments):
            arguments = (*arguments, "--engine", ENGINE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["seglab", "dataset", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        self.code = ended.value.code
        self.out, self.err = capsys.readouterr()


def test_build_and_check(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A build says what it will cost and what it made; a check finds nothing, and draws."""
    out = tmp_path / "made"
    built = Run(capsys, "build", spec, "--out", out)
    assert built.code == 0
    assert built.err.startswith(f"{SESSIONS} sessions in 3 shards: about ")
    assert f"{SESSIONS} sessions in 3 shards: train 81, validation 27, test 27" in built.out
    checked = Run(capsys, "check", out)
    assert checked.code == 0
    assert "no findings" in checked.out
    assert (out / "summary.svg").exists()
    again = Run(capsys, "check", out, "--json", "--out", tmp_path / "elsewhere")
    assert json.loads(again.out)["findings"] == []
    assert json.loads(again.out)["splits"]["split"] == {"train": 81, "validation": 27, "test": 27}
    assert (tmp_path / "elsewhere" / "summary.png").exists()


def test_findings_are_exit_code_1(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dataset with a fault is reported in one line, and is exit code 1."""
    out = tmp_path / "made"
    Run(capsys, "build", spec, "--out", out, "--quiet")
    (out / "data" / "train-00001.parquet").unlink()
    checked = Run(capsys, "check", out)
    assert checked.code == 1
    assert checked.out.splitlines()[0] == "checksums: data/train-00001.parquet: missing"


def test_the_same_command_again(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command goes on with what broke off, and says so; then there is nothing to do."""
    out = tmp_path / "made"
    PureEngine.breaks_after = 70
    command = ["seglab", "dataset", "build", str(spec), "--out", str(out), "--engine", ENGINE]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(Breakdown):
        cli.main()
    PureEngine.breaks_after = None
    capsys.readouterr()
    again = Run(capsys, "build", spec, "--out", out)
    assert again.code == 0
    assert "continuing a build: 1 of 3 shards are there, and 20 sessions more" in again.err
    assert len(PureEngine.ran) == SESSIONS
    third = Run(capsys, "build", spec, "--out", out, "--json", "--resume")
    assert "all 3 shards are built" in third.err
    assert json.loads(third.out)["complete"] == SESSIONS
    assert len(PureEngine.ran) == SESSIONS


def spoil_data(out: Path) -> str:
    """A flipped byte in rows, which stays as long as it was."""
    path = out / "data" / "train-00001.parquet"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    return "data/train-00001.parquet"


def spoil_words(out: Path) -> str:
    """Another word in the datasheet."""
    (out / "README.md").write_text("mine")
    return "README.md"


@pytest.mark.parametrize("spoil", [spoil_data, spoil_words])
def test_a_changed_file_is_not_called_built(
    spec: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], str],
) -> None:
    """It is named with what to do; done, the same command makes it again, and nothing is found."""
    out = tmp_path / "made"
    Run(capsys, "build", spec, "--out", out, "--quiet")
    name = spoil(out)
    again = Run(capsys, "build", spec, "--out", out)
    assert again.code == 2
    assert f"{out}: {name} has changed since it was written" in again.err
    assert again.out == ""
    (out / name).unlink()
    assert Run(capsys, "build", spec, "--out", out).code == 0
    checked = Run(capsys, "check", out)
    assert checked.code == 0, checked.out


@pytest.mark.parametrize(
    ("name", "cut", "why"),
    [
        ("data/train-00001.parquet", False, "data/train-00001.parquet is missing"),
        ("wire/00002.zip", True, "wire/00002.zip has 7 bytes instead of "),
        ("shards/00000.json", False, "a shard's description is missing"),
    ],
)
def test_what_is_lost_is_built_again(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, cut: bool, why: str
) -> None:
    """Of a built dataset, the shard of a lost file alone; it is said which file, and what of it."""
    out = tmp_path / "made"
    Run(capsys, "build", spec, "--out", out, "--quiet")
    ran = len(PureEngine.ran)
    (out / name).write_bytes(b"cut off") if cut else (out / name).unlink()
    again = Run(capsys, "build", spec, "--out", out)
    assert again.code == 0
    assert f"{out}: 1 shard to be built again: {why}" in again.err
    assert 0 < len(PureEngine.ran) - ran <= 50
    checked = Run(capsys, "check", out)
    assert checked.code == 0, checked.out


def test_sessions_that_were_not_tried_are_done_again(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over some, a part of the lab died: the same command says so, and carries out these."""
    out = tmp_path / "made"
    dying = [place.spec.session_id for place in planned(spec_of(), 2014, 1)][:2]
    PureEngine.kills = dict.fromkeys(dying, 1000)
    assert Run(capsys, "build", spec, "--out", out, "--quiet").code == 1
    PureEngine.reset()
    again = Run(capsys, "build", spec, "--out", out)
    assert again.code == 0
    words = "a part of the lab died over 2 sessions"
    assert f"{out}: 1 shard to be built again: {words}" in again.err
    assert sorted(PureEngine.ran) == sorted(dying)


def test_of_much_only_the_sizes_are_compared(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The content of files that take long to read is not compared, and the command says so."""
    out = tmp_path / "made"
    Run(capsys, "build", spec, "--out", out, "--quiet")
    spoil_data(out)
    os.truncate(out / "croissant.json", COMPARED_MAX_BYTES)  # sparse: it takes no room
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"]["croissant.json"]["bytes"] = COMPARED_MAX_BYTES
    (out / "manifest.json").write_text(json.dumps(manifest))
    again = Run(capsys, "build", spec, "--out", out)
    assert again.code == 0
    assert (
        "all 3 shards are built, by the sizes of their files; `seglab dataset check`" in again.err
    )


def test_resume_wants_something_to_resume(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --resume, nothing new is begun."""
    run = Run(capsys, "build", spec, "--out", tmp_path / "made", "--resume")
    assert run.code == 2
    assert "no dataset has been begun here" in run.err
    assert not (tmp_path / "made").exists()


def test_the_seed_is_taken_from_what_is_there(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Going on needs no --seed; another seed is refused."""
    out = tmp_path / "made"
    Run(capsys, "build", spec, "--out", out, "--seed", "7", "--quiet")
    assert Run(capsys, "build", spec, "--out", out).code == 0
    other = Run(capsys, "build", spec, "--out", out, "--seed", "8")
    assert other.code == 2
    assert "another seed (7, not 8)" in other.err


@pytest.mark.parametrize("room", ["plenty", "little"])
def test_a_billion_sessions_without_a_terminal(
    spec: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    room: str,
) -> None:
    """How long and how large is said at once; nobody can be asked, so it is refused."""
    if room == "plenty":
        monkeypatch.setattr(dataset.shutil, "disk_usage", lambda _path: Free)
    spec.write_text(BILLION)
    run = Run(capsys, "build", spec, "--out", tmp_path / "made")
    assert run.code == 2
    last = run.err.splitlines()[-1]
    assert "1,000,000,026 sessions in 20,000,001 shards" in last
    assert "TB on disk" in last
    assert ("and the disk has" in last) == (room == "little")
    assert "--yes" in last
    assert not (tmp_path / "made").exists()
    assert PureEngine.ran == []


class Free:
    """A disk without end."""

    free = 1 << 70


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("y\n", 0)])
def test_a_large_one_is_asked_about(
    spec: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
) -> None:
    """On a terminal the user is asked, and nothing is made before the answer."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    spec.write_text(SLOW)
    run = Run(capsys, "build", spec, "--out", tmp_path / "made")
    assert "Build it?" in run.err
    assert run.code == code
    assert (tmp_path / "made").exists() == (code == 0)


class Terminal:
    """A standard input that answers."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        """It says that it is one."""
        return True

    def readline(self, *_: int) -> str:
        """The answer."""
        return self._answer


def test_yes_asks_nobody(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --yes the estimate is reported, and that is all."""
    spec.write_text(SLOW)
    run = Run(capsys, "build", spec, "--out", tmp_path / "made", "--yes")
    assert run.code == 0
    assert len(PureEngine.ran) == SESSIONS


def test_a_disk_without_room(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk cannot hold it, that is said before anything is carried out."""
    free = type("Disk", (), {"free": 100_000})
    monkeypatch.setattr(dataset.shutil, "disk_usage", lambda _path: free)
    run = Run(capsys, "build", spec, "--out", tmp_path / "made")
    assert run.code == 3
    assert "the disk has 100 kB left" in run.err
    assert PureEngine.ran == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SPEC.replace("repeats", "repaets"), "unknown key 'repaets'; did you mean 'repeats'?"),
        (SPEC.replace("[splits]", "[splits"), "not TOML"),
        ("", "title is missing"),
    ],
)
def test_mistakes_in_the_specification(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    """A mistake is one line on standard error, exit code 2, and nothing is made."""
    spec.write_text(text)
    run = Run(capsys, "build", spec, "--out", tmp_path / "made")
    assert run.code == 2
    (line,) = run.err.splitlines()
    assert words in line
    assert str(spec) in line
    assert not (tmp_path / "made").exists()


def test_names_that_are_no_text(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder may have any name; a specification's own is kept, and has to be UTF-8."""
    out = tmp_path / os.fsdecode(b"made\xff\x1b[31m")
    assert Run(capsys, "build", spec, "--out", out, "--json").code == 0
    assert Run(capsys, "check", out, "--json").code == 0
    renamed = spec.rename(tmp_path / os.fsdecode(b"spec\xff.toml"))
    run = Run(capsys, "build", renamed, "--out", tmp_path / "other")
    assert run.code == 2
    assert "spec\\udcff.toml: no UTF-8, and a manifest has to hold the path" in run.err


def test_no_such_specification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is reported by its path."""
    run = Run(capsys, "build", tmp_path / "none.toml", "--out", tmp_path / "made")
    assert run.code == 2
    assert "none.toml: No such file or directory" in run.err


def test_failed_sessions_are_exit_code_1(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where sessions failed for good, the build is whole, says so, and is exit code 1."""
    PureEngine.dead = {"ethernet"}
    run = Run(capsys, "build", spec, "--out", tmp_path / "made")
    assert run.code == 1
    assert f"failed on ethernet: {SESSIONS // 3} sessions; the first: it was to fail" in run.out


def test_estimates_grow_with_the_work() -> None:
    """Twice the sessions are twice the bytes; slow networks take longer, captures more room."""
    one = estimate(spec_of(), 40)
    two = estimate(spec_of(SPEC.replace("repeats = 5", "repeats = 10")), 40)
    assert two.file_bytes == pytest.approx(2 * one.file_bytes)
    slow = estimate(spec_of(SPEC.replace('"unimpaired"', '"gprs"')), 40)
    assert slow.seconds > 5 * one.seconds
    bare = estimate(spec_of(SPEC.replace("repeats = 5", "repeats = 5\ncaptures = false")), 40)
    assert bare.file_bytes < one.file_bytes / 2
    assert room_bytes(spec_of(), one) > one.file_bytes
    assert estimate(spec_of(), 40, sessions=10).sessions == 10


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.2, "1 s"),
        (59, "59 s"),
        (600, "10 min"),
        (7200, "2 h"),
        (864_000, "10 days"),
        (1e9, "32 years"),
    ],
)
def test_durations(value: float, words: str) -> None:
    """Times are reported in the unit that people would use."""
    assert duration(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(900, "0.9 kB"), (2e6, "2.0 MB"), (35e9, "35 GB"), (4e12, "4.0 TB"), (3e16, "30,000 TB")],
)
def test_sizes(value: float, words: str) -> None:
    """Sizes are reported in the unit that people would use."""
    assert size(value) == words


def test_mails_that_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which of the user's own mails cannot be sent is reported before the rest are."""
    (tmp_path / "good.eml").write_bytes(b"Subject: one\r\n\r\ntext\r\n")
    (tmp_path / "bad.eml").write_bytes(b"\x00")
    spec = tmp_path / "own.toml"
    spec.write_text(
        'title = "Own"\nsenders = ["single_write"]\nnetworks = ["unimpaired"]\nrepeats = 3\n'
        '[[messages]]\nname = "mine"\nsource = "."\nskip_bad = true\n'
    )
    run = Run(capsys, "build", spec, "--out", tmp_path / "made")
    assert run.code == 0
    assert run.err.startswith("mine: left out 1 of 2 mails: ")
