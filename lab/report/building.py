"""From a stored run to its figures and its report."""

from dataclasses import replace
from pathlib import Path

from lab.plots.style import FORMATS, render
from lab.record import SessionRecord
from lab.report.embedding import VerdictOf, embed
from lab.report.figures import drawings
from lab.report.page import page, picture
from lab.report.summary import Finding, Summary, summarise
from lab.runfolder import RunFolder, replace_file, writing
from lab.trace import sizes


def build(folder: RunFolder, out: Path | None = None) -> Summary:
    """See ``lab.report.build``."""
    summary, grouped = summarise(folder)
    pictures, figures = [], []
    for drawing in drawings(summary, grouped):
        files = render(drawing.draw, FORMATS if out is None else ("svg",))
        pictures.append(picture(drawing, files["svg"]))
        for suffix, data in files.items() if out is None else ():
            path = folder.figures / f"{drawing.name}.{suffix}"
            _write(path, data)
            figures.append(str(path.relative_to(folder.path)))
    summary = replace(summary, figures=tuple(figures))
    verdicts = {finding.experiment.name: _verdict_of(finding) for finding in summary.findings}
    sessions = embed(grouped, verdicts)
    _write(out or folder.report, page(summary, pictures, sessions).encode())
    if folder.writable and out is None:
        folder.update(verdicts=summary.verdict_dicts())
    return summary


def _verdict_of(finding: Finding) -> VerdictOf:
    """What to call a session of a scenario, given what the paper prints of it."""
    printed = {item.sizes for item in finding.sequences.printed}

    def verdict(record: SessionRecord) -> str:
        if not record.complete:
            return "failed"
        if not printed:
            return "complete"
        return "as published" if tuple(sizes(record.reads)) in printed else "other sizes"

    return verdict


def _write(path: Path, data: bytes) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(data))
