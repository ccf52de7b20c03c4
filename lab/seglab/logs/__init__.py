"""Logs of mail servers, read as observations: streaming, and wary of what is in them.

Four kinds of line are known, whatever the file is called, and may stand in one file: the three
formats of ``seglab serve`` (``docs/server.md``; two of them are the paper's), and observations as
lines of JSON. A line that is none of them is told of and passed over.
"""

from seglab.logs.badline import BadLine
from seglab.logs.reading import LINE_MAX_BYTES, LogReader, observations

__all__ = ["LINE_MAX_BYTES", "BadLine", "LogReader", "observations"]
