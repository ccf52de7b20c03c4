"""``seglab classify --evaluate RUN``: compares a classifier's answers with a run's ground truth."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TextIO

from seglab.classification.classifier import Classifier
from seglab.core.files import replace_file, writing
from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.core.text import safe
from seglab.errors import InputError, nearest
from seglab.evaluation import Evaluation, evaluate, figures
from seglab.evaluation.lines import line_ends, payload_of
from seglab.evaluation.table import lines
from seglab.runs.folder import RunFolder

_CAPTURE_MAX_BYTES = 1 << 28


def evaluate_run(
    run: Path | Iterable[Path],
    classifier: Classifier,
    *,
    as_json: bool,
    layers: Sequence[Layer] = ("segments", "reads"),
    networks: Sequence[str] | None = None,
    mistakes: int = 10,
    kept: "KeptFigures | None" = None,
    file: TextIO | None = None,
) -> int:
    """Print how good a classifier is on one run, or on several together.

    Args:
        run: the folder of a run, or several of them.
        classifier: who is asked.
        as_json: print JSON with all of it, instead of tables.
        layers: what it sees of each session.
        networks: only these; ``None`` is all.
        mistakes: how many of the wrong answers the tables name.
        kept: where the figures of this evaluation are kept; ``None`` for nowhere.
        file: where it goes, by default standard output.

    Returns:
        The exit code: 0, since an evaluation that could be made is no finding.

    Raises:
        InputError: no run is there, one of the networks is not in it, or the file of figures
            cannot be read or written.
    """
    if kept is not None:
        kept.read()  # before an evaluation that may take minutes
    folders = [RunFolder.open(path) for path in ([run] if isinstance(run, Path) else run)]
    sources = {folder.path: LineEndFinder(folder.path) for folder in folders}

    def lines_of(record: SessionRecord) -> Sequence[int] | None:
        found = (source(record) for source in sources.values())
        return next((ends for ends in found if ends is not None), None)

    records: Iterator[SessionRecord] = chain.from_iterable(f.sessions() for f in folders)
    if networks is not None:
        records = iter(over(records, networks))
    found = evaluate(classifier, records, layers=layers, line_ends=lines_of)
    if kept is not None:
        kept.add(found)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2), file=file)
        return 0
    for line in lines(found, mistakes):
        print(line, file=file)
    return 0


@dataclass(frozen=True, slots=True)
class KeptFigures:
    """A file that keeps the figures of evaluations, and the side whose figures change in it.

    Attributes:
        path: of the file, which need not exist.
        side: what is evaluated.
    """

    path: Path
    side: str

    def read(self) -> figures.Figures:
        """The figures so far.

        Raises:
            InputError: the file cannot be read, or holds something else.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: cannot be read: {error}") from error
        return figures.parsed(text, str(self.path))

    def add(self, found: Evaluation) -> None:
        """Put the figures of an evaluation in the place of the side's last ones.

        Raises:
            InputError: the file cannot be read or written.
        """
        text = figures.to_text(figures.with_evaluation(self.read(), self.side, found))
        with writing(self.path):
            replace_file(self.path, lambda file: file.write(text.encode()))


def over(records: Iterable[SessionRecord], networks: Sequence[str]) -> list[SessionRecord]:
    """Return the sessions over some networks.

    Raises:
        InputError: there is no session over one of them.
    """
    kept, known = [], set()
    for record in records:
        known.add(record.network)
        if record.network in networks:
            kept.append(record)
    for name in networks:
        if name not in known:
            raise InputError(f"no session over network '{safe(name)}'; {nearest(name, known)}")
    return kept


class LineEndFinder:
    """Finds the line ends of a run's messages in its captures."""

    def __init__(self, run: Path) -> None:
        """Take the run's folder; captures outside of it are not read."""
        self.run = run.resolve()

    def __call__(self, record: SessionRecord) -> Sequence[int] | None:
        """Return where the lines of a session's message end, or ``None`` if no capture has it."""
        if record.captures.server is None:
            return None
        path = (self.run / record.captures.server).resolve()
        if not path.is_relative_to(self.run):
            return None
        try:
            if path.stat().st_size > _CAPTURE_MAX_BYTES:
                return None
            capture = path.read_bytes()
        except OSError:
            return None
        payload = payload_of(capture, record)
        return None if payload is None else line_ends(payload)
