"""The logging server: it speaks raw TCP or SMTP, and logs what each ``recv`` returned.

The protocols (``session``, ``smtp``, ``payload``) are pure: bytes come in, replies and received
payloads go out. ``connection`` joins a protocol's session with the log of its reads; ``loop`` and
``threads`` are the two ways of reading; ``logs`` writes. ``seglab.kernel.server`` is the server
inside a lab.
"""
