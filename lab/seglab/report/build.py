"""Writes the figures and the report of a stored run."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from seglab.core.files import replace_file, writing
from seglab.core.ownership import keep_owner
from seglab.core.record import SessionRecord
from seglab.plots.rendering import FORMATS, render
from seglab.report.embedding import embed
from seglab.report.figures import Drawing, drawings
from seglab.report.page import page, picture
from seglab.report.programs import program_rows, programs_drawing, write_programs
from seglab.report.published import verdict_of
from seglab.report.summary import RunSummary, summarise
from seglab.runs.folder import RunFolder


def build_report(folder: RunFolder, out: Path | None = None) -> RunSummary:
    """Do what ``seglab.report.build_report`` promises."""
    summary, grouped = summarise(folder)
    pictures, figures = [], []
    tables = list(_of_programs(folder, chain.from_iterable(grouped.values()), out is None))
    for drawing in (*tables, *drawings(summary, grouped)):
        scenario = drawing.scenario
        networks = None if scenario is None else {r.network for r in grouped.get(scenario, ())}
        engine = summary.engine_words(networks)
        files = render(drawing.draw, FORMATS if out is None else ("svg",), engine)
        pictures.append(picture(drawing, files["svg"]))
        for suffix, data in files.items() if out is None else ():
            path = folder.figures / f"{drawing.name}.{suffix}"
            _write(path, data)
            figures.append(str(path.relative_to(folder.path)))
    summary = replace(summary, figures=tuple(figures))
    verdicts = {result.experiment.name: verdict_of(result) for result in summary.results}
    sessions = embed(grouped, verdicts)
    _write(out or folder.report, page(summary, pictures, sessions).encode())
    if folder.writable and out is None:
        folder.update(verdicts=summary.verdict_dicts())
    return summary


def _of_programs(
    folder: RunFolder, records: Iterable[SessionRecord], write: bool
) -> Iterator[Drawing]:
    """Yield the figure of a run's named programs, where it has any; maybe write their table."""
    if folder.manifest.command != "run":
        return
    if rows := program_rows(folder, records):
        if write:
            write_programs(folder, rows)
        yield programs_drawing(rows, folder.manifest.networks)


def _write(path: Path, data: bytes) -> None:
    """Write what can be made again from the run."""
    with writing(path, "give --out FILE on a disk that can be written"):
        keep_owner(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(data), durable=False)
