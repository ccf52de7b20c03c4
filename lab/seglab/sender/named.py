"""Finds a shipped sender, or the sender of a shipped profile, by its name.

The lab's client asks here, and has to start in milliseconds. So profiles, which are read from TOML,
are imported where a name is none of a sender.
"""

from seglab.core.lookup import named
from seglab.sender.registry import senders
from seglab.sender.sender import Sender


def sender(name: str) -> Sender:
    """The shipped sender, or the sender of the shipped profile, of that name.

    Raises:
        InputError: there is none; the message has the nearest name.
    """
    known = senders()
    if name in known:
        return known[name]
    from seglab.sender.profiles import profiles  # noqa: PLC0415 -- most labs need none

    of_profiles = {profile.name: profile.sender for profile in profiles().values()}
    return named("sender", name, {**known, **of_profiles})
