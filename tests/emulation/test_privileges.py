"""A lab for root that is not allowed everything, as in a container."""

import json
from pathlib import Path

import pytest
from commanding import inside, seglab
from programs import need

NO_USER_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces"


def root_without(*capabilities: str, also: str = "true") -> list[str]:
    """What to start a command with: root in a user namespace, without these capabilities."""
    dropped = ",".join(f"-{name}" for name in capabilities)
    drop = f"'{need('setpriv')}' --bounding-set {dropped} --inh-caps {dropped}"
    return inside(f'{also} && exec {drop} "$@"')


def found(before: list[str]) -> dict[str, str]:
    """What ``doctor`` finds about network namespaces."""
    run = seglab("doctor", "--json", before=before)
    (check,) = [one for one in json.loads(run.out) if one["name"] == "network namespaces"]
    assert run.process.returncode == (3 if check["status"] == "lacks" else 0), run.out
    return check


@pytest.mark.parametrize("capability", ["sys_admin", "net_admin", "net_raw"])
def test_root_does_as_any_user_does(capability: str, tmp_path: Path) -> None:
    """Without one of the capabilities a lab runs in a user namespace, and ``doctor`` says so."""
    before = root_without(capability)
    check = found(before)
    words = f"allowed as root without CAP_{capability.upper()}, in a user namespace"
    assert (check["status"], check["found"]) == ("ok", words)
    out = tmp_path / "run"
    run = seglab("run", "scenario-1", "--sessions", "2", "--quiet", "--out", out, before=before)
    assert run.process.returncode == 0, run.err
    assert "2 of 2 sessions complete" in run.out


def test_root_that_is_refused_is_told_why(tmp_path: Path) -> None:
    """Where user namespaces are refused as well, what it lacks is named, and no sudo."""
    before = root_without("sys_admin", "net_admin", also=NO_USER_NAMESPACES)
    check = found(before)
    assert check["status"] == "lacks"
    assert check["found"].startswith("refused as root without CAP_NET_ADMIN and CAP_SYS_ADMIN: ")
    assert "--cap-add NET_ADMIN --cap-add SYS_ADMIN" in check["remedy"]
    assert "sudo" not in check["remedy"]
    run = seglab("run", "scenario-1", "--sessions", "1", "--out", tmp_path / "x", before=before)
    assert run.process.returncode == 3
    assert run.err.count("\n") == 1
    assert check["remedy"] in run.err


def test_a_limit_for_root() -> None:
    """A root with all capabilities that is refused learns that a limit does it."""
    before = inside('echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"')
    check = found(before)
    assert check["found"].startswith("refused as root: ")
    assert "user.max_net_namespaces" in check["remedy"]
    assert "sudo" not in check["remedy"]
