"""What Ctrl-C does while modules are imported."""

import signal
import threading
from types import TracebackType


class QuietInterrupt:
    """While the block lasts, Ctrl-C ends the process at once, and prints nothing.

    An exception inside an import would be a traceback, or be lost in a module written in C. The
    block changes nothing in other threads than the main one, or if the program has a handler of
    its own.
    """

    def __enter__(self) -> None:
        """Let the signal end the process."""
        self._changed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._changed:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Let the signal raise ``KeyboardInterrupt`` again."""
        if self._changed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
