"""TOML files of strangers: what it may cost to read one, and how one is refused."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seglab.core.specfile import KEY_PARTS_MAX, SIZE_MAX_BYTES, decode
from seglab.errors import InputError

BOMB = ".".join("a" * 10_000) + " = 1\n"

READERS = {
    "scenario": "from seglab.experiment.registry import scenario as read",
    "dataset": "from seglab.dataset.spec import read_spec as read",
    "weights": "from seglab.classification.weights import load as read",
    "known failures": "from seglab.core.specfile import read",
}
"""What imports each reader of TOML files as ``read``."""

LIMITED = """
import resource, sys
from pathlib import Path
from seglab.errors import InputError
{reader}
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
try:
    read(Path(sys.argv[1]))
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["{}", "[{}]", "x = {{ {} }}", 'title = "t"\n[[network]]\n{}'])
def test_a_key_of_many_parts_takes_no_memory(tmp_path: Path, reader: str, form: str) -> None:
    """20 kB of dots once took 533 MB, 200 kB 23 GB: each reader refuses them in one line."""
    bomb = ".".join("a" * 100_000)
    text = form.format(bomb if form == "[{}]" else f"{bomb} = 1")
    file = tmp_path / "bomb.toml"
    file.write_text(text)
    code = LIMITED.format(reader=READERS[reader], limit=2 << 30)
    done = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, text=True, timeout=60, check=True
    )
    line = text.count("\n") + 1
    assert done.stdout == (
        f"{file}: not usable TOML: line {line} has a key of 100000 parts; "
        f"expected {KEY_PARTS_MAX} at most\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a" * SIZE_MAX_BYTES,
        "a " * (SIZE_MAX_BYTES // 2),
        "a." * 15 + "a" + "\n" + "b." * 15,
        '\\"""' * (SIZE_MAX_BYTES // 4),
        '"""' + '\\"""' * (SIZE_MAX_BYTES // 4 - 1),
        "'" * SIZE_MAX_BYTES,
        "#" * (SIZE_MAX_BYTES - 2) + "\n=",
        " ." * (SIZE_MAX_BYTES // 2),
        "[" * SIZE_MAX_BYTES,
        "x = " + "[{a=" * (SIZE_MAX_BYTES // 4 - 1),
    ],
    ids=[
        "word",
        "words",
        "keys",
        "escapes",
        "open",
        "quotes",
        "comment",
        "dots",
        "lists",
        "tables",
    ],
)
def test_a_megabyte_of_anything_is_refused_soon(text: str) -> None:
    """No text of the largest size takes more than linear time (pytest would seem to hang)."""
    with pytest.raises(InputError):
        decode(text.encode(), "x.toml")


@pytest.mark.parametrize(
    "text",
    [
        f'x = "{BOMB[:-5]}"',
        f"x = '{BOMB[:-5]}'",
        f'x = """\n{BOMB}"""',
        f"x = '''\n{BOMB}'''",
        f"x = 1 # {BOMB}",
        f'"{BOMB[:-5]}" = 1',
        "x = [" + "1.5, " * 1000 + "]",
    ],
    ids=["basic", "literal", "long basic", "long literal", "comment", "quoted key", "numbers"],
)
def test_dots_in_values_are_no_key(text: str) -> None:
    """Strings, comments and numbers may have dots."""
    assert decode(text.encode(), "x.toml") == tomllib.loads(text)


def test_the_longest_key() -> None:
    """A key may have the greatest number of parts, quoted ones counted, and not one more."""
    parts = ["a"] * (KEY_PARTS_MAX - 1)
    decode((" . ".join([*parts, '"b.b"']) + " = 1").encode(), "x.toml")
    text = 'x = """\n"""\n' + ".".join([*parts, "'b.b'", "c"]) + " = 1"
    with pytest.raises(InputError, match=f"line 3 has a key of {KEY_PARTS_MAX + 1} parts"):
        decode(text.encode(), "x.toml")


PIECES = (
    '"', "'", '"""', "'''", "\\", "#", "\n", "=", ".", "[", "]", "{", "}", ",", " ", "a", "1",
    ".".join("a" * (KEY_PARTS_MAX + 1)),
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@example("a = 1\n" + ".".join("a" * (KEY_PARTS_MAX + 1)) + " = 1")
def test_no_long_key_gets_by(text: str) -> None:
    """What is read has no table deeper than a key may be, times the inline tables around it."""
    try:
        values = decode(text.encode(), "x.toml")
    except InputError:
        return
    assert values == tomllib.loads(text)
    assert depth(values) <= KEY_PARTS_MAX * (1 + text.count("{") + text.count("["))


def depth(value: object) -> int:
    """How many tables lie in each other."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return max(map(depth, value), default=0) if isinstance(value, list) else 0


def test_text_that_is_no_file() -> None:
    """A specification in a manifest has the limit of a file."""
    with pytest.raises(InputError, match="larger than 1048576 bytes"):
        decode(b"a = 1\n" * SIZE_MAX_BYTES, "manifest.json")
