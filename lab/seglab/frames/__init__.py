"""The frames of a session: their headers, the packets they join to, and captures of them.

Every engine has frames with the same addresses and writes the same captures. The kernel engine's
wire recorded them; the simulator makes them.
"""
