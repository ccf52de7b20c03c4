"""A digest of simulated sessions: the same on every system and every Python, to the byte.

    PYTHONPATH=lab python tests/unit/simulator_digest.py

``test_simulator.py`` compares it with ``data/simulator.sha256``. Where the model is meant to have
changed, write what this prints into that file.
"""

import hashlib
import tempfile
from pathlib import Path

from seglab.execution.request import RunRequest
from seglab.simulator import worker

NETWORKS = (
    *("ethernet", "gprs", "cellular", "vb2014", "tunnel-1400", "ipv6-tunnel", "pppoe-clamped"),
    "unimpaired",
)
STORED = Path(__file__).parent / "data" / "simulator.sha256"


def digest() -> str:
    """The SHA-256 of the records and captures of every sender over some networks."""
    found = hashlib.sha256()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "wire").mkdir()
        planned = RunRequest(("matrix",), (), NETWORKS, 1).specs(2014)
        for record in worker.carry_out(planned, 60.0, folder):
            found.update(record.to_json())
            for capture in (record.captures.client, record.captures.server):
                found.update((folder / str(capture)).read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    print(digest())
