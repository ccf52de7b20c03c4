"""What a sender is: every name that the author of one imports.

::

    from seglab.sender import Message, Parameters, Sender, in_writes, smtp_parameters

A sender is a pure value with its ground truth. It owns no socket and no clock, so it can be
tested as a list of steps, and runs on any engine.
"""

from seglab.core.labels import PathCondition, Style, Terminator
from seglab.core.parameters import (
    Flag,
    HeaderNames,
    Integer,
    Number,
    Parameter,
    Parameters,
    Sizes,
    Word,
)
from seglab.mail.message import Message
from seglab.sender.sender import (
    GAP_MAX_MS,
    Sender,
    in_writes,
    nodelay_parameter,
    smtp_parameters,
)
from seglab.sender.steps import Expect, MssBuffer, SetOption, Step, Wait, Write

__all__ = [
    "GAP_MAX_MS",
    "Expect",
    "Flag",
    "HeaderNames",
    "Integer",
    "Message",
    "MssBuffer",
    "Number",
    "Parameter",
    "Parameters",
    "PathCondition",
    "Sender",
    "SetOption",
    "Sizes",
    "Step",
    "Style",
    "Terminator",
    "Wait",
    "Word",
    "Write",
    "in_writes",
    "nodelay_parameter",
    "smtp_parameters",
]
