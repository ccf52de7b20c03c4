"""Running a program of the user's own over networks: ``seglab try``."""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from seglab.errors import InputError
from seglab.experiment import registry
from seglab.experiment.named import plan_named
from seglab.experiment.plan import ProgramSession
from seglab.experiment.program import SCENARIO, content, plan
from seglab.mail.kinds import KINDS
from seglab.mail.message import MessageSpec
from seglab.mail.source import MailSource, read_source
from seglab.mail.stored import StoredMail
from seglab.networks.network import Network
from seglab.runs.folder import RunFolder
from seglab.runs.manifest import Experiment, Manifest
from seglab.software.available import available
from seglab.software.program import program as named_program
from seglab.software.store import Store

Planned = Sequence[tuple[ProgramSession, Network]]

SESSIONS_MAX: Final = 10_000
"""The most sessions of one run over each network."""

_Limit = Annotated[float, msgspec.Meta(gt=0)]

DEFAULT_NETWORKS: Final = ("ethernet",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TryRequest:
    """What a user asked to try. A run stores it, so that it can be continued.

    Attributes:
        command: the program and its arguments, with placeholders; empty for a named program.
        program: the name of a program that is installed by ``seglab software``; ``None`` where a
            command runs.
        networks: the names of the networks to try it over.
        sessions: how many over each network.
        message: a kind of generated mail, or the absolute path of the user's own.
        payload_bytes: the size of a generated mail; ``None`` is the usual one.
        sender_address: the envelope's sender.
        recipient: the envelope's recipient.
        name: what to call the program; ``None`` is the name of its file.
        send: the shell's command that hands a daemon the message; ``None`` for other programs.
        ready: what says that a daemon is ready for it.
        done: what says that a session is over.
        folder: the absolute path of the folder that it starts in.
    """

    command: tuple[str, ...]
    program: str | None = None
    networks: tuple[str, ...] = DEFAULT_NETWORKS
    sessions: Annotated[int, msgspec.Meta(ge=1, le=SESSIONS_MAX)] = 1
    message: str = "text"
    payload_bytes: int | None = None
    sender_address: str
    recipient: str
    name: str | None = None
    send: str | None = None
    ready: str | None = None
    done: str | None = None
    folder: str

    def mail(self) -> MessageSpec | MailSource:
        """Return what the program is to send.

        Raises:
            InputError: it cannot be read, or no such mail can be made.
        """
        return message_of(self.message, self.payload_bytes)

    def planned(self, mail: MessageSpec | MailSource, seed: int) -> Planned:
        """Plan the sessions.

        Raises:
            InputError: some of it cannot be used; the message names the option.
            EnvironmentLacksError: a named program is not installed.
        """
        paths = [registry.network(network) for network in dict.fromkeys(self.networks)]
        if self.program is not None:
            return plan_named(
                available(named_program(self.program), Store.usual()),
                paths,
                mail,
                sessions=self.sessions,
                seed=seed,
                sender_address=self.sender_address,
                recipient=self.recipient,
            )
        return plan(
            self.command,
            paths,
            mail,
            sessions=self.sessions,
            seed=seed,
            name=self.name,
            sender_address=self.sender_address,
            recipient=self.recipient,
            folder=Path(self.folder),
            send=self.send,
            ready=self.ready,
            done=self.done,
        )

    def files(self) -> dict[str, str]:
        """Return the SHA-256 of the program's file and of each file that its arguments name.

        Of a named program it is what tells it from other versions of it.
        """
        if self.program is not None:
            found = available(named_program(self.program), Store.usual())
            return {f"program {self.program}": " ".join(found.parameters.values())}
        return digests_of_files(self.command, self.folder)

    def manifest(self, planned: Planned, seed: int, time_limit_s: float) -> Manifest:
        """Return the manifest of a run that is about to begin.

        Raises:
            InputError: a message cannot be read any more, or has changed.
        """
        arguments = asdict(self) | {
            "time_limit_s": time_limit_s,
            "files": self.files(),
            "messages": digests(spec for spec, _ in planned),
        }
        name = planned[0][0].sender
        return Manifest(
            command="try",
            arguments=arguments,
            scenarios=(Experiment(SCENARIO, f"A program: {name}", None, "segments"),),
            networks={network.name: msgspec.to_builtins(network) for _, network in planned},
            seed=seed,
        )


def message_of(given: str, payload_bytes: int | None) -> MessageSpec | MailSource:
    """Return the message that ``--message`` names.

    Args:
        given: a kind of generated mail, or the path of a file or folder.
        payload_bytes: the size of a generated mail; ``None`` is the usual one.

    Raises:
        InputError: there is no such kind and no such file, or no such mail can be made.
    """
    if given in KINDS:
        try:
            spec = MessageSpec(kind=given)
            return spec if payload_bytes is None else replace(spec, payload_bytes=payload_bytes)
        except ValueError as error:
            raise InputError(f"message {given}: {error}") from error
    path = Path(given)
    if not path.exists():
        raise InputError(
            f"message {given!r}: neither a file nor a kind of generated mail: {', '.join(KINDS)}"
        )
    if payload_bytes is not None:
        raise InputError(
            f"message {given!r}: a mail of your own has its own size; leave out --size"
        )
    return read_source(path.absolute(), skip_bad=True)


def digests(specs: Iterable[ProgramSession]) -> dict[str, str]:
    """Return the SHA-256 of each message that is to be sent, by its name."""
    found: dict[str, str] = {}
    for spec in specs:
        if spec.message_name not in found:
            found[spec.message_name] = (
                spec.message.sha256
                if isinstance(spec.message, StoredMail)
                else hashlib.sha256(content(spec)).hexdigest()
            )
    return found


def digests_of_files(command: Sequence[str], folder: str) -> dict[str, str]:
    """Return the SHA-256 of a program's file and of each file that its arguments name."""
    found = {}
    program = shutil.which(command[0]) if "/" not in command[0] else command[0]
    for name in (program, *command[1:]):
        path = Path(folder, name or "")
        try:
            if name and path.is_file():
                with path.open("rb") as file:
                    found[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError):
            continue  # the program itself may still be able to read it
    return found


def resume(path: Path) -> tuple[RunFolder, TryRequest]:
    """Open a stored run to continue it.

    Returns:
        The folder and what was asked. The folder is open for writing, unless every session is
        complete already: then it is open for reading only.

    Raises:
        InputError: there is no run of ``seglab try``, another process writes it, or the program or
            a message is not what it was when the run began.
    """
    folder = RunFolder.open(path)
    manifest = folder.manifest
    request = request_of(manifest, path)
    counts = manifest.counts
    stored = len(folder.statuses()) >= counts.complete
    if manifest.status == "complete" and stored and not counts.failed:
        return folder, request
    now = request.files()
    changed = [n for n, digest in manifest.arguments["files"].items() if now.get(n) != digest]
    messages = digests(spec for spec, _ in request.planned(request.mail(), manifest.seed))
    if messages != manifest.arguments["messages"]:
        changed.append("the message")
    if changed:
        raise InputError(
            f"{path}: {' and '.join(changed)} has changed since this run began; put it back as it "
            "was, or start a new run"
        )
    return RunFolder.resume(path), request


def request_of(manifest: Manifest, path: Path) -> TryRequest:
    """Return what a stored run was asked to try.

    Raises:
        InputError: the manifest is of another command, or does not hold it.
    """
    if manifest.command != "try":
        raise InputError(f"{path}: not a run of seglab try, but of seglab {manifest.command}")
    arguments: dict[str, Any] = manifest.arguments
    try:
        known = {name: arguments[name] for name in TryRequest.__dataclass_fields__}
        request = msgspec.convert(known, TryRequest)
        msgspec.convert([arguments["files"], arguments["messages"]], list[dict[str, str]])
        msgspec.convert(arguments["time_limit_s"], _Limit)
    except (KeyError, msgspec.ValidationError) as error:
        raise InputError(f"{path}: run.json does not say what to try ({error})") from error
    if not request.command and request.program is None:
        raise InputError(f"{path}: run.json does not say what to try (it has no command)")
    return request
