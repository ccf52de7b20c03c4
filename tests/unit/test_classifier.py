"""Classifiers: verdicts as values, how they are found, and what a user's own may return."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seglab.classification.classifier import Classifier, Verdict
from seglab.classification.registry import as_verdict, classifier, classifiers
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.core.observation import Observation
from seglab.core.trace import HeaderField
from seglab.errors import InputError
from seglab.mail.header_layout import header_layout
from seglab.mail.message import MessageSpec, generate

SEEN = Observation(id="x", sizes=(1448, 600), mss=1448, timestamps=True)

FULL = Verdict(
    id="x",
    style=("relay", "line_by_line"),
    terminator="own_write",
    path_condition="steady",
    buffer=2048,
    boundaries=(77, 200),
    boundary_confidence=(1.0, 0.5),
    confidence=0.9,
    evidence=("77 bytes are the Received header",),
    explanations=((1500, True), (1488, False)),
    recut=((0, 1448),),
    held_back=(200,),
    witnesses={"relay": (77,), "line_by_line": (77, 140)},
    sizes=(1448, 600),
    mss=1448,
    timestamps=True,
)


@pytest.mark.parametrize("verdict", [FULL, Verdict(id="x", style=None)], ids=["all", "least"])
def test_a_line_of_json_gives_the_same_verdict(verdict: Verdict) -> None:
    """Both ways; a set of styles is a list there."""
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert Verdict.from_dict(verdict.to_dict()) == verdict


@pytest.mark.parametrize(
    ("style", "expected"),
    [(None, ()), ("relay", ("relay",)), (("a", "b"), ("a", "b"))],
)
def test_styles_are_a_tuple(style: Any, expected: tuple[str, ...]) -> None:
    """None, one or several."""
    assert Verdict(id="x", style=style).styles == expected


@pytest.mark.parametrize("line", ["", "{}", '{"id": 5}', '{"id": "x", "style": 3}', "[[[["])
def test_a_line_that_is_none_is_an_input_error(line: str) -> None:
    """Never anything else."""
    with pytest.raises(InputError, match="not a verdict"):
        Verdict.from_json(line)


def test_a_classifier_completes_its_verdict() -> None:
    """It repeats the observation's id, sizes, MSS and timestamps, whatever the function said."""
    own = Classifier("own", "mine", lambda _: Verdict(id="?", style="relay", sizes=(1,)))
    found = own(SEEN)
    assert found is not None
    assert (found.id, found.sizes, found.mss, found.timestamps) == ("x", (1448, 600), 1448, True)


def test_an_abstention_stays_one() -> None:
    """None is an answer."""
    assert Classifier("own", "mine", lambda _: None)(SEEN) is None


def test_the_built_in_classifiers() -> None:
    """Those that the README names, each under its own name."""
    assert {"paper", "boundaries"} <= {*classifiers()}
    assert all(name == one.name and one.summary for name, one in classifiers().items())


@pytest.mark.parametrize("name", sorted(classifiers()))
@settings(max_examples=15, deadline=None)  # an inference takes its time on noise
@given(
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=12),
    mss=st.none() | st.sampled_from([536, 1448]),
    layer=st.sampled_from(["reads", "segments"]),
)
def test_a_built_in_answers_in_the_ground_truths_words(
    name: str, sizes: list[int], mss: int | None, layer: str
) -> None:
    """Whatever it sees, it raises nothing, and says the same again."""
    observation = Observation.from_dict({"id": "x", "sizes": sizes, "mss": mss, "layer": layer})
    found = classifiers()[name](observation)
    assert found == classifiers()[name](observation)
    if found is None:
        return
    assert {*found.styles} <= {*STYLES}
    assert found.terminator in {None, *TERMINATORS}
    assert found.path_condition in {None, *PATH_CONDITIONS}
    assert all(0 < end < sum(sizes) for end in found.boundaries)
    assert found.style is None or (found.confidence is not None and 0 <= found.confidence <= 1)


def test_an_unknown_name_has_a_hint() -> None:
    """The error also says how a classifier of your own is named."""
    with pytest.raises(InputError, match=r"unknown classifier 'papr'.*package\.module:name.*paper"):
        classifier("papr")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Classifier]:
    """Loads ``classify`` from a module with that text in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    number = iter(range(100))

    def load(text: str) -> Classifier:
        name = f"own_classifier_{tmp_path.name.replace('-', '_')}_{next(number)}"
        (tmp_path / f"{name}.py").write_text(text)
        return classifier(f"{name}:classify")

    return load


@pytest.mark.parametrize(
    ("returned", "styles"),
    [
        ("'relay'", ("relay",)),
        ("['relay', 'line_by_line']", ("line_by_line", "relay")),
        ("{'style': 'relay', 'confidence': 0.5}", ("relay",)),
    ],
)
def test_a_users_function_may_return_what_is_easy(
    own: Callable[[str], Classifier], returned: str, styles: tuple[str, ...]
) -> None:
    """A style, several, or a mapping with a verdict's keys."""
    found = own(f"def classify(observation):\n    'Mine.'\n    return {returned}\n")
    assert found.summary == "Mine."
    verdict = found(SEEN)
    assert verdict is not None
    assert (verdict.id, verdict.styles) == ("x", styles)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classify = 5", "is int, not callable"),
        ("", "cannot be loaded: AttributeError"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("raise SystemError('x')", "cannot be loaded: SystemError"),
    ],
)
def test_a_module_that_cannot_be_used(
    own: Callable[[str], Classifier], text: str, words: str
) -> None:
    """One line that says why."""
    with pytest.raises(InputError, match=words):
        own(text)


def test_another_answer_is_refused() -> None:
    """It says what was returned, or which key is missing; a style of ``None`` abstains."""
    with pytest.raises(InputError, match="the classifier returned int"):
        as_verdict(SEEN, 5)
    with pytest.raises(InputError, match="no key 'style'; a style of null abstains"):
        as_verdict(SEEN, {"terminator": "own_write"})
    assert as_verdict(SEEN, {"style": None}) == Verdict(id="x", style=None)
    with pytest.raises(InputError, match="not a verdict"):
        as_verdict(SEEN, {"style": 5})


HEADERS = b"Received: from a\r\n by b\r\nSubject: x\r\n"


def test_a_layout_has_each_field_with_its_folded_lines() -> None:
    """The header ends where the empty line begins (RFC 5322, 2.1)."""
    found = header_layout(HEADERS + b"\r\nbody: no field\r\n.\r\n")
    assert found.header_end == len(HEADERS)
    assert found.fields == (HeaderField("Received", 0, 25), HeaderField("Subject", 25, 37))


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        (b"", []),
        (HEADERS, ["Received"]),
        (HEADERS[:30], ["Received"]),
        (HEADERS[:20], []),
        (b"no header at all\r\n\r\n", []),
    ],
    ids=["nothing", "no empty line", "cut in a field", "cut in a folded line", "no field"],
)
def test_where_the_bytes_end_too_early_the_header_has_no_end(
    payload: bytes, names: list[str]
) -> None:
    """A field that may go on is not there yet."""
    found = header_layout(payload)
    assert found.header_end is None
    assert [field.name for field in found.fields] == names


def test_an_empty_header_ends_at_once() -> None:
    """The empty line is the first one."""
    assert header_layout(b"\r\nbody\r\n.\r\n").header_end == 0


@given(st.integers(0, 1 << 32), st.integers(1500, 9000))
def test_the_layout_of_generated_mail(seed: int, size: int) -> None:
    """What the generator knows, the layout finds in the bytes."""
    message = generate(seed, MessageSpec(payload_bytes=size))
    found = header_layout(message.wire)
    assert found.header_end == message.header_end
    assert [field.end - field.start for field in found.fields] == [len(f) for f in message.fields]
