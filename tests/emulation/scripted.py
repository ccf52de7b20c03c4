"""Real servers of a few lines of Python, for labs whose server is a program."""

import os
import sys
import textwrap

from seglab.experiment.equipment import Equipment
from seglab.experiment.serving import ServerProgram

PYTHON = os.path.realpath(sys.executable)

HEAD = """
import os, socket, struct, sys, time
def accept():
    s = socket.create_server(("", int(sys.argv[1])))
    while True:
        yield s.accept()[0]
def dialogue(s):
    lines = s.makefile("rb")
    s.sendall(b"220 here\\r\\n")
    for line in lines:
        word = line[:4].upper()
        s.sendall(b"354 go\\r\\n" if word == b"DATA" else b"250 ok\\r\\n")
        if word == b"DATA":
            return lines
"""

WHOLE = """
def take(s):
    for line in dialogue(s):
        if line == b".\\r\\n":
            break
    s.sendall(b"250 taken\\r\\n")
    s.recv(100)
    s.sendall(b"221 bye\\r\\n")
    s.close()
for s in accept():
    take(s)
"""
"""Takes one mail of each connection."""


def scripted(code: str) -> ServerProgram:
    """A server of a few lines of Python."""
    return ServerProgram(
        name="own-server",
        version="1",
        command=(PYTHON, "/run/seglab/serve.py", "{port}"),
        equipment=Equipment(files=(("/run/seglab/serve.py", HEAD + textwrap.dedent(code)),)),
    )
