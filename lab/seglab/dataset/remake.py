"""Makes again what the seed of a dataset decides about a row, and compares it with the row.

The seed decides the message of a session, and with its sender's steps and the row's MSS where each
write ends. So the payload's length and digest, the places of the header fields, and the writes of a
row can be made again without a network. The words of generated mail come from Faker, and senders
and messages from seglab, so a dataset that was built with other versions of these cannot be
compared.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from seglab.confined.own_sender import sender
from seglab.core.record import SessionRecord
from seglab.dataset.manifest import DatasetManifest
from seglab.dataset.plan import PlacedSession
from seglab.experiment.plan import message
from seglab.mail.header_layout import header_layout
from seglab.runs.manifest import versions
from seglab.sender.steps import Write, at_mss

DECIDING_PACKAGES: Final = ("seglab", "faker")
"""The packages whose versions decide what messages and writes a seed gives."""


def other_versions(manifest: DatasetManifest) -> str | None:
    """Which version built a dataset that this one may differ from, in words; ``None`` if none."""
    here = versions()
    for built in manifest.versions:
        for package in DECIDING_PACKAGES:
            if built.get(package) != here.get(package):
                return f"{package} {built.get(package)} built it, and {here.get(package)} is here"
    return None


def differences(record: SessionRecord, place: PlacedSession) -> str | None:
    """Say in what a row differs from what its seed gives; ``None`` where it does not.

    Raises:
        InputError: the message is the user's own mail, and cannot be read.
    """
    who = sender(place.spec.sender, place.spec.sender_path)
    made = message(place.spec, who)
    steps = at_mss([*who.steps(made, place.spec.parameters)], record.mss)
    pieces = [step.data for step in steps if isinstance(step, Write)]
    payload = b"".join(pieces)
    digest = hashlib.sha256(payload).hexdigest()
    # Random bytes may look like a header, which begins with a line break if it is empty.
    found = header_layout(payload if place.spec.protocol == "smtp" else b"")
    expected = (
        ("payload_bytes", record.payload_bytes, len(payload)),
        ("payload_sha256", record.payload_sha256, digest),
        ("header_end", record.header_end, found.header_end),
        ("header_fields", record.header_fields, found.fields),
    )
    for column, value, made_again in expected:
        if value != made_again:
            return f"{column} is {value!r:.60}, its seed gives {made_again!r:.60}"
    ends = _ends(pieces)
    in_row = [write.end for write in record.writes]
    if in_row != ends:
        at = next((n for n, (a, b) in enumerate(zip(in_row, ends, strict=False)) if a != b), None)
        if at is None:
            return f"has {len(in_row)} writes, its seed gives {len(ends)}"
        return f"write {at} ends at {in_row[at]}, its seed gives {ends[at]}"
    return None


def _ends(pieces: Sequence[bytes]) -> list[int]:
    ends, at = [], 0
    for piece in pieces:
        at += len(piece)
        ends.append(at)
    return ends
