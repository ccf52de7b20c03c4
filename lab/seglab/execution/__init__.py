"""Carrying out a run: what was asked for, an engine at work, and how the run ends."""
