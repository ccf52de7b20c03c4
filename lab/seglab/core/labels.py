"""The three axes of ground truth, the values of each, and which engines have no kernel."""

from typing import Final, Literal, get_args

Style = Literal[
    "single_write",
    "relay",
    "headers_then_body",
    "distinct_from",
    "custom_headers",
    "fixed_buffer",
    "line_by_line",
    "timed_writes",
]
"""How the sending program cuts a message into writes."""

Terminator = Literal["with_body", "own_write"]
"""Whether the end of data is in the last write of the text, or in a write of its own."""

PathCondition = Literal["steady", "small_mss", "fluctuating", "pmtu_fall"]
"""How the path between the sender and the server treats full segments."""

UNKNOWN_STYLE: Final = "unknown"
"""The style of a program whose writes are of no style that the lab has a name for."""

STYLES: tuple[Style, ...] = get_args(Style)
TERMINATORS: tuple[Terminator, ...] = get_args(Terminator)
PATH_CONDITIONS: tuple[PathCondition, ...] = get_args(PathCondition)

SIMULATORS: Final = frozenset({"simulator"})
"""The names of the engines that model TCP in virtual time; the others carry sessions out."""
