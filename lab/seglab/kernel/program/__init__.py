"""Programs that were not written for the lab, in the lab: how they run, and what they write.

``client`` takes the place of the emulating client in a lab. For each session it starts the user's
command in namespaces of its own (``cell``), with a view of the machine's files that it cannot
change (``view``). Meanwhile a ring buffer of the kernel notes what the command does to its sockets
(``recorder``, ``ring_buffer``); ``calls`` makes write calls of that, and ``reports`` brings them
into the form that the emulating client's reports have. ``lab`` is the parent's side.
``resolver`` answers what it asks of names. ``tracing`` starts ``instance``, a process of its own
outside the lab, which makes that ring buffer and removes it.
"""
