"""How fast captures are read: the lab against tools that others use, on one capture, in one run.

    python benchmarks/capture.py [--packets N] [--rounds N] [--peers PYTHON] [--json]

The capture is mixed traffic: one packet in six is mail, the rest TLS, HTTP and DNS, some of it in
VLANs and over IPv6. Each program is a process of its own, and is timed from its start to its end:

- seglab: ``python -m seglab.capture``, which writes an observation of each message as a JSON line;
  and once more without its compiled modules.
- tcpdump: ``-r FILE -w /dev/null``: walks the file and copies it.
- tshark: ``-T fields`` of the segments that hold what seglab's sizes are made of.
- dpkt: parses each packet into its objects; no connection is followed.
- scapy: the same, on the first packets only, and the time is scaled.
- nfstream: makes flows of it, with no look at contents.

dpkt, scapy and nfstream are looked for in the Python that ``--peers`` names (a throw-away virtual
environment); what is not there is left out, and the table says so.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import ROOT, environment, machine, machine_line, paired_ratio, spread
from traffic import make

SCAPY_PACKETS = 20_000

DPKT = """if True:
    import sys, dpkt
    with open(sys.argv[1], "rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            dpkt.ethernet.Ethernet(frame)
"""
SCAPY = """if True:
    import sys
    from scapy.all import Ether, RawPcapReader
    for count, (frame, _) in enumerate(RawPcapReader(sys.argv[1])):
        if count == int(sys.argv[2]):
            break
        Ether(frame)
"""
NFSTREAM = """if True:
    import sys
    from nfstream import NFStreamer
    if __name__ == "__main__":
        sum(1 for _ in NFStreamer(source=sys.argv[1], n_dissections=0, n_meters=1))
"""


def run(command: Sequence[str], out: Path, more: dict[str, str] | None = None) -> dict[str, float]:
    """Seconds on the clock and of the processor, and the most memory, of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    with out.open("wb") as target:
        process = subprocess.Popen(
            command, stdout=target, stderr=subprocess.DEVNULL, env=environment() | (more or {})
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{command[0]} ended with {status}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"clock_s": seconds, "processor_s": busy, "mb": usage.ru_maxrss / 1024}


def commands(capture: Path, peers: str) -> dict[str, tuple[list[str], dict[str, str]]]:
    """The programs that are here, by name."""
    ours = [sys.executable, "-m", "seglab.capture", str(capture)]
    found: dict[str, tuple[list[str], dict[str, str]]] = {"seglab": (ours, {})}
    if tcpdump := shutil.which("tcpdump", path=environment()["PATH"]):
        found["tcpdump"] = ([tcpdump, "-r", str(capture), "-w", "/dev/null"], {})
    found["seglab, not compiled"] = (ours, {"SEGLAB_PURE_PYTHON": "1"})
    if tshark := shutil.which("tshark"):
        fields = ("tcp.stream", "tcp.seq", "tcp.len", "tcp.flags.push", "frame.time_epoch")
        found["tshark"] = (
            [
                *(tshark, "-n", "-r", str(capture), "-Y", "tcp.dstport == 25 && tcp.len > 0"),
                *("-T", "fields", *(word for field in fields for word in ("-e", field))),
            ],
            {},
        )
    for name, program in (("dpkt", DPKT), ("scapy", SCAPY), ("nfstream", NFSTREAM)):
        there = subprocess.run([peers, "-c", f"import {name}"], capture_output=True, check=False)
        if there.returncode == 0:
            script = capture.parent / f"peer_{name}.py"
            script.write_text(program)
            found[name] = ([peers, str(script), str(capture), str(SCAPY_PACKETS)], {})
    return found


def measure(packets: int, rounds: int, peers: str) -> dict[str, Any]:
    """Time all programs; the quick ones in turns, the slow ones once."""
    with TemporaryDirectory(prefix="seglab-capture-") as folder:
        capture, out = Path(folder, "mixed.pcap"), Path(folder, "out")
        with capture.open("wb") as file:
            counts = make(file, packets)
        programs = commands(capture, peers)
        times: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        for number in range(rounds):
            for name, (command, more) in programs.items():
                if number and name not in ("seglab", "tcpdump"):
                    continue
                times[name].append(run(command, out, more))
                if name == "seglab":
                    messages = out.read_bytes().count(b"\n")
        size = capture.stat().st_size
    for taken in times.get("scapy", []):
        scale = packets / min(packets, SCAPY_PACKETS)
        taken.update(clock_s=taken["clock_s"] * scale, processor_s=taken["processor_s"] * scale)
    return {
        "capture": {"packets": packets, "bytes": size, "messages": messages, **counts},
        "programs": {
            name: {key: spread([t[key] for t in taken]) for key in taken[0]}
            for name, taken in times.items()
        },
        "ratios": {
            name: {
                key: paired_ratio(
                    [t[key] for t in taken], [t[key] for t in times["seglab"]][: len(taken)]
                )
                for key in ("clock_s", "processor_s")
            }
            for name, taken in times.items()
            if name != "seglab"
        },
    }


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=sys.executable, help="a Python with dpkt and others")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {"machine": machine(), **measure(options.packets, options.rounds, options.peers)}
    if options.json:
        print(json.dumps(found, indent=2))
        return
    capture = found["capture"]
    print(machine_line(found["machine"]))
    print(
        f"{capture['packets']} packets, {capture['bytes'] / 1e6:.0f} MB, "
        f"{capture['smtp'] / capture['packets']:.1%} of them mail, {capture['messages']} messages"
    )
    print(f"{'':22}{'clock':>9}{'processor':>11}{'memory':>9}{'clock':>9}{'processor':>11}")
    print(f"{'':22}{'s':>9}{'s':>11}{'MB':>9}   to seglab's (medians)")
    for name, taken in found["programs"].items():
        clock, busy, mb = (taken[key]["median"] for key in ("clock_s", "processor_s", "mb"))
        ratio = found["ratios"].get(name)
        more = (
            f"{ratio['clock_s']['median']:9.2f}{ratio['processor_s']['median']:11.2f}"
            if ratio
            else ""
        )
        scaled = "  scaled" if name == "scapy" else ""
        print(f"{name:22}{clock:9.2f}{busy:11.2f}{mb:9.0f}{more}{scaled}")
    for name in {"tcpdump", "tshark", "dpkt", "scapy", "nfstream"} - found["programs"].keys():
        print(f"{name}: not here")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
