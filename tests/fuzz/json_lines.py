"""JSON of every sort that is read: observations, verdicts, answers, records, manifests, baselines.

The first line of an input says which of them the rest is. What a reader accepts is used as the
commands use it: a classifier answers, the answer is checked, and the message is drawn.
"""

import json
from collections.abc import Callable
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any, Final
from zlib import crc32

import msgspec
from dataset_making import spec_of
from synthetic import simulated

from fuzz.kind import Kind, Refusal, outcome
from fuzz.mutation import changed_bytes, changed_tree, scalar
from seglab.classification.answer import Answer, ClassifierFailedError, Raised
from seglab.classification.classifier import Verdict
from seglab.classification.registry import classifier
from seglab.classification.scored import classified
from seglab.classification.validation import normalised, violations
from seglab.classification.weights import load
from seglab.core import decoding
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.core.observation import Observation
from seglab.core.record import SessionRecord
from seglab.dataset.manifest import DatasetManifest
from seglab.logs import LogReader
from seglab.regress.baseline import Baseline
from seglab.regress.case import Case
from seglab.report.strip_message import page
from seglab.report.strip_table import line
from seglab.runners.program import ProgramRunner
from seglab.runs.manifest import Manifest

_CLASSIFIED_SIZES: Final = 60
"""The most sizes of a message that the slow classifiers are asked about here."""

ASKED: Final = Observation(id="7", sizes=(1440, 1440, 500, 5), layer="segments", mss=1440)
"""What programs are asked, whose answers are fuzzed."""


def observation(random: Random) -> dict[str, Any]:
    """Return an observation of which everything is known, as plain values."""
    mss = random.choice((1460, 1448, 1440, 1400, 536, 512, 88))
    sizes = [
        random.choice((mss, mss, mss, random.randint(1, mss), 5, 3, 1024, 4096, 1))
        for _ in range(random.choice((1, 2, 4, 10, 40)))
    ]
    count = len(sizes)
    return {
        "id": str(random.randint(1, 99)),
        "sizes": sizes,
        "layer": random.choice(("segments", "reads")),
        "mss": random.choice((mss, None)),
        "timestamps": random.choice((True, False, None)),
        "push": random.choice((None, [random.random() < 0.5 for _ in sizes])),
        "t_ns": random.choice((None, [1000 * at * random.randint(1, 3) for at in range(count)])),
        "header_end": random.choice((None, sum(sizes) // 2)),
        "fields": [{"name": "To", "start": 0, "end": 10}, {"name": "X-y", "start": 10, "end": 30}],
        "retransmission": random.choice((None, [random.random() < 0.1 for _ in sizes])),
        "rtt_ns": random.choice((None, 40_000_000)),
        "complete": random.choice((True, False, None)),
        "encrypted": random.random() < 0.1,
        "chunked": random.random() < 0.1,
        "hidden_bytes": random.choice((None, None, 40)),
        "reply": random.choice((None, "accepted", "rejected", "unknown")),
        "source": "mail.pcap",
        "client": "192.0.2.1:40000",
        "server": "[2001:db8::1]:25",
        "notes": [],
    }


def _verdict(random: Random) -> dict[str, Any]:
    return {
        "id": "7",
        "style": random.choice((None, "relay", ["relay", "fixed_buffer"])),
        "terminator": random.choice((None, *TERMINATORS)),
        "buffer": random.choice((None, 1024)),
        "path_condition": random.choice((None, *PATH_CONDITIONS)),
        "boundaries": [1440, 2880],
        "boundary_confidence": [0.9, 0.5],
        "confidence": random.choice((None, 0.7)),
        "recut": [[1440, 2880]],
        "held_back": [2880],
        "evidence": ["because"],
        "witnesses": {random.choice(STYLES): [1440], "relay": [100]},
    }


@cache
def _stored() -> dict[str, bytes]:
    """Return one good text of each sort that does not need to be drawn."""
    return {
        "record": simulated(1).to_json(),
        "manifest": Manifest(command="run").to_json(),
        "dataset": DatasetManifest.begun(spec_of(), 1).to_json(),
        "baseline": Baseline(classifier="paper", sessions="0" * 32).to_json(),
    }


_SORTS: Final = (
    *["observation"] * 5,
    *["answer"] * 3,
    "verdict",
    "record",
    "manifest",
    "dataset",
    "baseline",
)


def make(random: Random) -> bytes:
    """Return a sort and its JSON, changed as a tree, and sometimes as bytes."""
    sort = random.choice(_SORTS)
    if sort == "observation":
        tree: Any = observation(random)
    elif sort in ("answer", "verdict"):
        tree = _verdict(random)
        if sort == "answer" and random.random() < 0.2:
            tree = random.choice(("relay", ["relay"], [], 5, {"raised": "x"}, scalar(random)))
    else:
        tree = json.loads(_stored()[sort])
    if random.random() < 0.85:
        tree = changed_tree(random, tree, most=4)
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.1:
        text = text.replace(random.choice("0123456789,:"), random.choice(_SPELLINGS), 1)
    data = text.encode("utf-8", "surrogatepass").replace(b"\n", b" ")
    if random.random() < 0.1:
        data = changed_bytes(random, data, 2)
    return sort.encode() + b"\n" + data


_SPELLINGS = (
    "NaN",
    "Infinity",
    "1e999",
    "-0",
    "1" * 5000,
    "[" * 2000,
    "[" * 90_000,
    "01",
    "1.0",
    "\\ud800",
    "1e5",
)


def check(data: bytes) -> None:
    """What is read can be used, and everything else is refused in one line."""
    sort, _, text = data.partition(b"\n")
    reader = _READERS.get(sort.decode("latin-1"))
    if reader is not None:
        reader(text)


def _read_observation(text: bytes) -> None:
    read = outcome(lambda: Observation.from_json(text))
    log = LogReader("x", lambda bad: _printable(str(bad)))
    outcome(lambda: [*log.feed(text), *log.end()])
    if not isinstance(read, Refusal):
        use(read, Random(crc32(text)))


def use(one: Observation, random: Random) -> None:
    """Classify and draw a message, as ``seglab classify`` does."""
    again = Observation.from_json(one.to_json())
    assert again == one, "it is not stored as it was"
    names = ["paper"] if len(one.sizes) > _CLASSIFIED_SIZES else ["paper", "boundaries"]
    for name in names:
        found = outcome(lambda name=name: classifier(name)(one))  # type: ignore[misc]
        if isinstance(found, Refusal):
            continue
        if found is not None:
            wrong = list(violations(normalised(found), one.total_bytes))
            assert not wrong, f"{name}: {wrong[:3]}"
        _draw(one, found, random)


def _draw(one: Observation, found: Verdict | None, random: Random) -> None:
    judged = classified(one, found, load("example"), 1)
    for cell in line(judged).split("\t"):
        _printable(cell)
    for row in page(judged, random.choice((20, 40, 80, 200)), unicode=random.random() < 0.5):
        _printable(row)
    json.loads(judged.to_json())


def _printable(text: str) -> None:
    assert text.isprintable(), f"a control character: {text[:200]!r}"


def _read_answer(text: bytes) -> None:
    asked = SimpleNamespace(_answered=0)
    try:
        answer: Answer = ProgramRunner._answer(asked, text, ASKED)  # type: ignore[arg-type]
    except ClassifierFailedError as error:
        answer = Raised(error.reason)
    if isinstance(answer, Raised):
        _printable(answer.reason)
        assert len(answer.reason) < 1000
    if isinstance(answer, Verdict):
        for wrong in violations(answer, ASKED.total_bytes):
            assert "\n" not in wrong
            assert len(wrong) < 1000
        if not list(violations(answer, ASKED.total_bytes)):
            _draw(ASKED, answer, Random(crc32(text)))


def _read_record(text: bytes) -> None:
    record = outcome(lambda: SessionRecord.from_json(text))
    if not isinstance(record, Refusal):
        use_record(record)


def use_record(record: SessionRecord) -> None:
    """Look at a stored session in the ways in which the commands do."""
    record.trace.violations()
    record.parameter("sizes")
    if record.complete and record.payload_bytes:
        for layer in ("segments", "reads"):
            outcome(lambda layer=layer: Case.of_record(record, layer))  # type: ignore[misc]
    again = SessionRecord.from_json(record.to_json())
    assert again == record


def _decoded(text: bytes) -> None:
    outcome(lambda: decoding.from_json(text, DatasetManifest, "the manifest of a dataset"))


_READERS: Final[dict[str, Callable[[bytes], None]]] = {
    "observation": _read_observation,
    "answer": _read_answer,
    "verdict": lambda text: _kept(outcome(lambda: Verdict.from_json(text))),
    "record": _read_record,
    "manifest": lambda text: _kept(outcome(lambda: Manifest.from_json(text))),
    "dataset": _decoded,
    "baseline": lambda text: _kept(outcome(lambda: Baseline.from_json(text, "x"))),
}


def _kept(value: Any) -> None:
    """What was read can be stored again."""
    if not isinstance(value, Refusal):
        msgspec.json.encode(value)


def units(data: bytes) -> list[bytes]:
    """Cut the JSON at its commas; the sort stays whole."""
    sort, _, text = data.partition(b"\n")
    parts = text.split(b",")
    return [sort + b"\n", *[part + b"," for part in parts[:-1]], parts[-1]]


JSON: Final = Kind("json", "JSON of all sorts that are read", make, check, units)
