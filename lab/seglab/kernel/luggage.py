"""What a session's job must bring along, since the lab's client reaches none of it."""

from pathlib import Path

import msgspec

from seglab.confined.exchange import stored_step
from seglab.confined.own_sender import own_sender
from seglab.errors import InputError
from seglab.experiment.plan import OwnSenderSession, ProgramSession, SessionSpec
from seglab.kernel.channel import ChannelMessage
from seglab.mail.stored import StoredMail
from seglab.sender.script import ScriptError, make_script


def needed(spec: SessionSpec) -> bool:
    """Whether a session sends a mail of the user's own, or with a sender of the user's own."""
    if isinstance(spec, ProgramSession):
        return False  # its job has the message already
    return isinstance(spec, OwnSenderSession) or isinstance(spec.message, StoredMail)


def of(spec: SessionSpec) -> ChannelMessage:
    """Return what to add to the job: the steps of an own sender, or the bytes of an own mail.

    Returns:
        ``refused``, with the reason, where there is no such thing.
    """
    try:
        if isinstance(spec, OwnSenderSession):
            return {"script": _script(spec)}
        assert isinstance(spec.message, StoredMail)
        mail = msgspec.to_builtins(spec.message) | {"content": spec.message.data()}
    except (InputError, ScriptError) as error:
        return {"refused": str(error)}
    return {"message": mail}


def _script(spec: OwnSenderSession) -> list[object]:
    """Return the steps of a session with an own sender, made in the sender's worker."""
    who, file = own_sender(Path(spec.sender_file.path))
    if file != spec.sender_file:
        raise InputError(f"{file.path}: has changed since the run was planned")
    steps = make_script(who, spec.parameters, spec.message, spec.message_seed)
    return [stored_step(step) for step in steps]
