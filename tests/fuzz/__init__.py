"""Fuzzing by structure: inputs of the right kind whose parts are wrong; ``README.md`` explains."""
