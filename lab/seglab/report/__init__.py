"""Reports of stored runs: the figures, ``report.html``, and the words on the terminal.

Everything is computed from the run folder. No module of this package runs a session.

``summary`` reads the folder and judges it, one ``ScenarioResult`` a scenario. ``figures`` decides
which figures a run gets, and ``seglab.plots`` draws them. ``page`` writes ``report.html``,
``embedding`` puts the sessions into it, and ``terminal`` prints the summary. ``strip`` and its
neighbours draw one classified message on a terminal.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from seglab.core import garbage

if TYPE_CHECKING:
    from seglab.report.summary import RunSummary
    from seglab.runs.folder import RunFolder


def build_report(folder: "RunFolder", out: Path | None = None) -> "RunSummary":
    """Judge a stored run, draw its figures, and write its report.

    Args:
        folder: the run. If it is open for writing, its ``run.json`` gets the verdicts as well.
        out: the report's file. If it is given, the run folder stays as it is; otherwise the
            report and the figures are written into the run folder.

    Raises:
        InputError: a stored file is damaged, or a place cannot be written.
        EnvironmentLacksError: the disk is full.
    """
    with garbage.unsearched():  # the sessions and the figures have few cycles
        from seglab.report import build  # noqa: PLC0415, Matplotlib takes long to import

        return build.build_report(folder, out)
