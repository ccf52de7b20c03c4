"""What the paper of VB2014 printed, and whether a run reproduces it.

Every module is made of pure functions of the published numbers and of recorded sessions.
"""
