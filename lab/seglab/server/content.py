"""What is known of an SMTP message while it arrives: its digest, size and, where kept, bytes.

The code is pure.
"""

import hashlib


class Content:
    """A message that grows, up to a limit.

    Attributes:
        content_bytes: how many bytes the message itself has so far.
    """

    __slots__ = ("_digest", "_kept", "_max_content_bytes", "content_bytes")

    def __init__(self, max_content_bytes: int, *, keep_content: bool = False) -> None:
        self._max_content_bytes = max_content_bytes
        self._kept: list[bytes] | None = [] if keep_content else None
        self._digest = hashlib.sha256()
        self.content_bytes = 0

    @property
    def too_big(self) -> bool:
        """Whether the message is larger than the limit."""
        return self.content_bytes > self._max_content_bytes

    @property
    def content(self) -> bytes | None:
        """The message without what SMTP adds to it; ``None`` if it was not kept."""
        return None if self._kept is None or self.too_big else b"".join(self._kept)

    def hexdigest(self) -> str:
        """Return the SHA-256 of the payload's bytes as they were on the wire."""
        return self._digest.hexdigest()

    def _keep(self, piece: bytes) -> None:
        """Keep bytes that are counted already, unless the message has become too large."""
        if self._kept is None:
            return
        if self.too_big:
            self._kept.clear()
        else:
            self._kept.append(piece)
