"""``from lab import classify``, and what it opens."""

import gzip
import io
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from classifying_inputs import capture
from hypothesis import given
from hypothesis import strategies as st
from stored_runs import stored_run
from stub_classifiers import failing, stub
from synthetic import record

from seglab import classify
from seglab.classification.classifier import Classifier, Verdict
from seglab.classification.inputs import read, read_stream, sources
from seglab.classification.registry import of_callable
from seglab.classification.stream import Stream
from seglab.core.observation import Observation
from seglab.errors import InputError
from seglab.runs.parquet import write_sessions
from seglab.server.logs import session_line

STUB = Classifier("stub", "for tests", stub)
LOG = "\n".join((session_line(1, (77, 2896, 329)), session_line(2, (5120,)))).encode()


def verdicts(source: str | Path | io.BytesIO) -> list[Verdict]:
    """What the stub says of a source that needs no warning."""

    def warn(text: str) -> None:
        pytest.fail(text)

    return list(classify(source, classifier=STUB, warn=warn))


def styles(found: list[Verdict]) -> list[tuple[str, object]]:
    """Each message's id and style."""
    return [(one.id, one.style) for one in found]


def test_an_observation_has_one_verdict() -> None:
    """As a value or as a mapping; the verdict repeats what it is about."""
    observation = Observation(id="a", sizes=(77, 2896, 329), mss=1448)
    found = classify(observation, classifier=STUB)
    assert found is not None
    assert (found.id, found.style, found.sizes, found.mss) == ("a", "relay", (77, 2896, 329), 1448)
    same = classify({"id": "a", "sizes": [77, 2896, 329], "mss": 1448}, classifier=STUB)
    assert same == found
    assert classify({"id": "a", "sizes": [5]}, classifier=STUB) is None
    with pytest.raises(InputError, match="not an observation"):
        classify({"id": "a"}, classifier=STUB)


def test_the_default_names_the_papers_own_example() -> None:
    """Scenario 1 of the paper: 4320 and 800 may be one write."""
    found = classify({"id": "2", "sizes": [4320, 800]})
    assert found is not None
    assert "single_write" in found.styles


def test_a_log_gives_an_iterator(tmp_path: Path) -> None:
    """By path, by name, as an open file, gzipped; an abstention is a verdict without a style."""
    path = tmp_path / "some.file"
    path.write_bytes(LOG)
    zipped = tmp_path / "other.file"
    zipped.write_bytes(gzip.compress(LOG[:50]) + gzip.compress(LOG[50:]))
    found = classify(path, classifier=STUB)
    assert isinstance(found, Iterator)
    expected = [("1", "relay"), ("2", None)]
    assert styles(list(found)) == expected
    with path.open("rb") as file:
        assert styles(list(classify(file, classifier=STUB))) == expected
    assert styles(verdicts(str(path))) == styles(verdicts(zipped)) == expected
    assert styles(verdicts(io.BytesIO(LOG))) == expected


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_capture(pack: type[bytes], tmp_path: Path) -> None:
    """A capture is known by its contents, gzipped or not."""
    capture(tmp_path / "c.pcap", (520, 1440, 1440, 1345, 5))
    path = tmp_path / "mail.log"
    path.write_bytes(pack((tmp_path / "c.pcap").read_bytes()))
    (found,) = verdicts(path)
    assert found.style == "headers_then_body"
    assert found.terminator == "own_write"
    assert found.sizes == (520, 1440, 1440, 1345, 5)


def run_folder(path: Path) -> None:
    """A stored run of two sessions, of which one failed."""
    failed = record("scenario-1/2", status="failed", error="no route")
    stored_run(path, [record("scenario-1/1"), failed])


def test_a_run_and_its_layers(tmp_path: Path) -> None:
    """Of a run, the stored sessions that are complete, at the layer that is asked for."""
    run_folder(tmp_path / "run")
    (tmp_path / "run" / "wire" / "x.pcapng").write_bytes(b"not looked at")
    (segments,) = verdicts(tmp_path / "run")
    assert segments.sizes == (1440, 1440, 1440, 800)
    (reads,) = classify(tmp_path / "run", classifier=STUB, layer="reads")
    assert reads.sizes == (5120,)


def test_a_dataset_counts_as_its_rows(tmp_path: Path) -> None:
    """Its captures hold the same messages once more, and are not read."""
    (tmp_path / "data").mkdir()
    (tmp_path / "wire").mkdir()
    (tmp_path / "manifest.json").write_text("{}")
    write_sessions(tmp_path / "data" / "train-00000.parquet", iter([record("scenario-1/7")]))
    capture(tmp_path / "wire" / "a.pcap", (77, 1448))
    with ZipFile(tmp_path / "wire" / "00000.zip", "w") as archive:
        archive.write(tmp_path / "wire" / "a.pcap")
    (found,) = classify(tmp_path, classifier=STUB)
    assert found.id == "scenario-1/7"


def test_a_folder_is_searched(tmp_path: Path) -> None:
    """Sorted, by contents; what is hidden or of another kind is left out, and told."""
    run_folder(tmp_path / "c" / "run")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.txt").write_bytes(LOG)
    (tmp_path / "b" / ".hidden").write_bytes(LOG)
    (tmp_path / "b" / "notes.md").write_text("# Notes\n")
    (tmp_path / "b" / "summary.json").write_text('{"a": 1}')
    write_sessions(tmp_path / "d.parquet", iter([record("scenario-1/7")]))
    capture(tmp_path / "a.pcap", (77, 1448))
    (tmp_path / "loop").symlink_to(tmp_path)
    warnings: list[str] = []
    found = list(classify(tmp_path, classifier=STUB, warn=warnings.append))
    assert [one.style for one in found] == ["relay", "relay", None, "single_write", "single_write"]
    assert [one.id for one in found[1:]] == ["1", "2", "scenario-1/1", "scenario-1/7"]
    assert warnings == [f"{tmp_path}: skipped 2 files of other kinds"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """Is one line that names the file."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "nothing").write_text("")
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08" + b"\xff" * 70)
    for name, words in (
        ("none", "No such file"),
        ("empty", "no run, capture, log or observations in this folder"),
        ("text", "neither a capture nor a known log: line 1: expected"),
        ("nothing", "empty"),
        ("cut.gz", "gzip: corrupt"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            list(classify(tmp_path / name, classifier=STUB))
        assert str(caught.value).startswith(str(tmp_path / name))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/urandom", "/dev/null"])
def test_a_device_is_not_read(device: str) -> None:
    """It may never end: that is said at once, as one is named."""
    with pytest.raises(InputError, match=f"{device}: a device; expected a capture, a log"):
        list(classify(device, classifier=STUB))


@pytest.mark.parametrize("endless", [b"\0", b"\n"])
def test_an_endless_stream_of_nothing(endless: bytes) -> None:
    """Neither one endless line nor endless empty ones are read for ever."""

    class Endless(io.RawIOBase):
        """Gives the same byte, and counts."""

        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return endless * size

    file = Endless()
    with pytest.raises(InputError):
        list(classify(file, classifier=STUB))
    assert file.given <= 128 << 20


def test_a_named_pipe_without_a_writer(tmp_path: Path) -> None:
    """A pipe is waited for, but not for ever."""
    os.mkfifo(tmp_path / "pipe")
    (pipe,) = sources(tmp_path / "pipe", pytest.fail)
    with pytest.raises(InputError, match=r"nobody opened for writing within 0\.2 s"):
        list(read(pipe, layer="segments", protocol="smtp", warn=pytest.fail, writer_s=0.2))


@pytest.mark.parametrize("late", [True, False])
def test_a_named_pipe_with_a_writer(tmp_path: Path, late: bool) -> None:
    """A pipe is read to its end, whether reader or writer comes first, and however slowly."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    first, second = LOG.split(b"\n")
    asked = threading.Event()

    def write() -> None:
        if late:
            asked.wait()
        with pipe.open("wb", buffering=0) as file:
            for part in (b"", first[:7], first[7:] + b"\n", second):
                file.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    found = classify(pipe, classifier=STUB)
    asked.set()
    assert styles(list(found)) == [("1", "relay"), ("2", None)]
    writer.join()


def test_parquet_from_a_pipe(tmp_path: Path) -> None:
    """Its end has to be read first, so its path is asked for."""
    write_sessions(tmp_path / "d.parquet", iter([record()]))
    with (tmp_path / "d.parquet").open("rb") as file, pytest.raises(InputError, match="its path"):
        list(classify(file, classifier=STUB))


def test_a_decompression_bomb_of_a_log() -> None:
    """It ends in one line; the messages before that are given."""
    bomb = io.BytesIO(gzip.compress(LOG + b"\n" + b" " * (50 << 20)))
    found = read_stream(bomb, "bomb", protocol="smtp", warn=pytest.fail, unzipped_bytes=1 << 20)
    assert next(found).sizes[0] == 77
    with pytest.raises(InputError, match="a bomb"):
        list(found)


def test_bad_lines_go_to_the_logger(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The first five with their numbers, then how many in all."""
    path = tmp_path / "mail.log"
    path.write_bytes(LOG + b"\nhello" * 9)
    with caplog.at_level(logging.WARNING, "seglab"):
        assert len(list(classify(path, classifier=STUB))) == 2
    texts = [one.getMessage() for one in caplog.records]
    assert len(texts) == 6
    assert texts[0].startswith(f"{path}: line 3: expected")
    assert texts[-1] == f"{path}: 9 lines in all were skipped"


def test_bad_lines_before_the_first_good_one(tmp_path: Path) -> None:
    """A log warns of them too, once it is known to be a log, before its first message."""
    path = tmp_path / "log"
    path.write_bytes(b"# by hand\n" + LOG.split(b"\n")[0] + b"\nrubbish\n")
    told: list[str] = []
    found = classify(path, classifier=STUB, warn=told.append)
    assert next(iter(found)).style == "relay"
    assert [line.partition(": expected")[0] for line in told] == [f"{path}: line 1"]
    assert list(found) == []
    assert [line.partition(": expected")[0] for line in told[1:]] == [f"{path}: line 3"]


@pytest.mark.parametrize("source", [5, None, [1448, 77], io.StringIO("{}"), object()])
def test_no_source(source: object) -> None:
    """A value that is no source raises at once, and the error has its type."""
    with pytest.raises(TypeError, match=f"binary mode, found {type(source).__name__}$"):
        classify(source, classifier=STUB)  # type: ignore[call-overload]


def test_no_layer() -> None:
    """So is a layer that there is not."""
    with pytest.raises(InputError, match="expected segments or reads, found 'packets'"):
        classify({"id": "a", "sizes": [5]}, layer="packets")  # type: ignore[call-overload]


def test_a_classifier_that_fails(tmp_path: Path) -> None:
    """Is told with the message at which it did, and nothing for the terminal."""
    (tmp_path / "a").write_bytes(LOG)
    with pytest.raises(InputError) as caught:
        list(classify(tmp_path / "a", classifier=Classifier("mine", "", failing)))
    assert re.fullmatch(
        r"classifier mine: failed at message 1: ZeroDivisionError: of 3 sizes\\x1b\[31m"
        r" \(stub_classifiers\.py, line \d+\)",
        str(caught.value),
    )


IMPOSSIBLE = [
    (lambda _: "spam", "unknown style 'spam'; known: "),
    (lambda _: 5, "the classifier returned int; expected a Verdict"),
    (lambda _: {"terminator": "own_write"}, "the answer has no key 'style'"),
    (lambda _: {"style": "relay", "boundaries": [3302]}, "boundary 3302 lies outside"),
    (lambda _: {"style": "relay", "confidence": float("nan")}, "confidence nan"),
    (lambda one: Verdict(id=one.id, style=7), "not a verdict: "),  # type: ignore[arg-type]
    (lambda one: Verdict(id=one.id, style="relay", witnesses={"x": ()}), "witnesses: unknown"),
    (
        lambda one: Verdict(id=one.id, style="relay", witnesses={"relay": (3303,)}),
        "witness 3303 lies outside the message's 3302 bytes",
    ),
]


@pytest.mark.parametrize(("answer", "words"), IMPOSSIBLE)
def test_an_impossible_answer_is_no_verdict(
    answer: Callable[[Observation], object], words: str, tmp_path: Path
) -> None:
    """A function that fails raises an error with the message, called for one or for a file."""
    (tmp_path / "a").write_bytes(LOG)
    observation = Observation(id="1", sizes=(77, 2896, 329))
    for ask in (
        lambda: classify(observation, classifier=answer),
        lambda: list(classify(tmp_path / "a", classifier=answer)),
        lambda: classify(observation, classifier=Classifier("mine", "", of_callable(answer))),
    ):
        with pytest.raises(InputError, match=f"failed at message 1: {words}"):
            ask()


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    """It is called in this process, and may return what is easy."""
    (tmp_path / "a").write_bytes(LOG)
    seen: list[str] = []

    def own(observation: Observation) -> str | None:
        seen.append(observation.id)
        return "relay" if len(observation.sizes) > 1 else None

    assert styles(list(classify(tmp_path / "a", classifier=own))) == [("1", "relay"), ("2", None)]
    assert seen == ["1", "2"]
    assert classify({"id": "3", "sizes": [5]}, classifier=own) is None


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
def test_how_a_pipe_cuts_its_bytes_changes_nothing(step: int, tmp_path: Path) -> None:
    """A capture, a log, each gzipped: the same messages in whatever pieces they come."""
    capture(tmp_path / "c.pcap", (77, 1448, 200))
    packets = (tmp_path / "c.pcap").read_bytes()
    for data, count in ((packets, 1), (LOG, 2)):
        for packed in (data, gzip.compress(data)):
            stream = Stream("x", warn=pytest.fail)
            pieces = [packed[at : at + step] for at in range(0, len(packed), step)]
            found = [one for piece in pieces for one in stream.feed(piece)]
            found += stream.close()
            assert len(found) == count
            assert found[0].sizes[0] == 77


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_end_in_observations_or_an_input_error(data: bytes, zipped: bool) -> None:
    """Whatever a file is, nothing else is raised."""
    content = gzip.compress(data) if zipped else data
    told: list[str] = []
    try:
        list(read_stream(io.BytesIO(content), "x", protocol="smtp", warn=told.append))
    except InputError as error:
        told.append(str(error))
    assert all(text.startswith("x: ") and text.isprintable() for text in told)


def test_sources_are_named_safely(tmp_path: Path) -> None:
    """A file's name is somebody else's text, too."""
    path = tmp_path / "a\x1b[2J.log"
    path.write_bytes(LOG)
    (source,) = sources(path, pytest.fail)
    assert source.name.endswith("a\\x1b[2J.log")


def test_a_lab_starts_without_it() -> None:
    """``import lab`` loads nothing of this: the lab's processes start in milliseconds."""
    program = "import seglab, sys; print([m for m in sys.modules if m.startswith('seglab.')])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout == b"[]\n"
