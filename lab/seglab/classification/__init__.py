"""A classifier, its answer, and what it is asked about."""
