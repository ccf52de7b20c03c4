"""Named programs: their files, and installing them from registries that fail in every way."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import blocks
from programs import need

from seglab.core.specfile import SpecTable, decode
from seglab.errors import DiskFullError, InputError
from seglab.experiment.program import PLACEHOLDERS, condition
from seglab.software import debian, installing
from seglab.software.available import available
from seglab.software.clients import RefusedError, run
from seglab.software.installing import Outcome
from seglab.software.program import NamedProgram, parse, programs
from seglab.software.store import Store

APT = """
import hashlib, pathlib, shutil, sys
registry = pathlib.Path(__file__).parent / "registry"
words = [w for w in sys.argv[1:] if not w.startswith("-") and "::" not in w and "=/" not in w]
words = [w for w in words if w not in ("Dir::State", "Dir::Cache")]
command, names = words[0], words[1:]
def archive(name):
    name, _, version = name.partition("=")
    version = version.replace(":", "%3a")
    found = sorted(registry.glob(f"{name}_{version or '*'}_all.deb"))
    if not found:
        sys.exit(f"E: Unable to locate package {name}")
    return found[-1]
(registry.parent / "log").open("a").write(command + "\\n")
for name in names if command == "install" else []:
    file = archive(name)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    print(f"'http://example.org/{file.name}' {file.name} {file.stat().st_size} SHA256:{digest}")
for name in names if command == "download" else []:
    shutil.copy(archive(name), ".")
"""


class Registry:
    """A registry of Debian packages, with an ``apt-get`` that knows no other.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "registry").mkdir(parents=True)
        client = folder / "apt-get"
        client.write_text(f"#!{sys.executable}\n{APT}")
        client.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        """What apt-get was asked to do so far."""
        return (self.folder / "log").read_text().split()

    def add(self, name: str, version: str, files: dict[str, str]) -> Path:
        """Have a package in it, and return its archive."""
        tree = self.folder / "tree" / f"{name}-{version}"
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.c>\n"
        for path, text in {
            **files,
            "DEBIAN/control": f"{control}Description: made for a test\n",
            "DEBIAN/postinst": "#!/bin/sh\ntouch /tmp/seglab-postinst-has-run\n",
        }.items():
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o6755 if "suid" in path else 0o755)
        archive = self.folder / "registry" / f"{name}_{version.replace(':', '%3a')}_all.deb"
        subprocess.run(["dpkg-deb", "-b", tree, archive], check=True, capture_output=True)
        return archive


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry in place of the machine's."""
    need("dpkg-deb")
    made = Registry(tmp_path / "apt")
    monkeypatch.setenv("PATH", f"{made.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(debian, "_STATUS", made.folder / "apt-get")
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "cache" / "software")


def named(name: str = "mailer", *debian_packages: str, **keys: object) -> NamedProgram:
    """A program of Debian packages."""
    values = {"title": "t", "source": "s", "command": (name,), "debian": debian_packages, **keys}
    return NamedProgram(name, **values)  # type: ignore[arg-type]


def install(store: Store, *wanted: NamedProgram, upgrade: bool = False) -> list[Outcome]:
    """Install without telling anybody."""
    return installing.install(wanted, store, lambda _name, _words: None, upgrade=upgrade)


def contents(folder: Path) -> set[str]:
    """The files of a folder, by their relative paths."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_packages_become_one_tree(registry: Registry, store: Store) -> None:
    """Files lie as the program sees them, /bin below /usr; rights and scripts have no effect."""
    registry.add("mailer", "1:2.0-1", {"bin/suid-mailer": "one", "usr/bin/other": "two"})
    registry.add("library", "3", {"usr/lib/library": "three", "lib/old": "four"})
    (outcome,) = install(store, named("mailer", "mailer", "library"))

    assert outcome.new
    assert contents(store.tree("mailer")) == {
        "usr/bin/suid-mailer",
        "usr/bin/other",
        "usr/lib/library",
        "usr/lib/old",
    }
    assert (store.tree("mailer") / "usr/bin/suid-mailer").stat().st_mode & 0o7777 == 0o755
    assert not Path("/tmp/seglab-postinst-has-run").exists()
    found = store.installation("mailer")
    assert found is not None
    assert (found.version, found.size_bytes) == ("1:2.0-1", len("onetwothreefour"))
    assert not (store.path / "new").exists()


def test_a_second_installation_is_the_first_one(registry: Registry, store: Store) -> None:
    """What was chosen stays chosen when a newer version is there, until an upgrade is wanted."""
    program = named("mailer", "mailer")
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    install(store, program)
    registry.add("mailer", "2", {"usr/bin/mailer": "two"})
    with store.writer() as writer:
        assert writer.remove("mailer")
    assert store.installation("mailer") is None

    install(store, program)
    assert (store.tree("mailer") / "usr/bin/mailer").read_text() == "one"
    install(store, program, upgrade=True)
    assert (store.tree("mailer") / "usr/bin/mailer").read_text() == "two"
    assert registry.asked.count("update") == 1, "its lists are of today"


def test_a_vanished_package_hinders_no_other(registry: Registry, store: Store) -> None:
    """The reason is kept until it is installed, and the other program is installed."""
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    gone, there = install(store, named("gone", "gone"), named("mailer", "mailer"))
    assert gone.installation is None
    assert gone.reason == "apt-get: E: Unable to locate package gone"
    assert store.refusal("gone") == gone.reason
    assert there.new

    (store.path / "refused" / "gone.json").write_text("[")
    assert store.refusal("gone") == "the reason cannot be read any more"
    registry.add("gone", "1", {"usr/bin/gone": "one"})
    install(store, named("gone", "gone"))
    assert store.refusal("gone") is None


def test_a_vanished_version(registry: Registry, store: Store) -> None:
    """What was chosen is not to be had any more: another version is no replacement."""
    archive = registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    install(store, named("mailer", "mailer"))
    with store.writer() as writer:
        writer.remove("mailer")
    archive.unlink()
    registry.add("mailer", "2", {"usr/bin/mailer": "two"})
    (outcome,) = install(store, named("mailer", "mailer"))
    assert outcome.installation is None
    assert "Unable to locate package mailer" in outcome.reason


def test_a_wrong_digest(registry: Registry, store: Store) -> None:
    """An archive that is not the one of the first time is not installed."""
    archive = registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    first = hashlib.sha256(archive.read_bytes()).hexdigest()
    install(store, named("mailer", "mailer"))
    with store.writer() as writer:
        writer.remove("mailer")
    registry.add("mailer", "1", {"usr/bin/mailer": "evil"})
    (outcome,) = install(store, named("mailer", "mailer"))
    assert outcome.reason.startswith(f"mailer 1: expected sha256:{first}, found sha256:")
    assert store.installation("mailer") is None
    assert not store.tree("mailer").exists()


def test_an_interruption_leaves_what_was_complete(
    registry: Registry, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C, an older installation is there, and nothing of the new one."""
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    registry.add("other", "1", {"usr/bin/other": "one"})
    install(store, named("mailer", "mailer"))

    def interrupted(_tree: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(debian, "merge_usr", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install(store, named("other", "other"))
    assert store.installation("mailer") is not None
    assert store.installation("other") is None
    assert not (store.path / "new").exists()


def test_what_a_crash_left_is_removed(registry: Registry, store: Store) -> None:
    """A killed process cleans nothing up, so the next one does."""
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    (store.path / "new" / "mailer" / "tree").mkdir(parents=True)
    (store.path / "new" / "mailer" / "tree" / "half").write_text("half")
    install(store, named("mailer", "mailer"))
    assert contents(store.tree("mailer")) == {"usr/bin/mailer"}
    assert not (store.path / "new").exists()


def test_a_full_disk(registry: Registry, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the installation, and the message says how to go on."""
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})

    def full(_tree: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(debian, "merge_usr", full)
    with pytest.raises(DiskFullError, match="full; free some space, or set XDG_CACHE_HOME"):
        install(store, named("mailer", "mailer"))
    assert store.installation("mailer") is None
    assert not (store.path / "new").exists()


def test_two_at_once(store: Store) -> None:
    """The second one is refused, and the first one goes on."""
    with store.writer(), pytest.raises(InputError, match="another seglab is writing"):
        install(store)
    assert install(store) == []


def test_a_damaged_description(registry: Registry, store: Store) -> None:
    """It is an error of one line that names the file, and removing it helps."""
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    install(store, named("mailer", "mailer"))
    (store.path / "installed" / "mailer" / "program.json").write_text('{"name": 1}')
    with pytest.raises(InputError, match=r"program\.json: not the description of a program: .*\$"):
        store.installation("mailer")
    with store.writer() as writer:
        assert writer.remove("mailer")
    assert install(store, named("mailer", "mailer"))[0].new


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["no UTF-8", "a folder"])
def test_a_description_that_cannot_be_read(store: Store, content: bytes | None) -> None:
    """The message says what helps, and it does."""
    path = store.path / "installed" / "mailer" / "program.json"
    path.parent.mkdir(parents=True)
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=r"program\.json: .*; seglab software remove mailer"):
        store.installation("mailer")
    with store.writer() as writer:
        assert writer.remove("mailer")
    assert store.installation("mailer") is None


@pytest.mark.parametrize("tree", ["gone", "a file"])
def test_files_that_are_gone(registry: Registry, store: Store, tree: str) -> None:
    """It is said before a session runs, and removing the program helps."""
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    install(store, named("mailer", "mailer"))
    shutil.rmtree(store.tree("mailer"))
    if tree == "a file":
        store.tree("mailer").touch()
    with pytest.raises(InputError, match=r"tree: the program's files .*software remove mailer"):
        store.installation("mailer")
    with store.writer() as writer:
        assert writer.remove("mailer")
    assert install(store, named("mailer", "mailer"))[0].new


def test_links_and_files_in_the_place_of_folders(store: Store, tmp_path: Path) -> None:
    """They are removed themselves, and what a link points to stays."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").touch()
    places = store.path / "installed" / "mailer", store.path / "new"
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(mine)
    with store.writer() as writer:
        assert writer.remove("mailer")
    places[0].symlink_to(tmp_path / "nowhere")
    places[1].touch()
    with store.writer() as writer:
        assert writer.remove("mailer")
        assert not writer.remove("mailer")
    places[0].touch()
    with store.writer() as writer:
        assert writer.remove("mailer")
    assert not any(os.path.lexists(place) for place in places)
    assert (mine / "precious").exists()


def test_an_upgrade_that_is_interrupted(
    registry: Registry, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is the old version or the new one at each moment in which files are removed."""
    registry.add("mailer", "1", {"usr/bin/mailer": "one"})
    install(store, named("mailer", "mailer"))
    remove, seen = shutil.rmtree, []

    def watched(path: Path, **options: bool) -> None:
        seen.append(store.installation("mailer"))
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", watched)
    registry.add("mailer", "2", {"usr/bin/mailer": "two"})
    install(store, named("mailer", "mailer"), upgrade=True)
    assert seen
    assert all(seen)


def test_a_reason_that_cannot_be_read(store: Store) -> None:
    """It hinders no list of programs."""
    path = store.path / "refused" / "mailer.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"reason": "\xff"}')
    assert store.refusal("mailer") == "the reason cannot be read any more"


def test_a_lock_that_cannot_be_read(store: Store) -> None:
    """The message says what helps."""
    (store.path / "locks" / "mailer.json").mkdir(parents=True)
    with pytest.raises(InputError, match=r"mailer\.json: cannot be read: .*; remove the file"):
        store.locked("mailer")


def test_a_version_in_another_encoding(store: Store) -> None:
    """What runs a program may say its version in any bytes."""
    program = NamedProgram("mailer", "", "", ("x",), runtime=("printf", r"mailer \351"))
    assert available(program, store).runtime == "mailer \ufffd"


def test_a_program_that_is_built(registry: Registry, store: Store) -> None:
    """Its tools are gone afterwards; they are known, and taken again the next time."""
    registry.add("compiler", "1", {"usr/bin/compile": "#!/bin/sh\necho built > $TREE/mailer\n"})
    program = named("mailer", build_debian=("compiler",), build="$TOOLS/usr/bin/compile")
    (outcome,) = install(store, program)
    assert outcome.installation is not None
    assert outcome.installation.version == "1"
    assert contents(store.path / "installed" / "mailer") == {"program.json", "tree/mailer"}
    (package,) = outcome.installation.packages
    assert (package.registry, package.name) == ("debian-build", "compiler")

    with store.writer() as writer:
        writer.remove("mailer")
    registry.add("compiler", "2", {"usr/bin/compile": "#!/bin/sh\nexit 1\n"})
    assert install(store, program)[0].new


def test_a_program_that_cannot_be_built(registry: Registry, store: Store) -> None:
    """The last line that the compiler printed is the reason."""
    registry.add("compiler", "1", {"usr/bin/compile": "#!/bin/sh\n"})
    broken = "echo line 7: no such word >&2; exit 1"
    (outcome,) = install(store, named("mailer", build_debian=("compiler",), build=broken))
    assert outcome.reason == "sh: line 7: no such word"
    assert store.installation("mailer") is None


def test_a_client_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its absence is the reason, not a traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="apt-get is not on this machine"):
        run(["apt-get", "update"], tmp_path)


NPM = """
import json, pathlib, sys
prefix = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
wanted = json.loads((prefix / "package.json").read_text())["dependencies"]
lock = prefix / "package-lock.json"
if sys.argv[1] == "install":
    entries = {
        f"node_modules/{name}": {"version": version, "integrity": "INTEGRITY"}
        for name, version in wanted.items()
    }
    lock.write_text(json.dumps({"packages": {"": {"dependencies": wanted}, **entries}}))
assert "--ignore-scripts" in sys.argv
for place in json.loads(lock.read_text())["packages"]:
    if place:
        (prefix / place).mkdir(parents=True)
        (prefix / place / "index.js").write_text(sys.argv[1])
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make an ``npm`` whose packages all have one integrity."""

    def made(integrity: str) -> None:
        client = tmp_path / "npm" / "npm"
        client.parent.mkdir(exist_ok=True)
        client.write_text(f"#!{sys.executable}\n{NPM.replace('INTEGRITY', integrity)}")
        client.chmod(0o755)
        monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")

    return made


def test_packages_of_npm_are_locked(npm: Callable[[str], None], store: Store) -> None:
    """The first time npm chooses; later it follows its own lock; another version has no lock."""
    npm("sha512-one")
    program = named("nodemail", npm=("nodemail@1.0.0",))
    install(store, program)
    module = store.tree("nodemail") / "usr/lib/seglab/npm/node_modules/nodemail/index.js"
    assert module.read_text() == "install"
    with store.writer() as writer:
        writer.remove("nodemail")
    install(store, program)
    assert module.read_text() == "ci"
    with store.writer() as writer:
        writer.remove("nodemail")
    install(store, named("nodemail", npm=("nodemail@2.0.0",)))
    assert module.read_text() == "install"


def test_a_wrong_integrity_of_npm(npm: Callable[[str], None], store: Store) -> None:
    """The digest in the program's file decides."""
    npm("sha512-two")
    digests = {"nodemail@1.0.0": "sha512-one"}
    (outcome,) = install(store, named("nodemail", npm=("nodemail@1.0.0",), digests=digests))
    assert outcome.reason == "nodemail@1.0.0: expected sha512-one, found sha512-two"


GOOD = """
title = "a mailer"
source = "mailer(1)"
command = ["mailer", "{host}"]
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('title = "a"\nsource = "b"', "command is missing"),
        (f'{GOOD}shell = "mailer"', "expected command or shell, found both"),
        (f"{GOOD}programm = 1", "unknown key 'programm'"),
        (f'{GOOD}ready = "true"', "ready: expected send as well"),
        (f'{GOOD}[packages]\npypi = ["a"]', "packages of PyPI as NAME==VERSION, found 'a'"),
        (f'{GOOD}[packages]\npypi = ["a==1"]', "digests: 'a==1' is missing"),
        (f'{GOOD}[digests]\n"a==1" = "sha256:{"0" * 64}"', "'a==1' is no package of this file"),
        (f'{GOOD}[packages]\nnpm = ["a@latest"]', "packages of npm as NAME@VERSION"),
        (f'{GOOD}[files]\n"etc/conf" = "a"', "'etc/conf' cannot be used as a key here"),
        (f'{GOOD}[packages]\ndebian = ["--purge"]', "names of Debian packages, found '--purge'"),
    ],
)
def test_files_that_cannot_be_used(text: str, message: str) -> None:
    """The error says where, what was expected and what was found."""
    with pytest.raises(InputError) as error:
        parse("mailer", SpecTable("mailer.toml", decode(text.encode(), "mailer.toml")))
    assert str(error.value).startswith("mailer.toml")
    assert message in str(error.value)


def test_all_keys_of_a_program() -> None:
    """The page that explains the files of programs shows a valid one."""
    (explained,) = blocks("senders/programs/README.md", "toml")
    mine = parse("mine", SpecTable("mine.toml", decode(explained.encode(), "mine.toml")))
    assert mine.main_package == "aiosmtplib"
    assert mine.files["/etc/nullmailer/remotes"] == "{host} smtp --port={port}\n"


@pytest.mark.parametrize("name", programs())
def test_a_shipped_program(name: str) -> None:
    """It names the server, both addresses and the message, and its conditions can be used."""
    program = programs()[name]
    words = "\n".join(
        [*program.command, program.send or "", *program.files.values(), *program.environment]
    )
    for placeholder in set(PLACEHOLDERS) - {"message", "host"}:
        assert f"{{{placeholder}}}" in words, placeholder
    assert "{host}" in words or "mx.seglab.test" in words
    for what, text in (("ready", program.ready), ("done", program.done)):
        if text is not None:
            condition(what, text)


def test_a_program_without_packages_is_there(store: Store) -> None:
    """The Python that runs the lab is its version."""
    found = available(programs()["smtplib"], store)
    assert found.parameters == {
        "version": ".".join(map(str, sys.version_info[:3])),
        "runtime": f"Python {'.'.join(map(str, sys.version_info[:3]))}",
    }


def seglab(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with a cache folder of its own."""
    program = "import sys, seglab.cli as cli; sys.exit(cli.main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command(registry: Registry, tmp_path: Path) -> None:
    """Exit code 1 and a reason for what is not to be had; ``list`` and ``try`` repeat it."""
    registry.add("swaks", "9", {"usr/bin/swaks": "#!/bin/sh\n"})
    status = (
        "from seglab.software import debian; from pathlib import Path; import sys;"
        f"debian._STATUS = Path({str(registry.folder / 'apt-get')!r});"
        "import seglab.cli as cli; sys.exit(cli.main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", status, "software", "install", "swaks", "msmtp", "--quiet"],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    reason = "apt-get: E: Unable to locate package msmtp"
    assert ended.stdout.splitlines() == ["swaks\tinstalled\t9", f"msmtp\tcannot be had\t{reason}"]

    listed = json.loads(seglab("software", "list", "--json", cache=tmp_path).stdout)
    entries = {entry["name"]: entry for entry in listed}
    assert entries["swaks"]["version"] == "9"
    assert entries["msmtp"]["reason"] == reason
    assert entries["curl"]["installed"] is False

    tried = seglab("try", "--program", "msmtp", cache=tmp_path)
    assert tried.returncode == 3
    assert reason in tried.stderr

    removed = seglab("software", "remove", "swaks", "curl", cache=tmp_path)
    assert removed.stdout.splitlines() == ["swaks\tremoved", "curl\twas not installed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["software", "install", "swakz"], "did you mean 'swaks'?"),
        (["software", "install"], "which programs?"),
        (["software", "remove", "swaks", "--all"], "names or --all, not both"),
        (["try", "--program", "swakz"], "did you mean 'swaks'?"),
        (["try", "--program", "swaks", "--", "true"], "--program says itself what runs"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, tmp_path: Path) -> None:
    """Exit code 2, and what to do."""
    ended = seglab(*arguments, cache=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in " ".join(textwrap.dedent(ended.stderr).split())
