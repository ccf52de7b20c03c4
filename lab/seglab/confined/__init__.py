"""Where code that nobody has vouched for runs: a process that reaches nothing.

A sender is Python code, and a user's own sender may come from a stranger. It never runs in the
process that the user started. ``own_sender`` starts a process for it, which shuts itself in
(``confinement``) before it sees the code, and then answers questions about the sender
(``worker``). What comes back is treated as a stranger's data (``remote``).
"""
