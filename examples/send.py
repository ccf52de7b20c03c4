"""Sends a mail with Python's smtplib, for `seglab try -- python3 examples/send.py ...`.

python3 examples/send.py HOST PORT MESSAGE
"""

import os
import smtplib
import sys
from pathlib import Path

host, port, message = sys.argv[1:]
sender = os.environ.get("SEGLAB_FROM", "sender@example.org")
recipient = os.environ.get("SEGLAB_TO", "recipient@example.org")
with smtplib.SMTP(host, int(port)) as server:
    server.sendmail(sender, recipient, Path(message).read_bytes())
