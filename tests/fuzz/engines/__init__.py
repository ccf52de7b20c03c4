"""Differential fuzzing of the two engines: drawn schedules, carried out on both, and compared."""
