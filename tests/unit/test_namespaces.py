"""Whether the namespaces of a lab can be made: what the probe's end says of that."""

from pathlib import Path

import pytest

from seglab.kernel import sandbox

ENDS = {
    "interrupted": ("kill -INT $$", None),
    "refused": ("echo 'unshare failed: Operation not permitted' >&2; exit 1", "not permitted"),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_end_of_the_probe(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C that reached the probe is no refusal: it is made again, and answers then."""
    first, problem = ENDS[how]
    seen = tmp_path / "seen"
    unshare = tmp_path / "unshare"
    unshare.write_text(f"#!/bin/sh\n[ -e '{seen}' ] && exit 0\n: > '{seen}'\n{first}\n")
    unshare.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = sandbox.namespace_problem()
    assert (found is None) if problem is None else (problem in (found or ""))
    assert seen.exists()
