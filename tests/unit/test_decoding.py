"""Stored and foreign JSON: whatever it is, it becomes a value or one line."""

from collections.abc import Callable
from typing import Any

import pytest
from synthetic import record

from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.dataset.result import ShardResult
from seglab.errors import InputError
from seglab.reproduction.stored_summary import StoredSummary
from seglab.runs.manifest import Manifest


@pytest.mark.parametrize(
    ("parse", "words"),
    [
        (Observation.from_json, "not an observation: "),
        (Verdict.from_json, "not a verdict: "),
        (SessionRecord.from_json, "not a session record: "),
        (Manifest.from_json, "not the manifest of a run: "),
        (StoredSummary.from_json, "not the summary of a run: "),
        (ShardResult.from_json, "not a shard's description: "),
    ],
)
@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"7", b'{"id": 7}', b"\xff\xfe", b'{"id": "\xff"}', b'{"x":' * 100_000],
)
def test_what_is_no_such_json(parse: Callable[[bytes], Any], words: str, text: bytes) -> None:
    """Empty, cut off, of another shape or type, no UTF-8, or nested without end."""
    if parse == Manifest.from_json and text == b'{"id": 7}':
        return  # a key that it does not know, which is skipped
    with pytest.raises(InputError, match=f"^{words}"):
        parse(text)


@pytest.mark.parametrize("values", [{}, {"id": 7, "sizes": [1]}, {"id": "x", "sizes": [0]}])
def test_mappings_that_are_no_observations(values: dict[str, Any]) -> None:
    """Without a key, with a wrong type, or with a value that cannot be."""
    with pytest.raises(InputError, match=r"^not an observation: "):
        Observation.from_dict(values)


def test_a_long_value_is_cut_in_the_error() -> None:
    """What was expected and the key stay; the value, which may have megabytes, does not."""
    with pytest.raises(InputError) as caught:
        Observation.from_json(b'{"id": "a", "sizes": [1], "reply": "%b"}' % (b"x" * 70_000))
    assert str(caught.value).startswith("not an observation: Invalid enum value 'xxx")
    assert str(caught.value).endswith("xxx' - at `$.reply`")
    assert len(str(caught.value)) < 400


def test_parameters_that_are_no_json() -> None:
    """A stored session has no parameters then, however the text is broken."""
    for text in ("", "[", "[" * 90_000, "\ud800", '{"a": 1e999}'):
        assert record(parameters=text).parameter("a") is None
