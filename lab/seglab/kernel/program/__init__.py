"""Programs that were not written for the lab, in the lab: how they run, and what they write.

``lab`` is the parent's side. ``client`` takes the place of the emulating client in a lab; of each
session it has a ``session``, which says when it begins and ends. The command runs in namespaces of
its own (``cell``), whose first process starts it (``first``). It sees the machine's files
(``view``) below an ``overlay``, so that nothing of the machine is changed. ``resolver`` answers
what it asks of names.

Meanwhile a recorder notes what the command does to its sockets. As root it is a ring buffer of the
kernel's tracing (``recorder``, ``ring_buffer``, ``option_values``); ``tracing`` starts
``instance``, a process of its own outside the lab, which makes that buffer and removes it. Without
root it is a filter that notifies of the calls (``notification``, ``watching``). ``calls`` makes
write calls of what either found, and ``reports`` brings them into the form that the emulating
client's reports have, with what the program said beside its message (``dialogue``).
"""
