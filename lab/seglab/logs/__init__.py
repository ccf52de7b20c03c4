"""Reads logs of mail servers as observations, line by line, and trusts nothing in them.

Four kinds of line are known, and may stand in one file, whatever it is called: the three formats of
``seglab serve`` (``docs/server.md``; two of them are the paper's), and observations as lines of
JSON. A line of no known kind is reported and skipped.
"""

from seglab.logs.badline import BadLine
from seglab.logs.reading import LINE_MAX_BYTES, LogReader, observations

__all__ = ["LINE_MAX_BYTES", "BadLine", "LogReader", "observations"]
