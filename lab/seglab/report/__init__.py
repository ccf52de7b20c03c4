"""Reports of stored runs: the figures, ``report.html``, and what the terminal prints.

Everything is computed from the run folder; nothing here runs a session.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seglab.report.summary import RunSummary
    from seglab.runs.folder import RunFolder


def build_report(folder: "RunFolder", out: Path | None = None) -> "RunSummary":
    """Judge a stored run, draw its figures, and write its report.

    Args:
        folder: the run. If it is open for writing, the verdicts go into its ``run.json`` too.
        out: the report's file; the run folder is then left as it is. By default, the report and
            the figures go into the run folder.

    Raises:
        InputError: a stored file is damaged, or a place cannot be written.
        EnvironmentLacksError: the disk is full.
    """
    from seglab.report import build  # noqa: PLC0415, SciPy and Matplotlib take a second to import

    return build.build_report(folder, out)
