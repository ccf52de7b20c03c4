"""``seglab regress`` over sessions of this kernel: a fresh run, and a dataset that is built."""

import json
import subprocess
import sys
from pathlib import Path

from commanding import ROOT, seglab

SCENARIO = """
title = "two senders under three MTUs"
senders = ["single_write", "relay"]
networks = ["ethernet", "jumbo", "tiny"]
sessions = 2
[message]
payload_bytes = 6000
[[network]]
name = "tiny"
title = "576 bytes"
like = "ethernet"
mtu = 576
"""
DATASET = """
title = "four ways of writing under four MTUs"
repeats = 6
senders = [
    "single_write", "relay", "headers_then_body",
    { name = "fixed_buffer", parameters = { buffer_bytes = 1024 } },
]
networks = ["ethernet", "pppoe-clamped", "token-ring-4", "tiny"]
[[network]]
name = "tiny"
title = "576 bytes"
like = "ethernet"
mtu = 576
[[messages]]
name = "short"
kind = "text"
payload_bytes = 3000
[splits]
networks = { test = ["tiny"] }
"""
RULES = '''
def honest(observation):
    """Two styles, told apart by sizes against the MSS."""
    short = [size for size in observation.sizes[:-1] if size % observation.mss]
    if observation.layer == "reads" or len(short) > 1 or any(observation.retransmission or ()):
        return None
    return "relay" if short else "single_write"


def table(observation):
    """Has learned Ethernet."""
    return "single_write" if observation.sizes[0] == 1448 else "relay"
'''


def test_fresh_run(tmp_path: Path) -> None:
    """Sessions are sent now; the honest rules pass, those that know one MTU are found out."""
    (tmp_path / "rules_here.py").write_text(RULES)
    scenario = tmp_path / "mine.toml"
    scenario.write_text(SCENARIO)
    common = ("--scenario", scenario, "--json", "--quiet", "--seed", "7")
    done = seglab(
        "regress", "rules_here:honest", *common, "--out", tmp_path / "one", packages=[tmp_path]
    )
    assert done.process.returncode == 0, done.err
    assert json.loads(done.out)["sessions"] == 12
    stored = ("--sessions", tmp_path / "one", "--json")
    done = seglab("regress", "rules_here:table", *stored, packages=[tmp_path])
    assert done.process.returncode == 1
    (label,) = [c for c in json.loads(done.out)["checks"] if c["name"] == "label_ignores_mtu"]
    assert {f["network"] for f in label["findings"]} == {"jumbo", "tiny"}
    assert {f["style"] for f in label["findings"]} == {"single_write"}


def test_dataset(tmp_path: Path) -> None:
    """A dataset is taken as it is, and the model of sizes falls on the network held out."""
    spec = tmp_path / "spec.toml"
    spec.write_text(DATASET)
    built = seglab("dataset", "build", spec, "--out", tmp_path / "data", "--quiet")
    assert built.process.returncode == 0, built.err
    done = seglab("regress", "paper", "--sessions", tmp_path / "data", "--json")
    assert json.loads(done.out)["sessions"] == 96
    held_out = ("--split", "test", "--split-column", "split_network")
    done = seglab("regress", "paper", "--sessions", tmp_path / "data", "--json", *held_out)
    assert {row["network"] for row in json.loads(done.out)["networks"]} == {"tiny"}
    scored = subprocess.run(
        [sys.executable, ROOT / "examples/scikit_model.py", tmp_path / "data"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    raw, meanings = (
        [float(word.rstrip("%")) for word in line.split() if word.endswith("%")]
        for line in scored.stdout.splitlines()
    )
    assert meanings[1] > raw[1]
    assert meanings[1] > 80
