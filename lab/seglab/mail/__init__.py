"""Mail: generated messages, and messages from the user's own files."""
