"""Cases that are kept: a schedule, and what the kernel did with it, as one readable TOML file."""

from dataclasses import dataclass
from pathlib import Path

from seglab.core.specfile import SpecTable, decode
from seglab.validation.recording import Recording, from_text, to_text
from seglab.validation.schedule import Schedule, from_table, to_toml

FOLDER = Path(__file__).parents[2] / "emulation" / "data" / "schedules"


@dataclass(frozen=True, slots=True)
class Case:
    """A kept case.

    Attributes:
        name: of its file.
        schedule: what both engines carry out; its ``about`` says what the case shows.
        release: of the kernel that was recorded.
        recording: what that kernel's TCP was given and sent.
    """

    name: str
    schedule: Schedule
    release: str
    recording: Recording


def case_text(case: Case) -> str:
    """Return a case as the text of its file."""
    recording = to_text(case.recording)
    kernel = f'[kernel]\nrelease = "{case.release}"\nrecording = """\n{recording}"""\n'
    return f"{to_toml(case.schedule)}\n{kernel}"


def read_schedule(path: Path) -> Schedule:
    """Read a schedule's file, or a case's, of which the recording does not matter.

    Raises:
        InputError: the file is none; says where, what was expected and what was found.
    """
    values = decode(path.read_bytes(), str(path))
    values.pop("kernel", None)
    table = SpecTable(str(path), values)
    schedule = from_table(table)
    table.finish()
    return schedule


def read_case(path: Path) -> Case:
    """Read a case.

    Raises:
        InputError: the file is none; says where, what was expected and what was found.
    """
    values = decode(path.read_bytes(), str(path))
    recording = values.get("kernel", {}).pop("recording", "")  # the only text of several lines
    table = SpecTable(str(path), values)
    schedule = from_table(table)
    kernel = table.table("kernel")
    release = kernel.text("release")
    kernel.finish()
    table.finish()
    return Case(path.stem, schedule, release, from_text(recording, str(path)))


def kept() -> list[Case]:
    """Return all kept cases."""
    return [read_case(path) for path in sorted(FOLDER.glob("*.toml"))]
