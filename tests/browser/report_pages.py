"""Reports of stored runs, and what a user does on their page."""

from pathlib import Path

import pytest
from chromium import Browser
from stored_runs import EXPERIMENTS, stored_run

from seglab.report import build, build_report
from seglab.runs.folder import RunFolder


def built(path: Path, sessions, **manifest) -> Path:
    """The report of these sessions."""
    stored_run(path, sessions, **({"command": "reproduce", "scenarios": EXPERIMENTS} | manifest))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "FORMATS", ("svg",))
        build_report(RunFolder.open(path))
    return path / "report.html"


def choose(page: Browser, **values: str) -> None:
    """Set filters by what their options say, or the text, as a user's input does."""
    page.js(
        """
        const form = document.getElementById('filters');
        form.reset();
        for (const [name, value] of Object.entries(arguments[0])) {
          const field = form.elements[name];
          if (field.type === 'checkbox') field.checked = Boolean(value);
          else if (field.options) {
            const found = [...field.options].find(o => o.text.startsWith(value + ' ('));
            field.value = found.value;
          } else field.value = value;
          field.dispatchEvent(new Event('input', {bubbles: true}));
        }
        """,
        values,
    )


def panel(page: Browser) -> dict[str, str]:
    """What the panel says about the chosen item, by name; its title under ``""``."""
    title, pairs = page.js(
        "const panel = document.getElementById('item');"
        "return [panel.querySelector('h4')?.textContent ?? '',"
        " [...panel.querySelectorAll('dl > div')]"
        "   .map(pair => [...pair.children].map(c => c.textContent))]"
    )
    return {"": title, **dict(pairs)}
