"""Which modules are compiled, and whether what is compiled is of these sources.

``setup.py`` compiles copies of some modules into a package of their own, such as
``seglab.capture.compiled``. The sources stay as they are and work as they are. After a change of
the sources, or a ``git pull`` in an editable installation, the extension modules are older than the
sources, and the sources run. ``SEGLAB_PURE_PYTHON=1`` makes the sources run always.
"""

import os
from functools import cache
from importlib import import_module
from typing import Final, Literal, NamedTuple
from zlib import crc32

PURE_PYTHON: Final = "SEGLAB_PURE_PYTHON"
"""The variable of the environment that is ``1`` where the sources shall run."""

State = Literal["compiled", "outdated", "missing", "unwanted"]

_FOLDER: Final = __file__.removesuffix("/core/compiling.py").removesuffix("\\core\\compiling.py")


class Compiled(NamedTuple):
    """Modules that are compiled together.

    Attributes:
        package: the package of their compiled copies.
        sources: the full names of the modules, such as ``seglab.networks.link``.
        annotated: whether the types of C come from the annotations (``seglab.core.c_copies``), and
            not from ``.pxd`` files beside the sources.
    """

    package: str
    sources: tuple[str, ...]
    annotated: bool = False

    def __hash__(self) -> int:
        """Return the hash of the package: it is asked for with each simulated session."""
        return hash(self.package)

    def copy_of(self, source: str) -> str:
        """Return the full name of the compiled copy of a module."""
        return f"{self.package}.{source.rpartition('.')[2]}"


CAPTURE: Final = Compiled(
    "seglab.capture.compiled",
    tuple(
        f"seglab.capture.core.{name}"
        for name in (
            *("smtp_verbs", "header", "tls_records", "message", "preamble", "dialogue", "stream"),
            *("connection", "table", "encapsulation", "walk"),
        )
    ),
)
"""The inner loop of the reader of captures."""

SIMULATOR: Final = Compiled(
    "seglab.simulator.compiled",
    (
        "seglab.frames.blocks",
        "seglab.frames.comments",
        "seglab.networks.link",
        "seglab.sender.replies",
        "seglab.server.content",
        "seglab.server.payload",
        "seglab.server.smtp",
        *(
            f"seglab.simulator.{name}"
            for name in (
                *("acknowledging", "acks", "byte_window", "captured", "carried", "client"),
                *("clock", "congestion", "cubic", "due", "endpoint", "frames", "handshake"),
                *("host_times", "marks", "mss", "nagle", "output", "path"),
                *("probing", "rack", "receive", "recovery", "resend", "rtt", "segment", "server"),
                *("session", "state", "tagging", "timers", "transmit", "window", "writing"),
            )
        ),
    ),
    annotated=True,
)
"""The model of the simulator: both TCPs, the path and the programs."""


MAIL: Final = Compiled("seglab.mail.compiled", ("seglab.mail.running_text",), annotated=True)
"""The text of generated mail."""

ALL: Final = CAPTURE, SIMULATOR, MAIL


def file_of(source: str) -> str:
    """Return the path of a module's file, without ``.py``."""
    return os.path.join(_FOLDER, *source.split(".")[1:])  # noqa: PTH118 - pathlib is slow to import


def digest(source: str) -> str:
    """Return a checksum of a module's source and its declarations, which tells it from others."""
    found = 0
    for ending in (".py", ".pxd"):
        try:
            with open(file_of(source) + ending, "rb") as file:  # noqa: PTH123 - as above
                found = crc32(file.read(), found)
        except FileNotFoundError:
            continue
    return f"{found:08x}"


def state(modules: Compiled) -> State:
    """Return whether the compiled form of modules is to be used, and why not."""
    return "unwanted" if os.environ.get(PURE_PYTHON) == "1" else built(modules)


@cache
def built(modules: Compiled) -> State:
    """Return whether the compiled form of modules is there and of these sources."""
    try:
        for source in modules.sources:
            if digest(source) != import_module(modules.copy_of(source)).SOURCE:
                return "outdated"
    except (ImportError, OSError):
        return "missing"
    except (AttributeError, TypeError, ValueError):  # copies of several versions, which do not fit
        return "outdated"
    return "compiled"
