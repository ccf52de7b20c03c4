"""The messages of each client together: how many, in which styles, with which scores.

A client is the address alone: a sender takes another port for each connection. Messages whose
client is not known (logs without addresses) count together as ``-``.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seglab.classification.scored import ClassifiedMessage
from seglab.core.text import safe
from seglab.report.strip import in_ascii

CLIENT_COLUMNS: Final = (
    "client", "messages", "styles", "no_style", "score", "score_low", "score_high",
)  # fmt: skip
"""The columns of a client's line for a pipe. Tabs separate them."""

_HEADS = ("client", "messages", "styles", "no style", "score", "from", "to")


class ClientTally:
    """Counts the messages of one client.

    Attributes:
        messages: how many there were.
        styles: how many had each style; a set of styles counts as a whole, as ``a|b``, and an
            encrypted session as ``encrypted``.
        abstained: how many had none.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.styles: Counter[str] = Counter()
        self.abstained = 0
        self._sum = 0.0
        self._low = self._high = 0.0
        self._scored = 0

    def add(self, one: ClassifiedMessage) -> None:
        """Count a message."""
        self.messages += 1
        if one.observation.encrypted:
            self.styles["encrypted"] += 1
        elif one.verdict.styles:
            self.styles["|".join(one.verdict.styles)] += 1
        else:
            self.abstained += 1
        if one.score is None:
            return
        total = one.score.total
        self._low = total if not self._scored else min(self._low, total)
        self._high = total if not self._scored else max(self._high, total)
        self._sum += total
        self._scored += 1

    @property
    def scores(self) -> tuple[float, float, float] | None:
        """The mean, the least and the greatest score; ``None`` without weights."""
        return (self._sum / self._scored, self._low, self._high) if self._scored else None


class ClientTable:
    """The tallies of all clients; the one with most messages comes first."""

    def __init__(self) -> None:
        self._clients: dict[str | None, ClientTally] = {}

    def add(self, one: ClassifiedMessage) -> None:
        """Count a message for its client."""
        client = client_address(one.observation.client)
        self._clients.setdefault(client, ClientTally()).add(one)

    def lines(self) -> Iterator[str]:
        """Yield a client's values of ``CLIENT_COLUMNS`` a line, ``-`` if one is not known."""
        for row in self._rows():
            yield "\t".join(row)

    def json_lines(self) -> Iterator[str]:
        """Yield a line of JSON a client."""
        for client, tally in self._sorted():
            values: dict[str, Any] = {
                "client": client,
                "messages": tally.messages,
                "styles": dict(tally.styles.most_common()),
                "no_style": tally.abstained,
            }
            if tally.scores is not None:
                values["score"] = tally.scores[0]
                values["score_range"] = tally.scores[1:]
            yield msgspec.json.encode(values).decode()

    def show(self, console: Console, *, scored: bool) -> None:
        """Print a table for a terminal, with columns of scores if there are any."""
        heads = _HEADS if scored else _HEADS[:4]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in heads:
            text = head in ("client", "styles")
            table.add_column(head, justify="left" if text else "right", overflow="fold")
        plain = not (console.encoding or "").lower().startswith("utf")
        for row in self._rows():
            cells = row[: len(heads)]
            table.add_row(*(Text(in_ascii(cell) if plain else cell) for cell in cells))
        console.print(table)

    def _sorted(self) -> list[tuple[str | None, ClientTally]]:
        return sorted(self._clients.items(), key=lambda one: (-one[1].messages, one[0] or ""))

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for client, tally in self._sorted():
            styles = ", ".join(f"{safe(name)} {n}" for name, n in tally.styles.most_common())
            scores = tally.scores
            yield (
                safe(client or "-"),
                str(tally.messages),
                styles or "-",
                str(tally.abstained),
                *(("-",) * 3 if scores is None else (f"{score:+.3g}" for score in scores)),
            )


def client_address(client: str | None) -> str | None:
    """Return a client's address without its port; ``None`` if the client is not known.

    ``192.0.2.1:40000`` and ``[2001:db8::1]:40000`` have a port; any other text stays as it is.
    """
    if not client:
        return None
    host, colon, port = client.rpartition(":")
    if not colon or not port.isdecimal():
        return client
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    return client if ":" in host else host
