"""What the client of a program's lab is told to run: the command, its placeholders filled in."""

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from seglab.experiment.equipment import Equipment
from seglab.experiment.plan import ProgramSession
from seglab.experiment.program import PLACEHOLDERS, condition, content
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.program import view

_PLACEHOLDER: Final = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
_PROXY: Final = re.compile(r"(.*_)?proxy\Z", re.IGNORECASE)


def of(spec: ProgramSession, time_limit_s: float) -> ChannelMessage:
    """Return the client's part of a session.

    Raises:
        InputError: the message cannot be read any more, or has changed.
    """
    return {
        "argv": list(spec.command),
        "environment": environment(os.environ),
        "folder": spec.folder,
        "content": content(spec),
        "values": {
            "message": view.MESSAGE_PATH,
            "from": spec.sender_address,
            "to": spec.recipient,
        },
        "protocol": spec.protocol,
        "time_limit_s": time_limit_s,
        "send": spec.send,
        "ready": _condition("ready", spec.ready),
        "done": _condition("done", spec.done),
        "layers": list(spec.layers),
        "equipment": msgspec.to_builtins(spec.equipment or Equipment()),
    }


def _condition(what: str, text: str | None) -> dict[str, str] | None:
    return None if text is None else dict([condition(what, text)])


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: the user's own, less what leads away from the lab."""
    kept = {name: value for name, value in own.items() if not _PROXY.match(name)}
    return kept | {"TMPDIR": view.TEMPORARY_PATH}


def complete(job: Mapping[str, Any], server: str, port: int) -> ChannelMessage:
    """Return the job with its placeholders filled in, once the server's address is known."""
    values = {"host": server, "port": str(port), **job["values"]}
    variables = {f"SEGLAB_{name.upper()}": value for name, value in values.items()}
    argv = [filled(argument, values) for argument in job["argv"]]
    quoted = {name: shlex.quote(value) for name, value in values.items()}
    conditions = {
        what: {kind: filled(text, quoted) if kind == "command" else text for kind, text in one}
        for what in ("ready", "done")
        if (one := (job.get(what) or {}).items())
    }
    line = job.get("send")
    equipment = job["equipment"]
    files = {path: filled(text, values) for path, text in equipment["files"]}
    variables |= {name: filled(value, values) for name, value in equipment["variables"]}
    return {
        **job,
        **conditions,
        "equipment": {"files": files, "accounts": equipment["accounts"]},
        "argv": argv,
        "send": None if line is None else filled(line, quoted),
        "environment": job["environment"] | variables,
    }


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in the placeholders of one argument; other braces stay as they are."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)
