"""On this kernel: a small run is evaluated, and witnesses of other styles give the same sizes."""

import json
from pathlib import Path

import pytest
from commanding import seglab

from seglab.classification.classifier import Classifier, Verdict
from seglab.commands.evaluate import LineEndFinder, evaluate_run
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.core.trace import first_sent
from seglab.evaluation.grammar import Shape, is_instance
from seglab.evaluation.judging import find_witness
from seglab.evaluation.lines import line_ends, payload_of
from seglab.runs.folder import RunFolder

NETWORKS = """
[[network]]
name = "wide"
title = "MTU 1506"
like = "ethernet"
mtu = 1506

[[network]]
name = "narrow"
title = "MTU 1006"
like = "ethernet"
mtu = 1006
"""

FIRST = (
    """
title = "Senders that look alike"
sessions = 1
senders = [
    "single_write",
    "relay",
    { name = "headers_then_body", parameters = { terminator_bytes = 0 } },
    { name = "timed_writes", parameters = { pieces = 2, gap_ms = 150 } },
    { name = "fixed_buffer", parameters = { nodelay = false } },
]

[message]
payload_bytes = 6000
"""
    + NETWORKS
)

LOOK_ALIKES = {
    "single_write": ("fixed_buffer",),
    "relay": ("line_by_line", "custom_headers"),
    "headers_then_body": ("line_by_line", "custom_headers"),
    "timed_writes": ("fixed_buffer",),
}
"""By the truth, styles that can give the same sizes. All but the first take Nagle's algorithm."""


def run(scenario: Path, out: Path) -> dict[str, SessionRecord]:
    """The sessions of a run, by their id."""
    found = seglab("run", scenario, "--out", out, "-q")
    assert found.process.returncode == 0, found.err
    return {record.session_id: record for record in RunFolder.open(out).sessions()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five senders over two networks."""
    path = tmp_path_factory.mktemp("quality")
    (path / "alike.toml").write_text(FIRST)
    assert len(run(path / "alike.toml", path / "first")) == 10
    return path / "first"


def sizes(record: SessionRecord) -> list[int]:
    """Of the segments."""
    return [end - start for start, end, _ in first_sent(record.segments)]


def test_captures_hold_the_lines_of_each_message(folder: Path) -> None:
    """Found for certain: they have the hash of the payload."""
    lines = LineEndFinder(folder)
    for record in RunFolder.open(folder).sessions():
        ends = lines(record)
        assert ends is not None
        assert ends[-1] == record.payload_bytes == 6000
        assert {field.end for field in record.header_fields} <= {*ends}
        capture = (folder / str(record.captures.server)).read_bytes()
        assert line_ends(payload_of(capture, record) or b"") == ends


def test_a_run_is_evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One who knows all is always right; one with one answer is right as often as it is so."""
    truths = {record.session_id: record for record in RunFolder.open(folder).sessions()}

    def oracle(observation: Observation) -> Verdict:
        truth = truths[observation.id]
        ends = tuple(write.end for write in truth.writes[:-1])
        return Verdict(
            id=observation.id,
            style=truth.style,
            terminator=truth.terminator,
            path_condition=truth.path_condition,
            boundaries=ends,
        )

    assert evaluate_run(folder, Classifier("oracle", "knows", oracle), as_json=True) == 0
    for layer in json.loads(capsys.readouterr().out)["layers"]:
        for axis in ("style", "terminator", "path_condition"):
            assert layer["all"][axis]["macro_f1"] == 1
        assert layer["all"]["boundaries"]["f1"] == 1
        assert layer["constancy"]["share"] == 1
        assert layer["mistakes"] == []
    one = Classifier("one", "one", lambda o: Verdict(id=o.id, style="relay"))
    assert evaluate_run([folder], one, as_json=False) == 0
    text = capsys.readouterr().out
    assert "one on 10 sessions" in text
    assert "macro F1 of style 0.067" in text  # relay: precision 2/10, recall 1, F1 1/3, of 5


def test_witnesses_give_the_same_sizes_on_this_kernel(folder: Path) -> None:
    """What a set's check claims is tried: other writes, the same path, the very same segments."""
    lines = LineEndFinder(folder)
    tried: list[tuple[SessionRecord, str, tuple[int, ...]]] = []
    for record in RunFolder.open(folder).sessions():
        for style in LOOK_ALIKES.get(record.style, ()):
            ends = find_witness(record, "segments", style, lines)
            assert ends is not None, f"{record.session_id}: no witness of {style}"
            assert is_instance(style, ends, Shape.of(record, lines(record)))
            tried.append((record, style, tuple(sorted({*ends, record.payload_bytes}))))
    assert len(tried) == 12
    out = _again(folder, tried)
    for record, style, ends in tried:
        found = out[_writes(ends), record.network]
        assert sizes(found) == sizes(record), f"{record.session_id} as {style}: {ends}"


def test_no_witness_where_sizes_tell(folder: Path) -> None:
    """A boundary that shows where a style has none leaves it no way."""
    for record in RunFolder.open(folder).sessions():
        if record.style != "single_write":
            assert find_witness(record, "segments", "single_write") is None
        else:
            assert find_witness(record, "segments", "relay") is None


def _writes(ends: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(end - start for start, end in zip((0, *ends[:-1]), ends, strict=True))


def _again(
    folder: Path, tried: list[tuple[SessionRecord, str, tuple[int, ...]]]
) -> dict[tuple[tuple[int, ...], str], SessionRecord]:
    """Sessions of bare writes with these ends, over the same networks, under Nagle's algorithm."""
    distinct = {_writes(ends) for _, _, ends in tried}
    senders = "".join(
        f'    {{ name = "raw_writes", parameters = {{ nodelay = false, writes = {[*one]} }} }},\n'
        for one in sorted(distinct)
    )
    text = f'title = "Witnesses"\nsessions = 1\nsenders = [\n{senders}]\n{NETWORKS}'
    path = folder.parent / "witnesses.toml"
    path.write_text(text)
    records = run(path, folder.parent / "second").values()
    return {
        (tuple(w.end - w.start for w in record.writes), record.network): record
        for record in records
    }
