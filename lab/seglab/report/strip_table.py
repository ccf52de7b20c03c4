"""Verdicts of a classifier: a table for a terminal, lines for a pipe, and one sentence.

A terminal of ``WIDE`` columns or more gets one line for each message. A narrower one gets two
lines; the second has the sizes, and also the client if the first has no room for it. The columns
are as wide as the first messages need. The column ``no`` is left out where the ids are the
numbers. An id that is longer than its column is printed whole in a line above.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from seglab.classification.scored import ClassifiedMessage
from seglab.core.text import count, safe
from seglab.report.strip import base_of, hole_indexes, in_ascii, run_length, strip

WIDE: Final = 120
COLUMNS: Final = (
    "source", "id", "client", "style", "terminator", "path_condition", "buffer", "confidence",
    "score", "sizes", "number",
)  # fmt: skip
"""The columns of a line for a pipe. Tabs separate them."""

_ENCRYPTED = "encrypted"
_BATCH = 200
_LEAST_STYLE, _MOST_STYLE, _REST = 32, 64, 120
_STRIP_SHARE = 0.5
_LEAST_STRIP = 12
_INDENT = 2
_MOST = {"no": 7, "id": 20, "client": 27, "style": 0, "terminator": 10, "path": 11,
         "buffer": 6, "conf": 4, "score": 9}  # fmt: skip
_LEAST = {"style": 17, "id": 12}
_ALWAYS = {"id", "style"}
_RIGHT = {"no", "buffer", "conf", "score"}
_COLOURS = {"full": "cyan", "short": "yellow", "push": "magenta", "more": "dim", "gap": "",
            "hole": "red"}  # fmt: skip


def line(judged: ClassifiedMessage) -> str:
    """The line of a message for a pipe: the values of ``COLUMNS``, ``-`` if one is not known."""
    observation, verdict = judged.observation, judged.verdict
    values = (
        observation.source,
        judged.label,
        observation.client,
        _ENCRYPTED if observation.encrypted else "|".join(verdict.styles),
        verdict.terminator,
        verdict.path_condition,
        verdict.buffer,
        _confidence(judged, 3),
        None if judged.score is None else f"{judged.score.total:+.3g}",
        run_length(observation.sizes, holes=hole_indexes(observation)),
        judged.number,
    )
    return "\t".join("-" if value in (None, "") else safe(str(value)) for value in values)


class Sheet:
    """A table that is printed while the messages arrive.

    Args:
        console: prints the table.
        scored: whether there is a column for the score.
        sources: whether there are several sources; then a line with its name precedes the
            messages of each source.
    """

    def __init__(self, console: Console, *, scored: bool, sources: bool) -> None:
        self._console = console
        self._shown = {"score": scored}
        self._sources = sources
        self._source: str | None = None
        self._client = 0
        self._ascii = not (console.encoding or "").lower().startswith("utf")
        self._most_style = min(max(console.width - _REST, _LEAST_STYLE), _MOST_STYLE)
        self._waiting: list[ClassifiedMessage] = []
        self._widths: dict[str, int] = {}

    def add(self, judged: ClassifiedMessage) -> None:
        """Add a message; the first messages wait until the columns' widths are known."""
        if self._widths:
            self._print(judged)
            return
        self._waiting.append(judged)
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Print the messages that have been waiting for the columns' widths."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        rows = [_cells(judged, self._most_style) for judged in waiting]
        for name, most in {**_MOST, "style": self._most_style}.items():
            known = name in _ALWAYS or any(
                row[name] not in ("-", row["id"] if name == "no" else "") for row in rows
            )
            if self._shown.get(name, known):
                lengths = [cell_len(row[name]) for row in rows]
                fitting = [length for length in lengths if name != "id" or length <= most]
                self._widths[name] = min(most, max(*fitting, len(name), 0))
        self._squeeze()
        self._head()
        for judged in waiting:
            self._print(judged)

    def _squeeze(self) -> None:
        """Make columns narrower if all of them together are wider than the terminal."""
        over = sum(width + 2 for width in self._widths.values()) - 2 - self._console.width
        if over > 0 and self._console.width < WIDE and "client" in self._widths:
            self._client = self._widths.pop("client")
            over -= self._client + 2
        for name, least in _LEAST.items():
            if over > 0 and name in self._widths:
                taken = min(over, max(self._widths[name] - least, 0))
                self._widths[name] -= taken
                over -= taken
        self._most_style = self._widths["style"]

    @property
    def _wide(self) -> bool:
        return self._console.width >= WIDE and self._room() >= _LEAST_STRIP * 2

    def _room(self) -> int:
        """How many columns are left for the sizes."""
        if self._console.width < WIDE:
            return self._console.width - _INDENT
        return self._console.width - sum(width + 2 for width in self._widths.values())

    def _head(self) -> None:
        names = Text("  ".join(self._fit(name, name) for name in self._widths).rstrip(), "bold")
        if self._wide:
            names.append("  sizes")
        self._emit(names)

    def _fit(self, name: str, text: str) -> str:
        width = self._widths[name]
        if cell_len(text) > width:
            text = set_cell_size(text, width - 1).rstrip() + "…"
        if name in _RIGHT:
            return " " * (width - cell_len(text)) + text
        return set_cell_size(text, width)

    def _print(self, judged: ClassifiedMessage) -> None:
        cells = _cells(judged, self._most_style)
        if self._sources and judged.observation.source != self._source:
            self._source = judged.observation.source
            self._emit(Text(f"{safe(self._source or '-')}:", "bold underline"))
        text = Text()
        if cell_len(cells["id"]) > self._widths["id"]:  # whole, to be copied: above the others
            self._emit(Text(cells["id"], "green"))
            cells["id"] = ""
        for name in self._widths:
            colour = {"style": "bold", "id": "green"}.get(name, "")
            text.append(self._fit(name, cells[name]), style=colour)
            text.append("  ")
        if self._wide:
            self._emit(text.append_text(_sizes(judged, self._room())))
            return
        self._emit(text)
        text = Text(" " * _INDENT)
        if self._client:
            text.append(cells["client"].ljust(self._client) + "  ")
        self._emit(text.append_text(_sizes(judged, self._console.width - len(text.plain))))

    def _emit(self, text: Text) -> None:
        text.rstrip()
        if self._ascii:
            text = Text(in_ascii(text.plain))
        self._console.print(text, soft_wrap=True)


def _cells(judged: ClassifiedMessage, most: int) -> dict[str, str]:
    verdict, score = judged.verdict, judged.score
    return {
        "no": "-" if judged.number is None else str(judged.number),
        "id": safe(judged.label),
        "client": safe(judged.observation.client or "-"),
        "style": _ENCRYPTED if judged.observation.encrypted else _styles(verdict.styles, most),
        "terminator": safe(verdict.terminator or "-"),
        "path": safe(verdict.path_condition or "-"),
        "buffer": "-" if verdict.buffer is None else str(verdict.buffer),
        "conf": _confidence(judged, 2) or "-",
        "score": "-" if score is None else f"{score.total:+.3g}",
    }


def _confidence(judged: ClassifiedMessage, digits: int) -> str | None:
    """The confidence in the style; ``None`` if there is no style or the classifier gives none."""
    confidence = judged.verdict.confidence
    return f"{confidence:.{digits}f}" if judged.verdict.styles and confidence is not None else None


def _styles(styles: Sequence[str], most: int) -> str:
    """All styles of a set, or as many as fit, then the number of the others."""
    if not styles:
        return "-"
    for shown in range(len(styles), 0, -1):
        more = len(styles) - shown
        text = safe("|".join(styles[:shown])) + (f" +{more}" if more else "")
        if len(text) <= most:
            return text
    return safe(styles[0])


def _sizes(judged: ClassifiedMessage, room: int) -> Text:
    """The strip and the run-length in ``room`` columns; the strip gets at most half of them."""
    observation = judged.observation
    base = base_of(observation, judged.verdict)
    holes = hole_indexes(observation)
    whole = run_length(observation.sizes, room, holes)
    width = max(int(room * _STRIP_SHARE), min(room - len(whole) - 2, room), 1)
    cells = strip(observation.sizes, base, observation.push, width, holes)
    text = Text()
    for cell in cells:
        text.append(cell.text, style=_COLOURS[cell.kind])
    return text.append("  ").append(run_length(observation.sizes, room - len(cells) - 2, holes))


class AnswerTally:
    """Counts the verdicts of a classifier.

    Attributes:
        messages: the number of classified messages.
        shown: the number of messages that passed the filters.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.shown = 0
        self._styles: Counter[str] = Counter()
        self._members: Counter[str] = Counter()
        self._terminators: Counter[str] = Counter()
        self._paths: Counter[str] = Counter()
        self._several = self._abstained = self._noted = self._encrypted = 0

    def add(self, judged: ClassifiedMessage, *, shown: bool) -> None:
        """Count a message."""
        self.messages += 1
        self._noted += bool(judged.observation.notes)
        if not shown:
            return
        self.shown += 1
        verdict = judged.verdict
        if judged.observation.encrypted:
            self._encrypted += 1
            return
        self._abstained += not verdict.styles
        if len(verdict.styles) > 1:
            self._several += 1
            self._members.update(map(safe, verdict.styles))
        else:
            self._styles.update(map(safe, verdict.styles))
        self._terminators[verdict.terminator or ""] += 1
        self._paths[verdict.path_condition or ""] += 1

    def words(self) -> str:
        """The counts in one line."""
        counted = count(self.messages, "message")
        if self.shown != self.messages:
            counted = f"{self.shown} of {counted}"
        parts = _counted(self._styles)
        if self._several:
            parts.append(f"one of several {self._several} ({', '.join(_counted(self._members))})")
        if self._abstained:
            parts.append(f"no style {self._abstained}")
        if self._encrypted:
            parts.append(f"encrypted {self._encrypted}")
        if own := self._terminators["own_write"]:
            parts.append(f"end of data by itself {own}")
        for name in ("", "steady"):
            del self._paths[name]
        parts += [f"path {safe(text)}" for text in _counted(self._paths)]
        if self._noted:
            parts.append(f"with notes {self._noted}")
        return f"{counted}: {', '.join(parts)}" if parts else counted


def _counted(names: Counter[str]) -> list[str]:
    return [f"{name} {number}" for name, number in names.most_common()]
