"""Captures: from pcap and pcapng files to observations of SMTP messages; see docs/captures.md."""

from seglab.capture.reader import Capture, observations, sniff

__all__ = ["Capture", "observations", "sniff"]
