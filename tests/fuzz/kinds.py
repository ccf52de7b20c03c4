"""All kinds of input, by their names."""

from typing import Final

from fuzz import captures, command_lines, folders, json_lines, own_captures, servers, specs, tables
from fuzz.kind import Kind

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        captures.CAPTURES,
        captures.KNOWN,
        own_captures.OWN,
        servers.SMTP,
        servers.LOGS,
        json_lines.JSON,
        specs.TOML,
        tables.PARQUET,
        command_lines.COMMANDS,
        folders.FOLDERS,
    )
}
