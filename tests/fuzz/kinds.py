"""All kinds of input, by their names."""

from typing import Final

from fuzz import captures, json_lines, servers, specs, tables
from fuzz.kind import Kind

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        captures.CAPTURES,
        captures.KNOWN,
        servers.SMTP,
        servers.LOGS,
        json_lines.JSON,
        specs.TOML,
        tables.PARQUET,
    )
}
