"""Reports of stored runs: the figures, ``report.html``, and what the terminal prints.

Everything is computed from the run folder; nothing here runs a session.
"""

from dataclasses import replace
from pathlib import Path

from lab.plots.style import render
from lab.report.figures import drawings
from lab.report.page import page, picture
from lab.report.summary import Summary, summarise
from lab.runfolder import RunFolder, replace_file, writing

__all__ = ["Summary", "build", "summarise"]


def build(folder: RunFolder, out: Path | None = None) -> Summary:
    """Judge a stored run, draw its figures, and write its report.

    Args:
        folder: the run. If it is open for writing, the verdicts go into its ``run.json`` too.
        out: the report's file; the run folder is then left as it is. By default, the report and
            the figures go into the run folder.

    Raises:
        InputError: a stored file is damaged, or a place cannot be written.
        EnvironmentLacksError: the disk is full.
    """
    summary, grouped = summarise(folder)
    pictures, figures = [], []
    for drawing in drawings(summary, grouped):
        svg = render(drawing.draw, "svg")
        pictures.append(picture(drawing, svg))
        if out is None:
            files = {"svg": svg, "png": render(drawing.draw, "png")}
            for suffix, data in files.items():
                path = folder.figures / f"{drawing.name}.{suffix}"
                _write(path, data)
                figures.append(str(path.relative_to(folder.path)))
    summary = replace(summary, figures=tuple(figures))
    _write(out or folder.report, page(summary, pictures).encode())
    if folder.writable and out is None:
        folder.update(verdicts=summary.verdict_dicts())
    return summary


def _write(path: Path, data: bytes) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(data))
