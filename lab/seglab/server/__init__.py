"""The logging server: raw TCP or SMTP, every ``recv`` on its own socket written down.

``session``-level code (``smtp``, ``payload``, ``raw``) is pure: bytes in, replies and events out.
``connection`` joins a session with the log of its reads; ``loop`` and ``threads`` are the two ways
of reading; ``logs`` writes. ``python -m seglab.kernel.server --fd N`` is the server inside a lab.
"""
