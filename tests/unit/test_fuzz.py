"""Fuzzing: some inputs of each kind, always the same ones, and the fuzzers' own parts."""

import mmap
from collections.abc import Iterator

import pytest
from fuzz.kind import Kind, Refusal, case_random, examine, outcome
from fuzz.kinds import KINDS
from fuzz.minimise import minimise
from fuzz.runner import main
from fuzz.worker import Worker

from seglab.errors import InputError

CASES = {"captures": 60, "messages": 150, "smtp": 60, "logs": 200, "json": 400, "toml": 120}
CASES |= {"parquet": 60, "own": 60, "commands": 40, "folders": 8}
"""How many inputs of each kind: about two seconds of each."""

SEED = 36


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """A process that examines inputs of the kind."""
    made = Worker(request.param)
    yield made
    made.close()


@pytest.mark.parametrize(("worker", "name"), [(name, name) for name in KINDS], indirect=["worker"])
def test_some_inputs(worker: Worker, name: str) -> None:
    """None of them breaks a rule; ``python tests/fuzz`` goes on from here."""
    for number in range(CASES[name]):
        _, problem = worker.case(SEED, number)
        again = f"python tests/fuzz --kind {name} --seed {SEED} --case {number}"
        assert problem is None, f"{again}\n{problem.text}"


@pytest.mark.parametrize("name", KINDS)
def test_a_case_is_made_again(name: str) -> None:
    """Kind, seed and number say what an input is, and nothing else does."""
    kind = KINDS[name]
    made = [kind.make(case_random(name, SEED, number)) for number in (0, 1, 0)]
    assert made[0] == made[2]
    assert made[0] != made[1]
    assert b"".join(kind.units(made[0])) == made[0]


def _grow(data: bytes) -> None:
    """Fill new pages; a ``bytearray`` may lie in memory that the process already has."""
    with mmap.mmap(-1, len(data) << 20) as pages:
        assert pages.write(b"x" * len(pages)) == len(pages)


def _spin(_: bytes) -> None:
    sum(range(200_000))


@pytest.mark.parametrize(
    ("check", "signature"),
    [
        (lambda _: None, None),
        (lambda data: data[99], "IndexError in test_fuzz.py:<lambda>"),
        (_grow, "memory"),
        (_spin, "time"),
    ],
)
def test_what_counts_as_a_fault(check: object, signature: str | None) -> None:
    """An exception, too much memory and too much time; the signature has the place."""
    kind = Kind("x", "", lambda _: b"", check, growth_bytes=8 << 20)  # type: ignore[arg-type]
    found = examine(kind, b"x" * 20, cpu_s=1e-4 if signature == "time" else 60)
    assert (found and found.signature) == signature


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * 2000])
def test_an_error_is_a_clear_line(text: str) -> None:
    """The project's own error is no fault, unless its text is none, long, or of several lines."""

    def refuse(words: str) -> None:
        raise InputError(words)

    assert outcome(lambda: refuse("x.toml: no")) == Refusal("x.toml: no")
    with pytest.raises(AssertionError):
        outcome(lambda: refuse(text))


def test_an_input_is_made_smaller() -> None:
    """What remains is what the fault needs: here two lines, and of these two letters."""
    data = b"".join(b"line %d\n" % number for number in range(100)) + b"an A\nand more\nand a Z\n"

    def fails(part: bytes) -> bool:
        return b"A" in part and b"Z" in part

    found = minimise(data, lambda whole: whole.splitlines(keepends=True), fails, 60.0)
    assert found == b"AZ"


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends after its time, says how many cases there were, and that nothing was found."""
    assert main(["--kind", "logs", "--seconds", "0.2", "--seed", str(SEED)]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last[0] == "logs"
    assert int(last[1]) > 0
    assert last[-2:] == ["no", "fault"]
