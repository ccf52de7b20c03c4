"""``seglab regress`` on a cluster: the same findings as at home, or one line why not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install distributed")

from clusters import Processes, processes
from commanding import ROOT, seglab

OWN = """
def classify(observation):
    if sum(observation.sizes) % 5 == 0:
        raise ValueError("seen enough")
    return "single_write" if len(observation.sizes) > 3 else None
"""


def result(*arguments: str | Path, **options: Any) -> dict[str, Any]:
    """What ``seglab regress`` prints as JSON."""
    run = seglab("regress", "--sessions", "sample", "--json", "-q", *arguments, **options)
    assert run.process.returncode in (0, 1), run.err
    found: dict[str, Any] = json.loads(run.out)
    return found


@pytest.mark.parametrize("reference", ["paper", f"cmd:perl {ROOT}/examples/classify.pl"])
def test_the_same_findings(cluster: Processes, reference: str) -> None:
    """Everything that is said of a classifier is the same as at home."""
    here = result(reference)
    assert here["checks"]
    assert result(reference, "--cluster", cluster.address) == here


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    """It is imported by every worker again: what has been changed since is what is asked."""
    module = tmp_path / "mine.py"
    module.write_text(OWN)
    with processes(tmp_path / "c") as cluster:
        cluster.add("one", packages=tmp_path)
        cluster.add("two", packages=tmp_path)
        found = []
        for words in ("seen enough", "had enough"):
            module.write_text(OWN.replace("seen enough", words))
            os.utime(module, (len(found), len(found)))  # two versions in one second
            here = result("mine:classify", packages=[tmp_path])
            far = result("mine:classify", "--cluster", cluster.address, packages=[tmp_path])
            assert far == here
            assert words in json.dumps(far)
            found.append(far)


def test_a_program_that_ends_early(cluster: Processes, tmp_path: Path) -> None:
    """A classifier that ends is reported as at home: in one line, with what it answered before."""
    program = tmp_path / "brief"
    program.write_text("#!/bin/sh\nread -r line; echo null; exit 7\n")
    program.chmod(0o755)
    here = result(f"cmd:{program}")
    far = result(f"cmd:{program}", "--cluster", cluster.address)
    assert "exited with status 7 after 1 answer" in str(here["stopped"])
    assert far["stopped"] == here["stopped"]


def test_not_on_every_worker(cluster: Processes, tmp_path: Path) -> None:
    """A classifier that is here and not there is reported with the worker's address."""
    (tmp_path / "only_here.py").write_text(OWN)
    run = seglab(
        "regress", "only_here:classify", "--sessions", "sample", "--cluster", cluster.address,
        packages=[tmp_path],
    )  # fmt: skip
    assert run.process.returncode == 2
    (line,) = run.err.splitlines()
    assert "tcp://127.0.0.1:" in line.replace(cluster.address, "")
    assert "only_here" in line
    run = seglab(
        "regress", "cmd:no-such-program --x", "--sessions", "sample", "--cluster", cluster.address
    )
    assert run.process.returncode == 2
    assert "no-such-program" in run.err.splitlines()[-1]


def test_dask_only_where_it_is_used() -> None:
    """Without the option nothing of Dask is imported."""
    code = "import sys, seglab.commands.dataset, seglab.commands.regress; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert "seglab.commands.regress" in loaded
    assert not {"dask", "distributed", "seglab.cluster.dask"} & set(loaded)
