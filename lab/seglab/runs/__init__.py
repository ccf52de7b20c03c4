"""A run on disk: its folder, journal, manifest and sessions, and how Python reads them."""
