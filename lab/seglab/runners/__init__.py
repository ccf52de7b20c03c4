"""Where a classifier runs: in this process, in one of its own, in several, or as a program."""
