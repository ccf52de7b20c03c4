"""The simulator: the same experiments in virtual time, on any machine.

It models both TCPs, the path and the programs at its ends (``docs/simulator.md``). It is worth as
much as it agrees with the kernel engine, and is never chosen silently.
"""
