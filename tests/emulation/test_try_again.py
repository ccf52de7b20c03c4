"""A run of a program that is continued, and two that are compared."""

import json
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from commanding import Seglab, recorded, wait_until
from commanding import seglab as run_seglab
from trying import PYTHON, skip_without_rights

MAILER = """
import os, random, smtplib, sys, time
host, message, how = sys.argv[1:]
mail = open(message, "rb").read()
if ":" in host and os.path.exists(__file__ + ".hang"):
    time.sleep(1000)
class Client(smtplib.SMTP):
    def send(self, s):
        data = s if isinstance(s, bytes) else s.encode()
        cut = {"whole": len(data), "halves": 3000, "lines": 70}[how] if len(data) > 3000 else 999
        for start in range(0, len(data), cut):
            self.sock.sendall(data[start : start + cut])
with Client(host, 25, local_hostname="client") as server:
    made_up = "".join(random.choices("abc", k=random.randrange(1, 60)))
    mail = b"Message-ID: <" + made_up.encode() + b"@client>\\r\\n" + mail
    server.sendmail("a@example.org", ["b@example.org"], mail)
"""


@pytest.fixture(autouse=True)
def _privileged() -> None:
    """Skip where programs cannot be recorded."""
    skip_without_rights()


@pytest.fixture
def mailer(tmp_path: Path) -> Path:
    """A program that makes up a Message-ID, and writes in pieces as it is asked to."""
    path = tmp_path / "mailer.py"
    path.write_text(MAILER)
    return path


def compared(earlier: Path, out: Path, mailer: Path, how: str, *options: str) -> tuple[Seglab, Any]:
    """A run that is compared with an earlier one, and what it says of that."""
    run = run_seglab(
        *("try", "--network", "pppoe", "--compare", earlier, "--out", out, "--json", *options),
        *("--", PYTHON, mailer, "{host}", "{message}", how),
    )
    return run, json.loads(run.out)["comparison"] if run.out else None


def test_versions_are_compared(tmp_path: Path, mailer: Path) -> None:
    """The same program shows no difference, whatever it makes up; another one shows where."""
    earlier, junit = tmp_path / "earlier", tmp_path / "changes.xml"
    run = run_seglab(
        *("try", "--network", "pppoe", "--network", "ethernet", "--sessions", "3"),
        *("--out", earlier, "--", PYTHON, mailer, "{host}", "{message}", "whole"),
    )
    assert run.process.returncode == 0, run.err + run.out
    again, same = compared(earlier, tmp_path / "again", mailer, "whole")
    assert again.process.returncode == 0, again.out
    assert not same["differs"]
    assert same["only_before"] == ["ethernet"]
    judgements = {one["aspect"]: one["judgement"] for one in same["aspects"]}
    assert judgements["dialogue"] in {"same", "varies", "untold"}  # MAIL names the size
    assert {judgements[name] for name in ("outcome", "options", "header", "calls")} == {"same"}
    assert all(sum(one["sessions"] for one in each["now"]) == 3 for each in same["aspects"])

    other, found = compared(earlier, tmp_path / "other", mailer, "halves", "--junit", str(junit))
    assert other.process.returncode == 1, other.err
    assert [one["aspect"] for one in found["aspects"] if one["judgement"] == "differs"] == [
        "calls", "writes",
    ]  # fmt: skip
    failures = list(ElementTree.parse(junit).getroot().iter("failure"))
    assert [one.get("type") for one in failures] == ["calls", "writes"]
    assert failures[0].get("message") == "before: sendto; now: sendto x3"

    wrong, _ = compared(earlier, tmp_path / "wrong", mailer, "whole", "--size", "7000")
    assert wrong.process.returncode == 2
    assert "sent another message; give the same --message, --size and --seed" in wrong.err
    assert not (tmp_path / "wrong").exists()


def test_an_interrupted_run_is_continued(tmp_path: Path, mailer: Path) -> None:
    """What had ended stays, the rest runs, and a program that has changed is refused."""
    flag, out = Path(f"{mailer}.hang"), tmp_path / "run"
    flag.touch()
    begun = ["try", "--network", "ethernet", "--network", "ipv6-ethernet", "--out", out, "-q"]
    program = [PYTHON, mailer, "{host}", "{message}", "whole"]
    with Seglab(*begun, "--", *program) as run:
        wait_until(lambda: recorded(out) == 1, "the first session ends")
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 130
        assert f"continue with: seglab try --resume {out}" in run.err
        assert run.is_gone()
    flag.unlink()
    code = mailer.read_text()
    mailer.write_text(code + "\n")
    refused = run_seglab("try", "--resume", out)
    assert refused.process.returncode == 2
    assert "mailer.py has changed since this run began" in refused.err
    mailer.write_text(code)
    rest = run_seglab("try", "--resume", out, "--json")
    assert rest.process.returncode == 0, rest.err
    sessions = json.loads(rest.out)["sessions"]
    assert [(one["network"], one["status"]) for one in sessions] == [
        ("ethernet", "complete"),
        ("ipv6-ethernet", "complete"),
    ]
    manifest = json.loads((out / "run.json").read_bytes())
    assert (manifest["status"], manifest["counts"]["complete"]) == ("complete", 2)
    wrong = run_seglab("try", "--resume", out, "--sessions", "3")
    assert wrong.process.returncode == 2
    assert "leave out --sessions" in wrong.err
