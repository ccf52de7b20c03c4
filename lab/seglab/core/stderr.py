"""A standard error that may be full: what cannot be written there must not end a command."""

import errno
import io
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Lenient(io.FileIO):
    """Standard error, which drops what does not fit; ``dropped`` says whether it has."""

    dropped = False

    def write(self, data: object) -> int:
        """Write bytes, or drop them."""
        view = memoryview(data)  # type: ignore[arg-type]
        try:
            return super().write(view)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self.dropped = True
            return view.nbytes


def drop_what_does_not_fit() -> None:
    """Replace ``sys.stderr``, if it is the process's own, by one that drops what does not fit."""
    before = sys.stderr
    if not isinstance(before, io.TextIOWrapper) or before is not sys.__stderr__:
        return
    try:
        raw = _Lenient(before.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # it has no descriptor
        return
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=before.encoding, errors=before.errors, line_buffering=True
    )


def was_full() -> bool:
    """Return whether something could not be written to standard error."""
    raw = getattr(getattr(sys.stderr, "buffer", None), "raw", None)
    return isinstance(raw, _Lenient) and raw.dropped
